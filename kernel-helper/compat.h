/* SPDX-License-Identifier: GPL-2.0-only */
/* Differences between kernels 6.1 and 7.3: the only place for version tests. */
#ifndef _XEN_ZCOPY_COMPAT_H
#define _XEN_ZCOPY_COMPAT_H

#include <linux/dma-buf.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/version.h>

/* cdd30ebb1b9f (6.13): symbol namespaces are given as strings. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define XZC_IMPORT_DMA_BUF() MODULE_IMPORT_NS("DMA_BUF")
#else
#define XZC_IMPORT_DMA_BUF() MODULE_IMPORT_NS(DMA_BUF)
#endif

/* bc292ab00f6c (6.3): vm_flags is changed through functions that lock. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 3, 0)
static inline void vm_flags_set(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags |= flags;
}

static inline void vm_flags_clear(struct vm_area_struct *vma, vm_flags_t flags)
{
	vma->vm_flags &= ~flags;
}
#endif

/* Allocation by object instead of size; a macro where the kernel has it (7.0). */
#ifndef kzalloc_obj
#define kzalloc_obj(object) kzalloc(sizeof(object), GFP_KERNEL)
#endif

/* 56e5abba8c3e (6.2): the plain functions want the caller to hold the reservation. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define dma_buf_vmap_unlocked dma_buf_vmap
#define dma_buf_vunmap_unlocked dma_buf_vunmap
#endif

#endif /* _XEN_ZCOPY_COMPAT_H */
