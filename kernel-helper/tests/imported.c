// SPDX-License-Identifier: GPL-2.0-only
/*
 * Other exporters' dma-bufs, granted: from udmabuf, the system's dma-heap and a
 * display's dumb buffer. Where an exporter puts pages of no neighbouring machine
 * frames into one segment, the right answer is to refuse; which of them do
 * depends on the kernel and on where the pages happen to lie.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#if __has_include(<drm/drm.h>)
#include <drm/drm.h>
#elif __has_include(<libdrm/drm.h>)
#include <libdrm/drm.h>
#endif
#include <linux/dma-heap.h>
#include <linux/udmabuf.h>

#include "common.h"
#include "granted.h"

static const char *const reasons[] = {
	[XEN_ZCOPY_REFUSED_NONE] = "none",
	[XEN_ZCOPY_REFUSED_SIZE] = "size",
	[XEN_ZCOPY_REFUSED_BOUNCED] = "bounced",
	[XEN_ZCOPY_REFUSED_MERGED] = "merged",
	[XEN_ZCOPY_REFUSED_NOT_PAGE_ALIGNED] = "not page aligned",
	[XEN_ZCOPY_REFUSED_FOREIGN] = "foreign",
	[XEN_ZCOPY_REFUSED_NOT_RAM] = "not RAM",
	[XEN_ZCOPY_REFUSED_UNKNOWN] = "unknown",
};

/* ---- exporters: a dma-buf, or a negative errno ------------------------------ */

static int from_udmabuf(uint32_t count, uint32_t flags)
{
	struct udmabuf_create op = { .flags = UDMABUF_FLAGS_CLOEXEC };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), fd;

	(void)flags;
	if (device < 0)
		return -errno;
	op.memfd = memfd_create("udmabuf", MFD_ALLOW_SEALING);
	op.size = (uint64_t)count * PAGE;
	if (ftruncate(op.memfd, op.size) || fcntl(op.memfd, F_ADD_SEALS, F_SEAL_SHRINK))
		bail("memfd");
	fd = ioctl(device, UDMABUF_CREATE, &op);
	fd = fd < 0 ? -errno : fd;
	close(op.memfd);
	close(device);
	return fd;
}

static int from_heap(uint32_t count, uint32_t flags)
{
	struct dma_heap_allocation_data op = {
		.len = (uint64_t)count * PAGE,
		.fd_flags = flags | O_CLOEXEC,
	};
	int device = open("/dev/dma_heap/system", O_RDONLY | O_CLOEXEC), ret;

	if (device < 0)
		return -errno;
	ret = ioctl(device, DMA_HEAP_IOCTL_ALLOC, &op) ? -errno : 0;
	close(device);
	return ret ? ret : (int)op.fd;
}

#ifdef DRM_IOCTL_MODE_CREATE_DUMB
static int from_dumb(uint32_t count, uint32_t flags)
{
	struct drm_mode_create_dumb create = { .width = 1024, .height = count, .bpp = 32 };
	struct drm_prime_handle prime = { .flags = DRM_CLOEXEC | DRM_RDWR };
	int card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC), ret = 0;

	(void)flags;
	if (card < 0)
		return -errno;
	if (ioctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &create))
		ret = -errno;
	prime.handle = create.handle;
	if (!ret && ioctl(card, DRM_IOCTL_PRIME_HANDLE_TO_FD, &prime))
		ret = -errno;
	/* The dma-buf keeps the picture. */
	close(card);
	return ret ? ret : prime.fd;
}
#else
static int from_dumb(uint32_t count, uint32_t flags)
{
	(void)count;
	(void)flags;
	return -ENOSYS;
}
#endif

/* ---- tests ---------------------------------------------------------------- */

/* How many pages of each exporter were granted, and how many refused as copied. */
static uint32_t granted, merged;

static bool refused(const char *what, const struct given *g, int ret)
{
	if (ret != -EOPNOTSUPP)
		return tap_errno(ret, 0, what) && false;
	printf("# %s: page %u of %u refused: %s\n", what, g->bad_page, g->count,
	       g->reason < sizeof(reasons) / sizeof(*reasons) ? reasons[g->reason] : "?");
	tap_ok((g->reason == XEN_ZCOPY_REFUSED_MERGED || g->reason == XEN_ZCOPY_REFUSED_BOUNCED) &&
	       g->bad_page < g->count && !g->handle,
	       "%s: refused, with the page and the reason", what);
	merged++;
	return true;
}

/* Both sides see each other through the original mapping, with no call between. */
static void test_shared(int z, const char *what, struct given *g, int fd)
{
	uint32_t count = g->count;
	uint8_t *memory = map(fd, count, PROT_READ | PROT_WRITE);
	struct guest guest = guest_map(g);

	granted++;
	if (!tap_ok(memory, "%s: granted, and mmap of the original", what))
		return;
	fill(guest.memory, count, 30);
	tap_ok(holds(memory, count, 30), "%s: the guest's writes are seen in the original", what);
	fill(memory, count, 31);
	tap_ok(holds(guest.memory, count, 31), "%s: the original's by the guest", what);
	close(fd);
	munmap(memory, (size_t)count * PAGE);
	tap_ok(holds(guest.memory, count, 31) && !readable(z, 50),
	       "%s: kept when its owner lets go", what);
	tap_errno(end_access(z, g->handle), 0, "END_ACCESS");
	tap_ok(!readable(z, 100) && domain(z, 0).pages_waiting == count &&
	       holds(guest.memory, count, 31), "%s: and while the guest maps it", what);
	guest_unmap(&guest);
	tap_ok(released(z, g->handle), "%s: released", what);
}

static void test_exporter(int z, const char *name, int (*make)(uint32_t, uint32_t), uint32_t count)
{
	struct xen_zcopy_info before = info(z);
	struct given g = given_make(0, count);
	int fd = make(count, O_RDWR), ret;
	char what[64];

	snprintf(what, sizeof(what), "%s, %u pages", name, count);
	if (fd < 0) {
		tap_skip(what, strerror(-fd));
		free(g.refs);
		return;
	}
	ret = import_try(z, &g, fd, 0);
	if (ret == -ENOSYS) {
		/*
		 * DRM's answer for a driver that exports buffers to which nobody
		 * can attach, bochs of Linux 6.12 among them; never our own.
		 */
		tap_skip(what, "the exporter lets nobody attach");
		close(fd);
	} else if (ret) {
		refused(what, &g, ret);
		close(fd);
	} else {
		test_shared(z, what, &g, fd);
	}
	tap_ok(settled(z, &before) && !readable(z, 20), "%s: nothing is left", what);
	free(g.refs);
}

static void test_readonly_import(int z)
{
	struct given g = given_make(0, 1);
	int fd = from_heap(1, O_RDONLY);
	struct guest guest;

	if (fd < 0) {
		tap_skip("read-only dma-buf", "no /dev/dma_heap/system");
		goto out;
	}
	tap_errno(import_try(z, &g, fd, 0), -EACCES, "a dma-buf for reading, to be written by a guest");
	tap_errno(import_try(z, &g, fd, XEN_ZCOPY_IMP_RDONLY), 0, "to be read only");
	close(fd);
	guest = guest_try(g.refs, 1, PROT_READ | PROT_WRITE);
	tap_ok(!guest.memory, "the guest can't map it for writing");
	guest = guest_try(g.refs, 1, PROT_READ);
	tap_ok(guest.memory && all_zero(guest.memory, 1), "but for reading");
	end_access(z, g.handle);
	guest_unmap(&guest);
	tap_ok(released(z, g.handle), "released");
out:
	free(g.refs);
}

/* Our own: pages of ours may be granted once more, a guest's never. */
static void test_own(int z)
{
	struct given first = alloc_pages(z, 8, 0), g = given_make(0, 8);
	struct grants grants = grants_make(8, true);
	struct guest guest;
	uint64_t handle;
	int fd;

	tap_errno(import_try(z, &g, first.fd, 0), 0, "pages that ALLOC gave, once more");
	guest = guest_map(&g);
	end_access(z, first.handle);
	close(first.fd);
	fill(guest.memory, 8, 32);
	tap_ok(!readable(z, 100) && holds(guest.memory, 8, 32), "the second grant keeps them");
	end_access(z, g.handle);
	guest_unmap(&guest);
	tap_ok(released(z, g.handle), "it is over first");
	tap_ok(released(z, first.handle), "then what it came from");

	fd = export(z, &grants, 0, &handle);
	tap_errno(import_try(z, &g, fd, 0), -EOPNOTSUPP, "a guest's pages");
	tap_ok(g.reason == XEN_ZCOPY_REFUSED_FOREIGN && !g.bad_page, "are refused as foreign");
	close(fd);
	tap_ok(released(z, handle), "released");
	grants_free(&grants);
	free(first.refs);
	free(g.refs);
}

static void test_import_arguments(int z)
{
	struct xen_zcopy_info before = info(z);
	struct given g = given_make(0, 8), four = alloc_pages(z, 4, 0);
	struct xen_zcopy_imp_to_refs op, good = {
		.count = 4,
		.fd = four.fd,
		.refs = (uintptr_t)g.refs,
	};
	struct xen_zcopy_imp_to_refs *readonly =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int other = open("/dev/null", O_RDONLY | O_CLOEXEC);

#define IMPORT_WITH(field, value) \
	(op = good, op.field = value, ioctl(z, XEN_ZCOPY_IOC_IMP_TO_REFS, &op) ? -errno : 0)
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_IMP_TO_REFS, NULL) ? -errno : 0, -EFAULT,
		  "IMP_TO_REFS from no memory");
	tap_errno(IMPORT_WITH(flags, 2), -EINVAL, "IMP_TO_REFS: unknown flag");
	tap_errno(IMPORT_WITH(bad_page, 1), -EINVAL, "IMP_TO_REFS: bad_page set");
	tap_errno(IMPORT_WITH(reason, 1), -EINVAL, "IMP_TO_REFS: reason set");
	tap_errno(IMPORT_WITH(count, 0), -EINVAL, "IMP_TO_REFS: no pages");
	tap_errno(IMPORT_WITH(count, UINT32_MAX), -ENOSPC, "IMP_TO_REFS: 2^32-1 pages");
	tap_errno(IMPORT_WITH(domid, 0x7ff0), -EINVAL, "IMP_TO_REFS: reserved domain");
	tap_errno(IMPORT_WITH(fd, -1), -EBADF, "IMP_TO_REFS: no descriptor");
	tap_errno(IMPORT_WITH(fd, other), -EINVAL, "IMP_TO_REFS: no dma-buf");
	tap_errno(IMPORT_WITH(count, 5), -EOPNOTSUPP, "IMP_TO_REFS: more pages than it has");
	tap_ok(op.reason == XEN_ZCOPY_REFUSED_SIZE && op.bad_page == 4,
	       "page 4 is refused for the size");
	tap_errno(IMPORT_WITH(refs, 0), -EFAULT, "IMP_TO_REFS: references to no memory");
	*readonly = good;
	mprotect(readonly, PAGE, PROT_READ);
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_IMP_TO_REFS, readonly) ? -errno : 0, -EFAULT,
		  "IMP_TO_REFS: answer to read-only memory");
	munmap(readonly, PAGE);
	close(other);
	end_access(z, four.handle);
	close(four.fd);
	tap_ok(released(z, four.handle) && settled(z, &before) && !readable(z, 50),
	       "IMP_TO_REFS: nothing stays after refusals");
	free(g.refs);
	free(four.refs);
}

void test_import(int z)
{
	test_import_arguments(z);
	test_own(z);
	test_readonly_import(z);
	test_exporter(z, "udmabuf", from_udmabuf, 8);
	test_exporter(z, "udmabuf", from_udmabuf, 469);
	test_exporter(z, "dma-heap", from_heap, 1);
	test_exporter(z, "dma-heap", from_heap, 469);
	test_exporter(z, "dma-heap", from_heap, 2025);
	test_exporter(z, "dumb buffer", from_dumb, 1);
	test_exporter(z, "dumb buffer", from_dumb, 469);
	test_exporter(z, "dumb buffer", from_dumb, 2025);
	printf("# %u buffers were granted, %u refused\n", granted, merged);
}
