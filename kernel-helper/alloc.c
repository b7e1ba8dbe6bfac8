// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of our own that a guest draws into.
 *
 * Contiguous ones come from the DMA allocator: in a PV domain only it can have
 * machine frames exchanged for consecutive ones, elsewhere it knows of memory
 * that was set aside (CMA). It rounds up to a power of two there and here, so
 * that is what the buffer is accounted for.
 *
 * User mappings have no hold of the pages: they are of page frame numbers, and
 * nothing can be pinned through them. The dma-buf that each of them holds does.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-mapping.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "xen-zcopy.h"
#include "compat.h"

/* Rather no buffer than somebody's death for want of memory. */
#define XZC_GFP (GFP_KERNEL | __GFP_ZERO | __GFP_RETRY_MAYFAIL | __GFP_NOWARN)

static size_t xzc_size(const struct xzc_buf *buf)
{
	return (size_t)buf->count << PAGE_SHIFT;
}

static int xzc_alloc_contiguous(struct xzc_buf *buf)
{
	struct device *dev = xzc_device();
	struct page *first;
	u32 i;

	if (xen_pv_domain()) {
		/* Plain memory, also by its linear address: x86 has no other. */
		buf->vaddr = dma_alloc_coherent(dev, xzc_size(buf), &buf->dma, XZC_GFP);
		if (!buf->vaddr)
			return -ENOMEM;
		first = virt_to_page(buf->vaddr);
	} else {
		first = dma_alloc_pages(dev, xzc_size(buf), &buf->dma, DMA_BIDIRECTIONAL, XZC_GFP);
		if (!first)
			return -ENOMEM;
		buf->vaddr = page_address(first);
	}
	for (i = 0; i < buf->count; i++)
		buf->pages[i] = pfn_to_page(page_to_pfn(first) + i);
	return 0;
}

static int xzc_alloc_single(struct xzc_buf *buf)
{
	u32 i;

	for (i = 0; i < buf->count; i++) {
		if (fatal_signal_pending(current))
			return -EINTR;
		buf->pages[i] = alloc_page(XZC_GFP);
		if (!buf->pages[i])
			return -ENOMEM;
		cond_resched();
	}
	return 0;
}

/**
 * xzc_alloc_free() - free the pages
 * @buf: allocated by xzc_alloc_create(), at least in part; nothing of it is
 *	 granted or mapped
 *
 * What the guest has drawn goes first.
 */
void xzc_alloc_free(struct xzc_buf *buf)
{
	u32 i;

	for (i = 0; i < buf->count && buf->pages[i]; i++) {
		clear_page(page_address(buf->pages[i]));
		if (!buf->vaddr)
			__free_page(buf->pages[i]);
		cond_resched();
	}
	if (!buf->vaddr)
		return;
	if (xen_pv_domain())
		dma_free_coherent(xzc_device(), xzc_size(buf), buf->vaddr, buf->dma);
	else
		dma_free_pages(xzc_device(), xzc_size(buf), buf->pages[0], buf->dma,
			       DMA_BIDIRECTIONAL);
}

/**
 * xzc_alloc_create() - account for a buffer and allocate its pages
 * @file: who asks
 * @op: what for; checked
 *
 * Return: the buffer, or an ERR_PTR() and nothing has changed
 */
struct xzc_buf *xzc_alloc_create(struct xzc_file *file, const struct xen_zcopy_alloc *op)
{
	bool contiguous = op->flags & XEN_ZCOPY_ALLOC_CONTIGUOUS;
	u32 charged = contiguous ? roundup_pow_of_two(op->count) : op->count;
	struct xzc_buf *buf;
	int ret = -ENOMEM;

	buf = xzc_buf_new(file, XZC_ALLOCATED, op->domid, op->count, charged);
	if (IS_ERR(buf))
		return buf;
	buf->pages = kvcalloc(buf->count, sizeof(*buf->pages), GFP_KERNEL);
	if (!buf->pages)
		goto err_buf;
	ret = contiguous ? xzc_alloc_contiguous(buf) : xzc_alloc_single(buf);
	if (ret)
		goto err_pages;
	xzc_grant_own(buf);
	return buf;

err_pages:
	xzc_alloc_free(buf);
err_buf:
	xzc_buf_destroy(buf);
	return ERR_PTR(ret);
}

/**
 * xzc_alloc_mmap() - map the pages into a process
 * @buf: allocated by us
 * @vma: a shared mapping within its size
 *
 * Return: 0 or a negative errno
 */
int xzc_alloc_mmap(struct xzc_buf *buf, struct vm_area_struct *vma)
{
	unsigned long i, count = vma_pages(vma);
	int ret = 0;

	for (i = 0; i < count && !ret; i++)
		ret = remap_pfn_range(vma, vma->vm_start + (i << PAGE_SHIFT),
				      page_to_pfn(buf->pages[vma->vm_pgoff + i]), PAGE_SIZE,
				      vma->vm_page_prot);
	return ret;
}

/**
 * xzc_alloc_vmap() - the pages at consecutive addresses of the kernel
 * @buf: allocated by us
 *
 * Return: the address or NULL
 */
void *xzc_alloc_vmap(struct xzc_buf *buf)
{
	return buf->vaddr ?: vmap(buf->pages, buf->count, VM_MAP, PAGE_KERNEL);
}

/**
 * xzc_alloc_vunmap() - undo xzc_alloc_vmap()
 * @buf: allocated by us
 * @vaddr: what it returned
 */
void xzc_alloc_vunmap(struct xzc_buf *buf, void *vaddr)
{
	if (!buf->vaddr)
		vunmap(vaddr);
}
