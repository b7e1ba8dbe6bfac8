// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xen/zcopy: files, ioctls, limits, and the end of a buffer.
 *
 * A handle is the file's number and a number within the file, so that "was
 * freed" and "was never given" differ without memory of the past.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

unsigned int xzc_arena_pages = 32768;
module_param_named(arena_pages, xzc_arena_pages, uint, 0444);
MODULE_PARM_DESC(arena_pages,
		 "Pages of address space taken at load, and when more are needed (default 32768 = 128 MiB)");

unsigned int xzc_max_pages = 131072;
module_param_named(max_pages, xzc_max_pages, uint, 0444);
MODULE_PARM_DESC(max_pages, "Most pages mapped at a time, all files together (default 131072)");

static unsigned int xzc_max_pages_per_file = 131072;
module_param_named(max_pages_per_file, xzc_max_pages_per_file, uint, 0444);
MODULE_PARM_DESC(max_pages_per_file, "Most pages mapped at a time by one file (default 131072)");

static unsigned int xzc_max_pages_per_buffer = 32768;
module_param_named(max_pages_per_buffer, xzc_max_pages_per_buffer, uint, 0444);
MODULE_PARM_DESC(max_pages_per_buffer, "Most pages of one buffer (default 32768)");

static unsigned int xzc_max_buffers_per_file = 4096;
module_param_named(max_buffers_per_file, xzc_max_buffers_per_file, uint, 0444);
MODULE_PARM_DESC(max_buffers_per_file,
		 "Most buffers of one file, with those freed but not yet read() (default 4096)");

unsigned int xzc_max_mmap_pages = 131072;
module_param_named(max_mmap_pages, xzc_max_mmap_pages, uint, 0444);
MODULE_PARM_DESC(max_mmap_pages,
		 "PV only: most pages in user mappings at a time, all together (default 131072)");

/* So many buffers are unmapped at the same time. */
#define XZC_WORKERS 4

static struct workqueue_struct *xzc_workqueue;
static atomic64_t xzc_last_file_id = ATOMIC64_INIT(0);

/* Protects the two below, innermost. */
static DEFINE_SPINLOCK(xzc_total_lock);
static unsigned int xzc_total_pages;
static unsigned int xzc_total_bufs;

/* ---- files ---------------------------------------------------------------- */

static void xzc_file_free(struct kref *ref)
{
	kfree(container_of(ref, struct xzc_file, ref));
}

static int xzc_open(struct inode *inode, struct file *filp)
{
	struct xzc_file *file;
	u64 id = atomic64_inc_return(&xzc_last_file_id);

	/* Handles are never given twice. */
	if (id > U32_MAX)
		return -ENFILE;
	file = kzalloc(sizeof(*file), GFP_KERNEL);
	if (!file)
		return -ENOMEM;
	kref_init(&file->ref);
	spin_lock_init(&file->lock);
	init_waitqueue_head(&file->wait);
	INIT_LIST_HEAD(&file->live);
	INIT_LIST_HEAD(&file->released);
	file->id = id;
	filp->private_data = file;
	return stream_open(inode, filp);
}

/*
 * Buffers that live on end without us; what is done and was kept for read()
 * or WAIT_FREE goes now.
 */
static int xzc_close(struct inode *inode, struct file *filp)
{
	struct xzc_file *file = filp->private_data;
	struct xzc_buf *buf, *next;

	spin_lock(&file->lock);
	file->closed = true;
	list_for_each_entry_safe(buf, next, &file->released, released) {
		list_del_init(&buf->released);
		if (!buf->status)
			kfree(buf);
	}
	list_for_each_entry_safe(buf, next, &file->live, live) {
		if (buf->status) {
			list_del(&buf->live);
			kfree(buf);
		}
	}
	spin_unlock(&file->lock);
	kref_put(&file->ref, xzc_file_free);
	return 0;
}

/* ---- accounts ------------------------------------------------------------- */

static int xzc_charge_total(u32 count)
{
	int ret = -ENOSPC;

	lockdep_assert_held(&xzc_total_lock);
	if (count <= xzc_max_pages && xzc_total_pages <= xzc_max_pages - count) {
		xzc_total_pages += count;
		xzc_total_bufs++;
		ret = 0;
	}
	return ret;
}

static int xzc_charge(struct xzc_file *file, u32 count)
{
	u32 max = xzc_max_pages_per_file;
	int ret;

	spin_lock(&file->lock);
	if (file->bufs >= xzc_max_buffers_per_file) {
		ret = -EMFILE;
	} else if (count > max || file->pages > max - count) {
		ret = -ENOSPC;
	} else {
		spin_lock(&xzc_total_lock);
		ret = xzc_charge_total(count);
		spin_unlock(&xzc_total_lock);
	}
	if (!ret) {
		file->pages += count;
		file->bufs++;
	}
	spin_unlock(&file->lock);
	return ret;
}

/* file->bufs goes down only when no record is left: see xzc_read(). */
static void xzc_uncharge_pages(struct xzc_file *file, u32 count)
{
	lockdep_assert_held(&file->lock);
	file->pages -= count;
	spin_lock(&xzc_total_lock);
	xzc_total_pages -= count;
	xzc_total_bufs--;
	spin_unlock(&xzc_total_lock);
}

/* ---- buffers -------------------------------------------------------------- */

static void xzc_buf_free_arrays(struct xzc_buf *buf)
{
	kvfree(buf->refs);
	kvfree(buf->pages);
	kvfree(buf->unmap);
	buf->refs = NULL;
	buf->pages = NULL;
	buf->unmap = NULL;
}

/*
 * The grants are unmapped, or never will be. Whoever can see buf after the
 * lock is dropped may free it: a reader takes what is announced.
 */
static void xzc_buf_done(struct xzc_buf *buf, int status)
{
	struct xzc_file *file = buf->file;
	bool record;

	xzc_buf_free_arrays(buf);
	spin_lock(&file->lock);
	record = buf->announce && !file->closed;
	buf->status = status;
	if (!status) {
		list_del_init(&buf->live);
		xzc_uncharge_pages(file, buf->count);
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
	kref_put(&file->ref, xzc_file_free);
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

/* Undoes xzc_buf_create(); the grants are not mapped. */
static void xzc_buf_destroy(struct xzc_buf *buf)
{
	struct xzc_file *file = buf->file;

	spin_lock(&file->lock);
	xzc_uncharge_pages(file, buf->count);
	file->bufs--;
	spin_unlock(&file->lock);
	xzc_buf_free_arrays(buf);
	kfree(buf);
	kref_put(&file->ref, xzc_file_free);
}

static struct xzc_buf *xzc_buf_create(struct xzc_file *file,
				      const struct xen_zcopy_exp_from_refs *op)
{
	struct xzc_buf *buf;
	int ret;

	ret = xzc_charge(file, op->count);
	if (ret)
		return ERR_PTR(ret);
	buf = kzalloc(sizeof(*buf), GFP_KERNEL);
	if (!buf) {
		spin_lock(&file->lock);
		xzc_uncharge_pages(file, op->count);
		file->bufs--;
		spin_unlock(&file->lock);
		return ERR_PTR(-ENOMEM);
	}
	kref_get(&file->ref);
	buf->file = file;
	buf->domid = op->domid;
	buf->readonly = op->flags & XEN_ZCOPY_EXP_RDONLY;
	buf->count = op->count;
	INIT_LIST_HEAD(&buf->live);
	INIT_LIST_HEAD(&buf->released);
	INIT_LIST_HEAD(&buf->attached);
	mutex_init(&buf->lock);
	INIT_DELAYED_WORK(&buf->work, xzc_buf_work);

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

/* Gives the buffer its name. From now on the file knows it. */
static int xzc_buf_publish(struct xzc_buf *buf, u64 *handle)
{
	struct xzc_file *file = buf->file;
	int ret = 0;

	spin_lock(&file->lock);
	if (file->last_seq == U32_MAX) {
		ret = -EMFILE;
	} else {
		*handle = (u64)file->id << 32 | ++file->last_seq;
		buf->handle = *handle;
		buf->announce = true;
		list_add(&buf->live, &file->live);
	}
	spin_unlock(&file->lock);
	return ret;
}

/* User space never learned the name: nothing will be said about it. */
static void xzc_buf_unpublish(struct xzc_buf *buf)
{
	spin_lock(&buf->file->lock);
	buf->announce = false;
	spin_unlock(&buf->file->lock);
}

/* ---- ioctls --------------------------------------------------------------- */

static long xzc_ioctl_get_info(struct xen_zcopy_info __user *arg)
{
	struct xen_zcopy_info info = {
		.version = XEN_ZCOPY_VERSION,
		.flags = xen_pv_domain() ? XEN_ZCOPY_INFO_PV : 0,
		.max_pages_per_buffer = xzc_max_pages_per_buffer,
		.max_pages_per_file = xzc_max_pages_per_file,
	};

	spin_lock(&xzc_total_lock);
	info.pages_in_use = xzc_total_pages;
	info.buffers_in_use = xzc_total_bufs;
	spin_unlock(&xzc_total_lock);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* Publishes, then tells user space; the descriptor exists when all is said. */
static long xzc_hand_out(struct xzc_buf *buf, struct dma_buf *dmabuf, int fd,
			 struct xen_zcopy_exp_from_refs *op,
			 struct xen_zcopy_exp_from_refs __user *arg)
{
	int ret;

	op->fd = fd;
	ret = xzc_buf_publish(buf, &op->handle);
	if (ret)
		return ret;
	if (copy_to_user(arg, op, sizeof(*op))) {
		xzc_buf_unpublish(buf);
		return -EFAULT;
	}
	fd_install(fd, dmabuf->file);
	return 0;
}

static long xzc_ioctl_exp_from_refs(struct xzc_file *file,
				    struct xen_zcopy_exp_from_refs __user *arg)
{
	struct xen_zcopy_exp_from_refs op;
	struct dma_buf *dmabuf;
	struct xzc_buf *buf;
	long ret;
	int fd;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.flags & ~XEN_ZCOPY_EXP_RDONLY || op.reserved || !op.count ||
	    op.domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	if (op.count > xzc_max_pages_per_buffer)
		return -ENOSPC;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	buf = xzc_buf_create(file, &op);
	if (IS_ERR(buf)) {
		ret = PTR_ERR(buf);
		goto err_fd;
	}
	dmabuf = xzc_dmabuf_export(buf);
	if (IS_ERR(dmabuf)) {
		ret = PTR_ERR(dmabuf);
		/* As if it had been released: the mapping ends in one place only. */
		xzc_buf_unmap_later(buf);
		goto err_fd;
	}
	ret = xzc_hand_out(buf, dmabuf, fd, &op, arg);
	if (ret) {
		dma_buf_put(dmabuf);
		goto err_fd;
	}
	return 0;

err_fd:
	put_unused_fd(fd);
	return ret;
}

/* Is it over with this handle, and how did it end? */
static bool xzc_handle_done(struct xzc_file *file, u64 handle, int *status)
{
	struct xzc_buf *buf;
	bool done = true;

	*status = 0;
	spin_lock(&file->lock);
	list_for_each_entry(buf, &file->live, live) {
		if (buf->handle == handle) {
			*status = buf->status;
			done = buf->status;
			break;
		}
	}
	spin_unlock(&file->lock);
	return done;
}

static bool xzc_handle_given(struct xzc_file *file, u64 handle)
{
	u32 seq = lower_32_bits(handle);
	bool given;

	spin_lock(&file->lock);
	given = upper_32_bits(handle) == file->id && seq && seq <= file->last_seq;
	spin_unlock(&file->lock);
	return given;
}

static long xzc_ioctl_wait_free(struct xzc_file *file, struct xen_zcopy_wait_free __user *arg)
{
	struct xen_zcopy_wait_free op;
	int status;
	long left;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.reserved)
		return -EINVAL;
	if (!xzc_handle_given(file, op.handle))
		return -ENOENT;
	left = wait_event_interruptible_timeout(file->wait,
						xzc_handle_done(file, op.handle, &status),
						msecs_to_jiffies(op.timeout_ms));
	if (left < 0)
		return -EINTR;
	return left ? status : -ETIMEDOUT;
}

static long xzc_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct xzc_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case XEN_ZCOPY_IOC_GET_INFO:
		return xzc_ioctl_get_info(uarg);
	case XEN_ZCOPY_IOC_EXP_FROM_REFS:
		return xzc_ioctl_exp_from_refs(file, uarg);
	case XEN_ZCOPY_IOC_WAIT_FREE:
		return xzc_ioctl_wait_free(file, uarg);
	default:
		return -ENOTTY;
	}
}

/* ---- read and poll -------------------------------------------------------- */

static struct xzc_buf *xzc_take_record(struct xzc_file *file)
{
	struct xzc_buf *buf;

	spin_lock(&file->lock);
	buf = list_first_entry_or_null(&file->released, struct xzc_buf, released);
	if (buf)
		list_del_init(&buf->released);
	spin_unlock(&file->lock);
	return buf;
}

static void xzc_return_record(struct xzc_file *file, struct xzc_buf *buf)
{
	spin_lock(&file->lock);
	list_add(&buf->released, &file->released);
	spin_unlock(&file->lock);
	wake_up_all(&file->wait);
}

/* A buffer that could not be unmapped stays, for WAIT_FREE to tell so. */
static void xzc_forget_record(struct xzc_file *file, struct xzc_buf *buf)
{
	bool free;

	spin_lock(&file->lock);
	free = !buf->status;
	if (free)
		file->bufs--;
	spin_unlock(&file->lock);
	if (free)
		kfree(buf);
}

static ssize_t xzc_read(struct file *filp, char __user *data, size_t size, loff_t *pos)
{
	struct xzc_file *file = filp->private_data;
	struct xen_zcopy_released record;
	struct xzc_buf *buf;
	size_t done = 0;
	int ret;

	if (size < sizeof(record))
		return -EINVAL;
	while (size - done >= sizeof(record)) {
		buf = xzc_take_record(file);
		if (!buf) {
			if (done)
				break;
			if (filp->f_flags & O_NONBLOCK)
				return -EAGAIN;
			ret = wait_event_interruptible(file->wait,
						       !list_empty_careful(&file->released));
			if (ret)
				return ret;
			continue;
		}
		record = (struct xen_zcopy_released){
			.handle = buf->handle,
			.status = buf->status,
		};
		if (copy_to_user(data + done, &record, sizeof(record))) {
			xzc_return_record(file, buf);
			return done ? done : -EFAULT;
		}
		xzc_forget_record(file, buf);
		done += sizeof(record);
	}
	return done;
}

static __poll_t xzc_poll(struct file *filp, poll_table *wait)
{
	struct xzc_file *file = filp->private_data;
	__poll_t mask = 0;

	poll_wait(filp, &file->wait, wait);
	spin_lock(&file->lock);
	if (!list_empty(&file->released))
		mask = EPOLLIN | EPOLLRDNORM;
	spin_unlock(&file->lock);
	return mask;
}

/* ---- module --------------------------------------------------------------- */

static const struct file_operations xzc_fops = {
	.owner = THIS_MODULE,
	.open = xzc_open,
	.release = xzc_close,
	.read = xzc_read,
	.poll = xzc_poll,
	.unlocked_ioctl = xzc_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice xzc_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "xen/zcopy",
	.fops = &xzc_fops,
	.mode = 0600,
};

static int __init xzc_check_parameters(void)
{
	/* Sizes are counted in int here and there. */
	const unsigned int most = INT_MAX >> PAGE_SHIFT;

	if (PAGE_SIZE != XEN_PAGE_SIZE) {
		pr_err("needs pages of %lu bytes\n", XEN_PAGE_SIZE);
		return -EOPNOTSUPP;
	}
	if (!xzc_max_pages || xzc_max_pages > most || xzc_max_mmap_pages > INT_MAX / 2) {
		pr_err("max_pages has to be 1 to %u, max_mmap_pages at most %u\n", most,
		       INT_MAX / 2);
		return -EINVAL;
	}
	xzc_max_pages_per_file = min(xzc_max_pages_per_file, xzc_max_pages);
	xzc_max_pages_per_buffer = min(xzc_max_pages_per_buffer, xzc_max_pages_per_file);
	return 0;
}

static int __init xzc_init(void)
{
	int ret;

	BUILD_BUG_ON(sizeof(struct xen_zcopy_info) != 32);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_exp_from_refs) != 40);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_wait_free) != 16);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_released) != 16);

	if (!xen_domain())
		return -ENODEV;
	ret = xzc_check_parameters();
	if (ret)
		return ret;
	/*
	 * A guest waits for the end of each work. A few at a time, so that many
	 * don't end together, late.
	 */
	xzc_workqueue = alloc_workqueue(KBUILD_MODNAME,
					WQ_UNBOUND | WQ_HIGHPRI | WQ_MEM_RECLAIM, XZC_WORKERS);
	if (!xzc_workqueue)
		return -ENOMEM;
	ret = xzc_arena_init();
	if (ret)
		goto err_workqueue;
	ret = misc_register(&xzc_misc);
	if (ret)
		goto err_arena;
	return 0;

err_arena:
	xzc_arena_exit();
err_workqueue:
	destroy_workqueue(xzc_workqueue);
	return ret;
}

static void __exit xzc_exit(void)
{
	misc_deregister(&xzc_misc);
	/* Waits for work that has let go of the module but not yet returned. */
	destroy_workqueue(xzc_workqueue);
	xzc_arena_exit();
}

module_init(xzc_init);
module_exit(xzc_exit);

MODULE_DESCRIPTION("Xen grant references as dma-bufs");
MODULE_AUTHOR("The Grantway developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
