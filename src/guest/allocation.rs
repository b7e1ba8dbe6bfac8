// SPDX-License-Identifier: GPL-3.0-or-later
//! Memory of ours for a guest's buffer, from the first source that has it: the display's driver, whose memory can
//! be scanned out, then what the grant drivers have.

use crate::backend::Presentation;
use crate::xen::DomId;
use crate::xen::PAGE_SIZE;
use crate::xen::grants::{Allocation, GrantError, Grants, Provider};

/// Takes zeroed memory and grants it to the guest. The reason of what we get names the sources that were passed over.
///
/// # Errors
/// That of the last source.
pub fn allocate(
    grants: &mut dyn Grants,
    presentation: &mut dyn Presentation,
    domid: DomId,
    pages: usize,
) -> Result<Allocation, GrantError> {
    let why = match presentation.allocate(pages.saturating_mul(PAGE_SIZE)) {
        Ok(dmabuf) => match grants.grant_dmabuf(domid, dmabuf, pages) {
            Ok(granted) => return Ok(Allocation { provider: Provider::Display, ..granted }),
            Err(error) => error.to_string(),
        },
        Err(refused) => refused.0,
    };
    let display = format!("{}: {why}", Provider::Display.name());
    let granted = grants.allocate(domid, pages, &mut |dmabuf| {
        presentation.scans_out(dmabuf).map_err(|refused| format!("no display can scan it out: {refused}"))
    })?;
    let reason = if granted.reason.is_empty() { display } else { format!("{display}; {}", granted.reason) };
    Ok(Allocation { reason, ..granted })
}
