// SPDX-License-Identifier: GPL-2.0-only
/*
 * SYNC. A device that has the dma-buf mapped is needed: the module's own, as
 * which it attaches for IMP_TO_REFS. On x86 every device is coherent, and
 * nothing is done, unless the module was told to do as if none were.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "granted.h"

#define FIGURES "/sys/kernel/debug/xen-zcopy/sync"

struct figures {
	unsigned long long calls, coherent, batches, pages, time_us, longest_us;
};

/* Is there a device whose caches have to be written back? */
static bool noncoherent(void)
{
#if defined(__x86_64__) || defined(__i386__)
	int fd = open("/sys/module/xen_zcopy/parameters/assume_noncoherent", O_RDONLY | O_CLOEXEC);
	char value = 'N';

	if (fd < 0 || read(fd, &value, 1) != 1)
		bail("assume_noncoherent");
	close(fd);
	return value == 'Y';
#else
	return true;
#endif
}

static bool figures_read(struct figures *f)
{
	FILE *file = fopen(FIGURES, "re");
	int n;

	if (!file)
		return false;
	n = fscanf(file, "calls %llu coherent %llu batches %llu pages %llu time_us %llu longest_us %llu",
		   &f->calls, &f->coherent, &f->batches, &f->pages, &f->time_us, &f->longest_us);
	fclose(file);
	if (n != 6)
		bail(FIGURES);
	return true;
}

/* The number of pages, or a negative errno. */
static int sync_try(int z, struct xen_zcopy_sync op)
{
	return ioctl(z, XEN_ZCOPY_IOC_SYNC, &op) ? -errno : (int)op.pages;
}

static int sync_fd(int z, int fd)
{
	return sync_try(z, (struct xen_zcopy_sync){ .fd = fd });
}

static void test_sync_arguments(int z, int fd)
{
	struct xen_zcopy_sync op = { .fd = fd, .flags = 1 };

	tap_errno(ioctl(z, XEN_ZCOPY_IOC_SYNC, NULL) ? -errno : 0, -EFAULT, "SYNC from no memory");
	tap_errno(sync_try(z, op), -EINVAL, "SYNC: unknown flag");
	op = (struct xen_zcopy_sync){ .fd = fd, .pages = 1 };
	tap_errno(sync_try(z, op), -EINVAL, "SYNC: pages set");
	op = (struct xen_zcopy_sync){ .fd = fd, .reserved = 1 };
	tap_errno(sync_try(z, op), -EINVAL, "SYNC: reserved field");
	tap_errno(sync_fd(z, -1), -EBADF, "SYNC: no descriptor");
	tap_errno(sync_fd(z, z), -EINVAL, "SYNC: no dma-buf");
}

void test_device_sync(int z)
{
	enum { PAGES = 40 };
	struct xen_zcopy_info before = info(z);
	struct given ours = alloc_pages(z, PAGES, 0), again = given_make(0, PAGES);
	struct figures first = {}, last = {};
	bool counted = figures_read(&first), needed = noncoherent();
	int other = zcopy_open(), want = needed ? PAGES : 0;
	struct guest guest;
	double begin;

	test_sync_arguments(z, ours.fd);
	tap_errno(sync_fd(z, ours.fd), 0, "SYNC: no device has it mapped, nothing is written back");
	tap_errno(import_try(z, &again, ours.fd, 0), 0, "a device maps it");
	guest = guest_map(&again);
	fill(guest.memory, PAGES, 50);
	begin = now();
	tap_ok(sync_fd(z, ours.fd) == want, "SYNC: %d pages written back", want);
	printf("# %d pages in %.0f us\n", want, (now() - begin) * 1e6);
	tap_ok(sync_fd(other, ours.fd) == want, "SYNC: again, by another file");
	tap_ok(holds(guest.memory, PAGES, 50), "what was drawn is still there");
	end_access(z, again.handle);
	guest_unmap(&guest);
	tap_ok(released(z, again.handle), "the device lets go");
	tap_errno(sync_fd(z, ours.fd), 0, "SYNC: nothing is written back any more");

	if (counted && figures_read(&last))
		tap_ok(last.calls == first.calls + 4 &&
		       last.batches == first.batches + (needed ? 2 : 0) &&
		       last.coherent == first.coherent + (needed ? 2 : 4) &&
		       last.pages == first.pages + 2 * want && last.longest_us <= last.time_us,
		       "counted: %llu calls, %llu batches, %llu pages, %llu us",
		       last.calls - first.calls, last.batches - first.batches,
		       last.pages - first.pages, last.time_us - first.time_us);
	else
		tap_skip("the figures of SYNC", "no debugfs");
	if (!needed)
		tap_skip("writing back the caches",
			 "every device is coherent; try it with assume_noncoherent=1");

	end_access(z, ours.handle);
	close(ours.fd);
	tap_ok(released(z, ours.handle) && settled(z, &before), "released");
	close(other);
	free(ours.refs);
	free(again.refs);
}
