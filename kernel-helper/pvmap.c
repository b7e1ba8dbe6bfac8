// SPDX-License-Identifier: GPL-2.0-only
/*
 * User mappings in a PV domain.
 *
 * Xen refuses every page table entry to a foreign frame but those it makes
 * itself, so each user mapping is a second map of the grants, straight into
 * the process's page table entries. Linux must never see those entries move or
 * go: an MMU interval notifier unmaps the grants before it touches them. What
 * was unmapped that way and is still there (mprotect(), for example) comes
 * back by a page fault. It is always the whole mapping that comes and goes.
 *
 * Such a mapping can't be split and can't be moved by mremap(): both fail with
 * EINVAL and leave it usable.
 *
 * Locks, outermost first: mmap_lock, map_lock, (page table allocation), lock.
 * The notifier takes only the last one, for it may run in memory reclaim.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/refcount.h>
#include <linux/slab.h>

#include <asm/xen/hypercall.h>
#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

/**
 * struct xzc_umap - one user mapping
 * @users: VMAs; two while mremap() tries, in vain, to move it
 * @buf: the buffer; the VMA's file keeps it
 * @notifier: tells when the page table entries are to change
 * @start: first address
 * @count: number of pages
 * @first: index of the buffer's page at @start
 * @map_lock: one thread at a time maps; protects @map
 * @map: scratch space for mapping
 * @lock: protects @unmap and @mapped
 * @unmap: how to unmap what is mapped
 * @mapped: all is mapped; else nothing is
 */
struct xzc_umap {
	refcount_t users;
	struct xzc_buf *buf;
	struct mmu_interval_notifier notifier;
	unsigned long start;
	unsigned int count;
	unsigned int first;
	struct mutex map_lock;	/* one thread at a time maps */
	struct gnttab_map_grant_ref *map;
	struct mutex lock;	/* what is mapped */
	struct gnttab_unmap_grant_ref *unmap;
	bool mapped;
};

/* What xzc_umap_prepare() needs to know about each page table entry. */
struct xzc_umap_walk {
	struct xzc_umap *um;
	u32 flags;
};

/* Pages in user mappings now; they use up Xen's table of mappings. */
static atomic_t xzc_mmap_pages = ATOMIC_INIT(0);

/**
 * xzc_pv_frame() - the machine frame of a page, foreign or not
 * @page: one of ours
 *
 * Return: the frame number
 */
unsigned long xzc_pv_frame(struct page *page)
{
	return pfn_to_mfn(page_to_pfn(page));
}

/**
 * xzc_pv_refused() - why a PV domain may not grant a page
 * @page: anybody's
 *
 * Return: XEN_ZCOPY_REFUSED_NONE when it is the domain's own memory, or when
 *	   this isn't a PV domain
 */
enum xen_zcopy_refused xzc_pv_refused(struct page *page)
{
	unsigned long mfn;

	if (!xen_pv_domain())
		return XEN_ZCOPY_REFUSED_NONE;
	mfn = __pfn_to_mfn(page_to_pfn(page));
	if (mfn == INVALID_P2M_ENTRY || mfn & IDENTITY_FRAME_BIT)
		return XEN_ZCOPY_REFUSED_NOT_RAM;
	return mfn & FOREIGN_FRAME_BIT ? XEN_ZCOPY_REFUSED_FOREIGN : XEN_ZCOPY_REFUSED_NONE;
}

static void xzc_umap_hyper_unmap(struct xzc_umap *um, unsigned int count)
{
	unsigned int i;
	int ret;

	if (!count)
		return;
	ret = HYPERVISOR_grant_table_op(GNTTABOP_unmap_grant_ref, um->unmap, count);
	for (i = 0; i < count && !ret; i++)
		ret = um->unmap[i].status;
	if (ret) {
		/* The guest's pages stay in use: the buffer must not be called free. */
		WRITE_ONCE(um->buf->lost, true);
		pr_err_ratelimited("Xen refused to unmap a user mapping of domain %u (%d)\n",
				   um->buf->domid, ret);
	}
}

static void xzc_umap_clear(struct xzc_umap *um)
{
	lockdep_assert_held(&um->lock);
	if (um->mapped)
		xzc_umap_hyper_unmap(um, um->count);
	um->mapped = false;
}

static int xzc_umap_prepare(pte_t *pte, unsigned long addr, void *data)
{
	struct xzc_umap_walk *walk = data;
	struct xzc_umap *um = walk->um;
	unsigned int i = (addr - um->start) >> PAGE_SHIFT;

	gnttab_set_map_op(&um->map[i], arbitrary_virt_to_machine(pte).maddr, walk->flags,
			  um->buf->refs[um->first + i], um->buf->domid);
	return 0;
}

/* Maps all; a grant that fails undoes the others. */
static int xzc_umap_hyper_map(struct xzc_umap *um)
{
	unsigned int i, mapped = 0;
	int err, ret = 0;

	lockdep_assert_held(&um->lock);
	err = HYPERVISOR_grant_table_op(GNTTABOP_map_grant_ref, um->map, um->count);
	for (i = 0; i < um->count; i++) {
		const struct gnttab_map_grant_ref *map = &um->map[i];

		if (map->status != GNTST_okay) {
			if (!ret)
				ret = xzc_gnttab_errno(map->status);
			continue;
		}
		gnttab_set_unmap_op(&um->unmap[mapped], map->host_addr, map->flags, map->handle);
		um->unmap[mapped++].status = GNTST_general_error;
	}
	if (!ret)
		ret = err;
	if (ret)
		xzc_umap_hyper_unmap(um, mapped);
	else
		um->mapped = true;
	return ret;
}

/* The caller holds mmap_lock, for reading at least. */
static int xzc_umap_map(struct xzc_umap *um, struct vm_area_struct *vma)
{
	struct xzc_umap_walk walk = {
		.um = um,
		/* The second line sets the bit of a special page table entry. */
		.flags = GNTMAP_host_map | GNTMAP_application_map | GNTMAP_contains_pte |
			 (1 << _GNTMAP_guest_avail0) |
			 (vma->vm_flags & VM_WRITE ? 0 : GNTMAP_readonly),
	};
	unsigned long seq;
	int ret;

	mutex_lock(&um->map_lock);
	for (;;) {
		seq = mmu_interval_read_begin(&um->notifier);
		ret = apply_to_page_range(vma->vm_mm, um->start,
					  (unsigned long)um->count << PAGE_SHIFT,
					  xzc_umap_prepare, &walk);
		if (ret)
			break;
		mutex_lock(&um->lock);
		if (!mmu_interval_read_retry(&um->notifier, seq)) {
			/* Another thread's fault may have come first. */
			if (!um->mapped)
				ret = xzc_umap_hyper_map(um);
			mutex_unlock(&um->lock);
			break;
		}
		mutex_unlock(&um->lock);
	}
	mutex_unlock(&um->map_lock);
	return ret;
}

static bool xzc_umap_invalidate(struct mmu_interval_notifier *notifier,
				const struct mmu_notifier_range *range, unsigned long seq)
{
	struct xzc_umap *um = container_of(notifier, struct xzc_umap, notifier);

	if (!mmu_notifier_range_blockable(range))
		return false;
	mutex_lock(&um->lock);
	mmu_interval_set_seq(notifier, seq);
	xzc_umap_clear(um);
	mutex_unlock(&um->lock);
	return true;
}

static const struct mmu_interval_notifier_ops xzc_umap_notifier_ops = {
	.invalidate = xzc_umap_invalidate,
};

static void xzc_umap_free(struct xzc_umap *um)
{
	atomic_sub(um->count, &xzc_mmap_pages);
	kvfree(um->map);
	kvfree(um->unmap);
	kfree(um);
}

static void xzc_umap_put(struct xzc_umap *um)
{
	if (!refcount_dec_and_test(&um->users))
		return;
	mmu_interval_notifier_remove(&um->notifier);
	mutex_lock(&um->lock);
	xzc_umap_clear(um);
	mutex_unlock(&um->lock);
	xzc_umap_free(um);
}

static void xzc_vma_open(struct vm_area_struct *vma)
{
	struct xzc_umap *um = vma->vm_private_data;

	refcount_inc(&um->users);
}

static void xzc_vma_close(struct vm_area_struct *vma)
{
	xzc_umap_put(vma->vm_private_data);
}

static int xzc_vma_may_split(struct vm_area_struct *vma, unsigned long addr)
{
	return -EINVAL;
}

static int xzc_vma_mremap(struct vm_area_struct *vma)
{
	return -EINVAL;
}

static vm_fault_t xzc_vma_fault(struct vm_fault *vmf)
{
	struct vm_area_struct *vma = vmf->vma;
	struct xzc_umap *um = vma->vm_private_data;
	int ret;

	if (vma->vm_start != um->start)
		return VM_FAULT_SIGBUS;
	ret = xzc_umap_map(um, vma);
	if (ret)
		return ret == -ENOMEM ? VM_FAULT_OOM : VM_FAULT_SIGBUS;
	return VM_FAULT_NOPAGE;
}

static const struct vm_operations_struct xzc_vma_ops = {
	.open = xzc_vma_open,
	.close = xzc_vma_close,
	.may_split = xzc_vma_may_split,
	.mremap = xzc_vma_mremap,
	.fault = xzc_vma_fault,
};

static struct xzc_umap *xzc_umap_create(struct xzc_buf *buf, struct vm_area_struct *vma)
{
	unsigned int count = vma_pages(vma);
	struct xzc_umap *um;

	um = kzalloc_obj(*um);
	if (!um)
		return NULL;
	refcount_set(&um->users, 1);
	um->buf = buf;
	um->start = vma->vm_start;
	um->count = count;
	um->first = vma->vm_pgoff;
	mutex_init(&um->map_lock);
	mutex_init(&um->lock);
	um->map = kvcalloc(count, sizeof(*um->map), GFP_KERNEL);
	um->unmap = kvcalloc(count, sizeof(*um->unmap), GFP_KERNEL);
	if (atomic_add_return(count, &xzc_mmap_pages) > xzc_max_mmap_pages || !um->map ||
	    !um->unmap) {
		xzc_umap_free(um);
		return NULL;
	}
	return um;
}

/**
 * xzc_pv_mmap() - map the grants into a process
 * @buf: the buffer
 * @vma: a shared mapping within its size; mmap_lock is held for writing
 *
 * Return: 0, -ENOMEM without memory or above the limit of pages in user
 *	   mappings, or what the first failed grant's status means
 */
int xzc_pv_mmap(struct xzc_buf *buf, struct vm_area_struct *vma)
{
	struct xzc_umap *um;
	int ret;

	um = xzc_umap_create(buf, vma);
	if (!um)
		return -ENOMEM;
	ret = mmu_interval_notifier_insert_locked(&um->notifier, vma->vm_mm, um->start,
						  (unsigned long)um->count << PAGE_SHIFT,
						  &xzc_umap_notifier_ops);
	if (ret) {
		xzc_umap_free(um);
		return ret;
	}
	vm_flags_set(vma, VM_PFNMAP);
	vma->vm_private_data = um;
	vma->vm_ops = &xzc_vma_ops;
	ret = xzc_umap_map(um, vma);
	if (ret) {
		/* No close() will follow. */
		vma->vm_ops = NULL;
		vma->vm_private_data = NULL;
		xzc_umap_put(um);
	}
	return ret;
}
