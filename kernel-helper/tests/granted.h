/* SPDX-License-Identifier: GPL-2.0-only */
/* Tests of what Dom0 grants: ALLOC, IMP_TO_REFS, END_ACCESS, GET_DOMAIN, quotas; and SYNC. */
#ifndef GRANTED_H
#define GRANTED_H

void test_granted(int z);
void test_import(int z);
/* Part of the tests of limits, too: see README.md. */
void test_device_sync(int z);
/* Wants small limits: see README.md. */
void test_quota(int z);
/* No test: a contiguous buffer that only its guest keeps, until the process is killed. */
void hold_pages(int z);

#endif /* GRANTED_H */
