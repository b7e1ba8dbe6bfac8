/* SPDX-License-Identifier: GPL-2.0-only */
/* What the tests share. */
#ifndef COMMON_H
#define COMMON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <xen-zcopy.h>

#define PAGE 4096u
#define DEVICE "/dev/xen/zcopy"

/* How long the kernel may take for what it promises to do soon. */
#define SOON_MS 5000

/* ---- TAP ------------------------------------------------------------------ */

extern unsigned int tests, failures, skips;

__attribute__((format(printf, 2, 3)))
bool tap_ok(bool ok, const char *format, ...);
void tap_skip(const char *what, const char *why);
/* got and want: 0 or a negative errno. */
bool tap_errno(int got, int want, const char *what);
/* Ends the program, with errno. */
void bail(const char *what);

/* ---- pages that Dom0 grants to itself ------------------------------------- */

struct grants {
	int fd;
	uint32_t count;
	uint64_t index;
	uint32_t *refs;
	uint8_t *memory;
};

struct grants grants_make(uint32_t count, bool writable);
void grants_free(struct grants *g);

/* ---- the device; where an int is returned, errors are a negative errno ----- */

int zcopy_open(void);
struct xen_zcopy_info info(int z);
struct xen_zcopy_domain domain(int z, uint32_t domid);
struct xen_zcopy_exp_from_refs exp_op(const struct grants *g, uint32_t flags);
/* The descriptor. */
int exp_try(int z, struct xen_zcopy_exp_from_refs *op);
int export(int z, const struct grants *g, uint32_t flags, uint64_t *handle);
int wait_free(int z, uint64_t handle, uint32_t ms);
int end_access(int z, uint64_t handle);

/* Pages that the helper grants; refs are freed by the caller. */
struct given {
	uint32_t domid;
	uint32_t count;
	uint32_t *refs;
	uint64_t handle;
	/* ALLOC: the dma-buf. */
	int fd;
	/* IMP_TO_REFS: what was refused. */
	uint32_t bad_page;
	uint32_t reason;
};

struct given given_make(uint32_t domid, uint32_t count);
int alloc_try(int z, struct given *g, uint32_t flags);
int import_try(int z, struct given *g, int dmabuf, uint32_t flags);
/* For Dom0 itself; ends the program when it fails. */
struct given alloc_pages(int z, uint32_t count, uint32_t flags);

/* ---- the guest that maps them: Dom0 itself --------------------------------- */

struct guest {
	int fd;
	uint32_t count;
	/* NULL: it could not map them. */
	uint8_t *memory;
};

struct guest guest_try(const uint32_t *refs, uint32_t count, int prot);
struct guest guest_map(const struct given *given);
void guest_unmap(struct guest *g);

/* ---- records -------------------------------------------------------------- */

/* Is there something to read within ms? */
bool readable(int z, int ms);
/* Reads one record: its handle, or 0. */
uint64_t read_handle(int z, int *status);
/* The buffer's end is told in time, in order, and without trouble. */
bool released(int z, uint64_t handle);

/* ---- memory --------------------------------------------------------------- */

uint8_t *map(int dmabuf, uint32_t count, int prot);
int map_errno(int dmabuf, size_t size, int prot, int flags, off_t offset);
/* Words that depend on their place and the seed. */
void fill(uint8_t *memory, uint32_t pages, uint32_t seed);
bool holds(const uint8_t *memory, uint32_t pages, uint32_t seed);
bool all_zero(const uint8_t *memory, uint32_t pages);
/* 0, or the signal that touching the address brings. */
int touch(volatile uint8_t *address, bool write);
double now(void);
/* Is as much in use as before, soon? */
bool settled(int z, const struct xen_zcopy_info *before);
/* A module's parameter; 0 leaves it as it is. */
unsigned int parameter(const char *module, const char *name, unsigned int set);

#endif /* COMMON_H */
