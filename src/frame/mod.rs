// SPDX-License-Identifier: GPL-3.0-or-later
//! When things are drawn and shown.
