// SPDX-License-Identifier: GPL-3.0-or-later
//! Starts of the KMS backend that must fail, and say why; those that must not need a display (tests/lab).
#![cfg(feature = "compositor")]

use std::path::Path;

use grantway::backend::kms::{Kms, KmsConfig, SessionKind};

fn refusal(device: &Path) -> Option<String> {
    let config = KmsConfig { session: SessionKind::Direct, device: Some(device.to_owned()), ..KmsConfig::default() };
    Kms::new(config).err().map(|error| error.to_string())
}

#[test]
fn a_device_that_is_not_there_is_named() {
    let refusal = refusal(Path::new("/dev/dri/card4711")).unwrap();
    assert_eq!(refusal, "display device /dev/dri/card4711 refused: there is no such device; look into /dev/dri");
}

#[test]
fn a_device_that_is_no_display_is_refused() {
    let refusal = refusal(Path::new("/dev/null")).unwrap();
    assert_eq!(refusal, "display device /dev/null refused: it is no display device; look into /dev/dri");
}

#[test]
fn a_file_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(refusal(file.path()).unwrap().ends_with("it is no display device; look into /dev/dri"));
}
