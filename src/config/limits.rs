// SPDX-License-Identifier: GPL-3.0-or-later
//! What a guest may use. The defaults are the product's security promises (docs/threat-model.md).

use serde::Deserialize;

use super::values::Whole;

/// Writes the limits once: name, default, range and meaning.
macro_rules! limits {
    ($($(#[$doc:meta])* $name:ident = $default:literal, $low:literal..=$high:literal;)*) => {
        /// `[limits]`: what each guest may use.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        #[serde(from = "LimitsOverride")]
        pub struct LimitsConfig {
            $($(#[$doc])* pub $name: u32,)*
        }

        impl Default for LimitsConfig {
            fn default() -> Self {
                Self { $($name: $default,)* }
            }
        }

        /// `[guest."name".limits]`: the limits that differ for one guest.
        #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
        #[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
        pub struct LimitsOverride {
            $($(#[$doc])* pub $name: Option<Whole<$low, $high>>,)*
        }

        impl LimitsConfig {
            /// These limits, with what `own` says in place of ours.
            #[must_use]
            pub fn with(&self, own: &LimitsOverride) -> Self {
                Self {
                    $($name: own.$name.map_or(self.$name, Whole::get),)*
                }
            }
        }
    };
}

limits! {
    /// Connectors of one display device.
    connectors = 4, 1..=16;
    /// Widest picture, in pixels.
    max_width = 8192, 64..=16384;
    /// Highest picture, in pixels.
    max_height = 8192, 64..=16384;
    /// Largest buffer, in MiB.
    buffer_mib = 64, 1..=1024;
    /// Buffers, for each connector.
    buffers_per_connector = 32, 1..=1024;
    /// Framebuffers, for each connector.
    framebuffers_per_connector = 64, 1..=1024;
    /// All buffers of the guest together, in MiB.
    mapped_mib = 256, 1..=16384;
    /// All grants of the guest that are mapped at one time.
    mapped_grants = 65536, 16..=4194304;
    /// Of these, buffers in our memory (`be-alloc`), in MiB.
    allocated_mib = 64, 1..=4096;
    /// Largest buffer in our memory, in MiB.
    allocated_buffer_mib = 32, 1..=1024;
    /// Flips a second, for each connector; a faster guest gets its events later, never an error.
    flips_per_second = 240, 1..=1000;
    /// Other requests a second; a faster guest waits.
    requests_per_second = 1000, 10..=100000;
    /// Refused requests a second that have no consequences; with more the guest is served later.
    refusals_per_second = 20, 1..=100000;
    /// Bad requests until a warning is logged.
    bad_requests_warn = 10, 1..=1000000;
    /// Bad requests until the guest's device is closed.
    bad_requests_close = 1000, 1..=1000000;
    /// Longest time until a destroy request is answered, in ms. Linux gives up after 3,000 ms.
    destroy_deadline_ms = 2500, 50..=2900;
    /// Input events that wait while the guest does not read them; releases are kept beyond it.
    input_queue = 256, 16..=4096;
    /// Fingers that the guest's touch screen is given; 0 for no touch screen.
    touch_contacts = 10, 0..=16;
}

impl From<LimitsOverride> for LimitsConfig {
    fn from(own: LimitsOverride) -> Self {
        Self::default().with(&own)
    }
}

impl LimitsConfig {
    /// The key that contradicts another one, and why.
    pub(super) fn contradiction(&self) -> Option<(&'static str, String)> {
        if self.buffer_mib > self.mapped_mib {
            let (one, all) = (self.buffer_mib, self.mapped_mib);
            return Some(("buffer-mib", format!("buffer-mib is {one}, but mapped-mib allows only {all} in all")));
        }
        if self.bad_requests_warn > self.bad_requests_close {
            let (warn, close) = (self.bad_requests_warn, self.bad_requests_close);
            let what = format!("bad-requests-warn is {warn}, but the device is closed at {close} already");
            return Some(("bad-requests-warn", what));
        }
        None
    }
}
