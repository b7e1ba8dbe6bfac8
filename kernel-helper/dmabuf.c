// SPDX-License-Identifier: GPL-2.0-only
/* The dma-buf that stands for a buffer. Operations in the order of their use. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fcntl.h>
#include <linux/iosys-map.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>

#include "xen-zcopy.h"
#include "compat.h"

static int xzc_attach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct xzc_buf *buf = dmabuf->priv;
	struct xzc_attachment *att;

	att = kzalloc_obj(*att);
	if (!att)
		return -ENOMEM;
	att->dev = attach->dev;
	attach->priv = att;
	mutex_lock(&buf->lock);
	list_add(&att->entry, &buf->attached);
	mutex_unlock(&buf->lock);
	return 0;
}

static void xzc_detach(struct dma_buf *dmabuf, struct dma_buf_attachment *attach)
{
	struct xzc_buf *buf = dmabuf->priv;
	struct xzc_attachment *att = attach->priv;

	mutex_lock(&buf->lock);
	list_del(&att->entry);
	mutex_unlock(&buf->lock);
	kfree(att);
}

/* How many pages from index on, at most max, have consecutive frames. */
static unsigned int xzc_run(const struct xzc_buf *buf, unsigned int index, unsigned int max)
{
	unsigned long frame = xzc_pv_frame(buf->pages[index]);
	unsigned int n = 1;

	while (n < max && index + n < buf->count &&
	       xzc_pv_frame(buf->pages[index + n]) == frame + n)
		n++;
	return n;
}

/**
 * xzc_fill_table() - a table of the pages, a segment for each run of frames
 * @buf: with its pages
 * @max: most pages of a segment; 0 is taken for 1
 * @sgt: where to make it
 *
 * Return: 0, or -ENOMEM and there is no table
 */
int xzc_fill_table(const struct xzc_buf *buf, unsigned int max, struct sg_table *sgt)
{
	unsigned int i, n, segments = 0;
	struct scatterlist *sg;
	int ret;

	for (i = 0; i < buf->count; i += xzc_run(buf, i, max))
		segments++;
	ret = sg_alloc_table(sgt, segments, GFP_KERNEL);
	if (ret)
		return ret;
	sg = sgt->sgl;
	for (i = 0; i < buf->count; i += n) {
		n = xzc_run(buf, i, max);
		sg_set_page(sg, buf->pages[i], n << PAGE_SHIFT, 0);
		sg = sg_next(sg);
	}
	return 0;
}

/*
 * Most pages of a segment for the device. Pages that follow each other in our
 * address space rarely do so in the machine's, and swiotlb-xen copies a segment
 * that does not: to a place that nobody updates. In auto-translated domains we
 * can't see a guest's machine frames: a page each.
 */
static unsigned int xzc_most(const struct xzc_buf *buf, struct device *dev)
{
	if (!xen_pv_domain() && buf->kind == XZC_MAPPED)
		return 1;
	return dma_get_max_seg_size(dev) >> PAGE_SHIFT;
}

/**
 * xzc_elsewhere() - does the device see anything but the frames themselves?
 * @sgt: one of ours, mapped
 *
 * Return: true when an address is that of a copy, or was translated
 */
bool xzc_elsewhere(struct sg_table *sgt)
{
	struct scatterlist *sg;
	unsigned int i;

	if (sgt->nents != sgt->orig_nents)
		return true;
	for_each_sgtable_sg(sgt, sg, i)
		if (sg_dma_address(sg) != (dma_addr_t)xzc_pv_frame(sg_page(sg)) << PAGE_SHIFT)
			return true;
	return false;
}

/*
 * In a PV domain the device's address is the machine's. Any other one is that
 * of a bounce buffer, which would show what was there when it was mapped.
 */
static bool xzc_bounced(struct sg_table *sgt)
{
	return xen_pv_domain() && xzc_elsewhere(sgt);
}

static struct sg_table *xzc_map_dma_buf(struct dma_buf_attachment *attach,
					enum dma_data_direction dir)
{
	struct xzc_buf *buf = attach->dmabuf->priv;
	struct xzc_attachment *att = attach->priv;
	struct sg_table *sgt;
	int ret;

	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return ERR_PTR(-ENOMEM);
	ret = xzc_fill_table(buf, xzc_most(buf, attach->dev), sgt);
	if (ret)
		goto err_free;
	ret = dma_map_sgtable(attach->dev, sgt, dir, 0);
	if (ret)
		goto err_table;
	if (xzc_bounced(sgt)) {
		dev_dbg(attach->dev, "can't reach the pages of domain %u\n", buf->domid);
		ret = -EIO;
		goto err_unmap;
	}
	mutex_lock(&buf->lock);
	att->sgt = sgt;
	att->dir = dir;
	mutex_unlock(&buf->lock);
	return sgt;

err_unmap:
	dma_unmap_sgtable(attach->dev, sgt, dir, DMA_ATTR_SKIP_CPU_SYNC);
err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ERR_PTR(ret);
}

static void xzc_unmap_dma_buf(struct dma_buf_attachment *attach, struct sg_table *sgt,
			      enum dma_data_direction dir)
{
	struct xzc_buf *buf = attach->dmabuf->priv;
	struct xzc_attachment *att = attach->priv;

	mutex_lock(&buf->lock);
	if (att->sgt == sgt)
		att->sgt = NULL;
	mutex_unlock(&buf->lock);
	dma_unmap_sgtable(attach->dev, sgt, dir, 0);
	sg_free_table(sgt);
	kfree(sgt);
}

static int xzc_begin_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct xzc_buf *buf = dmabuf->priv;
	struct xzc_attachment *att;

	mutex_lock(&buf->lock);
	list_for_each_entry(att, &buf->attached, entry)
		if (att->sgt)
			dma_sync_sgtable_for_cpu(att->dev, att->sgt, att->dir);
	mutex_unlock(&buf->lock);
	return 0;
}

static int xzc_end_cpu_access(struct dma_buf *dmabuf, enum dma_data_direction dir)
{
	struct xzc_buf *buf = dmabuf->priv;
	struct xzc_attachment *att;

	mutex_lock(&buf->lock);
	list_for_each_entry(att, &buf->attached, entry)
		if (att->sgt)
			dma_sync_sgtable_for_device(att->dev, att->sgt, att->dir);
	mutex_unlock(&buf->lock);
	return 0;
}

/*
 * Only shared mappings: a private one would copy pages. A child of fork() has
 * none, and the pages can't be pinned through one (VM_IO).
 */
static int xzc_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct xzc_buf *buf = dmabuf->priv;

	if (!(vma->vm_flags & VM_MAYSHARE))
		return -EINVAL;
	/* Checked by the core for our own file, but not for every caller. */
	if (vma->vm_pgoff >= buf->count || vma_pages(vma) > buf->count - vma->vm_pgoff)
		return -EINVAL;
	if (buf->readonly) {
		if (vma->vm_flags & VM_WRITE)
			return -EACCES;
		vm_flags_clear(vma, VM_MAYWRITE);
	}
	vm_flags_set(vma, VM_IO | VM_DONTEXPAND | VM_DONTDUMP | VM_DONTCOPY);
	if (buf->kind == XZC_ALLOCATED)
		return xzc_alloc_mmap(buf, vma);
	if (xen_pv_domain())
		return xzc_pv_mmap(buf, vma);
	return vm_map_pages(vma, buf->pages, buf->count);
}

/* The core calls this once for all that map it at a time. */
static int xzc_vmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct xzc_buf *buf = dmabuf->priv;
	void *vaddr = page_address(buf->pages[0]);

	if (buf->kind == XZC_ALLOCATED)
		vaddr = xzc_alloc_vmap(buf);
	if (!vaddr)
		return -ENOMEM;
	iosys_map_set_vaddr(map, vaddr);
	return 0;
}

static void xzc_vunmap(struct dma_buf *dmabuf, struct iosys_map *map)
{
	struct xzc_buf *buf = dmabuf->priv;

	if (buf->kind == XZC_ALLOCATED)
		xzc_alloc_vunmap(buf, map->vaddr);
	iosys_map_clear(map);
}

/* The last reference is gone: no mapping, no attachment, no descriptor is left. */
static void xzc_release(struct dma_buf *dmabuf)
{
	struct xzc_buf *buf = dmabuf->priv;

	xzc_sync_end(buf);
	if (buf->kind == XZC_ALLOCATED)
		xzc_let_go(buf);
	else
		xzc_buf_unmap_later(buf);
}

static const struct dma_buf_ops xzc_dmabuf_ops = {
	.attach = xzc_attach,
	.detach = xzc_detach,
	.map_dma_buf = xzc_map_dma_buf,
	.unmap_dma_buf = xzc_unmap_dma_buf,
	.begin_cpu_access = xzc_begin_cpu_access,
	.end_cpu_access = xzc_end_cpu_access,
	.mmap = xzc_mmap,
	.vmap = xzc_vmap,
	.vunmap = xzc_vunmap,
	.release = xzc_release,
};

/**
 * xzc_dmabuf_export() - make the dma-buf for a buffer
 * @buf: mapped by xzc_map(), or allocated
 *
 * Return: the dma-buf, which owns @buf from now on: dma_buf_put() is the only
 *	   way to undo this; or an ERR_PTR(), and @buf is the caller's
 */
struct dma_buf *xzc_dmabuf_export(struct xzc_buf *buf)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);

	info.ops = &xzc_dmabuf_ops;
	info.size = (size_t)buf->count << PAGE_SHIFT;
	info.flags = buf->readonly ? O_RDONLY : O_RDWR;
	info.priv = buf;
	return dma_buf_export(&info);
}

/**
 * xzc_buf_of() - the buffer behind a dma-buf
 * @dmabuf: anybody's, held by the caller
 *
 * Return: the buffer, valid as long as @dmabuf is held; NULL when it isn't ours
 */
struct xzc_buf *xzc_buf_of(struct dma_buf *dmabuf)
{
	return dmabuf->ops == &xzc_dmabuf_ops ? dmabuf->priv : NULL;
}

XZC_IMPORT_DMA_BUF();
