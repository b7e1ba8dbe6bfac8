// SPDX-License-Identifier: GPL-2.0-only
/* What the tests share: TAP, pages of Dom0 granted to itself, the device, memory. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xen/gntalloc.h>
/* The header takes these for granted. */
typedef uint32_t grant_ref_t;
typedef uint16_t domid_t;
#include <xen/gntdev.h>

#include "common.h"

/* ---- TAP ------------------------------------------------------------------ */

unsigned int tests, failures, skips;

__attribute__((format(printf, 2, 3)))
bool tap_ok(bool ok, const char *format, ...)
{
	va_list args;

	tests++;
	failures += !ok;
	printf("%s %u - ", ok ? "ok" : "not ok", tests);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("\n");
	fflush(stdout);
	return ok;
}

void tap_skip(const char *what, const char *why)
{
	tests++;
	skips++;
	printf("ok %u - %s # SKIP %s\n", tests, what, why);
	fflush(stdout);
}

bool tap_errno(int got, int want, const char *what)
{
	if (got == want)
		return tap_ok(true, "%s: %s", what, want ? strerror(-want) : "success");
	return tap_ok(false, "%s: wanted %d (%s), got %d (%s)", what, want,
		      want < 0 ? strerror(-want) : "success", got,
		      got < 0 ? strerror(-got) : "success");
}

void bail(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(2);
}

/* ---- pages that Dom0 grants to itself ------------------------------------- */

struct grants grants_make(uint32_t count, bool writable)
{
	struct grants g = { .count = count };
	struct ioctl_gntalloc_alloc_gref *op = calloc(1, sizeof(*op) + count * sizeof(uint32_t));

	g.fd = open("/dev/xen/gntalloc", O_RDWR | O_CLOEXEC);
	g.refs = calloc(count, sizeof(*g.refs));
	if (g.fd < 0 || !op || !g.refs)
		bail("/dev/xen/gntalloc");
	op->domid = 0;
	op->flags = writable ? GNTALLOC_FLAG_WRITABLE : 0;
	op->count = count;
	if (ioctl(g.fd, IOCTL_GNTALLOC_ALLOC_GREF, op))
		bail("granting pages");
	g.index = op->index;
	memcpy(g.refs, op->gref_ids, count * sizeof(*g.refs));
	free(op);
	g.memory = mmap(NULL, (size_t)count * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, g.fd,
			(off_t)g.index);
	if (g.memory == MAP_FAILED)
		bail("mapping granted pages");
	memset(g.memory, 0, (size_t)count * PAGE);
	return g;
}

void grants_free(struct grants *g)
{
	struct ioctl_gntalloc_dealloc_gref op = { .index = g->index, .count = g->count };

	munmap(g->memory, (size_t)g->count * PAGE);
	if (ioctl(g->fd, IOCTL_GNTALLOC_DEALLOC_GREF, &op))
		bail("taking grants back");
	close(g->fd);
	free(g->refs);
}

/* ---- the device ----------------------------------------------------------- */

int zcopy_open(void)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		bail(DEVICE);
	return fd;
}

struct xen_zcopy_info info(int z)
{
	struct xen_zcopy_info i;

	memset(&i, 0xff, sizeof(i));
	if (ioctl(z, XEN_ZCOPY_IOC_GET_INFO, &i))
		bail("GET_INFO");
	return i;
}

struct xen_zcopy_exp_from_refs exp_op(const struct grants *g, uint32_t flags)
{
	return (struct xen_zcopy_exp_from_refs){
		.flags = flags,
		.count = g->count,
		.fd = -1,
		.refs = (uintptr_t)g->refs,
	};
}

int exp_try(int z, struct xen_zcopy_exp_from_refs *op)
{
	return ioctl(z, XEN_ZCOPY_IOC_EXP_FROM_REFS, op) ? -errno : op->fd;
}

int export(int z, const struct grants *g, uint32_t flags, uint64_t *handle)
{
	struct xen_zcopy_exp_from_refs op = exp_op(g, flags);
	int fd = exp_try(z, &op);

	if (fd < 0) {
		errno = -fd;
		bail("EXP_FROM_REFS");
	}
	*handle = op.handle;
	return fd;
}

int wait_free(int z, uint64_t handle, uint32_t ms)
{
	struct xen_zcopy_wait_free op = { .handle = handle, .timeout_ms = ms };

	return ioctl(z, XEN_ZCOPY_IOC_WAIT_FREE, &op) ? -errno : 0;
}

int end_access(int z, uint64_t handle)
{
	struct xen_zcopy_end_access op = { .handle = handle };

	return ioctl(z, XEN_ZCOPY_IOC_END_ACCESS, &op) ? -errno : 0;
}

struct xen_zcopy_domain domain(int z, uint32_t domid)
{
	struct xen_zcopy_domain d = { .domid = domid };

	if (ioctl(z, XEN_ZCOPY_IOC_GET_DOMAIN, &d))
		bail("GET_DOMAIN");
	return d;
}

/* ---- pages that the helper grants ----------------------------------------- */

struct given given_make(uint32_t domid, uint32_t count)
{
	struct given g = { .domid = domid, .count = count, .fd = -1 };

	g.refs = calloc(count, sizeof(*g.refs));
	if (!g.refs)
		bail("memory");
	return g;
}

int alloc_try(int z, struct given *g, uint32_t flags)
{
	struct xen_zcopy_alloc op = {
		.domid = g->domid,
		.flags = flags,
		.count = g->count,
		.fd = -1,
		.refs = (uintptr_t)g->refs,
	};

	if (ioctl(z, XEN_ZCOPY_IOC_ALLOC, &op))
		return -errno;
	g->fd = op.fd;
	g->handle = op.handle;
	return 0;
}

int import_try(int z, struct given *g, int dmabuf, uint32_t flags)
{
	struct xen_zcopy_imp_to_refs op = {
		.domid = g->domid,
		.flags = flags,
		.count = g->count,
		.fd = dmabuf,
		.refs = (uintptr_t)g->refs,
	};
	int ret = ioctl(z, XEN_ZCOPY_IOC_IMP_TO_REFS, &op) ? -errno : 0;

	g->handle = op.handle;
	g->bad_page = op.bad_page;
	g->reason = op.reason;
	return ret;
}

struct given alloc_pages(int z, uint32_t count, uint32_t flags)
{
	struct given g = given_make(0, count);
	int ret = alloc_try(z, &g, flags);

	if (ret) {
		errno = -ret;
		bail("ALLOC");
	}
	return g;
}

/* ---- the guest: Dom0 itself ----------------------------------------------- */

struct guest guest_try(const uint32_t *refs, uint32_t count, int prot)
{
	struct guest g = { .count = count };
	struct ioctl_gntdev_map_grant_ref *op = calloc(1, sizeof(*op) + count * sizeof(op->refs[0]));

	g.fd = open("/dev/xen/gntdev", O_RDWR | O_CLOEXEC);
	if (g.fd < 0 || !op)
		bail("/dev/xen/gntdev");
	op->count = count;
	for (uint32_t i = 0; i < count; i++)
		op->refs[i].ref = refs[i];
	if (ioctl(g.fd, IOCTL_GNTDEV_MAP_GRANT_REF, op))
		bail("mapping grants");
	g.memory = mmap(NULL, (size_t)count * PAGE, prot, MAP_SHARED, g.fd, (off_t)op->index);
	free(op);
	if (g.memory == MAP_FAILED) {
		g.memory = NULL;
		close(g.fd);
	}
	return g;
}

struct guest guest_map(const struct given *given)
{
	struct guest g = guest_try(given->refs, given->count, PROT_READ | PROT_WRITE);

	if (!g.memory)
		bail("the guest's mapping");
	return g;
}

void guest_unmap(struct guest *g)
{
	munmap(g->memory, (size_t)g->count * PAGE);
	close(g->fd);
	g->memory = NULL;
}

/* ---- records -------------------------------------------------------------- */

bool readable(int z, int ms)
{
	struct pollfd p = { .fd = z, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

uint64_t read_handle(int z, int *status)
{
	struct xen_zcopy_released r;

	memset(&r, 0xff, sizeof(r));
	if (read(z, &r, sizeof(r)) != sizeof(r) || r.reserved)
		return 0;
	*status = r.status;
	return r.handle;
}

bool released(int z, uint64_t handle)
{
	int status = -1;

	return readable(z, SOON_MS) && read_handle(z, &status) == handle && !status;
}

uint8_t *map(int dmabuf, uint32_t count, int prot)
{
	uint8_t *memory = mmap(NULL, (size_t)count * PAGE, prot, MAP_SHARED, dmabuf, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

int map_errno(int dmabuf, size_t size, int prot, int flags, off_t offset)
{
	void *memory = mmap(NULL, size, prot, flags, dmabuf, offset);

	if (memory == MAP_FAILED)
		return -errno;
	munmap(memory, size);
	return 0;
}

/* ---- memory --------------------------------------------------------------- */

/* A word that depends on its place and the seed. */
static uint32_t word(uint32_t index, uint32_t seed)
{
	return (index * 2654435761u) ^ (seed * 40503u) ^ index >> 7;
}

void fill(uint8_t *memory, uint32_t pages, uint32_t seed)
{
	volatile uint32_t *w = (volatile uint32_t *)memory;

	for (uint32_t i = 0; i < pages * (PAGE / 4); i++)
		w[i] = word(i, seed);
}

bool holds(const uint8_t *memory, uint32_t pages, uint32_t seed)
{
	const volatile uint32_t *w = (const volatile uint32_t *)memory;

	for (uint32_t i = 0; i < pages * (PAGE / 4); i++)
		if (w[i] != word(i, seed))
			return false;
	return true;
}

bool all_zero(const uint8_t *memory, uint32_t pages)
{
	const volatile uint32_t *w = (const volatile uint32_t *)memory;

	for (uint32_t i = 0; i < pages * (PAGE / 4); i++)
		if (w[i])
			return false;
	return true;
}

static sigjmp_buf fault_jump;

static void on_fault(int sig)
{
	siglongjmp(fault_jump, sig);
}

int touch(volatile uint8_t *address, bool write)
{
	struct sigaction act = { .sa_handler = on_fault }, bus, segv;
	int sig;

	sigaction(SIGBUS, &act, &bus);
	sigaction(SIGSEGV, &act, &segv);
	sig = sigsetjmp(fault_jump, 1);
	if (!sig) {
		uint8_t value = *address;

		if (write)
			*address = value;
	}
	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGSEGV, &segv, NULL);
	return sig;
}

double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

bool settled(int z, const struct xen_zcopy_info *before)
{
	for (double end = now() + SOON_MS / 1e3; now() < end; usleep(1000)) {
		struct xen_zcopy_info i = info(z);

		if (i.pages_in_use == before->pages_in_use &&
		    i.buffers_in_use == before->buffers_in_use &&
		    i.pages_granted == before->pages_granted &&
		    i.pages_waiting == before->pages_waiting)
			return true;
	}
	return false;
}

unsigned int parameter(const char *module, const char *name, unsigned int set)
{
	char path[128];
	unsigned int value = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/sys/module/%s/parameters/%s", module, name);
	f = fopen(path, set ? "r+" : "r");
	if (!f || fscanf(f, "%u", &value) != 1)
		bail(path);
	rewind(f);
	if (set)
		fprintf(f, "%u\n", set);
	fclose(f);
	return value;
}
