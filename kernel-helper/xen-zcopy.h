/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internals of xen-zcopy.
 *
 * A buffer is born in an ioctl (ioctl.c, buf.c) and accounted for (account.c).
 *
 * One of a guest's pages: its grants are mapped into pages of the arena (map.c),
 * a dma-buf stands for it (dmabuf.c) and user mappings of a PV domain have
 * grants of their own (pvmap.c). The dma-buf's last reference hands it to a
 * worker, which unmaps the grants and tells the file about it.
 *
 * One of our pages: they are allocated, with a dma-buf of ours (alloc.c), or
 * somebody else's dma-buf has them (import.c). They are granted (grant.c) until
 * access has ended and the guest has unmapped them, which a worker finds out.
 *
 * Locks, outermost first: xzc_file.lock, the one of account.c.
 */
#ifndef _XEN_ZCOPY_H
#define _XEN_ZCOPY_H

#include <linux/dma-buf.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <xen/xen.h>
#include <xen/grant_table.h>

#include <xen-zcopy.h>

/**
 * struct xzc_file - one open /dev/xen/zcopy
 * @ref: one for the open file, one for each buffer that is not done
 * @lock: protects all that follows, and the list entries of its buffers
 * @wait: woken when a buffer is done
 * @live: buffers that were given out and are not over
 * @released: buffers that are done, for read()
 * @id: upper half of the handles; constant
 * @last_seq: lower half of the newest handle
 * @pages: pages of all its buffers that are not over
 * @bufs: buffers, including those that are only records for read()
 * @closed: nobody can read any more
 */
struct xzc_file {
	struct kref ref;
	spinlock_t lock;	/* all that follows */
	wait_queue_head_t wait;
	struct list_head live;
	struct list_head released;
	u32 id;
	u32 last_seq;
	u32 pages;
	u32 bufs;
	bool closed;
};

/* What a buffer is made of. */
enum xzc_kind {
	/* A guest's pages. */
	XZC_MAPPED,
	/* Pages that we allocated. */
	XZC_ALLOCATED,
	/* Pages of a dma-buf that somebody else exported. */
	XZC_IMPORTED,
};

/**
 * struct xzc_attachment - an importer of our dma-buf
 * @entry: in xzc_buf.attached
 * @dev: its device
 * @sgt: its mapping, NULL when there is none; under xzc_buf.lock
 * @dir: the direction of @sgt; under that lock too
 */
struct xzc_attachment {
	struct list_head entry;
	struct device *dev;
	struct sg_table *sgt;
	enum dma_data_direction dir;
};

/**
 * struct xzc_buf - pages, and the grants behind or before them
 * @file: the file that it was made on; valid until it is done
 * @live: in xzc_file.live; under xzc_file.lock
 * @released: in xzc_file.released; under xzc_file.lock
 * @handle: its name in the user interface; 0 before it is published
 * @announce: user space knows the handle; under xzc_file.lock
 * @status: 0, or the errno of the unmap; under xzc_file.lock
 * @kind: what it is made of
 * @domid: the other domain
 * @readonly: the grants are for reading only
 * @lost: a user mapping could not be unmapped
 * @count: number of pages
 * @charged: number of pages that it is accounted for
 * @refs: the grant references; of our own pages, those that are not ended yet
 * @pages: the pages; a guest's are the arena's, consecutive
 * @lock: protects @attached, and @own while there is a dma-buf
 * @attached: struct xzc_attachment of each importer
 * @own: the pages mapped for our own device (sync.c), NULL before they had to be
 * @work: unmaps the grants when the dma-buf is gone; or ends ours
 * @retries: how often @work found a page still in use
 * @all: in the list of all buffers (account.c)
 * @unmap: how to unmap each page
 * @domain: the account of the other domain; under the lock of account.c
 * @waiting: pages it maps although access has ended; under that lock too
 * @granted: references in @refs; changed by one thread at a time
 * @ending: access has ended; under xzc_file.lock
 * @gone: neither a dma-buf of ours nor an ioctl needs it; under xzc_file.lock
 * @vaddr: address of contiguous pages, NULL for others
 * @dma: machine address of contiguous pages
 * @dmabuf: the dma-buf that was imported
 * @attach: our attachment to it
 * @sgt: the attachment's mapping
 */
struct xzc_buf {
	struct xzc_file *file;
	struct list_head live;
	struct list_head released;
	u64 handle;
	bool announce;
	int status;

	enum xzc_kind kind;
	domid_t domid;
	bool readonly;
	bool lost;
	u32 count;
	u32 charged;
	u32 *refs;
	struct page **pages;

	struct mutex lock;	/* attached, own */
	struct list_head attached;
	struct sg_table *own;

	struct delayed_work work;
	unsigned int retries;
	struct list_head all;

	/* Of a guest's pages. */
	struct gnttab_unmap_grant_ref *unmap;

	/* Of our pages. */
	struct xzc_domain *domain;
	u32 waiting;
	u32 granted;
	bool ending;
	bool gone;
	void *vaddr;
	dma_addr_t dma;
	struct dma_buf *dmabuf;
	struct dma_buf_attachment *attach;
	struct sg_table *sgt;
};

/* Module parameters; constant after load (main.c). */
extern unsigned int xzc_arena_pages;
extern unsigned int xzc_max_pages;
extern unsigned int xzc_max_pages_per_file;
extern unsigned int xzc_max_pages_per_buffer;
extern unsigned int xzc_max_buffers_per_file;
extern unsigned int xzc_max_mmap_pages;
extern unsigned int xzc_max_granted_pages;
extern unsigned int xzc_max_granted_pages_per_domain;
extern bool xzc_assume_noncoherent;

/* main.c: what memory is allocated for, and what stands for every device. */
struct device *xzc_device(void);

/* account.c */
void xzc_file_put(struct xzc_file *file);
int xzc_charge(struct xzc_buf *buf);
void xzc_uncharge_pages(struct xzc_buf *buf);
void xzc_hide(struct xzc_buf *buf);
void xzc_set_waiting(struct xzc_buf *buf, u32 waiting);
void xzc_totals(struct xen_zcopy_info *info);
void xzc_domain_totals(struct xen_zcopy_domain *domain);
int xzc_next_domain(struct xen_zcopy_domain *domain);
void xzc_debugfs_init(void);
void xzc_debugfs_exit(void);

/* buf.c */
int xzc_buf_init(void);
void xzc_buf_exit(void);
struct xzc_buf *xzc_buf_new(struct xzc_file *file, enum xzc_kind kind, domid_t domid, u32 count,
			    u32 charged);
void xzc_buf_destroy(struct xzc_buf *buf);
void xzc_buf_done(struct xzc_buf *buf, int status);
struct xzc_buf *xzc_buf_create(struct xzc_file *file,
			       const struct xen_zcopy_exp_from_refs *op);
int xzc_buf_publish(struct xzc_buf *buf, u64 *handle);
void xzc_buf_unpublish(struct xzc_buf *buf);
void xzc_buf_unmap_later(struct xzc_buf *buf);

/* grant.c */
int xzc_grant_init(void);
void xzc_grant_exit(void);
void xzc_grant_own(struct xzc_buf *buf);
int xzc_grant_pages(struct xzc_buf *buf, u32 __user *refs);
void xzc_end_access(struct xzc_buf *buf);
void xzc_let_go(struct xzc_buf *buf);
void xzc_abandon(struct xzc_buf *buf);

/* alloc.c */
struct xzc_buf *xzc_alloc_create(struct xzc_file *file, const struct xen_zcopy_alloc *op);
void xzc_alloc_free(struct xzc_buf *buf);
int xzc_alloc_mmap(struct xzc_buf *buf, struct vm_area_struct *vma);
void *xzc_alloc_vmap(struct xzc_buf *buf);
void xzc_alloc_vunmap(struct xzc_buf *buf, void *vaddr);

/* import.c */
struct xzc_buf *xzc_import_create(struct xzc_file *file, struct xen_zcopy_imp_to_refs *op);
void xzc_import_free(struct xzc_buf *buf);

/* ioctl.c */
long xzc_ioctl(struct file *filp, unsigned int cmd, unsigned long arg);

/* map.c */
int xzc_arena_init(void);
void xzc_arena_exit(void);
int xzc_map(struct xzc_buf *buf);
int xzc_unmap(struct xzc_buf *buf);
int xzc_gnttab_errno(s16 status);

/* dmabuf.c */
struct dma_buf *xzc_dmabuf_export(struct xzc_buf *buf);
struct xzc_buf *xzc_buf_of(struct dma_buf *dmabuf);
int xzc_fill_table(const struct xzc_buf *buf, unsigned int max, struct sg_table *sgt);
bool xzc_elsewhere(struct sg_table *sgt);

/* sync.c */
int xzc_sync(struct xzc_buf *buf, u32 *pages);
void xzc_sync_end(struct xzc_buf *buf);
void xzc_sync_show(struct seq_file *seq);

/* pvmap.c */
#ifdef CONFIG_XEN_PV
int xzc_pv_mmap(struct xzc_buf *buf, struct vm_area_struct *vma);
unsigned long xzc_pv_frame(struct page *page);
enum xen_zcopy_refused xzc_pv_refused(struct page *page);
#else
static inline int xzc_pv_mmap(struct xzc_buf *buf, struct vm_area_struct *vma)
{
	return -ENODEV;
}

static inline unsigned long xzc_pv_frame(struct page *page)
{
	return page_to_pfn(page);
}

static inline enum xen_zcopy_refused xzc_pv_refused(struct page *page)
{
	return XEN_ZCOPY_REFUSED_NONE;
}
#endif

#endif /* _XEN_ZCOPY_H */
