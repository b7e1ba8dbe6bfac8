/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * User interface of xen-zcopy: Xen grant references as dma-bufs.
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

#define XEN_ZCOPY_VERSION 1

/* xen_zcopy_info.flags: this is a PV Dom0. */
#define XEN_ZCOPY_INFO_PV (1u << 0)

/* xen_zcopy_exp_from_refs.flags: the grants allow reading only. */
#define XEN_ZCOPY_EXP_RDONLY (1u << 0)

/**
 * struct xen_zcopy_info - what the helper is, allows and holds
 * @version: XEN_ZCOPY_VERSION of the module
 * @flags: XEN_ZCOPY_INFO_*
 * @max_pages_per_buffer: largest accepted xen_zcopy_exp_from_refs.count
 * @max_pages_per_file: most pages that one open file may hold at a time
 * @pages_in_use: pages now held by all files together
 * @buffers_in_use: buffers now held by all files together
 * @reserved: zero
 */
struct xen_zcopy_info {
	__u32 version;
	__u32 flags;
	__u32 max_pages_per_buffer;
	__u32 max_pages_per_file;
	__u32 pages_in_use;
	__u32 buffers_in_use;
	__u32 reserved[2];
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
 * struct xen_zcopy_wait_free - block until a buffer's grants are unmapped
 * @handle: in: as given by XEN_ZCOPY_IOC_EXP_FROM_REFS on the same file
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
 * @handle: the buffer whose last reference went
 * @status: 0: its grants are unmapped; or the negative errno of the unmap
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

#endif /* _UAPI_XEN_ZCOPY_H */
