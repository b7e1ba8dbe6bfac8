// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls.
 *
 * A handle is the file's number and a number within the file, so that "was
 * freed" and "was never given" differ without memory of the past.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/file.h>
#include <linux/fs.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>

#include "xen-zcopy.h"
#include "compat.h"

static long xzc_ioctl_get_info(struct xen_zcopy_info __user *arg)
{
	struct xen_zcopy_info info = {
		.version = XEN_ZCOPY_VERSION,
		.flags = xen_pv_domain() ? XEN_ZCOPY_INFO_PV : 0,
		.max_pages_per_buffer = xzc_max_pages_per_buffer,
		.max_pages_per_file = xzc_max_pages_per_file,
	};

	xzc_totals(&info);
	return copy_to_user(arg, &info, sizeof(info)) ? -EFAULT : 0;
}

/* Publishes, then tells user space by writing its structure back. */
static long xzc_tell(struct xzc_buf *buf, u64 *handle, void __user *arg, const void *op,
		     size_t size)
{
	int ret;

	ret = xzc_buf_publish(buf, handle);
	if (ret)
		return ret;
	if (copy_to_user(arg, op, size)) {
		xzc_buf_unpublish(buf);
		return -EFAULT;
	}
	return 0;
}

/* What all that make a buffer have in common. */
static int xzc_check(u32 domid, u32 count)
{
	if (!count || domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	return count > xzc_max_pages_per_buffer ? -ENOSPC : 0;
}

/* The calls that give a descriptor; their structures are laid out alike. */
union xzc_new_fd {
	struct xen_zcopy_exp_from_refs exp;
	struct xen_zcopy_alloc alloc;
};

static_assert(sizeof(struct xen_zcopy_exp_from_refs) == sizeof(struct xen_zcopy_alloc));

/* The descriptor exists when all is said. */
static long xzc_exp_to_fd(struct xzc_file *file, union xzc_new_fd *op, void __user *arg)
{
	struct dma_buf *dmabuf;
	struct xzc_buf *buf;
	long ret;

	buf = xzc_buf_create(file, &op->exp);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	dmabuf = xzc_dmabuf_export(buf);
	if (IS_ERR(dmabuf)) {
		/* As if it had been released: the mapping ends in one place only. */
		xzc_buf_unmap_later(buf);
		return PTR_ERR(dmabuf);
	}
	ret = xzc_tell(buf, &op->exp.handle, arg, op, sizeof(*op));
	if (ret)
		dma_buf_put(dmabuf);
	else
		fd_install(op->exp.fd, dmabuf->file);
	return ret;
}

static long xzc_alloc_to_fd(struct xzc_file *file, union xzc_new_fd *op, void __user *arg)
{
	struct dma_buf *dmabuf;
	struct xzc_buf *buf;
	long ret;

	buf = xzc_alloc_create(file, &op->alloc);
	if (IS_ERR(buf))
		return PTR_ERR(buf);
	ret = xzc_grant_pages(buf, u64_to_user_ptr(op->alloc.refs));
	if (ret) {
		xzc_abandon(buf);
		return ret;
	}
	dmabuf = xzc_dmabuf_export(buf);
	if (IS_ERR(dmabuf)) {
		xzc_abandon(buf);
		return PTR_ERR(dmabuf);
	}
	ret = xzc_tell(buf, &op->alloc.handle, arg, op, sizeof(*op));
	if (ret) {
		/* The dma-buf has the buffer as long as it lives. */
		spin_lock(&file->lock);
		xzc_end_access(buf);
		spin_unlock(&file->lock);
		dma_buf_put(dmabuf);
	} else {
		fd_install(op->alloc.fd, dmabuf->file);
	}
	return ret;
}

static long xzc_ioctl_new_fd(struct xzc_file *file, void __user *arg, u32 flags,
			     long (*make)(struct xzc_file *file, union xzc_new_fd *op,
					  void __user *arg))
{
	union xzc_new_fd op;
	long ret;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.exp.flags & ~flags || op.exp.reserved)
		return -EINVAL;
	ret = xzc_check(op.exp.domid, op.exp.count);
	if (ret)
		return ret;
	op.exp.fd = get_unused_fd_flags(O_CLOEXEC);
	if (op.exp.fd < 0)
		return op.exp.fd;
	ret = make(file, &op, arg);
	if (ret)
		put_unused_fd(op.exp.fd);
	return ret;
}

static long xzc_ioctl_imp_to_refs(struct xzc_file *file,
				  struct xen_zcopy_imp_to_refs __user *arg)
{
	struct xen_zcopy_imp_to_refs op;
	struct xzc_buf *buf;
	long ret;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.flags & ~XEN_ZCOPY_IMP_RDONLY || op.bad_page || op.reason)
		return -EINVAL;
	ret = xzc_check(op.domid, op.count);
	if (ret)
		return ret;
	buf = xzc_import_create(file, &op);
	if (IS_ERR(buf)) {
		ret = PTR_ERR(buf);
		if (ret == -EOPNOTSUPP && op.reason && copy_to_user(arg, &op, sizeof(op)))
			return -EFAULT;
		return ret;
	}
	ret = xzc_grant_pages(buf, u64_to_user_ptr(op.refs));
	if (!ret)
		ret = xzc_tell(buf, &op.handle, arg, &op, sizeof(op));
	if (ret)
		xzc_abandon(buf);
	else
		xzc_let_go(buf);
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

static long xzc_ioctl_end_access(struct xzc_file *file,
				 struct xen_zcopy_end_access __user *arg)
{
	struct xen_zcopy_end_access op;
	struct xzc_buf *buf;
	long ret = 0;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.reserved)
		return -EINVAL;
	if (!xzc_handle_given(file, op.handle))
		return -ENOENT;
	spin_lock(&file->lock);
	list_for_each_entry(buf, &file->live, live) {
		if (buf->handle != op.handle)
			continue;
		if (buf->kind == XZC_MAPPED)
			ret = -EINVAL;
		else
			xzc_end_access(buf);
		break;
	}
	spin_unlock(&file->lock);
	return ret;
}

static long xzc_ioctl_get_domain(struct xen_zcopy_domain __user *arg)
{
	struct xen_zcopy_domain op;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.flags || op.reserved[0] || op.reserved[1] || op.domid >= DOMID_FIRST_RESERVED)
		return -EINVAL;
	xzc_domain_totals(&op);
	return copy_to_user(arg, &op, sizeof(op)) ? -EFAULT : 0;
}

/* One for each call: nothing that a caller says has a length. */
static long xzc_ioctl_next_domain(struct xen_zcopy_domain __user *arg)
{
	struct xen_zcopy_domain op;
	int ret;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.flags || op.reserved[0] || op.reserved[1])
		return -EINVAL;
	ret = xzc_next_domain(&op);
	if (ret)
		return ret;
	return copy_to_user(arg, &op, sizeof(op)) ? -EFAULT : 0;
}

/* The descriptor holds the dma-buf, and that the buffer, meanwhile. */
static long xzc_ioctl_sync(struct xen_zcopy_sync __user *arg)
{
	struct xen_zcopy_sync op;
	struct dma_buf *dmabuf;
	struct xzc_buf *buf;
	long ret;

	if (copy_from_user(&op, arg, sizeof(op)))
		return -EFAULT;
	if (op.flags || op.pages || op.reserved)
		return -EINVAL;
	dmabuf = dma_buf_get(op.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	buf = xzc_buf_of(dmabuf);
	ret = buf ? xzc_sync(buf, &op.pages) : -EINVAL;
	dma_buf_put(dmabuf);
	if (!ret && copy_to_user(arg, &op, sizeof(op)))
		ret = -EFAULT;
	return ret;
}

/**
 * xzc_ioctl() - all that is done by ioctl
 * @filp: the open file
 * @cmd: XEN_ZCOPY_IOC_*
 * @arg: user address of its structure
 *
 * Return: 0 or a negative errno
 */
long xzc_ioctl(struct file *filp, unsigned int cmd, unsigned long arg)
{
	struct xzc_file *file = filp->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case XEN_ZCOPY_IOC_GET_INFO:
		return xzc_ioctl_get_info(uarg);
	case XEN_ZCOPY_IOC_EXP_FROM_REFS:
		return xzc_ioctl_new_fd(file, uarg, XEN_ZCOPY_EXP_RDONLY, xzc_exp_to_fd);
	case XEN_ZCOPY_IOC_WAIT_FREE:
		return xzc_ioctl_wait_free(file, uarg);
	case XEN_ZCOPY_IOC_ALLOC:
		return xzc_ioctl_new_fd(file, uarg, XEN_ZCOPY_ALLOC_CONTIGUOUS, xzc_alloc_to_fd);
	case XEN_ZCOPY_IOC_IMP_TO_REFS:
		return xzc_ioctl_imp_to_refs(file, uarg);
	case XEN_ZCOPY_IOC_END_ACCESS:
		return xzc_ioctl_end_access(file, uarg);
	case XEN_ZCOPY_IOC_GET_DOMAIN:
		return xzc_ioctl_get_domain(uarg);
	case XEN_ZCOPY_IOC_NEXT_DOMAIN:
		return xzc_ioctl_next_domain(uarg);
	case XEN_ZCOPY_IOC_SYNC:
		return xzc_ioctl_sync(uarg);
	default:
		return -ENOTTY;
	}
}
