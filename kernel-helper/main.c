// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/xen/zcopy: the module, its parameters, files, read() and poll().
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/dma-mapping.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include <xen/page.h>

#include "xen-zcopy.h"
#include "compat.h"

unsigned int xzc_arena_pages = 32768;
module_param_named(arena_pages, xzc_arena_pages, uint, 0444);
MODULE_PARM_DESC(arena_pages,
		 "Pages of address space taken at load, and when more are needed (default 32768 = 128 MiB)");

unsigned int xzc_max_pages;
module_param_named(max_pages, xzc_max_pages, uint, 0444);
MODULE_PARM_DESC(max_pages,
		 "Most pages mapped at a time, all files together (default 131072; not PV: 65536)");

unsigned int xzc_max_pages_per_file = 131072;
module_param_named(max_pages_per_file, xzc_max_pages_per_file, uint, 0444);
MODULE_PARM_DESC(max_pages_per_file,
		 "Most pages mapped or granted at a time by one file (default 131072)");

unsigned int xzc_max_pages_per_buffer = 32768;
module_param_named(max_pages_per_buffer, xzc_max_pages_per_buffer, uint, 0444);
MODULE_PARM_DESC(max_pages_per_buffer, "Most pages of one buffer (default 32768)");

unsigned int xzc_max_buffers_per_file = 4096;
module_param_named(max_buffers_per_file, xzc_max_buffers_per_file, uint, 0444);
MODULE_PARM_DESC(max_buffers_per_file,
		 "Most buffers of one file, with those freed but not yet read() (default 4096)");

unsigned int xzc_max_mmap_pages = 131072;
module_param_named(max_mmap_pages, xzc_max_mmap_pages, uint, 0444);
MODULE_PARM_DESC(max_mmap_pages,
		 "PV only: most pages in user mappings at a time, all together (default 131072)");

unsigned int xzc_max_granted_pages = 24576;
module_param_named(max_granted_pages, xzc_max_granted_pages, uint, 0444);
MODULE_PARM_DESC(max_granted_pages,
		 "Most pages granted at a time, to all domains together (default 24576 = 96 MiB)");

unsigned int xzc_max_granted_pages_per_domain = 16384;
module_param_named(max_granted_pages_per_domain, xzc_max_granted_pages_per_domain, uint, 0444);
MODULE_PARM_DESC(max_granted_pages_per_domain,
		 "Most pages granted at a time to one domain (default 16384 = 64 MiB)");

bool xzc_assume_noncoherent;
module_param_named(assume_noncoherent, xzc_assume_noncoherent, bool, 0444);
MODULE_PARM_DESC(assume_noncoherent,
		 "For tests: sync as if no device looked into the caches (default N)");

static atomic64_t xzc_last_file_id = ATOMIC64_INIT(0);

/* ---- files ---------------------------------------------------------------- */

static int xzc_open(struct inode *inode, struct file *filp)
{
	struct xzc_file *file;
	u64 id = atomic64_inc_return(&xzc_last_file_id);

	/* Handles are never given twice. */
	if (id > U32_MAX)
		return -ENFILE;
	file = kzalloc_obj(*file);
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
 * Nobody can end the guests' access any more, so it ends now. Buffers that live
 * on end without us; what is done and was kept for read() or WAIT_FREE goes now.
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
		} else if (buf->kind != XZC_MAPPED) {
			xzc_end_access(buf);
		}
	}
	spin_unlock(&file->lock);
	xzc_file_put(file);
	return 0;
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

/**
 * xzc_device() - the device that memory is allocated for, which reaches all of it
 *
 * Return: the device; valid while the module can be used
 */
struct device *xzc_device(void)
{
	return xzc_misc.this_device;
}

static int __init xzc_check_parameters(void)
{
	/* Sizes are counted in int here and there. */
	const unsigned int most = INT_MAX >> PAGE_SHIFT;

	if (PAGE_SIZE != XEN_PAGE_SIZE) {
		pr_err("needs pages of %lu bytes\n", XEN_PAGE_SIZE);
		return -EOPNOTSUPP;
	}
	/*
	 * The arena's addresses come from what Xen has left for mappings there,
	 * which the toolstack needs as well.
	 */
	if (!xzc_max_pages)
		xzc_max_pages = xen_pv_domain() ? 131072 : 65536;
	if (xzc_max_pages > most || xzc_max_mmap_pages > INT_MAX / 2) {
		pr_err("max_pages has to be at most %u, max_mmap_pages at most %u\n", most,
		       INT_MAX / 2);
		return -EINVAL;
	}
	if (xzc_max_granted_pages > most) {
		pr_err("max_granted_pages has to be at most %u\n", most);
		return -EINVAL;
	}
	xzc_max_granted_pages_per_domain = min(xzc_max_granted_pages_per_domain,
					       xzc_max_granted_pages);
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
	BUILD_BUG_ON(sizeof(struct xen_zcopy_alloc) != 40);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_imp_to_refs) != 40);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_end_access) != 16);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_domain) != 32);
	BUILD_BUG_ON(sizeof(struct xen_zcopy_sync) != 16);

	if (!xen_domain())
		return -ENODEV;
	ret = xzc_check_parameters();
	if (ret)
		return ret;
	ret = xzc_buf_init();
	if (ret)
		return ret;
	ret = xzc_grant_init();
	if (ret)
		goto err_buf;
	ret = xzc_arena_init();
	if (ret)
		goto err_grant;
	ret = misc_register(&xzc_misc);
	if (ret)
		goto err_arena;
	ret = dma_coerce_mask_and_coherent(xzc_device(), DMA_BIT_MASK(64));
	if (ret)
		goto err_misc;
	xzc_debugfs_init();
	return 0;

err_misc:
	misc_deregister(&xzc_misc);
err_arena:
	xzc_arena_exit();
err_grant:
	xzc_grant_exit();
err_buf:
	xzc_buf_exit();
	return ret;
}

static void __exit xzc_exit(void)
{
	xzc_debugfs_exit();
	/* What is left of the workers uses the device. */
	xzc_grant_exit();
	xzc_buf_exit();
	misc_deregister(&xzc_misc);
	xzc_arena_exit();
}

module_init(xzc_init);
module_exit(xzc_exit);

MODULE_DESCRIPTION("Xen grant references as dma-bufs");
MODULE_AUTHOR("The Grantway developers");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
