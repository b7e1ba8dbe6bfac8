// SPDX-License-Identifier: GPL-2.0-only
/* Buffers: birth, name, the work that unmaps a guest's grants, and the end. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "xen-zcopy.h"
#include "compat.h"

/* So many buffers are unmapped at the same time. */
#define XZC_WORKERS 4

static struct workqueue_struct *xzc_workqueue;

static void xzc_buf_free_arrays(struct xzc_buf *buf)
{
	kvfree(buf->refs);
	kvfree(buf->pages);
	kvfree(buf->unmap);
	buf->refs = NULL;
	buf->pages = NULL;
	buf->unmap = NULL;
}

/**
 * xzc_buf_done() - a buffer is over
 * @buf: no page of it is mapped or granted, or never will be let go; given away
 * @status: 0, or the errno of the unmap
 *
 * Whoever can see @buf after the lock is dropped may free it: a reader takes
 * what is announced.
 */
void xzc_buf_done(struct xzc_buf *buf, int status)
{
	struct xzc_file *file = buf->file;
	bool record;

	xzc_buf_free_arrays(buf);
	spin_lock(&file->lock);
	record = buf->announce && !file->closed;
	buf->status = status;
	if (!status) {
		list_del_init(&buf->live);
		xzc_uncharge_pages(buf);
	} else {
		xzc_hide(buf);
	}
	if (record) {
		list_add_tail(&buf->released, &file->released);
	} else {
		list_del_init(&buf->live);
		file->bufs--;
	}
	spin_unlock(&file->lock);
	wake_up_all(&file->wait);
	if (!record)
		kfree(buf);
	xzc_file_put(file);
}

static void xzc_buf_work(struct work_struct *work)
{
	struct xzc_buf *buf = container_of(to_delayed_work(work), struct xzc_buf, work);
	int ret = xzc_unmap(buf);

	if (ret == -EAGAIN) {
		/* Somebody pinned a page: nothing tells us when it is let go. */
		buf->retries = min(buf->retries + 1, 50u);
		queue_delayed_work(xzc_workqueue, &buf->work, msecs_to_jiffies(buf->retries * 2));
		return;
	}
	xzc_buf_done(buf, ret);
	/* While the guest's pages are in use the module has to stay. */
	if (!ret)
		module_put(THIS_MODULE);
}

/**
 * xzc_buf_unmap_later() - unmap the grants of a buffer whose dma-buf is gone
 * @buf: the buffer, given away
 *
 * Returns at once. The caller's hold of the module ends with the dma-buf, so
 * the work gets its own; unloading waits for the work's last instruction.
 */
void xzc_buf_unmap_later(struct xzc_buf *buf)
{
	__module_get(THIS_MODULE);
	queue_delayed_work(xzc_workqueue, &buf->work, 0);
}

/**
 * xzc_buf_destroy() - undo xzc_buf_new()
 * @buf: no page of it is mapped or granted
 */
void xzc_buf_destroy(struct xzc_buf *buf)
{
	struct xzc_file *file = buf->file;

	spin_lock(&file->lock);
	xzc_uncharge_pages(buf);
	file->bufs--;
	spin_unlock(&file->lock);
	xzc_buf_free_arrays(buf);
	kfree(buf);
	xzc_file_put(file);
}

/**
 * xzc_buf_new() - a buffer that is accounted for, without any page
 * @file: who asks
 * @kind: what it is going to be made of
 * @domid: the other domain
 * @count: number of pages
 * @charged: number of pages that it will take
 *
 * Return: the buffer, or an ERR_PTR() with the errno of xzc_charge()
 */
struct xzc_buf *xzc_buf_new(struct xzc_file *file, enum xzc_kind kind, domid_t domid, u32 count,
			    u32 charged)
{
	struct xzc_buf *buf;
	int ret;

	buf = kzalloc_obj(*buf);
	if (!buf)
		return ERR_PTR(-ENOMEM);
	buf->file = file;
	buf->kind = kind;
	buf->domid = domid;
	buf->count = count;
	buf->charged = charged;
	INIT_LIST_HEAD(&buf->live);
	INIT_LIST_HEAD(&buf->released);
	INIT_LIST_HEAD(&buf->attached);
	mutex_init(&buf->lock);
	INIT_DELAYED_WORK(&buf->work, xzc_buf_work);
	ret = xzc_charge(buf);
	if (ret) {
		kfree(buf);
		return ERR_PTR(ret);
	}
	kref_get(&file->ref);
	return buf;
}

/**
 * xzc_buf_create() - account for a buffer and map its grants
 * @file: who asks
 * @op: what for; checked
 *
 * Return: the buffer, or an ERR_PTR() and nothing has changed
 */
struct xzc_buf *xzc_buf_create(struct xzc_file *file,
			       const struct xen_zcopy_exp_from_refs *op)
{
	struct xzc_buf *buf;
	int ret;

	buf = xzc_buf_new(file, XZC_MAPPED, op->domid, op->count, op->count);
	if (IS_ERR(buf))
		return buf;
	buf->readonly = op->flags & XEN_ZCOPY_EXP_RDONLY;
	buf->refs = vmemdup_user(u64_to_user_ptr(op->refs),
				 array_size(op->count, sizeof(*buf->refs)));
	if (IS_ERR(buf->refs)) {
		ret = PTR_ERR(buf->refs);
		buf->refs = NULL;
		goto err;
	}
	ret = xzc_map(buf);
	if (ret)
		goto err;
	return buf;

err:
	xzc_buf_destroy(buf);
	return ERR_PTR(ret);
}

/**
 * xzc_buf_publish() - give the buffer its name; from now on the file knows it
 * @buf: exported
 * @handle: the name
 *
 * Return: 0, or -EMFILE when the file has no name left
 */
int xzc_buf_publish(struct xzc_buf *buf, u64 *handle)
{
	struct xzc_file *file = buf->file;
	int ret = 0;

	spin_lock(&file->lock);
	if (file->last_seq == U32_MAX) {
		ret = -EMFILE;
	} else {
		*handle = (u64)file->id << 32 | ++file->last_seq;
		WRITE_ONCE(buf->handle, *handle);
		buf->announce = true;
		list_add(&buf->live, &file->live);
	}
	spin_unlock(&file->lock);
	return ret;
}

/**
 * xzc_buf_unpublish() - user space never learned the name: say nothing about it
 * @buf: published
 */
void xzc_buf_unpublish(struct xzc_buf *buf)
{
	spin_lock(&buf->file->lock);
	buf->announce = false;
	spin_unlock(&buf->file->lock);
}

/**
 * xzc_buf_init() - make the workers ready
 *
 * Return: 0 or -ENOMEM
 */
int xzc_buf_init(void)
{
	/*
	 * A guest waits for the end of each work. A few at a time, so that many
	 * don't end together, late.
	 */
	xzc_workqueue = alloc_workqueue(KBUILD_MODNAME,
					WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, XZC_WORKERS);
	return xzc_workqueue ? 0 : -ENOMEM;
}

/**
 * xzc_buf_exit() - wait for work that let go of the module but hasn't returned
 */
void xzc_buf_exit(void)
{
	destroy_workqueue(xzc_workqueue);
}
