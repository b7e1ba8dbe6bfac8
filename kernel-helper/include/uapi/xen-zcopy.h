/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of xen-zcopy: Xen grant references as dma-bufs, and dma-bufs
 * as Xen grant references.
 *
 * Every structure has the same layout for 32 and 64 bit callers. Reserved
 * fields and unknown flags must be zero on input, else the call is refused
 * with EINVAL; they are zero on output. Numbers and structures in this file
 * never change once released.
 */
#ifndef _UAPI_XEN_ZCOPY_H
#define _UAPI_XEN_ZCOPY_H

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * Version 2 adds ALLOC, IMP_TO_REFS, END_ACCESS, GET_DOMAIN and INFO's last two fields,
 * version 3 NEXT_DOMAIN, version 4 SYNC.
 */
#define XEN_ZCOPY_VERSION 4

/* xen_zcopy_info.flags: this is a PV Dom0. */
#define XEN_ZCOPY_INFO_PV (1u << 0)

/* xen_zcopy_exp_from_refs.flags: the grants allow reading only. */
#define XEN_ZCOPY_EXP_RDONLY (1u << 0)

/* xen_zcopy_alloc.flags: one run of consecutive machine frames. */
#define XEN_ZCOPY_ALLOC_CONTIGUOUS (1u << 0)

/* xen_zcopy_imp_to_refs.flags: the domain may only read. */
#define XEN_ZCOPY_IMP_RDONLY (1u << 0)

/**
 * struct xen_zcopy_info - what the helper is, allows and holds
 * @version: XEN_ZCOPY_VERSION of the module
 * @flags: XEN_ZCOPY_INFO_*
 * @max_pages_per_buffer: largest accepted xen_zcopy_exp_from_refs.count
 * @max_pages_per_file: most pages that one open file may hold at a time
 * @pages_in_use: pages of guests now mapped for all files together
 * @buffers_in_use: buffers now held by all files together, of every kind
 * @pages_granted: pages now granted, or held until their last user is gone
 * @pages_waiting: those of them that a guest maps although access has ended
 */
struct xen_zcopy_info {
	__u32 version;
	__u32 flags;
	__u32 max_pages_per_buffer;
	__u32 max_pages_per_file;
	__u32 pages_in_use;
	__u32 buffers_in_use;
	__u32 pages_granted;
	__u32 pages_waiting;
};

/**
 * struct xen_zcopy_exp_from_refs - map a domain's grants, get a dma-buf
 * @domid: in: the granting domain
 * @flags: in: XEN_ZCOPY_EXP_*
 * @count: in: number of references, one per page of 4096 bytes
 * @fd: out: descriptor of the dma-buf, close-on-exec
 * @refs: in: user address of __u32[count]
 * @handle: out: names the buffer to read() and WAIT_FREE; never 0, never
 *          given twice while the module is loaded
 * @reserved: zero
 */
struct xen_zcopy_exp_from_refs {
	__u32 domid;
	__u32 flags;
	__u32 count;
	__s32 fd;
	__u64 refs;
	__u64 handle;
	__u64 reserved;
};

/**
 * struct xen_zcopy_alloc - allocate pages, grant them to a domain, get a dma-buf
 * @domid: in: the domain that may read and write them
 * @flags: in: XEN_ZCOPY_ALLOC_*
 * @count: in: number of pages of 4096 bytes
 * @fd: out: descriptor of the dma-buf, close-on-exec, for reading and writing
 * @refs: in: user address of __u32[count], which is filled
 * @handle: out: names the buffer to read(), WAIT_FREE and END_ACCESS
 * @reserved: zero
 *
 * The pages are zero. They are freed, and the release record comes, when
 * access has ended (END_ACCESS, or the file was closed), the domain maps none
 * of them any more, and the dma-buf's last reference is gone.
 */
struct xen_zcopy_alloc {
	__u32 domid;
	__u32 flags;
	__u32 count;
	__s32 fd;
	__u64 refs;
	__u64 handle;
	__u64 reserved;
};

/* xen_zcopy_imp_to_refs.reason: why a page can't be granted. */
enum xen_zcopy_refused {
	/* None was refused. */
	XEN_ZCOPY_REFUSED_NONE = 0,
	/* The dma-buf ends before this page does. */
	XEN_ZCOPY_REFUSED_SIZE = 1,
	/* A device sees it somewhere else: in a copy that nobody updates. */
	XEN_ZCOPY_REFUSED_BOUNCED = 2,
	/* It is in one segment with a page that doesn't precede it in the machine. */
	XEN_ZCOPY_REFUSED_MERGED = 3,
	/* A segment starts or ends within it. */
	XEN_ZCOPY_REFUSED_NOT_PAGE_ALIGNED = 4,
	/* It belongs to another domain. */
	XEN_ZCOPY_REFUSED_FOREIGN = 5,
	/* It is no memory of this domain: a device's, reserved, or ballooned out. */
	XEN_ZCOPY_REFUSED_NOT_RAM = 6,
	/* The exporter doesn't tell which page it is. */
	XEN_ZCOPY_REFUSED_UNKNOWN = 7,
};

/**
 * struct xen_zcopy_imp_to_refs - grant a dma-buf's pages to a domain
 * @domid: in: the domain
 * @flags: in: XEN_ZCOPY_IMP_*
 * @count: in: number of pages of 4096 bytes, from the dma-buf's first on
 * @fd: in: descriptor of the dma-buf; may be closed afterwards
 * @refs: in: user address of __u32[count], which is filled
 * @handle: out: names the buffer to read(), WAIT_FREE and END_ACCESS
 * @bad_page: out: the first page that was refused; in: zero
 * @reason: out: enum xen_zcopy_refused; in: zero
 *
 * A refused page fails the call with EOPNOTSUPP, and only then @bad_page and
 * @reason are written. The dma-buf is kept until access has ended and the
 * domain maps none of the pages any more; then the release record comes.
 */
struct xen_zcopy_imp_to_refs {
	__u32 domid;
	__u32 flags;
	__u32 count;
	__s32 fd;
	__u64 refs;
	__u64 handle;
	__u32 bad_page;
	__u32 reason;
};

/**
 * struct xen_zcopy_end_access - stop granting as soon as the domain has unmapped
 * @handle: in: as given by ALLOC or IMP_TO_REFS on the same file
 * @reserved: zero
 *
 * Never blocks, can't be undone, and may be repeated.
 */
struct xen_zcopy_end_access {
	__u64 handle;
	__u64 reserved;
};

/**
 * struct xen_zcopy_domain - the account of what a domain was granted
 * @domid: in: the domain; NEXT_DOMAIN: the lowest number to look at, and out:
 *         the number found
 * @flags: zero
 * @buffers: out: its buffers, made by any file, open or not
 * @pages_granted: out: pages of these buffers; they are what @max_pages limits
 * @pages_waiting: out: those that it maps although access has ended
 * @max_pages: out: most pages that it may have at a time
 * @reserved: zero
 *
 * GET_DOMAIN tells of a domain that has nothing, too. NEXT_DOMAIN tells of the
 * lowest one from @domid on that has an account, and fails with ENOENT when
 * there is none: asked again with the number found plus one it tells of all,
 * one by one.
 */
struct xen_zcopy_domain {
	__u32 domid;
	__u32 flags;
	__u32 buffers;
	__u32 pages_granted;
	__u32 pages_waiting;
	__u32 max_pages;
	__u32 reserved[2];
};

/**
 * struct xen_zcopy_sync - let devices see what was drawn
 * @fd: in: descriptor of a dma-buf of EXP_FROM_REFS or ALLOC, by any file
 * @flags: zero
 * @pages: out: pages whose cache lines were written back; in: zero
 * @reserved: zero
 *
 * To be called before a device shall read what a guest has drawn, for each
 * picture. Where every device that has the dma-buf mapped is coherent, or none
 * has mapped it, nothing is done and @pages is 0; else it is all of them.
 */
struct xen_zcopy_sync {
	__s32 fd;
	__u32 flags;
	__u32 pages;
	__u32 reserved;
};

/**
 * struct xen_zcopy_wait_free - block until a buffer is over
 * @handle: in: as given on the same file
 * @timeout_ms: in: longest wait in milliseconds; 0 asks without waiting
 * @reserved: zero
 */
struct xen_zcopy_wait_free {
	__u64 handle;
	__u32 timeout_ms;
	__u32 reserved;
};

/**
 * struct xen_zcopy_released - one record of read()
 * @handle: the buffer that is over
 * @status: 0: its grants are unmapped, or no page of it is granted; or the
 *          negative errno of the unmap
 * @reserved: zero
 */
struct xen_zcopy_released {
	__u64 handle;
	__s32 status;
	__u32 reserved;
};

#define XEN_ZCOPY_IOC_GET_INFO _IOR('Z', 0, struct xen_zcopy_info)
#define XEN_ZCOPY_IOC_EXP_FROM_REFS _IOWR('Z', 1, struct xen_zcopy_exp_from_refs)
#define XEN_ZCOPY_IOC_WAIT_FREE _IOW('Z', 2, struct xen_zcopy_wait_free)
#define XEN_ZCOPY_IOC_ALLOC _IOWR('Z', 3, struct xen_zcopy_alloc)
#define XEN_ZCOPY_IOC_IMP_TO_REFS _IOWR('Z', 4, struct xen_zcopy_imp_to_refs)
#define XEN_ZCOPY_IOC_END_ACCESS _IOW('Z', 5, struct xen_zcopy_end_access)
#define XEN_ZCOPY_IOC_GET_DOMAIN _IOWR('Z', 6, struct xen_zcopy_domain)
#define XEN_ZCOPY_IOC_NEXT_DOMAIN _IOWR('Z', 7, struct xen_zcopy_domain)
#define XEN_ZCOPY_IOC_SYNC _IOWR('Z', 8, struct xen_zcopy_sync)

#endif /* _UAPI_XEN_ZCOPY_H */
