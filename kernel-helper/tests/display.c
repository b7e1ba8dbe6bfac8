// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shows a dma-buf by DRM's plain interface: the display driver attaches to it
 * and, if it is a simple one, reads it through the kernel mapping (vmap).
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#if __has_include(<drm/drm.h>)
#include <drm/drm.h>
#include <drm/drm_fourcc.h>
#elif __has_include(<libdrm/drm.h>)
#include <libdrm/drm.h>
#include <libdrm/drm_fourcc.h>
#endif

#include "display.h"

#ifdef DRM_IOCTL_MODE_ADDFB2

#define MAX_OBJECTS 8
#define MAX_MODES 64

static struct drm_mode_modeinfo modes[MAX_MODES];

/* Fetches the connector's modes; returns how many, 0 when it shows nothing. */
static uint32_t get_modes(int card, uint32_t connector)
{
	/* The first call probes and counts, the second one fetches. */
	struct drm_mode_get_connector conn = { .connector_id = connector };

	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &conn) || conn.connection != 1 ||
	    conn.count_modes > MAX_MODES)
		return 0;
	conn = (struct drm_mode_get_connector){
		.connector_id = connector,
		.modes_ptr = (uintptr_t)modes,
		.count_modes = conn.count_modes,
	};
	if (ioctl(card, DRM_IOCTL_MODE_GETCONNECTOR, &conn) || conn.count_modes > MAX_MODES)
		return 0;
	return conn.count_modes;
}

static const struct drm_mode_modeinfo *narrowest(uint32_t count)
{
	const struct drm_mode_modeinfo *best = &modes[0];

	for (uint32_t m = 1; m < count; m++)
		if (modes[m].hdisplay < best->hdisplay)
			best = &modes[m];
	return best;
}

const char *display_find(int card, struct display *display)
{
	uint32_t connectors[MAX_OBJECTS] = { 0 }, crtcs[MAX_OBJECTS] = { 0 };
	struct drm_mode_card_res res = {
		.connector_id_ptr = (uintptr_t)connectors,
		.crtc_id_ptr = (uintptr_t)crtcs,
		.count_connectors = MAX_OBJECTS,
		.count_crtcs = MAX_OBJECTS,
	};

	if (ioctl(card, DRM_IOCTL_MODE_GETRESOURCES, &res))
		return "no mode setting";
	if (!res.count_crtcs)
		return "no CRTC";
	for (uint32_t i = 0; i < res.count_connectors && i < MAX_OBJECTS; i++) {
		uint32_t count = get_modes(card, connectors[i]);

		if (!count)
			continue;
		*display = (struct display){
			.connector = connectors[i],
			.crtc = crtcs[0],
			.width = narrowest(count)->hdisplay,
			.height = narrowest(count)->vdisplay,
		};
		return NULL;
	}
	return "no connected display";
}

static const char *show_handle(int card, uint32_t handle, const struct display *display)
{
	uint32_t connector = display->connector;
	struct drm_mode_fb_cmd2 fb = {
		.width = display->width,
		.height = display->height,
		.pixel_format = DRM_FORMAT_XRGB8888,
		.handles = { handle },
		.pitches = { display->width * 4u },
	};
	struct drm_mode_crtc crtc = {
		.crtc_id = display->crtc,
		.set_connectors_ptr = (uintptr_t)&connector,
		.count_connectors = 1,
		.mode_valid = 1,
		.mode = *narrowest(get_modes(card, connector)),
	};
	struct drm_mode_crtc off = { .crtc_id = display->crtc };
	const char *wrong = NULL;

	if (ioctl(card, DRM_IOCTL_MODE_ADDFB2, &fb))
		return "ADDFB2 failed";
	crtc.fb_id = fb.fb_id;
	if (ioctl(card, DRM_IOCTL_MODE_SETCRTC, &crtc))
		wrong = "SETCRTC failed";
	if (ioctl(card, DRM_IOCTL_MODE_SETCRTC, &off) && !wrong)
		wrong = "display can't be switched off";
	if (ioctl(card, DRM_IOCTL_MODE_RMFB, &fb.fb_id) && !wrong)
		wrong = "RMFB failed";
	return wrong;
}

const char *display_show(int card, const struct display *display, int dmabuf, bool *cannot)
{
	struct drm_prime_handle prime = { .fd = dmabuf };
	struct drm_gem_close gem = { 0 };
	const char *wrong;

	if (ioctl(card, DRM_IOCTL_PRIME_FD_TO_HANDLE, &prime)) {
		/*
		 * So drivers answer that import nobody's buffers, bochs of
		 * Linux 6.12 among them; none of our operations does.
		 */
		*cannot = errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP;
		return *cannot ? "the driver imports no buffers" : strerror(errno);
	}
	wrong = show_handle(card, prime.handle, display);
	gem.handle = prime.handle;
	if (ioctl(card, DRM_IOCTL_GEM_CLOSE, &gem) && !wrong)
		wrong = "GEM_CLOSE failed";
	return wrong;
}

#else /* DRM_IOCTL_MODE_ADDFB2 */

const char *display_find(int card, struct display *display)
{
	(void)card;
	(void)display;
	return "built without DRM's headers (libdrm-dev)";
}

const char *display_show(int card, const struct display *display, int dmabuf, bool *cannot)
{
	(void)card;
	(void)display;
	(void)dmabuf;
	*cannot = true;
	return "built without DRM's headers";
}

#endif /* DRM_IOCTL_MODE_ADDFB2 */
