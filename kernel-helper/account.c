// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accounts: of a file, of a domain, of all together; and their show in debugfs.
 *
 * What a domain was granted is counted here, not on the file that granted it:
 * it may hold the pages for as long as it likes, also when the file is long
 * closed, and the next file has to find them on its account.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

#include "xen-zcopy.h"
#include "compat.h"

/**
 * struct xzc_domain - what a domain was granted
 * @entry: in xzc_domains
 * @id: the domain
 * @bufs: buffers that are not over; without any it has no account
 * @pages: pages of these buffers
 * @waiting: those that it maps although access has ended
 */
struct xzc_domain {
	struct list_head entry;
	domid_t id;
	u32 bufs;
	u32 pages;
	u32 waiting;
};

/* Protects all that follows, innermost. */
static DEFINE_SPINLOCK(xzc_account_lock);
static LIST_HEAD(xzc_domains);
static LIST_HEAD(xzc_bufs);
static unsigned int xzc_mapped_pages;
static unsigned int xzc_granted_pages;
static unsigned int xzc_waiting_pages;
static unsigned int xzc_total_bufs;

static struct dentry *xzc_debugfs;

static void xzc_file_free(struct kref *ref)
{
	kfree(container_of(ref, struct xzc_file, ref));
}

/**
 * xzc_file_put() - let go of a file
 * @file: not to be used any more
 */
void xzc_file_put(struct xzc_file *file)
{
	kref_put(&file->ref, xzc_file_free);
}

/* Is there room for count more when used of max are taken? */
static bool xzc_room(u32 used, u32 count, u32 max)
{
	return count <= max && used <= max - count;
}

static struct xzc_domain *xzc_domain_find(domid_t id)
{
	struct xzc_domain *domain;

	lockdep_assert_held(&xzc_account_lock);
	list_for_each_entry(domain, &xzc_domains, entry)
		if (domain->id == id)
			return domain;
	return NULL;
}

/* Takes *fresh for a domain that has no account. */
static int xzc_charge_domain(struct xzc_buf *buf, struct xzc_domain **fresh)
{
	struct xzc_domain *domain = xzc_domain_find(buf->domid);

	if (!xzc_room(domain ? domain->pages : 0, buf->charged, xzc_max_granted_pages_per_domain))
		return -EDQUOT;
	if (!xzc_room(xzc_granted_pages, buf->charged, xzc_max_granted_pages))
		return -ENOSPC;
	if (!domain) {
		domain = *fresh;
		*fresh = NULL;
		domain->id = buf->domid;
		list_add(&domain->entry, &xzc_domains);
	}
	domain->bufs++;
	domain->pages += buf->charged;
	xzc_granted_pages += buf->charged;
	buf->domain = domain;
	return 0;
}

static int xzc_charge_total(struct xzc_buf *buf, struct xzc_domain **fresh)
{
	int ret = 0;

	spin_lock(&xzc_account_lock);
	if (buf->kind != XZC_MAPPED)
		ret = xzc_charge_domain(buf, fresh);
	else if (xzc_room(xzc_mapped_pages, buf->charged, xzc_max_pages))
		xzc_mapped_pages += buf->charged;
	else
		ret = -ENOSPC;
	if (!ret) {
		xzc_total_bufs++;
		list_add_tail(&buf->all, &xzc_bufs);
	}
	spin_unlock(&xzc_account_lock);
	return ret;
}

/**
 * xzc_charge() - account for a buffer
 * @buf: with file, kind, domid and charged set
 *
 * Return: 0; -EMFILE with too many buffers of the file; -ENOSPC with too many
 *	   pages of the file or of all; -EDQUOT with too many granted to the
 *	   domain; -ENOMEM
 */
int xzc_charge(struct xzc_buf *buf)
{
	struct xzc_file *file = buf->file;
	struct xzc_domain *fresh;
	int ret;

	fresh = kzalloc_obj(*fresh);
	if (!fresh)
		return -ENOMEM;
	spin_lock(&file->lock);
	if (file->bufs >= xzc_max_buffers_per_file)
		ret = -EMFILE;
	else if (!xzc_room(file->pages, buf->charged, xzc_max_pages_per_file))
		ret = -ENOSPC;
	else
		ret = xzc_charge_total(buf, &fresh);
	if (!ret) {
		file->pages += buf->charged;
		file->bufs++;
	}
	spin_unlock(&file->lock);
	kfree(fresh);
	return ret;
}

static void xzc_uncharge_domain(struct xzc_buf *buf)
{
	struct xzc_domain *domain = buf->domain;

	domain->pages -= buf->charged;
	xzc_granted_pages -= buf->charged;
	domain->waiting -= buf->waiting;
	xzc_waiting_pages -= buf->waiting;
	buf->waiting = 0;
	buf->domain = NULL;
	if (!--domain->bufs) {
		list_del(&domain->entry);
		kfree(domain);
	}
}

/**
 * xzc_uncharge_pages() - a buffer's pages are back
 * @buf: accounted for, its file locked
 *
 * The number of the file's buffers goes down only when no record is left: see
 * xzc_read().
 */
void xzc_uncharge_pages(struct xzc_buf *buf)
{
	lockdep_assert_held(&buf->file->lock);
	buf->file->pages -= buf->charged;
	spin_lock(&xzc_account_lock);
	list_del_init(&buf->all);
	xzc_total_bufs--;
	if (buf->kind == XZC_MAPPED)
		xzc_mapped_pages -= buf->charged;
	else
		xzc_uncharge_domain(buf);
	spin_unlock(&xzc_account_lock);
}

/**
 * xzc_hide() - a buffer's pages will never be back, and it may be freed
 * @buf: accounted for; its pages stay so
 */
void xzc_hide(struct xzc_buf *buf)
{
	spin_lock(&xzc_account_lock);
	list_del_init(&buf->all);
	spin_unlock(&xzc_account_lock);
}

/**
 * xzc_set_waiting() - tell how many pages the guest still maps
 * @buf: whose access has ended
 * @waiting: number of pages
 */
void xzc_set_waiting(struct xzc_buf *buf, u32 waiting)
{
	spin_lock(&xzc_account_lock);
	buf->domain->waiting += waiting - buf->waiting;
	xzc_waiting_pages += waiting - buf->waiting;
	buf->waiting = waiting;
	spin_unlock(&xzc_account_lock);
}

/**
 * xzc_totals() - what all files hold together
 * @info: where to write it
 */
void xzc_totals(struct xen_zcopy_info *info)
{
	spin_lock(&xzc_account_lock);
	info->pages_in_use = xzc_mapped_pages;
	info->buffers_in_use = xzc_total_bufs;
	info->pages_granted = xzc_granted_pages;
	info->pages_waiting = xzc_waiting_pages;
	spin_unlock(&xzc_account_lock);
}

static void xzc_domain_tell(const struct xzc_domain *domain, struct xen_zcopy_domain *op)
{
	lockdep_assert_held(&xzc_account_lock);
	op->buffers = domain ? domain->bufs : 0;
	op->pages_granted = domain ? domain->pages : 0;
	op->pages_waiting = domain ? domain->waiting : 0;
	op->max_pages = xzc_max_granted_pages_per_domain;
}

/**
 * xzc_domain_totals() - what a domain was granted
 * @op: with domid set; where to write it
 */
void xzc_domain_totals(struct xen_zcopy_domain *op)
{
	spin_lock(&xzc_account_lock);
	xzc_domain_tell(xzc_domain_find(op->domid), op);
	spin_unlock(&xzc_account_lock);
}

/**
 * xzc_next_domain() - what the next domain with an account was granted
 * @op: with domid set to the lowest number to look at; where to write it
 *
 * Return: 0; -ENOENT when none has an account from there on
 */
int xzc_next_domain(struct xen_zcopy_domain *op)
{
	const struct xzc_domain *domain, *next = NULL;

	spin_lock(&xzc_account_lock);
	list_for_each_entry(domain, &xzc_domains, entry)
		if (domain->id >= op->domid && (!next || domain->id < next->id))
			next = domain;
	if (next) {
		op->domid = next->id;
		xzc_domain_tell(next, op);
	}
	spin_unlock(&xzc_account_lock);
	return next ? 0 : -ENOENT;
}

/* ---- debugfs -------------------------------------------------------------- */

static const char *xzc_buf_state(const struct xzc_buf *buf)
{
	if (buf->kind == XZC_MAPPED)
		return "mapped";
	if (!READ_ONCE(buf->ending))
		return "granted";
	return buf->waiting ? "waiting for the domain" : "waiting for the dma-buf";
}

static int xzc_buffers_show(struct seq_file *seq, void *unused)
{
	static const char *const kinds[] = {
		[XZC_MAPPED] = "mapped",
		[XZC_ALLOCATED] = "allocated",
		[XZC_IMPORTED] = "imported",
	};
	const struct xzc_buf *buf;

	seq_puts(seq, "handle             kind      domain  pages  waiting state\n");
	spin_lock(&xzc_account_lock);
	list_for_each_entry(buf, &xzc_bufs, all)
		seq_printf(seq, "0x%016llx %-9s %6u %6u %8u %s\n", READ_ONCE(buf->handle),
			   kinds[buf->kind], buf->domid, buf->charged, buf->waiting,
			   xzc_buf_state(buf));
	spin_unlock(&xzc_account_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(xzc_buffers);

static int xzc_domains_show(struct seq_file *seq, void *unused)
{
	const struct xzc_domain *domain;
	u32 bufs = 0;

	seq_puts(seq, "domain buffers  pages  waiting      max\n");
	spin_lock(&xzc_account_lock);
	list_for_each_entry(domain, &xzc_domains, entry) {
		bufs += domain->bufs;
		seq_printf(seq, "%6u %7u %6u %8u %8u\n", domain->id, domain->bufs, domain->pages,
			   domain->waiting, xzc_max_granted_pages_per_domain);
	}
	seq_printf(seq, "   all %7u %6u %8u %8u\n", bufs, xzc_granted_pages,
		   xzc_waiting_pages, xzc_max_granted_pages);
	spin_unlock(&xzc_account_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(xzc_domains);

static int xzc_sync_stats_show(struct seq_file *seq, void *unused)
{
	xzc_sync_show(seq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(xzc_sync_stats);

/**
 * xzc_debugfs_init() - show the accounts; without debugfs, nothing is shown
 */
void xzc_debugfs_init(void)
{
	xzc_debugfs = debugfs_create_dir("xen-zcopy", NULL);
	debugfs_create_file("buffers", 0400, xzc_debugfs, NULL, &xzc_buffers_fops);
	debugfs_create_file("domains", 0400, xzc_debugfs, NULL, &xzc_domains_fops);
	debugfs_create_file("sync", 0400, xzc_debugfs, NULL, &xzc_sync_stats_fops);
}

/**
 * xzc_debugfs_exit() - show nothing any more
 */
void xzc_debugfs_exit(void)
{
	debugfs_remove_recursive(xzc_debugfs);
}
