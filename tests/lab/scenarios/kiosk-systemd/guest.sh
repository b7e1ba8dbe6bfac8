# SPDX-License-Identifier: GPL-3.0-or-later
keep_showing XR24:7
