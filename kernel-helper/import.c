// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of somebody else's dma-buf, to be granted.
 *
 * A guest that draws into a page must draw into what devices read. So each page
 * is looked at from both sides, where the CPU sees it (the exporter's vmap) and
 * where a device does (its DMA mapping); they have to be the same machine frame,
 * one of our own memory. Our own attachment stands for any device that reaches
 * all memory: what is bounced for that one is bounced for others too.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

/**
 * struct xzc_look - a dma-buf while its pages are looked at
 * @buf: the buffer that is to have them
 * @bad_page: the first page that was refused
 * @reason: why
 * @frames: where devices see each page
 * @map: the exporter's vmap; nothing when it has none
 */
struct xzc_look {
	struct xzc_buf *buf;
	u32 bad_page;
	enum xen_zcopy_refused reason;
	u64 *frames;
	struct iosys_map map;
};

static int xzc_refuse(struct xzc_look *look, u32 page, enum xen_zcopy_refused reason)
{
	look->bad_page = page;
	look->reason = reason;
	return -EOPNOTSUPP;
}

/* Fills in where devices see each page. */
static int xzc_device_side(struct xzc_look *look, struct sg_table *sgt)
{
	struct xzc_buf *buf = look->buf;
	struct scatterlist *sg;
	unsigned int i;
	u32 page = 0;

	for_each_sgtable_dma_sg(sgt, sg, i) {
		dma_addr_t addr = sg_dma_address(sg);
		u64 left = sg_dma_len(sg);

		if (page == buf->count)
			break;
		/* The last segment may end within a page that is not wanted. */
		if (addr & ~PAGE_MASK ||
		    (left & ~PAGE_MASK && left >> PAGE_SHIFT < buf->count - page))
			return xzc_refuse(look, page, XEN_ZCOPY_REFUSED_NOT_PAGE_ALIGNED);
		for (; left >= PAGE_SIZE && page < buf->count; left -= PAGE_SIZE) {
			look->frames[page++] = addr >> PAGE_SHIFT;
			addr += PAGE_SIZE;
		}
	}
	return page == buf->count ? 0 : xzc_refuse(look, page, XEN_ZCOPY_REFUSED_SIZE);
}

static int xzc_page_of(struct xzc_look *look, u32 i, struct page **page)
{
	unsigned long addr = (unsigned long)look->map.vaddr + ((unsigned long)i << PAGE_SHIFT);

	if (addr & ~PAGE_MASK)
		return xzc_refuse(look, i, XEN_ZCOPY_REFUSED_NOT_PAGE_ALIGNED);
	if (is_vmalloc_addr((void *)addr))
		*page = vmalloc_to_page((void *)addr);
	else if (virt_addr_valid((void *)addr))
		*page = virt_to_page((void *)addr);
	else
		*page = NULL;
	return *page ? 0 : xzc_refuse(look, i, XEN_ZCOPY_REFUSED_UNKNOWN);
}

/* Fills in where the CPU sees each page, by the exporter's mapping. */
static int xzc_cpu_side(struct xzc_look *look)
{
	u32 i;
	int ret = 0;

	if (look->map.is_iomem)
		return xzc_refuse(look, 0, XEN_ZCOPY_REFUSED_NOT_RAM);
	for (i = 0; i < look->buf->count && !ret; i++)
		ret = xzc_page_of(look, i, &look->buf->pages[i]);
	return ret;
}

/*
 * The same by the exporter's table, when it can't be mapped. The kernel's debug
 * option hides the pages in there from importers.
 */
static int xzc_table_side(struct xzc_look *look, struct sg_table *sgt)
{
	struct sg_page_iter iter;
	u32 i = 0;

	if (IS_ENABLED(CONFIG_DMABUF_DEBUG))
		return xzc_refuse(look, 0, XEN_ZCOPY_REFUSED_UNKNOWN);
	for_each_sgtable_page(sgt, &iter, 0) {
		if (i == look->buf->count)
			return 0;
		look->buf->pages[i] = sg_page_iter_page(&iter);
		if (!look->buf->pages[i])
			break;
		i++;
	}
	return i == look->buf->count ? 0 : xzc_refuse(look, i, XEN_ZCOPY_REFUSED_UNKNOWN);
}

/* May this page be given to a guest at all? */
static enum xen_zcopy_refused xzc_page_refused(struct page *page)
{
	enum xen_zcopy_refused reason;

	if (!pfn_valid(page_to_pfn(page)))
		return XEN_ZCOPY_REFUSED_NOT_RAM;
	reason = xzc_pv_refused(page);
	if (reason)
		return reason;
	/* A domain that is not PV maps grants into pages of this kind. */
	if (is_zone_device_page(page) && !PageCompound(page) && PageForeign(page))
		return XEN_ZCOPY_REFUSED_FOREIGN;
	if (is_zone_device_page(page) || PageReserved(page) || PageOffline(page))
		return XEN_ZCOPY_REFUSED_NOT_RAM;
	return XEN_ZCOPY_REFUSED_NONE;
}

/* The frame under the page is known to be right; is the one a device sees, too? */
static int xzc_compare(struct xzc_look *look)
{
	struct page **pages = look->buf->pages;
	u32 i;

	for (i = 0; i < look->buf->count; i++) {
		enum xen_zcopy_refused reason = xzc_page_refused(pages[i]);

		if (reason)
			return xzc_refuse(look, i, reason);
		if (look->frames[i] != xzc_pv_frame(pages[i]))
			return xzc_refuse(look, i, XEN_ZCOPY_REFUSED_BOUNCED);
	}
	return 0;
}

/*
 * A segment that isn't consecutive in the machine is bounced whole, or can't be
 * mapped at all: tells the page where the first one breaks, if that was it.
 */
static int xzc_find_merged(struct xzc_look *look, int ret)
{
	struct page **pages = look->buf->pages;
	u32 i;

	for (i = 0; i < look->buf->count; i++) {
		if (xzc_page_refused(pages[i]))
			return ret;
		if (i && page_to_pfn(pages[i]) == page_to_pfn(pages[i - 1]) + 1 &&
		    xzc_pv_frame(pages[i]) != xzc_pv_frame(pages[i - 1]) + 1)
			return xzc_refuse(look, i, XEN_ZCOPY_REFUSED_MERGED);
	}
	return ret;
}

/* Maps for our device and finds out the pages; all that it takes stays in buf. */
static int xzc_look_at(struct xzc_look *look)
{
	struct xzc_buf *buf = look->buf;
	bool mapped = !iosys_map_is_null(&look->map);
	struct sg_table *sgt;
	int ret, merged;

	ret = mapped ? xzc_cpu_side(look) : 0;
	if (ret)
		return ret;
	sgt = dma_buf_map_attachment_unlocked(buf->attach, DMA_BIDIRECTIONAL);
	if (IS_ERR(sgt)) {
		ret = PTR_ERR(sgt);
		return mapped && ret != -EINTR ? xzc_find_merged(look, ret) : ret;
	}
	buf->sgt = sgt;
	ret = xzc_device_side(look, sgt);
	if (!ret && !mapped)
		ret = xzc_table_side(look, sgt);
	if (!ret)
		ret = xzc_compare(look);
	if (ret != -EOPNOTSUPP || look->reason != XEN_ZCOPY_REFUSED_BOUNCED)
		return ret;
	/* Consecutive for the device, yet not the pages' frames: copied as one. */
	merged = look->bad_page + 1 < buf->count &&
		 look->frames[look->bad_page + 1] == look->frames[look->bad_page] + 1;
	return merged ? xzc_find_merged(look, ret) : ret;
}

static int xzc_check_dmabuf(struct xzc_look *look)
{
	struct xzc_buf *buf = look->buf;

	/* Who may not write may not let a guest write. */
	if (!buf->readonly && !(buf->dmabuf->file->f_mode & FMODE_WRITE))
		return -EACCES;
	if (buf->dmabuf->size >> PAGE_SHIFT < buf->count)
		return xzc_refuse(look, buf->dmabuf->size >> PAGE_SHIFT, XEN_ZCOPY_REFUSED_SIZE);
	return 0;
}

static int xzc_import(struct xzc_look *look)
{
	struct xzc_buf *buf = look->buf;
	struct dma_buf_attachment *attach;
	int ret;

	ret = xzc_check_dmabuf(look);
	if (ret)
		return ret;
	buf->pages = kvcalloc(buf->count, sizeof(*buf->pages), GFP_KERNEL);
	look->frames = kvcalloc(buf->count, sizeof(*look->frames), GFP_KERNEL);
	if (!buf->pages || !look->frames)
		return -ENOMEM;
	attach = dma_buf_attach(buf->dmabuf, xzc_device());
	if (IS_ERR(attach))
		return PTR_ERR(attach);
	buf->attach = attach;
	if (dma_buf_vmap_unlocked(buf->dmabuf, &look->map))
		iosys_map_clear(&look->map);
	ret = xzc_look_at(look);
	/* The attachment's mapping keeps the pages where they are. */
	if (!iosys_map_is_null(&look->map))
		dma_buf_vunmap_unlocked(buf->dmabuf, &look->map);
	return ret;
}

/**
 * xzc_import_free() - let the dma-buf go
 * @buf: made by xzc_import_create(), at least in part; nothing of it is granted
 */
void xzc_import_free(struct xzc_buf *buf)
{
	if (buf->sgt)
		dma_buf_unmap_attachment_unlocked(buf->attach, buf->sgt, DMA_BIDIRECTIONAL);
	if (buf->attach)
		dma_buf_detach(buf->dmabuf, buf->attach);
	dma_buf_put(buf->dmabuf);
}

/**
 * xzc_import_create() - account for a buffer and take a dma-buf's pages for it
 * @file: who asks
 * @op: what for; checked. bad_page and reason are set with -EOPNOTSUPP
 *
 * Return: the buffer, or an ERR_PTR() and nothing has changed
 */
struct xzc_buf *xzc_import_create(struct xzc_file *file, struct xen_zcopy_imp_to_refs *op)
{
	struct xzc_look look = {};
	struct dma_buf *dmabuf;
	struct xzc_buf *buf;
	int ret;

	dmabuf = dma_buf_get(op->fd);
	if (IS_ERR(dmabuf))
		return ERR_CAST(dmabuf);
	buf = xzc_buf_new(file, XZC_IMPORTED, op->domid, op->count, op->count);
	if (IS_ERR(buf)) {
		dma_buf_put(dmabuf);
		return buf;
	}
	buf->dmabuf = dmabuf;
	buf->readonly = op->flags & XEN_ZCOPY_IMP_RDONLY;
	look.buf = buf;
	ret = xzc_import(&look);
	kvfree(look.frames);
	if (!ret) {
		xzc_grant_own(buf);
		return buf;
	}
	op->bad_page = look.bad_page;
	op->reason = look.reason;
	xzc_import_free(buf);
	xzc_buf_destroy(buf);
	return ERR_PTR(ret);
}
