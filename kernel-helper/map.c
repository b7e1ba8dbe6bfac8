// SPDX-License-Identifier: GPL-2.0-only
/*
 * The arena, and mapping grants into it.
 *
 * A grant is mapped at the linear address of a page that has no memory of its
 * own. A buffer gets consecutive pages, so its vmap is simply the address of
 * the first one: in a PV domain there is no other, because Xen refuses a page
 * table entry to a foreign frame that it didn't make itself, which is what
 * vmap() would try.
 *
 * gnttab_alloc_pages() hands such pages out one by one, in no useful order.
 * So the arena takes many at a time, sorts them, and gives out runs.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/genalloc.h>
#include <linux/io.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/sort.h>

#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

/* The smallest piece of arena worth having. */
#define XZC_MIN_BLOCK 256u

/* So many grants are unmapped between two chances to schedule. */
#define XZC_UNMAP_BATCH 512u

struct xzc_block {
	struct list_head entry;
	unsigned int count;
	struct page **pages;
};

static struct gen_pool *xzc_pool;
static LIST_HEAD(xzc_blocks);
static unsigned int xzc_pool_pages;
/* Protects the three above; allocations from the pool need no lock. */
static DEFINE_MUTEX(xzc_arena_lock);

static int xzc_cmp_pfn(const void *a, const void *b)
{
	unsigned long pfn_a = page_to_pfn(*(struct page *const *)a);
	unsigned long pfn_b = page_to_pfn(*(struct page *const *)b);

	return pfn_a < pfn_b ? -1 : pfn_a > pfn_b;
}

/*
 * Hands the sorted pages to the pool, one chunk for each run. Returns the
 * number of runs; a run that the pool can't take is left unused.
 */
static unsigned int xzc_block_to_pool(const struct xzc_block *block)
{
	unsigned int start, end, runs = 0;

	for (start = 0; start < block->count; start = end) {
		unsigned long first = page_to_pfn(block->pages[start]);

		end = start + 1;
		while (end < block->count &&
		       page_to_pfn(block->pages[end]) == first + end - start)
			end++;
		runs++;
		if (gen_pool_add_virt(xzc_pool,
				      (unsigned long)page_address(block->pages[start]),
				      PFN_PHYS(first),
				      (size_t)(end - start) << PAGE_SHIFT, NUMA_NO_NODE))
			pr_warn("no memory to manage %u pages\n", end - start);
	}
	return runs;
}

static int xzc_arena_grow(unsigned int count)
{
	struct xzc_block *block;
	unsigned int runs;
	int ret;

	lockdep_assert_held(&xzc_arena_lock);

	if (count > xzc_max_pages - xzc_pool_pages)
		return -ENOSPC;
	block = kzalloc_obj(*block);
	if (!block)
		return -ENOMEM;
	block->count = count;
	block->pages = kvcalloc(count, sizeof(*block->pages), GFP_KERNEL);
	if (!block->pages) {
		ret = -ENOMEM;
		goto err_block;
	}
	ret = gnttab_alloc_pages(count, block->pages);
	if (ret)
		goto err_pages;
	sort(block->pages, count, sizeof(*block->pages), xzc_cmp_pfn, NULL);
	runs = xzc_block_to_pool(block);
	list_add(&block->entry, &xzc_blocks);
	xzc_pool_pages += count;
	pr_debug("arena has %u pages (%u added in %u runs)\n", xzc_pool_pages, count, runs);
	return 0;

err_pages:
	kvfree(block->pages);
err_block:
	kfree(block);
	return ret;
}

/**
 * xzc_arena_init() - take the pages that shall be ready from the start
 *
 * Less than wanted, or nothing, is no failure: the arena grows when a buffer
 * finds no room.
 *
 * Return: 0 or -ENOMEM
 */
int xzc_arena_init(void)
{
	unsigned int count = min(xzc_arena_pages, xzc_max_pages);
	int ret = -ENOMEM;

	xzc_pool = gen_pool_create(PAGE_SHIFT, NUMA_NO_NODE);
	if (!xzc_pool)
		return -ENOMEM;
	if (!count)
		return 0;

	mutex_lock(&xzc_arena_lock);
	for (; count >= XZC_MIN_BLOCK; count /= 2) {
		ret = xzc_arena_grow(count);
		if (!ret)
			break;
	}
	mutex_unlock(&xzc_arena_lock);
	if (ret)
		pr_warn("no pages for the arena (%d), trying again at the first buffer\n", ret);
	else if (count < xzc_arena_pages)
		pr_warn("arena has %u pages instead of %u\n", count, xzc_arena_pages);
	return 0;
}

/**
 * xzc_arena_exit() - give all pages back; no buffer may exist any more
 */
void xzc_arena_exit(void)
{
	struct xzc_block *block, *next;

	gen_pool_destroy(xzc_pool);
	list_for_each_entry_safe(block, next, &xzc_blocks, entry) {
		gnttab_free_pages(block->count, block->pages);
		kvfree(block->pages);
		kfree(block);
	}
}

/* The address of count consecutive pages, or 0 with *err set. */
static unsigned long xzc_arena_get(unsigned int count, int *err)
{
	size_t size = (size_t)count << PAGE_SHIFT;
	unsigned long addr;

	*err = -ENOMEM;
	addr = gen_pool_alloc(xzc_pool, size);
	if (addr)
		return addr;

	/* Grow by more than this buffer needs, if the limit lets us. */
	mutex_lock(&xzc_arena_lock);
	addr = gen_pool_alloc(xzc_pool, size);
	if (!addr) {
		unsigned int want = clamp(xzc_arena_pages, XZC_MIN_BLOCK,
					  max(xzc_max_pages - xzc_pool_pages, XZC_MIN_BLOCK));

		*err = xzc_arena_grow(max(count, want));
		if (*err)
			*err = xzc_arena_grow(count);
		addr = gen_pool_alloc(xzc_pool, size);
		/* Grown, and yet no run is long enough. */
		if (!addr && !*err)
			*err = -ENOMEM;
	}
	mutex_unlock(&xzc_arena_lock);
	return addr;
}

static void xzc_arena_put(const struct xzc_buf *buf)
{
	gen_pool_free(xzc_pool, (unsigned long)page_address(buf->pages[0]),
		      (size_t)buf->count << PAGE_SHIFT);
}

/**
 * xzc_gnttab_errno() - what a failed grant operation is called in errno
 * @status: GNTST_*
 *
 * Return: 0 or a negative errno
 */
int xzc_gnttab_errno(s16 status)
{
	switch (status) {
	case GNTST_okay:
		return 0;
	case GNTST_bad_domain:
	case GNTST_bad_gntref:
		return -ENOENT;
	case GNTST_permission_denied:
		return -EACCES;
	case GNTST_no_device_space:
		return -ENOSPC;
	default:
		return -EFAULT;
	}
}

static u32 xzc_map_flags(const struct xzc_buf *buf)
{
	u32 flags = GNTMAP_host_map;

	/* Xen refuses a device mapping to an auto-translated domain. */
	if (xen_pv_domain())
		flags |= GNTMAP_device_map;
	if (buf->readonly)
		flags |= GNTMAP_readonly;
	return flags;
}

/* Unmaps the first count entries; an errno tells that one may be mapped still. */
static int xzc_unmap_first(struct xzc_buf *buf, struct page **pages, unsigned int count)
{
	unsigned int done, i, batch;
	int ret = 0;

	for (done = 0; done < count; done += batch) {
		batch = min(count - done, XZC_UNMAP_BATCH);
		if (gnttab_unmap_refs(buf->unmap + done, NULL, pages + done, batch))
			ret = -EIO;
		for (i = done; i < done + batch; i++)
			if (buf->unmap[i].status != GNTST_okay)
				ret = -EIO;
		cond_resched();
	}
	if (ret)
		pr_err_ratelimited("Xen refused to unmap grants of domain %u\n", buf->domid);
	return ret;
}

/*
 * Notes how to unmap what was mapped, packed to the front together with its
 * page. Returns the number of mapped grants; *err is the first failure's.
 */
static unsigned int xzc_collect(struct xzc_buf *buf, const struct gnttab_map_grant_ref *map,
				struct page **pages, int *err)
{
	unsigned int i, mapped = 0;

	*err = 0;
	for (i = 0; i < buf->count; i++) {
		struct gnttab_unmap_grant_ref *unmap = &buf->unmap[mapped];

		if (map[i].status != GNTST_okay) {
			if (!*err)
				*err = xzc_gnttab_errno(map[i].status);
			continue;
		}
		gnttab_set_unmap_op(unmap, (unsigned long)page_address(buf->pages[i]),
				    map[i].flags, map[i].handle);
		unmap->status = GNTST_general_error;
		if (map[i].flags & GNTMAP_device_map)
			unmap->dev_bus_addr = map[i].dev_bus_addr;
		pages[mapped++] = buf->pages[i];
	}
	return mapped;
}

static int xzc_map_grants(struct xzc_buf *buf, struct gnttab_map_grant_ref *map)
{
	unsigned int i, mapped;
	u32 flags = xzc_map_flags(buf);
	struct page **pages;
	int err, ret;

	/* The packed list of pages; differs from buf->pages after a failure. */
	pages = kvcalloc(buf->count, sizeof(*pages), GFP_KERNEL);
	if (!pages) {
		xzc_arena_put(buf);
		return -ENOMEM;
	}
	for (i = 0; i < buf->count; i++)
		gnttab_set_map_op(&map[i], (unsigned long)page_address(buf->pages[i]), flags,
				  buf->refs[i], buf->domid);
	err = gnttab_map_refs(map, NULL, buf->pages, buf->count);
	mapped = xzc_collect(buf, map, pages, &ret);
	if (!ret)
		ret = err;
	if (ret) {
		pr_debug("domain %u: %u of %u grants mapped (%d)\n", buf->domid, mapped,
			 buf->count, ret);
		/* Pages that stay mapped can't be used again: they are lost. */
		if (!xzc_unmap_first(buf, pages, mapped))
			xzc_arena_put(buf);
	}
	kvfree(pages);
	return ret;
}

/**
 * xzc_map() - map all grants of a buffer
 * @buf: with domid, readonly, count and refs set
 *
 * Return: 0; -ENOMEM or -ENOSPC when there are no pages for it; or what the
 *	   first failed grant's status means, and then none is mapped
 */
int xzc_map(struct xzc_buf *buf)
{
	struct gnttab_map_grant_ref *map;
	unsigned long addr;
	unsigned int i;
	int ret;

	map = kvcalloc(buf->count, sizeof(*map), GFP_KERNEL);
	buf->unmap = kvcalloc(buf->count, sizeof(*buf->unmap), GFP_KERNEL);
	buf->pages = kvcalloc(buf->count, sizeof(*buf->pages), GFP_KERNEL);
	if (!map || !buf->unmap || !buf->pages) {
		ret = -ENOMEM;
		goto out;
	}
	addr = xzc_arena_get(buf->count, &ret);
	if (!addr)
		goto out;
	for (i = 0; i < buf->count; i++)
		buf->pages[i] = virt_to_page((void *)(addr + ((unsigned long)i << PAGE_SHIFT)));
	ret = xzc_map_grants(buf, map);
out:
	kvfree(map);
	return ret;
}

/**
 * xzc_unmap() - unmap all grants of a buffer that nothing maps any more
 * @buf: successfully mapped by xzc_map()
 *
 * Return: 0; -EAGAIN when somebody holds a page still, nothing is changed
 *	   then; -EIO when Xen refused and the guest's pages stay in use
 */
int xzc_unmap(struct xzc_buf *buf)
{
	unsigned int i;
	int ret;

	for (i = 0; i < buf->count; i++)
		if (page_count(buf->pages[i]) > 1)
			return -EAGAIN;
	ret = xzc_unmap_first(buf, buf->pages, buf->count);
	if (!ret)
		xzc_arena_put(buf);
	return buf->lost ? -EIO : ret;
}
