/* SPDX-License-Identifier: GPL-2.0-only */
/* Showing a dma-buf by DRM's plain interface. */
#ifndef DISPLAY_H
#define DISPLAY_H

#include <stdbool.h>
#include <stdint.h>

struct display {
	uint32_t connector;
	uint32_t crtc;
	uint16_t width;
	uint16_t height;
};

/*
 * The first connected connector, the size of its narrowest mode, and the first
 * CRTC of the card. Returns NULL, or what there is none of.
 */
const char *display_find(int card, struct display *display);

/*
 * Imports an XRGB8888 picture of the display's size, shows it, and lets it go.
 * Returns NULL, or what went wrong; *cannot is set when this card could show
 * nobody's buffer.
 */
const char *display_show(int card, const struct display *display, int dmabuf, bool *cannot);

#endif /* DISPLAY_H */
