// SPDX-License-Identifier: GPL-3.0-or-later
//! The clipboard for privileged clients that have no window: Smithay's half of `wlr-data-control`.

use smithay::delegate_data_control;
use smithay::wayland::selection::wlr_data_control::{DataControlHandler, DataControlState};

use super::server::Server;

impl DataControlHandler for Server {
    fn data_control_state(&self) -> &DataControlState {
        &self.data_control
    }
}

delegate_data_control!(Server);
