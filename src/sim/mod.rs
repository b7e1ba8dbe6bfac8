// SPDX-License-Identifier: GPL-3.0-or-later
//! The simulated hypervisor and its guests.
