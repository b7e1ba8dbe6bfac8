// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stress of xen-zcopy: processes that export, allocate, grant, map, move, fork and
 * close at random, each killed at a random moment, again and again.
 *
 *	modprobe xen-gntalloc xen-gntdev; ./stress SECONDS [PROCESSES [SEED]]
 *
 * What they ask for is mostly right; the module may refuse, but must not lose
 * anything. Exits with 0 when all pages are back at the end.
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
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

#define MOST_PROCESSES 16
#define MOST_PAGES 64u
/* A process lives up to so many milliseconds. */
#define LIFE_MS 400u
/* How long all may take to come back at the end: pauses grow to half a second. */
#define END_MS 20000

/* What all processes count together. */
static struct {
	unsigned long exports;
	unsigned long allocs;
	unsigned long imports;
	unsigned long refusals;
	unsigned long maps;
	unsigned long wrong;
} *counters;

static struct grants shared;
static unsigned int random_state;

static void count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static unsigned int random_below(unsigned int most)
{
	return (unsigned int)rand_r(&random_state) % most;
}

/* Threads that share a mapping change it under each other. */
static void *pull(void *data)
{
	uint8_t *memory = data;

	for (int i = 0; i < 20; i++) {
		mprotect(memory, MOST_PAGES * PAGE, i % 2 ? PROT_READ | PROT_WRITE : PROT_READ);
		madvise(memory, MOST_PAGES * PAGE, MADV_DONTNEED);
		(void)touch(memory + (size_t)(i % (int)MOST_PAGES) * PAGE, false);
	}
	return NULL;
}

/* mmap, touch, mprotect, mremap, munmap of parts and of all; some stays mapped. */
static void use_mapping(int fd, uint32_t pages)
{
	size_t size = (size_t)pages * PAGE;
	uint8_t *memory = map(fd, pages, PROT_READ | PROT_WRITE), *moved;
	pthread_t thread;

	if (!memory)
		return;
	count(&counters->maps);
	(void)touch(memory + (size_t)random_below(pages) * PAGE, true);
	switch (random_below(6)) {
	case 0:
		moved = mremap(memory, size, size, MREMAP_MAYMOVE);
		memory = moved == MAP_FAILED ? memory : moved;
		break;
	case 1:
		moved = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		moved = mremap(memory, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, moved);
		memory = moved == MAP_FAILED ? memory : moved;
		break;
	case 2:
		munmap(memory, size / 2 / PAGE * PAGE);
		return;
	case 3:
		if (pages == MOST_PAGES && !pthread_create(&thread, NULL, pull, memory)) {
			pull(memory);
			pthread_join(thread, NULL);
		}
		break;
	case 4:
		/* Left for the process's end. */
		return;
	default:
		break;
	}
	munmap(memory, size);
}

/* A child with the descriptors, and mappings of its own, that dies when it likes. */
static void use_fork(int fd, uint32_t pages)
{
	pid_t child = fork();

	if (child)
		return;
	random_state ^= (unsigned int)getpid();
	use_mapping(fd, pages);
	usleep(random_below(20000));
	kill(getpid(), random_below(2) ? SIGKILL : SIGTERM);
}

static void one_export(int z)
{
	struct xen_zcopy_exp_from_refs op = exp_op(&shared, 0);
	int fd;

	op.count = 1 + random_below(MOST_PAGES);
	op.flags = random_below(4) ? 0 : XEN_ZCOPY_EXP_RDONLY;
	fd = exp_try(z, &op);
	if (fd < 0) {
		count(&counters->refusals);
		return;
	}
	count(&counters->exports);
	use_mapping(fd, op.count);
	if (!random_below(4))
		use_fork(fd, op.count);
	if (random_below(8))
		close(fd);
}

/* The guest: maps some, writes, and leaves or forgets it. */
static void use_grants(const struct given *g)
{
	struct guest guest = guest_try(g->refs, 1 + random_below(g->count), PROT_READ | PROT_WRITE);

	if (!guest.memory)
		return;
	guest.memory[0] = 1;
	if (random_below(4))
		guest_unmap(&guest);
}

static void one_alloc(int z)
{
	struct given g = given_make(0, 1 + random_below(MOST_PAGES)), again = g;
	uint8_t *memory;

	if (alloc_try(z, &g, random_below(3) ? 0 : XEN_ZCOPY_ALLOC_CONTIGUOUS)) {
		count(&counters->refusals);
		free(g.refs);
		return;
	}
	count(&counters->allocs);
	memory = map(g.fd, g.count, PROT_READ);
	if (memory && !all_zero(memory, g.count))
		count(&counters->wrong);
	if (memory)
		munmap(memory, (size_t)g.count * PAGE);
	use_mapping(g.fd, g.count);
	use_grants(&g);
	if (!random_below(3)) {
		again = given_make(0, g.count);
		if (import_try(z, &again, g.fd, 0)) {
			count(&counters->refusals);
		} else {
			count(&counters->imports);
			use_grants(&again);
			if (random_below(2))
				end_access(z, again.handle);
		}
		free(again.refs);
	}
	if (!random_below(4))
		use_fork(g.fd, g.count);
	if (random_below(4))
		end_access(z, g.handle);
	if (random_below(8))
		close(g.fd);
	free(g.refs);
}

static void process(unsigned int seed)
{
	struct xen_zcopy_released records[8];
	int z = zcopy_open();

	random_state = seed;
	for (;;) {
		switch (random_below(8)) {
		case 0:
			close(z);
			z = zcopy_open();
			break;
		case 1:
			while (read(z, records, sizeof(records)) > 0)
				;
			break;
		case 2:
			while (waitpid(-1, NULL, WNOHANG) > 0)
				;
			break;
		case 3:
		case 4:
		case 5:
			one_alloc(z);
			break;
		default:
			one_export(z);
			break;
		}
	}
}

static pid_t start(unsigned int seed)
{
	pid_t child;

	fflush(stdout);
	child = fork();
	if (child < 0)
		bail("fork");
	if (!child) {
		process(seed);
		_exit(0);
	}
	return child;
}

static void progress(double begin, unsigned int kills)
{
	printf("# %.0f s: %u kills, %lu exports, %lu allocs, %lu imports, %lu mappings, %lu refusals\n",
	       now() - begin, kills, counters->exports, counters->allocs, counters->imports,
	       counters->maps, counters->refusals);
	fflush(stdout);
}

/* Kills one after the other and starts a new one, until the time is over. */
static unsigned int run(unsigned int seconds, unsigned int processes, unsigned int seed)
{
	double begin = now(), told = begin;
	pid_t children[MOST_PROCESSES];
	unsigned int kills = 0, dead = 0;

	random_state = seed;
	for (unsigned int i = 0; i < processes; i++)
		children[i] = start(seed + i);
	while (now() - begin < seconds) {
		unsigned int i = random_below(processes);
		int status;

		usleep(random_below(LIFE_MS * 1000 / processes));
		kill(children[i], SIGKILL);
		waitpid(children[i], &status, 0);
		/* Whoever ended otherwise found something that can't be. */
		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
			dead++;
		kills++;
		children[i] = start(seed + processes + kills);
		if (now() - told > 5) {
			told = now();
			progress(begin, kills);
		}
	}
	for (unsigned int i = 0; i < processes; i++) {
		kill(children[i], SIGKILL);
		waitpid(children[i], NULL, 0);
	}
	progress(begin, kills);
	tap_ok(!dead, "%u processes killed, %u ended otherwise", kills, dead);
	return kills;
}

int main(int argc, char **argv)
{
	unsigned int seconds = argc > 1 ? (unsigned int)atoi(argv[1]) : 0;
	unsigned int processes = argc > 2 ? (unsigned int)atoi(argv[2]) : 4;
	unsigned int seed = argc > 3 ? (unsigned int)atoi(argv[3]) : (unsigned int)getpid();
	struct xen_zcopy_info before;
	bool back = false;
	int z;

	if (!seconds || !processes || processes > MOST_PROCESSES) {
		fprintf(stderr, "usage: %s SECONDS [PROCESSES (at most %d) [SEED]]\n", argv[0],
			MOST_PROCESSES);
		return 2;
	}
	counters = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (counters == MAP_FAILED)
		bail("mmap");
	z = zcopy_open();
	before = info(z);
	shared = grants_make(MOST_PAGES, true);
	printf("# seed %u, %u processes\n", seed, processes);
	run(seconds, processes, seed);
	for (double end = now() + END_MS / 1e3; !back && now() < end;)
		back = settled(z, &before);
	tap_ok(back, "all pages are back: %u mapped, %u granted, %u waiting, %u buffers",
	       info(z).pages_in_use, info(z).pages_granted, info(z).pages_waiting,
	       info(z).buffers_in_use);
	tap_ok(!counters->wrong, "no page with an older content was given");
	tap_ok(counters->exports && counters->allocs && counters->imports && counters->maps,
	       "all was tried");
	grants_free(&shared);
	printf("1..%u\n", tests);
	return failures ? 1 : 0;
}
