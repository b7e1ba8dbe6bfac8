// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages that the helper allocates and grants. The guest is Dom0 itself, by
 * gntdev. What "waiting" says is looked at until it says so: a worker asks Xen.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "granted.h"

/* A domain that isn't there: a grant to it can be made, and nobody maps it. */
#define NOBODY 0x7000u

/* Do so many pages wait for Dom0 to let go, soon? */
static bool waiting(int z, uint32_t pages)
{
	for (double end = now() + SOON_MS / 1e3; now() < end; usleep(1000))
		if (domain(z, 0).pages_waiting == pages && info(z).pages_waiting == pages)
			return true;
	return false;
}

static void test_alloc(int z, uint32_t count, uint32_t flags)
{
	const char *kind = flags ? "contiguous" : "single";
	struct xen_zcopy_info before = info(z);
	struct given g = alloc_pages(z, count, flags);
	struct xen_zcopy_domain d = domain(z, 0);
	uint8_t *memory = map(g.fd, count, PROT_READ | PROT_WRITE), *part;
	uint32_t charged = info(z).pages_granted - before.pages_granted;
	struct guest guest;
	bool good = true;

	printf("# %u %s pages, accounted for %u\n", count, kind, charged);
	tap_ok(g.handle && fcntl(g.fd, F_GETFD) & FD_CLOEXEC &&
	       (fcntl(g.fd, F_GETFL) & O_ACCMODE) == O_RDWR &&
	       lseek(g.fd, 0, SEEK_END) == (off_t)count * PAGE,
	       "%s: handle, close-on-exec, for reading and writing, size", kind);
	for (uint32_t i = 0; i < count; i++)
		good = good && g.refs[i] && (!i || g.refs[i] != g.refs[i - 1]);
	tap_ok(good, "%s: a reference for each page", kind);
	tap_ok(charged >= count && charged < 2 * count && d.buffers == 1 &&
	       d.pages_granted == charged && !d.pages_waiting && d.max_pages >= charged,
	       "%s: on the domain's account", kind);
	if (!tap_ok(memory && all_zero(memory, count), "%s: pages are zero", kind))
		return;
	guest = guest_map(&g);
	tap_ok(all_zero(guest.memory, count), "%s: zero for the guest", kind);
	fill(guest.memory, count, 20);
	tap_ok(holds(memory, count, 20), "%s: the guest's writes are seen", kind);
	fill(memory, count, 21);
	tap_ok(holds(guest.memory, count, 21), "%s: ours are seen by the guest", kind);
	part = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, g.fd, 7 * PAGE);
	tap_ok(part != MAP_FAILED && !memcmp(part, guest.memory + 7 * PAGE, 3 * PAGE),
	       "%s: a second mapping, of pages 7 to 9", kind);
	munmap(part, 3 * PAGE);

	tap_errno(end_access(z, g.handle), 0, "END_ACCESS");
	tap_ok(waiting(z, count), "%s: all pages wait for the guest", kind);
	tap_errno(end_access(z, g.handle), 0, "END_ACCESS again");
	fill(guest.memory, count, 22);
	tap_ok(holds(memory, count, 22), "%s: the guest's mapping still works", kind);
	tap_errno(wait_free(z, g.handle, 50), -ETIMEDOUT, "WAIT_FREE while the guest maps");
	guest_unmap(&guest);
	tap_ok(waiting(z, 0), "%s: none waits when the guest has let go", kind);
	tap_ok(!guest_try(g.refs, count, PROT_READ).memory, "%s: it can't map them again", kind);
	tap_ok(holds(memory, count, 22) && !readable(z, 50), "%s: the dma-buf keeps them", kind);
	close(g.fd);
	tap_ok(!readable(z, 100) && holds(memory, count, 22), "%s: so does a mapping", kind);
	munmap(memory, (size_t)count * PAGE);
	tap_ok(released(z, g.handle), "%s: released", kind);
	tap_errno(end_access(z, g.handle), 0, "END_ACCESS of what is over");
	tap_errno(wait_free(z, g.handle, 0), 0, "WAIT_FREE of what is over");
	tap_ok(settled(z, &before) && !domain(z, 0).buffers, "%s: off the account", kind);
	free(g.refs);
}

static void test_alloc_order(int z)
{
	struct xen_zcopy_info before = info(z);
	struct given g = alloc_pages(z, 16, 0);
	struct guest guest = guest_map(&g);
	uint8_t *memory;

	close(g.fd);
	tap_ok(!readable(z, 100), "without its dma-buf, the guest keeps it");
	fill(guest.memory, 16, 23);
	tap_ok(holds(guest.memory, 16, 23), "and can write");
	guest_unmap(&guest);
	tap_ok(!readable(z, 100), "access that has not ended keeps it");
	tap_errno(end_access(z, g.handle), 0, "END_ACCESS");
	tap_ok(released(z, g.handle) && settled(z, &before), "END_ACCESS releases it");
	free(g.refs);

	g = alloc_pages(z, 16, 0);
	memory = map(g.fd, 16, PROT_READ);
	tap_ok(memory && all_zero(memory, 16), "nothing of the last buffer is seen in the next");
	munmap(memory, 16 * PAGE);
	end_access(z, g.handle);
	tap_ok(!readable(z, 100), "never mapped: the dma-buf keeps it");
	close(g.fd);
	tap_errno(wait_free(z, g.handle, SOON_MS), 0, "its end");
	tap_ok(released(z, g.handle), "is announced");
	free(g.refs);
}

/* Half of the pages are unmapped: the others wait, and can't be had again. */
static void test_half(int z)
{
	struct given g = alloc_pages(z, 32, 0);
	struct guest low = guest_try(g.refs, 16, PROT_READ | PROT_WRITE);
	struct guest high = guest_try(g.refs + 16, 16, PROT_READ | PROT_WRITE), again;

	end_access(z, g.handle);
	close(g.fd);
	tap_ok(waiting(z, 32), "32 pages in two mappings wait");
	guest_unmap(&low);
	tap_ok(waiting(z, 16), "16 when one of them is gone");
	again = guest_try(g.refs, 16, PROT_READ);
	tap_ok(!again.memory, "these can't be mapped again");
	tap_ok(domain(z, 0).pages_granted >= 32 && !readable(z, 50),
	       "the whole buffer is on the account until the last is gone");
	guest_unmap(&high);
	tap_ok(released(z, g.handle), "released");
	free(g.refs);
}

static void test_alloc_mmap(int z)
{
	struct given g = alloc_pages(z, 8, 0);
	uint8_t *memory = map(g.fd, 8, PROT_READ | PROT_WRITE), *moved;
	struct iovec iov = { .iov_base = memory, .iov_len = PAGE };
	int pipes[2], status = 0;
	pid_t child;

	tap_errno(map_errno(g.fd, 8 * PAGE, PROT_READ, MAP_PRIVATE, 0), -EINVAL,
		  "ALLOC: private mapping");
	tap_errno(map_errno(g.fd, 9 * PAGE, PROT_READ, MAP_SHARED, 0), -EINVAL,
		  "ALLOC: mapping beyond the end");
	tap_errno(map_errno(g.fd, PAGE, PROT_READ, MAP_SHARED, 8 * PAGE), -EINVAL,
		  "ALLOC: mapping behind the end");
	fill(memory, 8, 24);
	if (pipe(pipes))
		bail("pipe");
	tap_ok(vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK) == -1 && errno == EFAULT,
	       "ALLOC: pages can't be pinned through a mapping");
	close(pipes[0]);
	close(pipes[1]);
	fflush(stdout);
	child = fork();
	if (!child)
		_exit(touch(memory, false) == SIGSEGV ? 0 : 1);
	waitpid(child, &status, 0);
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status), "ALLOC: a child has no mapping");
	mprotect(memory, 8 * PAGE, PROT_READ);
	tap_ok(holds(memory, 8, 24) && touch(memory, true) == SIGSEGV, "ALLOC: mprotect");
	moved = mremap(memory, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE);
	tap_ok(moved != MAP_FAILED && holds(moved, 8, 24), "ALLOC: mremap");
	tap_ok(!munmap(moved, 2 * PAGE) && touch(moved, false) == SIGSEGV &&
	       !touch(moved + 2 * PAGE, false), "ALLOC: munmap of a part");
	end_access(z, g.handle);
	close(g.fd);
	tap_ok(!readable(z, 100), "ALLOC: the rest keeps the buffer");
	munmap(moved + 2 * PAGE, 6 * PAGE);
	tap_ok(released(z, g.handle), "ALLOC: its end releases it");
	free(g.refs);
}

/* The owner is gone, by close() or by SIGKILL: the buffer ends by itself. */
static void test_owner_gone(int z)
{
	struct xen_zcopy_info before = info(z);
	struct given g;
	struct guest guest;
	int other = zcopy_open(), pipes[2], status;
	pid_t child;

	g = alloc_pages(other, 16, 0);
	guest = guest_map(&g);
	close(other);
	tap_ok(waiting(z, 16), "a closed file's pages wait for the guest");
	close(g.fd);
	fill(guest.memory, 16, 25);
	tap_ok(holds(guest.memory, 16, 25) && domain(z, 0).pages_granted == before.pages_granted + 16,
	       "they are on the account, and the guest's mapping works");
	guest_unmap(&guest);
	tap_ok(settled(z, &before) && !readable(z, 50), "and end without anybody to tell");
	free(g.refs);

	g = given_make(0, 16);
	if (pipe(pipes))
		bail("pipe");
	fflush(stdout);
	child = fork();
	if (!child) {
		other = zcopy_open();
		if (alloc_try(other, &g, 0) || !map(g.fd, 16, PROT_READ | PROT_WRITE))
			_exit(1);
		if (write(pipes[1], g.refs, 16 * sizeof(*g.refs)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(pipes[0], g.refs, 16 * sizeof(*g.refs)) != 16 * sizeof(*g.refs))
		bail("the child's references");
	guest = guest_map(&g);
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	tap_ok(waiting(z, 16), "SIGKILL of the owner: its pages wait for the guest");
	guest_unmap(&guest);
	tap_ok(settled(z, &before), "and end");
	close(pipes[0]);
	close(pipes[1]);
	free(g.refs);
}

static void test_alloc_arguments(int z)
{
	struct xen_zcopy_info before = info(z);
	struct given g = given_make(0, 4);
	struct xen_zcopy_alloc op, good = {
		.count = 4,
		.refs = (uintptr_t)g.refs,
	};
	struct xen_zcopy_alloc *readonly =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct rlimit limit, tight;

#define ALLOC_WITH(field, value) \
	(op = good, op.field = value, ioctl(z, XEN_ZCOPY_IOC_ALLOC, &op) ? -errno : 0)
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_ALLOC, NULL) ? -errno : 0, -EFAULT, "ALLOC from no memory");
	tap_errno(ALLOC_WITH(flags, 2), -EINVAL, "ALLOC: unknown flag");
	tap_errno(ALLOC_WITH(reserved, 1), -EINVAL, "ALLOC: reserved field set");
	tap_errno(ALLOC_WITH(count, 0), -EINVAL, "ALLOC: no pages");
	tap_errno(ALLOC_WITH(domid, 0x7ff0), -EINVAL, "ALLOC: reserved domain");
	tap_errno(ALLOC_WITH(domid, 0x10000), -EINVAL, "ALLOC: no 16 bit domain");
	tap_errno(ALLOC_WITH(count, before.max_pages_per_buffer + 1), -ENOSPC,
		  "ALLOC: one page more than a buffer may have");
	tap_errno(ALLOC_WITH(count, UINT32_MAX), -ENOSPC, "ALLOC: 2^32-1 pages");
	tap_errno(ALLOC_WITH(refs, 0), -EFAULT, "ALLOC: references to no memory");
	tap_errno(ALLOC_WITH(refs, (uintptr_t)readonly), 0, "ALLOC: references to good memory");
	close(op.fd);
	end_access(z, op.handle);
	tap_ok(released(z, op.handle), "released");
	*readonly = good;
	mprotect(readonly, PAGE, PROT_READ);
	tap_errno(ALLOC_WITH(refs, (uintptr_t)readonly), -EFAULT, "ALLOC: references to read-only memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_ALLOC, readonly) ? -errno : 0, -EFAULT,
		  "ALLOC: answer to read-only memory");
	munmap(readonly, PAGE);
	getrlimit(RLIMIT_NOFILE, &limit);
	tight = limit;
	tight.rlim_cur = dup(0);
	close((int)tight.rlim_cur);
	setrlimit(RLIMIT_NOFILE, &tight);
	tap_errno(ALLOC_WITH(count, 4), -EMFILE, "ALLOC: no descriptor left");
	setrlimit(RLIMIT_NOFILE, &limit);
	/* More than any allocator has in one piece here; the account allows it or not. */
	op = good;
	op.count = 12288;
	op.flags = XEN_ZCOPY_ALLOC_CONTIGUOUS;
	op.refs = (uintptr_t)calloc(op.count, sizeof(uint32_t));
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_ALLOC, &op) ? -errno : 0,
		  domain(z, 0).max_pages < 16384 ? -EDQUOT : -ENOMEM, "ALLOC: 48 MiB contiguous");
	free((void *)(uintptr_t)op.refs);
	tap_ok(settled(z, &before) && !readable(z, 50), "ALLOC: nothing stays after refusals");
	free(g.refs);
}

/* The domain's number, or a negative errno; where it is found, its account. */
static long next_domain(int z, uint32_t from, struct xen_zcopy_domain *d)
{
	*d = (struct xen_zcopy_domain){ .domid = from };
	return ioctl(z, XEN_ZCOPY_IOC_NEXT_DOMAIN, d) ? -errno : (long)d->domid;
}

static void test_next_domain(int z)
{
	struct given own = alloc_pages(z, 5, 0), nobodys = given_make(NOBODY, 3);
	struct xen_zcopy_domain d = { .flags = 1 }, same;
	uint32_t from = 0;
	int found = 0;
	long domid;

	tap_errno(ioctl(z, XEN_ZCOPY_IOC_NEXT_DOMAIN, NULL) ? -errno : 0, -EFAULT,
		  "NEXT_DOMAIN from no memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_NEXT_DOMAIN, &d) ? -errno : 0, -EINVAL,
		  "NEXT_DOMAIN with a flag");
	d = (struct xen_zcopy_domain){ .reserved = { 1, 0 } };
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_NEXT_DOMAIN, &d) ? -errno : 0, -EINVAL,
		  "NEXT_DOMAIN with a reserved field set");
	tap_errno(alloc_try(z, &nobodys, 0), 0, "pages for a second domain");
	/* A guest of another test may have an account, too: all are told, each once, in order. */
	while ((domid = next_domain(z, from, &d)) >= 0 && domid >= (long)from) {
		same = domain(z, d.domid);
		if (memcmp(&same, &d, sizeof(d)) || !d.buffers)
			break;
		found += domid == 0 || domid == NOBODY;
		from = d.domid + 1;
	}
	tap_errno((int)domid, -ENOENT, "NEXT_DOMAIN ends, and says what GET_DOMAIN says");
	tap_ok(found == 2, "NEXT_DOMAIN finds %d of 2 domains", found);
	tap_errno((int)next_domain(z, UINT32_MAX, &d), -ENOENT, "NEXT_DOMAIN from no domain's number");
	tap_errno((int)next_domain(z, NOBODY + 1, &d), -ENOENT, "NEXT_DOMAIN behind the last one");
	end_access(z, nobodys.handle);
	close(nobodys.fd);
	tap_ok(released(z, nobodys.handle), "released");
	tap_errno((int)next_domain(z, NOBODY, &d), -ENOENT, "NEXT_DOMAIN knows a domain no longer");
	end_access(z, own.handle);
	close(own.fd);
	tap_ok(released(z, own.handle), "released");
	free(nobodys.refs);
	free(own.refs);
}

static void test_other_arguments(int z)
{
	struct xen_zcopy_end_access end = { .reserved = 1 };
	struct xen_zcopy_domain d = { .flags = 1 };
	struct grants grants = grants_make(2, true);
	struct given g = alloc_pages(z, 2, 0);
	int other = zcopy_open(), fd;
	uint64_t handle;

	tap_errno(ioctl(z, XEN_ZCOPY_IOC_END_ACCESS, NULL) ? -errno : 0, -EFAULT,
		  "END_ACCESS from no memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_END_ACCESS, &end) ? -errno : 0, -EINVAL,
		  "END_ACCESS with the reserved field set");
	tap_errno(end_access(z, 0), -ENOENT, "END_ACCESS of handle 0");
	tap_errno(end_access(z, UINT64_MAX), -ENOENT, "END_ACCESS of a handle never given");
	tap_errno(end_access(other, g.handle), -ENOENT, "END_ACCESS of another file's handle");
	close(other);
	fd = export(z, &grants, 0, &handle);
	tap_errno(end_access(z, handle), -EINVAL, "END_ACCESS of a guest's pages");
	close(fd);
	tap_ok(released(z, handle), "released");
	end_access(z, g.handle);
	close(g.fd);
	tap_ok(released(z, g.handle), "released");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_GET_DOMAIN, NULL) ? -errno : 0, -EFAULT,
		  "GET_DOMAIN from no memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_GET_DOMAIN, &d) ? -errno : 0, -EINVAL,
		  "GET_DOMAIN with a flag");
	d = (struct xen_zcopy_domain){ .reserved = { 0, 1 } };
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_GET_DOMAIN, &d) ? -errno : 0, -EINVAL,
		  "GET_DOMAIN with a reserved field set");
	d = (struct xen_zcopy_domain){ .domid = 0x7ff0 };
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_GET_DOMAIN, &d) ? -errno : 0, -EINVAL,
		  "GET_DOMAIN of a reserved domain");
	d = domain(z, NOBODY);
	tap_ok(!d.buffers && !d.pages_granted && !d.pages_waiting && d.max_pages,
	       "GET_DOMAIN of a domain without an account");
	grants_free(&grants);
	free(g.refs);
}

void test_granted(int z)
{
	test_alloc(z, 300, 0);
	test_alloc(z, 469, XEN_ZCOPY_ALLOC_CONTIGUOUS);
	test_alloc_order(z);
	test_half(z);
	test_alloc_mmap(z);
	test_owner_gone(z);
	test_alloc_arguments(z);
	test_other_arguments(z);
	test_next_domain(z);
}

/* With max_granted_pages_per_domain=256 max_granted_pages=384. */
void test_quota(int z)
{
	uint32_t most = domain(z, 0).max_pages;
	uint32_t all = parameter("xen_zcopy", "max_granted_pages", 0);
	struct xen_zcopy_info before = info(z);
	struct given first = given_make(0, most - 8), second = given_make(0, 9), third, fourth;
	int other = zcopy_open();
	struct guest guest;

	if (all > 4096 || all < most + 16) {
		tap_skip("quotas", "try max_granted_pages_per_domain=256 max_granted_pages=384");
		goto out;
	}
	tap_errno(alloc_try(other, &first, 0), 0, "all but 8 pages of a domain's quota");
	tap_errno(alloc_try(z, &second, 0), -EDQUOT, "9 more, on another file");
	guest = guest_map(&first);
	close(first.fd);
	close(other);
	tap_ok(waiting(z, most - 8), "the owner is gone, the guest keeps them");
	other = zcopy_open();
	tap_errno(alloc_try(other, &second, 0), -EDQUOT, "a new file meets the same account");
	third = given_make(NOBODY, all - (most - 8));
	tap_errno(alloc_try(other, &third, 0), 0, "another domain gets the rest of all");
	fourth = given_make(NOBODY, 1);
	tap_errno(alloc_try(other, &fourth, 0), -ENOSPC, "and not a page more");
	guest_unmap(&guest);
	tap_errno(end_access(other, third.handle), 0, "END_ACCESS");
	close(third.fd);
	tap_ok(released(other, third.handle) && settled(z, &before), "all comes back");
	tap_errno(alloc_try(other, &second, 0), 0, "and may be had again");
	close(second.fd);
	free(third.refs);
	free(fourth.refs);
out:
	close(other);
	tap_ok(settled(z, &before), "nothing is left");
	free(first.refs);
	free(second.refs);
}

void hold_pages(int z)
{
	struct given g = alloc_pages(z, 64, XEN_ZCOPY_ALLOC_CONTIGUOUS);
	struct guest guest = guest_map(&g);

	close(z);
	close(g.fd);
	fill(guest.memory, g.count, 26);
	printf("refs");
	for (uint32_t i = 0; i < g.count; i++)
		printf(" %u", g.refs[i]);
	printf("\nheld\n");
	fflush(stdout);
	for (;;)
		pause();
}
