// SPDX-License-Identifier: GPL-2.0-only
/*
 * Self test of xen-zcopy, without a guest: Dom0 grants pages of its own to
 * itself (gntalloc), exports them, and looks at both ends.
 *
 *	modprobe xen-gntalloc xen-gntdev; modprobe xen-zcopy; ./selftest [limits|hold]
 *
 * "limits" tries only those; they have to be small: see README.md. "hold" keeps
 * granted pages mapped until it is killed, for whoever wants to look at them.
 * Runs as root. Prints TAP; exits with 0 only when nothing failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/dma-buf.h>

#include "common.h"
#include "display.h"
#include "granted.h"

static void test_info(int z)
{
	struct xen_zcopy_info i = info(z);

	tap_ok(i.version == XEN_ZCOPY_VERSION, "version is %u", i.version);
	tap_ok(!(i.flags & ~XEN_ZCOPY_INFO_PV) && i.pages_waiting <= i.pages_granted,
	       "no unknown flags, no more waiting than granted");
	tap_ok(i.max_pages_per_buffer && i.max_pages_per_buffer <= i.max_pages_per_file,
	       "limits: %u pages per buffer, %u per file", i.max_pages_per_buffer,
	       i.max_pages_per_file);
	printf("# %s domain, %u pages in %u buffers in use\n",
	       i.flags & XEN_ZCOPY_INFO_PV ? "PV" : "auto-translated", i.pages_in_use,
	       i.buffers_in_use);
}

static void test_bad_arguments(int z)
{
	struct grants g = grants_make(4, true);
	struct xen_zcopy_info before = info(z);
	struct xen_zcopy_exp_from_refs op;
	struct xen_zcopy_wait_free wait = { .handle = 1, .reserved = 1 };

	tap_errno(ioctl(z, _IO('Z', 99)) ? -errno : 0, -ENOTTY, "unknown ioctl");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_GET_INFO, NULL) ? -errno : 0, -EFAULT,
		  "GET_INFO to no memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_EXP_FROM_REFS, NULL) ? -errno : 0, -EFAULT,
		  "EXP_FROM_REFS from no memory");
	op = exp_op(&g, 2);
	tap_errno(exp_try(z, &op), -EINVAL, "unknown flag");
	op = exp_op(&g, 0);
	op.reserved = 1;
	tap_errno(exp_try(z, &op), -EINVAL, "reserved field set");
	op = exp_op(&g, 0);
	op.count = 0;
	tap_errno(exp_try(z, &op), -EINVAL, "no pages");
	op.count = before.max_pages_per_buffer + 1;
	tap_errno(exp_try(z, &op), -ENOSPC, "one page more than a buffer may have");
	op.count = UINT32_MAX;
	tap_errno(exp_try(z, &op), -ENOSPC, "2^32-1 pages");
	op = exp_op(&g, 0);
	op.domid = 0x7ff0;
	tap_errno(exp_try(z, &op), -EINVAL, "reserved domain");
	op.domid = 0x10000;
	tap_errno(exp_try(z, &op), -EINVAL, "domain that is no 16 bit number");
	op = exp_op(&g, 0);
	op.refs = 0;
	tap_errno(exp_try(z, &op), -EFAULT, "references at no memory");
	tap_errno(ioctl(z, XEN_ZCOPY_IOC_WAIT_FREE, &wait) ? -errno : 0, -EINVAL,
		  "WAIT_FREE with the reserved field set");
	tap_errno(wait_free(z, 0, 0), -ENOENT, "WAIT_FREE of handle 0");
	tap_errno(wait_free(z, UINT64_MAX, 0), -ENOENT, "WAIT_FREE of a handle never given");

	/* The answer can't be written: all must be undone, and nothing announced. */
	struct xen_zcopy_exp_from_refs *readonly =
		mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (readonly == MAP_FAILED)
		bail("mmap");
	*readonly = exp_op(&g, 0);
	mprotect(readonly, PAGE, PROT_READ);
	tap_errno(exp_try(z, readonly), -EFAULT, "answer to read-only memory");
	munmap(readonly, PAGE);

	tap_ok(settled(z, &before) && !readable(z, 50),
	       "nothing is in use and nothing was announced after refusals");
	grants_free(&g);
}

static void test_bad_grants(int z)
{
	struct grants g = grants_make(16, true), readonly = grants_make(2, false);
	struct xen_zcopy_info before = info(z), after;
	struct xen_zcopy_exp_from_refs op = exp_op(&g, 0);
	uint32_t good = g.refs[9];
	uint64_t handle;

	op.domid = 0x7000;
	tap_errno(exp_try(z, &op), -ENOENT, "a domain that does not exist");
	g.refs[9] = 0x7fffffff;
	op = exp_op(&g, 0);
	tap_errno(exp_try(z, &op), -ENOENT, "one reference outside the table");
	g.refs[9] = good;
	op = exp_op(&readonly, 0);
	tap_errno(exp_try(z, &op), -EFAULT, "a read-only grant mapped for writing");
	after = info(z);
	tap_ok(after.pages_in_use == before.pages_in_use, "nothing stays mapped after a failure");
	close(export(z, &g, 0, &handle));
	tap_ok(released(z, handle), "the good grants map afterwards");
	grants_free(&readonly);
	grants_free(&g);
}

static void test_contents(int z)
{
	const uint32_t count = 300;
	struct grants g = grants_make(count, true);
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory, *part;

	tap_ok(lseek(fd, 0, SEEK_END) == (off_t)count * PAGE, "size of the dma-buf");
	tap_ok(fcntl(fd, F_GETFD) & FD_CLOEXEC, "descriptor is close-on-exec");
	tap_ok((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR, "descriptor is for reading and writing");
	fill(g.memory, count, 1);
	memory = map(fd, count, PROT_READ | PROT_WRITE);
	if (!tap_ok(memory, "mmap"))
		return;
	tap_ok(holds(memory, count, 1), "the granting side's writes are seen");
	fill(g.memory, count, 2);
	tap_ok(holds(memory, count, 2), "later ones too, without any call");
	fill(memory, count, 3);
	tap_ok(holds(g.memory, count, 3), "our writes are seen by the granting side");
	part = mmap(NULL, 3 * PAGE, PROT_READ, MAP_SHARED, fd, 7 * PAGE);
	tap_ok(part != MAP_FAILED && !memcmp(part, g.memory + 7 * PAGE, 3 * PAGE),
	       "a second mapping, of pages 7 to 9");
	munmap(part, 3 * PAGE);
	munmap(memory, (size_t)count * PAGE);
	close(fd);
	tap_ok(released(z, handle), "released");
	grants_free(&g);
}

static void test_sync(int z)
{
	struct grants g = grants_make(4, true);
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_RW };

	tap_errno(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0, 0, "SYNC start");
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_RW;
	tap_errno(ioctl(fd, DMA_BUF_IOCTL_SYNC, &sync) ? -errno : 0, 0, "SYNC end");
	close(fd);
	tap_ok(released(z, handle), "released");
	grants_free(&g);
}

static void test_readonly(int z, bool writable_grants)
{
	const char *grants = writable_grants ? "writable" : "read-only";
	struct grants g = grants_make(8, writable_grants);
	uint64_t handle;
	int fd = export(z, &g, XEN_ZCOPY_EXP_RDONLY, &handle);
	uint8_t *memory;

	tap_ok((fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY,
	       "RDONLY (%s grants): descriptor is for reading", grants);
	fill(g.memory, 8, 4);
	memory = map(fd, 8, PROT_READ);
	if (!tap_ok(memory && holds(memory, 8, 4), "RDONLY (%s grants): contents", grants))
		return;
	tap_errno(map_errno(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0), -EACCES,
		  "RDONLY: mapping for writing");
	tap_errno(map_errno(fd, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0), -EINVAL,
		  "RDONLY: private mapping for writing");
	tap_errno(mprotect(memory, 8 * PAGE, PROT_READ | PROT_WRITE) ? -errno : 0, -EACCES,
		  "RDONLY: mprotect for writing");
	tap_ok(touch(memory, true) == SIGSEGV, "RDONLY: a write brings SIGSEGV");
	tap_ok(holds(memory, 8, 4), "RDONLY: contents as before");
	munmap(memory, 8 * PAGE);
	close(fd);
	tap_ok(released(z, handle), "RDONLY: released");
	grants_free(&g);
}

static void test_mmap_rules(int z)
{
	struct grants g = grants_make(8, true);
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory, *moved;
	struct iovec iov;
	int pipes[2];

	tap_errno(map_errno(fd, 8 * PAGE, PROT_READ, MAP_PRIVATE, 0), -EINVAL, "private mapping");
	tap_errno(map_errno(fd, 9 * PAGE, PROT_READ, MAP_SHARED, 0), -EINVAL,
		  "mapping beyond the end");
	tap_errno(map_errno(fd, PAGE, PROT_READ, MAP_SHARED, 8 * PAGE), -EINVAL,
		  "mapping behind the end");

	fill(g.memory, 8, 5);
	memory = map(fd, 8, PROT_READ | PROT_WRITE);
	if (!tap_ok(memory && holds(memory, 8, 5), "mapping"))
		return;
	mprotect(memory, 8 * PAGE, PROT_READ);
	tap_ok(holds(memory, 8, 5) && touch(memory, true) == SIGSEGV, "mprotect to reading only");
	mprotect(memory, 8 * PAGE, PROT_NONE);
	tap_ok(touch(memory, false) == SIGSEGV, "mprotect to nothing");
	mprotect(memory, 8 * PAGE, PROT_READ | PROT_WRITE);
	fill(memory, 8, 6);
	tap_ok(holds(g.memory, 8, 6), "mprotect back to writing");

	moved = mremap(memory, 8 * PAGE, 16 * PAGE, MREMAP_MAYMOVE);
	tap_ok(moved == MAP_FAILED && holds(memory, 8, 6), "mremap can't make it larger");
	/* A move may be refused (PV) or done; the pages have to be where the answer says. */
	moved = mmap(NULL, 8 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(memory, 8 * PAGE, 8 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
	if (moved != MAP_FAILED)
		memory = moved;
	fill(memory, 8, 7);
	tap_ok(holds(g.memory, 8, 7), "mremap to another place (%s)",
	       moved == MAP_FAILED ? "refused" : "moved");
	if (munmap(memory, 2 * PAGE))
		tap_ok(errno == EINVAL && holds(memory, 8, 7), "munmap of a part (refused)");
	else
		tap_ok(touch(memory, false) == SIGSEGV &&
		       !memcmp(memory + 2 * PAGE, g.memory + 2 * PAGE, 6 * PAGE),
		       "munmap of a part (done)");

	/* Pages that somebody pins would keep the guest waiting. */
	iov = (struct iovec){ .iov_base = memory + 4 * PAGE, .iov_len = PAGE };
	if (pipe(pipes))
		bail("pipe");
	tap_ok(vmsplice(pipes[1], &iov, 1, SPLICE_F_NONBLOCK) == -1 && errno == EFAULT,
	       "pages can't be pinned through a mapping");
	close(pipes[0]);
	close(pipes[1]);
	close(fd);
	tap_ok(!readable(z, 100), "a mapping keeps the buffer");
	munmap(memory, 8 * PAGE);
	tap_ok(released(z, handle), "its end releases it");
	grants_free(&g);
}

struct reader {
	const uint8_t *memory;
	uint32_t pages;
	volatile bool stop;
	unsigned int rounds;
	bool good;
};

static void *read_on(void *data)
{
	struct reader *r = data;

	for (r->good = true; !r->stop && r->good; r->rounds++)
		r->good = holds(r->memory, r->pages, 13);
	return NULL;
}

/* Two threads read while the mapping changes under them, again and again. */
static void test_fault_race(int z)
{
	enum { PAGES = 32, CHANGES = 100, READERS = 2 };
	struct grants g = grants_make(PAGES, true);
	struct reader readers[READERS];
	pthread_t threads[READERS];
	unsigned int rounds = 0;
	bool good = true;
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory = map(fd, PAGES, PROT_READ | PROT_WRITE);

	fill(g.memory, PAGES, 13);
	close(fd);
	for (int i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ .memory = memory, .pages = PAGES };
		if (pthread_create(&threads[i], NULL, read_on, &readers[i]))
			bail("pthread_create");
	}
	for (int i = 0; i < CHANGES; i++) {
		int prot = i % 2 ? PROT_READ | PROT_WRITE : PROT_READ;

		if (mprotect(memory, PAGES * PAGE, prot))
			good = false;
		usleep(500);
	}
	for (int i = 0; i < READERS; i++) {
		readers[i].stop = true;
		pthread_join(threads[i], NULL);
		good = good && readers[i].good;
		rounds += readers[i].rounds;
	}
	tap_ok(good, "%d changes of protection under %d readers (%u rounds)", CHANGES, READERS,
	       rounds);
	munmap(memory, PAGES * PAGE);
	tap_ok(released(z, handle), "released");
	grants_free(&g);
}

static void test_release(int z)
{
	struct grants g = grants_make(4, true);
	struct xen_zcopy_released records[8];
	/* The compiler must not see that there is no memory. */
	void *volatile nowhere = NULL;
	uint64_t handles[3];
	int fds[3], copy;

	tap_ok(!readable(z, 0), "nothing to read before");
	tap_errno(read(z, records, sizeof(records)) < 0 ? -errno : 0, -EAGAIN, "read of nothing");
	tap_errno(read(z, records, 15) < 0 ? -errno : 0, -EINVAL, "read of less than a record");
	for (int i = 0; i < 3; i++)
		fds[i] = export(z, &g, 0, &handles[i]);
	tap_ok(handles[0] && handles[0] != handles[1] && handles[1] != handles[2] &&
	       handles[0] != handles[2], "three handles, all different, none 0");
	copy = dup(fds[0]);
	close(fds[0]);
	tap_ok(!readable(z, 100), "a second descriptor keeps the buffer");
	close(copy);
	tap_ok(released(z, handles[0]), "the last one's end releases it");
	tap_errno(close(fds[0]) ? -errno : 0, -EBADF, "closing twice");
	tap_ok(!readable(z, 50), "tells nothing twice");

	close(fds[2]);
	tap_errno(wait_free(z, handles[2], SOON_MS), 0, "second buffer free");
	close(fds[1]);
	tap_errno(wait_free(z, handles[1], SOON_MS), 0, "third buffer free");
	tap_errno(read(z, nowhere, sizeof(records)) < 0 ? -errno : 0, -EFAULT, "read to no memory");
	memset(records, 0xff, sizeof(records));
	tap_ok(read(z, records, sizeof(records)) == 2 * sizeof(records[0]) &&
	       records[0].handle == handles[2] && records[1].handle == handles[1] &&
	       !records[0].status && !records[1].status, "both records by one read, in order");
	grants_free(&g);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void test_wait_free(int z)
{
	struct sigaction act = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct grants g = grants_make(4, true);
	struct itimerval timer = { .it_value.tv_usec = 100000 };
	int other = zcopy_open(), fd, status;
	uint64_t handle;
	double start;
	pid_t child;

	fd = export(z, &g, 0, &handle);
	tap_errno(wait_free(z, handle, 0), -ETIMEDOUT, "WAIT_FREE without waiting");
	start = now();
	tap_errno(wait_free(z, handle, 100), -ETIMEDOUT, "WAIT_FREE for 100 ms");
	/* An emulated machine's ticks come late, then all at once: be lenient. */
	tap_ok(now() - start >= 0.05, "took %.0f ms", (now() - start) * 1e3);
	tap_errno(wait_free(other, handle, 0), -ENOENT, "another file's handle");
	sigaction(SIGALRM, &act, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	tap_errno(wait_free(z, handle, SOON_MS), -EINTR, "WAIT_FREE and a signal");

	fflush(stdout);
	child = fork();
	if (!child) {
		usleep(200000);
		_exit(0);
	}
	close(fd);
	start = now();
	tap_errno(wait_free(z, handle, SOON_MS), 0, "WAIT_FREE until another process lets go");
	tap_ok(now() - start > 0.05, "took %.0f ms", (now() - start) * 1e3);
	waitpid(child, &status, 0);
	tap_errno(wait_free(z, handle, 0), 0, "WAIT_FREE of what is free");
	tap_ok(released(z, handle), "announced as well");
	tap_errno(wait_free(z, handle, 0), 0, "WAIT_FREE of what was free long ago");
	close(other);
	grants_free(&g);
}

static void test_fork(int z)
{
	struct grants g = grants_make(8, true);
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory = map(fd, 8, PROT_READ | PROT_WRITE);
	int status = 0;
	pid_t child;

	fill(g.memory, 8, 8);
	fflush(stdout);
	child = fork();
	if (!child) {
		uint8_t *mine;

		/* First, for the new mapping may get the address of the old one. */
		if (touch(memory, false) != SIGSEGV)
			_exit(1);
		mine = map(fd, 8, PROT_READ | PROT_WRITE);
		if (!mine || !holds(mine, 8, 8))
			_exit(2);
		fill(mine, 8, 9);
		_exit(0);
	}
	waitpid(child, &status, 0);
	tap_ok(WIFEXITED(status) && !WEXITSTATUS(status),
	       "a child has no mapping, and can make one of its own");
	tap_ok(holds(memory, 8, 9) && holds(g.memory, 8, 9), "its writes are seen, ours still works");

	fflush(stdout);
	child = fork();
	if (!child) {
		map(fd, 8, PROT_READ | PROT_WRITE);
		for (;;)
			pause();
	}
	munmap(memory, 8 * PAGE);
	close(fd);
	tap_ok(!readable(z, 200), "a child's descriptor keeps the buffer");
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	tap_ok(released(z, handle), "SIGKILL releases it");
	grants_free(&g);
}

static void test_close_file(int z)
{
	struct grants g = grants_make(8, true);
	struct xen_zcopy_info before = info(z);
	int other = zcopy_open(), fd;
	uint64_t handle, unread;
	uint8_t *memory;

	fd = export(other, &g, 0, &handle);
	close(export(other, &g, 0, &unread));
	tap_errno(wait_free(other, unread, SOON_MS), 0, "a record that nobody reads");
	fill(g.memory, 8, 10);
	close(other);
	memory = map(fd, 8, PROT_READ | PROT_WRITE);
	tap_ok(memory && holds(memory, 8, 10), "the dma-buf outlives the device's file");
	munmap(memory, 8 * PAGE);
	tap_ok(info(z).pages_in_use == before.pages_in_use + 8, "its 8 pages are accounted for");
	close(fd);
	tap_ok(settled(z, &before), "and free after its end");
	tap_ok(!readable(z, 50), "no other file is told");
	grants_free(&g);
}

/*
 * The same grants may be mapped some hundred times (Xen counts in 8 bits), so
 * few of them reach the limit. gntalloc's own limit is too low even for those.
 */
static void test_page_limit(int z)
{
	unsigned int gntalloc_limit = parameter("xen_gntalloc", "limit", 4096);
	struct grants g = grants_make(1024, true);
	struct xen_zcopy_info before = info(z);
	uint32_t most = before.max_pages_per_file / g.count, n = 0, gone = 0;
	struct xen_zcopy_exp_from_refs op;
	int fds[17], ret = 0, status;
	uint64_t handle;

	if (g.count > before.max_pages_per_buffer || most > 16) {
		tap_skip("limit of pages per file", "try it with max_pages_per_file=4000");
		goto out;
	}
	for (; n <= most; n++) {
		op = exp_op(&g, 0);
		ret = exp_try(z, &op);
		if (ret < 0)
			break;
		fds[n] = ret;
	}
	tap_ok(n == most && ret == -ENOSPC, "%u of %u buffers of %u pages, then %s", n, most,
	       g.count, ret < 0 ? strerror(-ret) : "no refusal");
	for (uint32_t k = 0; k < n; k++)
		close(fds[k]);
	while (gone < n && readable(z, SOON_MS) && read_handle(z, &status) && !status)
		gone++;
	tap_ok(gone == n && settled(z, &before), "all came back");
	close(export(z, &g, 0, &handle));
	tap_ok(released(z, handle), "there is room again");
out:
	grants_free(&g);
	parameter("xen_gntalloc", "limit", gntalloc_limit);
}

static void test_buffer_limit(void)
{
	struct grants g = grants_make(1, true);
	unsigned int most = parameter("xen_zcopy", "max_buffers_per_file", 0), n;
	int z = zcopy_open(), fd = 0, status;
	struct xen_zcopy_exp_from_refs op;

	if (most > 100) {
		tap_skip("limit of buffers per file", "try it with max_buffers_per_file=20");
		goto out;
	}
	for (n = 0; n <= most; n++) {
		op = exp_op(&g, 0);
		fd = exp_try(z, &op);
		if (fd < 0)
			break;
		close(fd);
		if (wait_free(z, op.handle, SOON_MS))
			break;
	}
	tap_ok(n == most && fd == -EMFILE, "%u of %u buffers without a read, then %s", n, most,
	       fd < 0 ? strerror(-fd) : "no refusal");
	tap_ok(readable(z, SOON_MS) && read_handle(z, &status), "a read");
	op = exp_op(&g, 0);
	fd = exp_try(z, &op);
	tap_ok(fd >= 0, "makes room for one");
	close(fd);
	tap_errno(wait_free(z, op.handle, SOON_MS), 0, "which is free in the end");
out:
	close(z);
	grants_free(&g);
}

static void test_descriptor_limit(int z)
{
	struct grants g = grants_make(4, true);
	struct xen_zcopy_info before = info(z), after;
	struct rlimit limit, tight;
	struct xen_zcopy_exp_from_refs op = exp_op(&g, 0);
	int next = dup(0);

	close(next);
	getrlimit(RLIMIT_NOFILE, &limit);
	tight = limit;
	tight.rlim_cur = next;
	setrlimit(RLIMIT_NOFILE, &tight);
	tap_errno(exp_try(z, &op), -EMFILE, "no descriptor left");
	setrlimit(RLIMIT_NOFILE, &limit);
	after = info(z);
	tap_ok(after.pages_in_use == before.pages_in_use, "nothing stays mapped");
	grants_free(&g);
}

static void test_parallel(int z)
{
	enum { CHILDREN = 3, ROUNDS = 60, PAGES = 64 };
	struct xen_zcopy_info before = info(z);
	struct grants g;
	bool good = true;
	int status;

	if (parameter("xen_zcopy", "max_buffers_per_file", 0) < CHILDREN * ROUNDS) {
		tap_skip("several processes at once", "max_buffers_per_file is too small");
		return;
	}
	g = grants_make(PAGES, true);
	fflush(stdout);
	for (int c = 0; c < CHILDREN; c++) {
		if (fork())
			continue;
		for (int r = 0; r < ROUNDS; r++) {
			uint64_t handle;
			int fd = export(z, &g, 0, &handle);
			uint8_t *memory = map(fd, PAGES, PROT_READ | PROT_WRITE);

			close(fd);
			if (!memory)
				_exit(1);
			memory[c * 4] = r;
			if (g.memory[c * 4] != r)
				_exit(2);
			if (r % 3)
				munmap(memory, PAGES * PAGE);
		}
		_exit(0);
	}
	for (int c = 0; c < CHILDREN; c++)
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			good = false;
	tap_ok(good, "%d processes, %d buffers each, mapped and left", CHILDREN, ROUNDS);
	good = true;
	for (int n = 0; n < CHILDREN * ROUNDS; n++)
		if (!readable(z, SOON_MS) || !read_handle(z, &status) || status)
			good = false;
	tap_ok(good && settled(z, &before) && !readable(z, 50),
	       "each announced once, all pages free");
	grants_free(&g);
}

/* How long things take; informative. */
static void test_times(int z)
{
	const uint32_t count = 469;
	struct grants g = grants_make(count, true);
	double t[6] = { now() };
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory;

	t[1] = now();
	memory = map(fd, count, PROT_READ | PROT_WRITE);
	t[2] = now();
	munmap(memory, (size_t)count * PAGE);
	t[3] = now();
	close(fd);
	t[4] = now();
	tap_ok(released(z, handle), "%u pages released", count);
	t[5] = now();
	printf("# %u pages: export %.2f ms, mmap %.2f, munmap %.2f, close %.2f, announced %.2f later\n",
	       count, (t[1] - t[0]) * 1e3, (t[2] - t[1]) * 1e3, (t[3] - t[2]) * 1e3,
	       (t[4] - t[3]) * 1e3, (t[5] - t[4]) * 1e3);
	grants_free(&g);
}

static void test_drm(int z)
{
	const char *what = "import and display by DRM", *wrong;
	int card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC), fd;
	bool cannot = false;
	struct display display;
	struct grants g;
	uint64_t handle;

	if (card < 0) {
		tap_skip(what, "no /dev/dri/card0");
		return;
	}
	wrong = display_find(card, &display);
	if (wrong) {
		tap_skip(what, wrong);
		close(card);
		return;
	}
	g = grants_make((display.width * display.height * 4u + PAGE - 1) / PAGE,
			true);
	fill(g.memory, g.count, 11);
	fd = export(z, &g, 0, &handle);
	wrong = display_show(card, &display, fd, &cannot);
	if (cannot)
		tap_skip(what, wrong);
	else
		tap_ok(!wrong, "%s, %ux%u%s%s", what, display.width, display.height,
		       wrong ? ": " : "", wrong ? wrong : "");
	close(fd);
	tap_ok(released(z, handle), "released after DRM has let go");
	close(card);
	grants_free(&g);
}

static int try_unload(void)
{
	return syscall(SYS_delete_module, "xen_zcopy", O_NONBLOCK) ? -errno : 0;
}

/* Closes the device: nothing but a dma-buf, then its mapping, holds the module. */
static void test_unload(int z)
{
	struct grants g = grants_make(8, true);
	struct xen_zcopy_info before = info(z);
	uint64_t handle;
	int fd = export(z, &g, 0, &handle);
	uint8_t *memory;

	close(z);
	tap_errno(try_unload(), -EWOULDBLOCK, "unloading while there is a dma-buf");
	memory = map(fd, 8, PROT_READ | PROT_WRITE);
	close(fd);
	tap_errno(try_unload(), -EWOULDBLOCK, "unloading while there is a mapping");
	fill(g.memory, 8, 12);
	tap_ok(memory && holds(memory, 8, 12), "and it works");
	munmap(memory, 8 * PAGE);
	z = zcopy_open();
	tap_ok(settled(z, &before), "all is free at the end");
	close(z);
	grants_free(&g);
}

static void test_all(int z)
{
	test_bad_arguments(z);
	test_bad_grants(z);
	test_contents(z);
	test_sync(z);
	test_readonly(z, true);
	test_readonly(z, false);
	test_mmap_rules(z);
	test_fault_race(z);
	test_release(z);
	test_wait_free(z);
	test_fork(z);
	test_close_file(z);
	test_page_limit(z);
	test_buffer_limit();
	test_descriptor_limit(z);
	test_parallel(z);
	test_times(z);
	test_drm(z);
	test_granted(z);
	test_import(z);
	test_device_sync(z);
}

int main(int argc, char **argv)
{
	bool limits = argc > 1 && !strcmp(argv[1], "limits");
	bool hold = argc > 1 && !strcmp(argv[1], "hold");
	int z;

	if (argc > 1 && !limits && !hold) {
		fprintf(stderr, "usage: %s [limits|hold]\n", argv[0]);
		return 2;
	}
	z = zcopy_open();
	if (hold)
		hold_pages(z);
	test_info(z);
	if (limits) {
		test_page_limit(z);
		test_buffer_limit();
		test_quota(z);
		test_device_sync(z);
	} else {
		test_all(z);
	}
	test_unload(z);
	printf("1..%u\n# %u passed, %u failed, %u skipped\n", tests, tests - failures - skips,
	       failures, skips);
	return failures ? 1 : 0;
}
