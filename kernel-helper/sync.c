// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making what was drawn visible to a display that doesn't look into the caches.
 *
 * A guest draws through its caches, and its driver knows nothing of our
 * devices. Where a device isn't coherent the lines have to be written back
 * before it reads, for each picture anew. By its DMA address swiotlb-xen would
 * do so with a hypercall for each page, for which Xen looks through the guest's
 * table of grants, and with the wrong page where a machine frame has the number
 * of one of ours. But each page has an address of ours, whoever it belongs to,
 * and lines that are written back by that reach memory as well: so the buffer is
 * mapped once more, for our own device, which isn't coherent either and has no
 * swiotlb-xen, and that mapping is synced. Runs of pages are one segment.
 *
 * It is always the whole buffer, once, however many devices show it.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/dma-map-ops.h>
#include <linux/dma-mapping.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "xen-zcopy.h"
#include "compat.h"

/* What was done since the module was loaded; times in nanoseconds. */
static struct {
	u64 calls;
	u64 coherent;
	u64 batches;
	u64 pages;
	u64 time;
	u64 longest;
} xzc_sync_stats;
/* Protects it, innermost. */
static DEFINE_SPINLOCK(xzc_sync_lock);

static bool xzc_coherent(struct device *dev)
{
	return !xzc_assume_noncoherent && dev_is_dma_coherent(dev);
}

/* Does a device that doesn't look into the caches have the buffer mapped? */
static bool xzc_shown_uncached(struct xzc_buf *buf)
{
	struct xzc_attachment *att;

	lockdep_assert_held(&buf->lock);
	list_for_each_entry(att, &buf->attached, entry)
		if (att->sgt && !xzc_coherent(att->dev))
			return true;
	return false;
}

/* Maps the buffer for our own device; it stays so until the dma-buf's end. */
static int xzc_sync_prepare(struct xzc_buf *buf)
{
	struct device *dev = xzc_device();
	struct sg_table *sgt;
	int ret;

	/* A coherent device's sync does nothing. */
	if (xzc_coherent(dev))
		return -EOPNOTSUPP;
	sgt = kzalloc_obj(*sgt);
	if (!sgt)
		return -ENOMEM;
	ret = xzc_fill_table(buf, dma_get_max_seg_size(dev) >> PAGE_SHIFT, sgt);
	if (ret)
		goto err_free;
	ret = dma_map_sgtable(dev, sgt, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
	if (ret)
		goto err_table;
	if (xzc_elsewhere(sgt)) {
		ret = -EIO;
		goto err_unmap;
	}
	buf->own = sgt;
	return 0;

err_unmap:
	dma_unmap_sgtable(dev, sgt, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
err_table:
	sg_free_table(sgt);
err_free:
	kfree(sgt);
	return ret;
}

static void xzc_sync_count(u32 pages, u64 time)
{
	spin_lock(&xzc_sync_lock);
	xzc_sync_stats.calls++;
	if (pages) {
		xzc_sync_stats.batches++;
		xzc_sync_stats.pages += pages;
		xzc_sync_stats.time += time;
		xzc_sync_stats.longest = max(xzc_sync_stats.longest, time);
	} else {
		xzc_sync_stats.coherent++;
	}
	spin_unlock(&xzc_sync_lock);
}

/**
 * xzc_sync() - write back what the caches have of a buffer, if a device needs that
 * @buf: with a dma-buf, which the caller holds
 * @pages: how many pages were written back; 0 when all devices that have the
 *	   buffer mapped look into the caches, or none has
 *
 * Return: 0; -ENOMEM; -EOPNOTSUPP or -EIO when the kernel can't do it for our
 *	   own device
 */
int xzc_sync(struct xzc_buf *buf, u32 *pages)
{
	u64 begin = ktime_get_ns();
	int ret = 0;

	*pages = 0;
	mutex_lock(&buf->lock);
	if (xzc_shown_uncached(buf)) {
		if (!buf->own)
			ret = xzc_sync_prepare(buf);
		if (!ret) {
			dma_sync_sgtable_for_device(xzc_device(), buf->own, DMA_TO_DEVICE);
			*pages = buf->count;
		}
	}
	mutex_unlock(&buf->lock);
	if (!ret)
		xzc_sync_count(*pages, ktime_get_ns() - begin);
	return ret;
}

/**
 * xzc_sync_end() - the buffer won't be synced any more
 * @buf: whose dma-buf is gone; its pages are still there
 */
void xzc_sync_end(struct xzc_buf *buf)
{
	if (!buf->own)
		return;
	dma_unmap_sgtable(xzc_device(), buf->own, DMA_TO_DEVICE, DMA_ATTR_SKIP_CPU_SYNC);
	sg_free_table(buf->own);
	kfree(buf->own);
	buf->own = NULL;
}

/**
 * xzc_sync_show() - the figures, for debugfs
 * @seq: where to write them
 */
void xzc_sync_show(struct seq_file *seq)
{
	spin_lock(&xzc_sync_lock);
	seq_printf(seq, "calls %llu\ncoherent %llu\nbatches %llu\npages %llu\n",
		   xzc_sync_stats.calls, xzc_sync_stats.coherent, xzc_sync_stats.batches,
		   xzc_sync_stats.pages);
	seq_printf(seq, "time_us %llu\nlongest_us %llu\n", div_u64(xzc_sync_stats.time, 1000),
		   div_u64(xzc_sync_stats.longest, 1000));
	spin_unlock(&xzc_sync_lock);
}
