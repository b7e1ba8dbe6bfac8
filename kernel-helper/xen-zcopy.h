/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Internals of xen-zcopy.
 *
 * A buffer is born in an ioctl (main.c, buf.c), its grants are mapped into pages of
 * the arena (map.c), a dma-buf stands for it (dmabuf.c) and user mappings of
 * a PV domain have grants of their own (pvmap.c). The dma-buf's last reference
 * hands it to a worker, which unmaps the grants and tells the file about it.
 */
#ifndef _XEN_ZCOPY_H
#define _XEN_ZCOPY_H

#include <linux/dma-buf.h>
#include <linux/kref.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
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
 * @live: buffers that were given out and whose grants may be mapped
 * @released: buffers that are done, for read()
 * @id: upper half of the handles; constant
 * @last_seq: lower half of the newest handle
 * @pages: pages of all its buffers that are not freed
 * @bufs: buffers, including those that are only records for read()
 * @closed: nobody can read any more
 */
struct xzc_file {
	struct kref ref;
	spinlock_t lock;
	wait_queue_head_t wait;
	struct list_head live;
	struct list_head released;
	u32 id;
	u32 last_seq;
	u32 pages;
	u32 bufs;
	bool closed;
};

/**
 * struct xzc_buf - the grants behind one dma-buf
 * @file: the file that it was made on; valid until it is done
 * @live: in xzc_file.live; under xzc_file.lock
 * @released: in xzc_file.released; under xzc_file.lock
 * @handle: its name in the user interface; 0 before it is published
 * @announce: user space knows the handle; under xzc_file.lock
 * @status: 0, or the errno of the unmap; under xzc_file.lock
 * @domid: the granting domain
 * @readonly: the grants are mapped for reading only
 * @lost: a user mapping could not be unmapped
 * @count: number of pages
 * @refs: the grant references
 * @pages: the arena's pages, consecutive
 * @unmap: how to unmap each page
 * @lock: protects @attached
 * @attached: struct xzc_attachment of each importer
 * @work: unmaps the grants when the dma-buf is gone
 * @retries: how often @work found a page still in use
 */
struct xzc_buf {
	struct xzc_file *file;
	struct list_head live;
	struct list_head released;
	u64 handle;
	bool announce;
	int status;

	domid_t domid;
	bool readonly;
	bool lost;
	u32 count;
	u32 *refs;
	struct page **pages;
	struct gnttab_unmap_grant_ref *unmap;

	struct mutex lock;
	struct list_head attached;

	struct delayed_work work;
	unsigned int retries;
};

/* Module parameters; constant after load (main.c). */
extern unsigned int xzc_arena_pages;
extern unsigned int xzc_max_pages;
extern unsigned int xzc_max_pages_per_file;
extern unsigned int xzc_max_buffers_per_file;
extern unsigned int xzc_max_mmap_pages;

/* buf.c */
int xzc_buf_init(void);
void xzc_buf_exit(void);
void xzc_file_put(struct xzc_file *file);
void xzc_totals(u32 *pages, u32 *bufs);
struct xzc_buf *xzc_buf_create(struct xzc_file *file,
			       const struct xen_zcopy_exp_from_refs *op);
int xzc_buf_publish(struct xzc_buf *buf, u64 *handle);
void xzc_buf_unpublish(struct xzc_buf *buf);
void xzc_buf_unmap_later(struct xzc_buf *buf);

/* map.c */
int xzc_arena_init(void);
void xzc_arena_exit(void);
int xzc_map(struct xzc_buf *buf);
int xzc_unmap(struct xzc_buf *buf);
int xzc_gnttab_errno(s16 status);

/* dmabuf.c */
struct dma_buf *xzc_dmabuf_export(struct xzc_buf *buf);

/* pvmap.c */
#ifdef CONFIG_XEN_PV
int xzc_pv_mmap(struct xzc_buf *buf, struct vm_area_struct *vma);
unsigned long xzc_pv_frame(struct page *page);
#else
static inline int xzc_pv_mmap(struct xzc_buf *buf, struct vm_area_struct *vma)
{
	return -ENODEV;
}

static inline unsigned long xzc_pv_frame(struct page *page)
{
	return page_to_pfn(page);
}
#endif

#endif /* _XEN_ZCOPY_H */
