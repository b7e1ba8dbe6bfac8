// SPDX-License-Identifier: GPL-2.0-only
/*
 * Granting pages of ours, and taking them back.
 *
 * A page can't be taken from a guest that maps it, so it stays what it is, and
 * accounted for, until the guest has unmapped it or Xen has done so for a dead
 * one. A worker asks, less and less often: nothing tells. The page is given
 * back only after its grant has ended.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

/* So many grants are made or ended between two chances to schedule. */
#define XZC_GRANT_BATCH 512u

/* The first and the longest pause between two attempts to end grants. */
#define XZC_FIRST_PAUSE_MS 2u
#define XZC_MOST_DOUBLINGS 8u

/* So many buffers are ended at the same time: an exporter may take long to let go. */
#define XZC_WORKERS 4

/* Not the one that unmaps: a guest that never lets go shall not keep others waiting. */
static struct workqueue_struct *xzc_grant_workqueue;

/* Ends what the guest doesn't map; what it does moves to the front of refs. */
static void xzc_end_grants(struct xzc_buf *buf)
{
	u32 i, kept = 0;

	for (i = 0; i < buf->granted; i++) {
		if (!gnttab_try_end_foreign_access(buf->refs[i]))
			buf->refs[kept++] = buf->refs[i];
		if (i % XZC_GRANT_BATCH == XZC_GRANT_BATCH - 1)
			cond_resched();
	}
	buf->granted = kept;
	xzc_set_waiting(buf, kept);
}

static void xzc_grant_free(struct xzc_buf *buf)
{
	if (buf->kind == XZC_ALLOCATED)
		xzc_alloc_free(buf);
	else
		xzc_import_free(buf);
}

/*
 * Both that start it set what it looks at before they queue it, under the
 * file's lock. So when all has been set nobody queues it again; but it may be
 * queued once more already.
 */
static void xzc_grant_work(struct work_struct *work)
{
	struct xzc_buf *buf = container_of(to_delayed_work(work), struct xzc_buf, work);
	bool ending, over;

	spin_lock(&buf->file->lock);
	ending = buf->ending;
	spin_unlock(&buf->file->lock);
	if (!ending)
		return;
	xzc_end_grants(buf);
	if (buf->granted) {
		unsigned int pause = XZC_FIRST_PAUSE_MS << buf->retries;

		buf->retries = min(buf->retries + 1, XZC_MOST_DOUBLINGS);
		queue_delayed_work(xzc_grant_workqueue, &buf->work, msecs_to_jiffies(pause));
		return;
	}
	spin_lock(&buf->file->lock);
	over = buf->gone;
	spin_unlock(&buf->file->lock);
	if (!over)
		return;
	cancel_delayed_work(&buf->work);
	xzc_grant_free(buf);
	xzc_buf_done(buf, 0);
	module_put(THIS_MODULE);
}

static void xzc_grant_queue(struct xzc_buf *buf)
{
	lockdep_assert_held(&buf->file->lock);
	mod_delayed_work(xzc_grant_workqueue, &buf->work, 0);
}

/**
 * xzc_end_access() - end the grants as soon as the guest has unmapped
 * @buf: of our pages, its file locked
 *
 * Returns at once; the buffer may be over any time after the lock is dropped.
 */
void xzc_end_access(struct xzc_buf *buf)
{
	lockdep_assert_held(&buf->file->lock);
	if (buf->ending)
		return;
	WRITE_ONCE(buf->ending, true);
	xzc_grant_queue(buf);
}

/**
 * xzc_let_go() - neither a dma-buf of ours nor the ioctl that made it needs the buffer
 * @buf: of our pages; given away
 */
void xzc_let_go(struct xzc_buf *buf)
{
	struct xzc_file *file = buf->file;

	/* The work may end the buffer, and its hold of the file, at once. */
	kref_get(&file->ref);
	spin_lock(&file->lock);
	buf->gone = true;
	xzc_grant_queue(buf);
	spin_unlock(&file->lock);
	xzc_file_put(file);
}

/**
 * xzc_abandon() - end a buffer that nobody was told about
 * @buf: of our pages, without a dma-buf of ours; some may be granted; given away
 */
void xzc_abandon(struct xzc_buf *buf)
{
	struct xzc_file *file = buf->file;

	spin_lock(&file->lock);
	buf->gone = true;
	xzc_end_access(buf);
	spin_unlock(&file->lock);
}

/**
 * xzc_grant_own() - from now on the buffer ends by the work of this file
 * @buf: of our pages, which it has
 *
 * The module stays as long as it does: also when its file is closed.
 */
void xzc_grant_own(struct xzc_buf *buf)
{
	INIT_DELAYED_WORK(&buf->work, xzc_grant_work);
	__module_get(THIS_MODULE);
}

/**
 * xzc_grant_pages() - grant all pages and tell the references
 * @buf: of our pages
 * @refs: where to write them
 *
 * Return: 0; -ENOMEM; -ENOSPC when Xen's table of grants is full; -EFAULT. Some
 *	   pages may be granted in any case: only xzc_abandon() is left then.
 */
int xzc_grant_pages(struct xzc_buf *buf, u32 __user *refs)
{
	u32 i;

	buf->refs = kvcalloc(buf->count, sizeof(*buf->refs), GFP_KERNEL);
	if (!buf->refs)
		return -ENOMEM;
	for (i = 0; i < buf->count; i++) {
		int ref = gnttab_grant_foreign_access(buf->domid, xen_page_to_gfn(buf->pages[i]),
						      buf->readonly);

		if (ref < 0)
			return ref;
		buf->refs[i] = ref;
		buf->granted = i + 1;
		if (i % XZC_GRANT_BATCH == XZC_GRANT_BATCH - 1)
			cond_resched();
	}
	if (copy_to_user(refs, buf->refs, array_size(buf->count, sizeof(*refs))))
		return -EFAULT;
	return 0;
}

/**
 * xzc_grant_init() - make the worker ready
 *
 * Return: 0 or -ENOMEM
 */
int xzc_grant_init(void)
{
	xzc_grant_workqueue = alloc_workqueue(KBUILD_MODNAME "-grants", WQ_UNBOUND,
					      XZC_WORKERS);
	return xzc_grant_workqueue ? 0 : -ENOMEM;
}

/**
 * xzc_grant_exit() - wait for work that let go of the module but hasn't returned
 */
void xzc_grant_exit(void)
{
	destroy_workqueue(xzc_grant_workqueue);
}
