// SPDX-License-Identifier: GPL-3.0-or-later
//! Every provider and every source of memory by the same test, over a simulated kernel that has what the one here
//! may lack: a guest's memory is a memfd, and what of it is still open or mapped is looked up in /proc.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::ftruncate;

use super::super::ioctl::{DomainAccount, Granted, HelperInfo, ImportError};
use super::super::kernel::{GntdevDevice, HelperDevice};
use super::super::mapping::Run;
use super::super::zcopy::VERSION;
use super::*;

const GUEST: DomId = DomId(3);
const PAGES: usize = 3;
/// The reference of the guest's first page; the others follow.
const FIRST: u32 = 100;

/// A file that stands for memory, and our own view of it, as the guest or its kernel has it.
#[derive(Debug)]
struct Memory {
    file: fs::File,
    view: SharedPages,
}

impl Memory {
    fn new() -> Self {
        Self::named(c"memory")
    }

    fn named(name: &CStr) -> Self {
        let file = memfd_create(name, MFdFlags::MFD_CLOEXEC).unwrap();
        let len = PAGES * PAGE_SIZE;
        ftruncate(&file, i64::try_from(len).unwrap()).unwrap();
        let view = Region::map(&file, Run { offset: 0, len }, Access::ReadWrite).unwrap().into_pages(());
        Self { file: file.into(), view }
    }

    /// Another file description of the same memory.
    fn open(&self) -> OwnedFd {
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file));
        fs::File::options().read(true).write(true).open(path).unwrap().into()
    }

    /// Whether anybody but this has it open or mapped.
    fn in_use(&self) -> bool {
        let inode = self.file.metadata().unwrap().ino();
        let is_it =
            |entry: fs::DirEntry| fs::metadata(entry.path()).is_ok_and(|it| it.ino() == inode && it.nlink() == 0);
        let open = fs::read_dir("/proc/self/fd").unwrap().flatten().map(is_it).filter(|is_it| *is_it).count();
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let mapped =
            |line: &&str| line.split_whitespace().nth(4) == Some(&inode.to_string()) && line.contains("memfd:");
        (open, maps.lines().filter(mapped).count()) != (1, 1)
    }
}

/// One that the helper has given a handle.
#[derive(Debug)]
struct Held {
    memory: Rc<Memory>,
    /// For memory of ours: the grants are to end, and the guest maps it.
    ours: Option<(bool, bool)>,
}

#[derive(Debug, Default)]
struct Faults {
    /// The helper's version; without one it is not loaded.
    helper: Option<u32>,
    helper_export: Option<Errno>,
    gntdev_dmabuf: Option<Errno>,
    gntdev_mmap: Option<Errno>,
    heaps: Vec<&'static str>,
    bad_page: Option<(u32, u32)>,
    alloc: Option<Errno>,
    /// The same for memory in one piece.
    one_piece: Option<Errno>,
    /// What a process before us has left: pages, by domain.
    left: Vec<(u16, u32)>,
    next_domain: Option<Errno>,
    /// By so much the domain that is told is one that was told before.
    stuck: u32,
}

#[derive(Debug)]
struct State {
    guest: Rc<Memory>,
    faults: Faults,
    held: RefCell<BTreeMap<u64, Held>>,
    dmabuf: Cell<bool>,
    mapped: Cell<usize>,
    /// Always readable.
    wake: EventFd,
}

/// A simulated kernel, and each of its drivers.
#[derive(Clone, Debug)]
struct Fake(Rc<State>);

impl Fake {
    fn new(faults: Faults) -> Self {
        let state = State {
            guest: Rc::new(Memory::new()),
            faults,
            held: RefCell::default(),
            dmabuf: Cell::new(false),
            mapped: Cell::new(0),
            wake: EventFd::from_value(1).unwrap(),
        };
        Self(Rc::new(state))
    }

    fn grants(&self) -> XenGrants {
        XenGrants::open(Box::new(self.clone())).unwrap()
    }

    fn hold(&self, memory: Rc<Memory>, ours: Option<(bool, bool)>) -> u64 {
        let mut held = self.0.held.borrow_mut();
        let handle = held.keys().last().map_or(1, |last| last + 1);
        held.insert(handle, Held { memory, ours });
        handle
    }

    /// The guest maps memory of ours, or does not any more.
    fn guest_maps(&self, maps: bool) {
        for held in self.0.held.borrow_mut().values_mut() {
            held.ours = held.ours.map(|(ending, _)| (ending, maps));
        }
    }

    fn granted(&self, memory: Rc<Memory>) -> Granted {
        let handle = self.hold(memory, Some((false, false)));
        Granted { handle, refs: (0..).take(PAGES).map(|page| 5000 + page).collect() }
    }
}

fn check(refs: impl Iterator<Item = u32>) -> io::Result<()> {
    let granted = FIRST..FIRST + u32::try_from(PAGES).unwrap();
    if refs.into_iter().all(|gref| granted.contains(&gref)) { Ok(()) } else { Err(Errno::EFAULT.into()) }
}

fn fails(fault: Option<Errno>) -> io::Result<()> {
    fault.map_or(Ok(()), |errno| Err(errno.into()))
}

impl Kernel for Fake {
    fn helper(&self) -> io::Result<Box<dyn HelperDevice>> {
        if self.0.faults.helper.is_none() {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Box::new(self.clone()))
    }

    fn gntdev(&self) -> io::Result<Rc<dyn GntdevDevice>> {
        Ok(Rc::new(self.clone()))
    }

    fn heap(&self, name: &str, bytes: usize) -> io::Result<OwnedFd> {
        assert_eq!(bytes, PAGES * PAGE_SIZE);
        if !self.0.faults.heaps.contains(&name) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Memory::new().file.into())
    }
}

impl HelperDevice for Fake {
    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }

    fn info(&self) -> io::Result<HelperInfo> {
        let pages_granted = self.0.faults.left.iter().map(|(_, pages)| pages).sum();
        Ok(HelperInfo { version: self.0.faults.helper.unwrap(), pages_granted, ..HelperInfo::default() })
    }

    fn export(&self, _: DomId, refs: &[u32]) -> io::Result<(OwnedFd, u64)> {
        fails(self.0.faults.helper_export)?;
        check(refs.iter().copied())?;
        Ok((self.0.guest.open(), self.hold(Rc::clone(&self.0.guest), None)))
    }

    fn allocate(&self, _: DomId, _: usize, contiguous: bool) -> io::Result<(OwnedFd, Granted)> {
        fails(self.0.faults.alloc)?;
        if contiguous {
            fails(self.0.faults.one_piece)?;
        }
        let memory = Rc::new(Memory::named(if contiguous { c"piece" } else { c"memory" }));
        Ok((memory.open(), self.granted(memory)))
    }

    fn import(&self, _: DomId, dmabuf: BorrowedFd<'_>, _: usize) -> Result<Granted, ImportError> {
        if let Some((page, reason)) = self.0.faults.bad_page {
            return Err(ImportError::Page { page, reason });
        }
        fails(self.0.faults.alloc).map_err(ImportError::Call)?;
        let file: fs::File = dmabuf.try_clone_to_owned().unwrap().into();
        let run = Run { offset: 0, len: PAGES * PAGE_SIZE };
        let view = Region::map(&file, run, Access::ReadWrite).unwrap().into_pages(());
        Ok(self.granted(Rc::new(Memory { file, view })))
    }

    fn end_access(&self, handle: u64) -> io::Result<()> {
        let mut held = self.0.held.borrow_mut();
        let held = held.get_mut(&handle).ok_or(io::ErrorKind::NotFound)?;
        held.ours = held.ours.map(|(_, mapped)| (true, mapped));
        Ok(())
    }

    fn domain(&self, domid: DomId) -> io::Result<DomainAccount> {
        if self.0.faults.alloc == Some(Errno::EDQUOT) {
            return Ok(DomainAccount {
                pages_granted: 90,
                pages_waiting: 7,
                max_pages: 92,
                ..DomainAccount::default()
            });
        }
        let left = self.0.faults.left.iter().find(|(number, _)| *number == domid.0).map_or(0, |(_, pages)| *pages);
        let held = self.0.held.borrow();
        let ours = held.values().filter(|held| domid == GUEST && held.ours.is_some()).count() * PAGES;
        Ok(DomainAccount { pages_granted: left + u32::try_from(ours).unwrap(), ..DomainAccount::default() })
    }

    fn next_domain(&self, from: u32) -> io::Result<Option<DomainAccount>> {
        fails(self.0.faults.next_domain)?;
        let next = self.0.faults.left.iter().filter(|(number, _)| u32::from(*number) >= from).min();
        Ok(next.map(|(number, pages)| DomainAccount {
            domid: u32::from(*number) - self.0.faults.stuck,
            pages_granted: *pages,
            ..DomainAccount::default()
        }))
    }

    fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut held = self.0.held.borrow_mut();
        let is_over = |held: &Held| held.ours.is_none_or(|state| state == (true, false)) && !held.memory.in_use();
        let handle = held.iter().find(|(_, held)| is_over(held)).map(|(handle, _)| *handle);
        let handle = handle.ok_or(io::ErrorKind::WouldBlock)?;
        held.remove(&handle);
        buffer[..16].fill(0);
        buffer[..8].copy_from_slice(&handle.to_ne_bytes());
        Ok(16)
    }
}

impl GntdevDevice for Fake {
    fn map(&self, _: DomId, refs: &[GrantRef]) -> io::Result<u64> {
        self.0.mapped.set(self.0.mapped.get() + refs.len());
        // As the driver does, which looks at the references when they are mapped.
        Ok(if check(refs.iter().map(|gref| gref.0)).is_ok() { 0 } else { 1 << 40 })
    }

    fn mmap(&self, run: Run, access: Access) -> io::Result<Region> {
        fails(self.0.faults.gntdev_mmap)?;
        if run.offset != 0 {
            return Err(Errno::EINVAL.into());
        }
        Region::map(&self.0.guest.file, run, access)
    }

    fn unmap(&self, _: u64, count: u32) -> io::Result<()> {
        self.0.mapped.set(self.0.mapped.get() - usize::try_from(count).unwrap());
        Ok(())
    }

    fn dmabuf(&self, _: DomId, refs: &[GrantRef]) -> io::Result<OwnedFd> {
        fails(self.0.faults.gntdev_dmabuf)?;
        check(refs.iter().map(|gref| gref.0)).map_err(|_| Errno::EINVAL)?;
        self.0.dmabuf.set(true);
        Ok(self.0.guest.open())
    }

    fn is_released(&self, _: u32) -> io::Result<bool> {
        assert!(self.0.dmabuf.get());
        Ok(!self.0.guest.in_use())
    }

    fn poll_fd(&self) -> BorrowedFd<'_> {
        self.0.wake.as_fd()
    }
}

/// What we see of an export or an allocation.
fn look(memory: ExportMemory) -> (Option<OwnedFd>, SharedPages) {
    match memory {
        ExportMemory::Mapped(pages) => (None, pages),
        ExportMemory::Dmabuf(fd) => {
            let run = Run { offset: 0, len: PAGES * PAGE_SIZE };
            let pages = Region::map(&fd, run, Access::Read).unwrap().into_pages(());
            (Some(fd), pages)
        }
    }
}

/// The releases that come within a while; waits for the first.
fn releases(grants: &mut XenGrants, limit_ms: u16) -> Vec<ExportId> {
    let mut out = Vec::new();
    for _ in 0..limit_ms.div_ceil(20).max(1) {
        grants.take_released(&mut out);
        if !out.is_empty() {
            break;
        }
        // The simulated helper is always readable, so only the second is sure to wait.
        poll(&mut [PollFd::new(grants.poll_fd(), PollFlags::POLLIN)], PollTimeout::from(20_u16)).unwrap();
        poll(&mut [], PollTimeout::from(20_u16)).unwrap();
    }
    out
}

fn refs() -> Vec<GrantRef> {
    (FIRST..).take(PAGES).map(GrantRef).collect()
}

/// What holds for every provider.
fn test_provider(faults: Faults, provider: Provider, reasons: &[&str]) {
    let fake = Fake::new(faults);
    let mut grants = fake.grants();
    let export = grants.export(GUEST, &refs()).unwrap();
    assert_eq!(export.provider, provider);
    assert_eq!(export.reason.is_empty(), reasons.is_empty(), "{}", export.reason);
    for reason in reasons {
        assert!(export.reason.contains(reason), "{:?} lacks {reason:?}", export.reason);
    }
    let (fd, pages) = look(export.memory);
    // The guest's own pages, in order: what it writes is seen without a call in between.
    for page in 0..PAGES {
        let value = u32::try_from(page).unwrap() + 7;
        fake.0.guest.view.store_u32(page * PAGE_SIZE + 8, value).unwrap();
        assert_eq!(pages.load_u32(page * PAGE_SIZE + 8), Ok(value));
    }
    assert!(releases(&mut grants, 40).is_empty(), "nothing is free while it is used");
    drop(fd);
    assert!(releases(&mut grants, 40).is_empty(), "nor while it is mapped");
    drop(pages);
    assert_eq!(releases(&mut grants, 2000), [export.id]);
    assert!(releases(&mut grants, 40).is_empty(), "once");
    let bad = [refs(), vec![GrantRef(9)]].concat();
    let refused = grants.export(GUEST, &bad[1..]);
    assert!(matches!(refused, Err(GrantError::Refused { domid: GUEST, .. })), "{refused:?}");
    assert!(!fake.0.guest.in_use(), "nothing stays mapped");
    assert_eq!(fake.0.mapped.get(), 0);
    let again = grants.export(GUEST, &refs()).unwrap();
    assert_ne!(again.id, export.id);
    drop(again.memory);
    assert_eq!(releases(&mut grants, 2000), [again.id]);
}

#[test]
fn the_helper_comes_first() {
    test_provider(Faults { helper: Some(VERSION), ..Faults::default() }, Provider::Helper, &[]);
}

#[test]
fn without_the_helper_mainline_makes_dma_bufs() {
    test_provider(Faults::default(), Provider::GntdevDmabuf, &["xen-zcopy: /dev/xen/zcopy can't be opened"]);
    for other in [VERSION - 1, VERSION + 1] {
        let helper = Faults { helper: Some(other), ..Faults::default() };
        let why = format!("speaks version {other}, not {VERSION}; install the one of this release");
        test_provider(helper, Provider::GntdevDmabuf, &[&why]);
    }
    let full = Faults { helper: Some(VERSION), helper_export: Some(Errno::ENOSPC), ..Faults::default() };
    test_provider(full, Provider::GntdevDmabuf, &["xen-zcopy: No space left"]);
}

#[test]
fn without_dma_bufs_the_cpu_reads_a_mapping() {
    for (errno, why) in [
        (Errno::ENOTTY, "gntdev-dmabuf: the kernel has no CONFIG_XEN_GNTDEV_DMABUF"),
        (Errno::EINVAL, "gntdev-dmabuf: refused (a PV Dom0 can't"),
    ] {
        let faults = Faults { gntdev_dmabuf: Some(errno), ..Faults::default() };
        test_provider(faults, Provider::GntdevMap, &["xen-zcopy: ", why]);
    }
}

#[test]
fn a_mapping_without_room_is_not_the_guests_fault() {
    let faults = Faults { gntdev_dmabuf: Some(Errno::ENOTTY), gntdev_mmap: Some(Errno::ENOMEM), ..Faults::default() };
    let fake = Fake::new(faults);
    let error = fake.grants().export(GUEST, &refs()).unwrap_err();
    assert!(
        matches!(&error, GrantError::NoRoom { pages: PAGES, why } if why.contains("xen_gntdev.limit")),
        "{error:?}"
    );
    assert_eq!(fake.0.mapped.get(), 0);
}

/// A display that gathers.
fn any(_: BorrowedFd<'_>) -> Result<(), String> {
    Ok(())
}

/// One that doesn't.
fn one_piece(dmabuf: BorrowedFd<'_>) -> Result<(), String> {
    let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dmabuf));
    let name = fs::read_link(path).unwrap();
    if name.to_string_lossy().contains("memfd:piece") { Ok(()) } else { Err("not in one piece".to_owned()) }
}

/// What holds for every source of memory of ours.
fn test_source(faults: Faults, display: bool, provider: Provider, reasons: &[&str]) {
    let fake = Fake::new(faults);
    let mut grants = fake.grants();
    let allocation = if display {
        grants.grant_dmabuf(GUEST, Memory::new().file.into(), PAGES)
    } else {
        grants.allocate(GUEST, PAGES, &mut any)
    };
    let allocation = allocation.unwrap();
    assert_eq!((allocation.provider, allocation.refs.len()), (provider, PAGES));
    for reason in reasons {
        assert!(allocation.reason.contains(reason), "{:?} lacks {reason:?}", allocation.reason);
    }
    let (fd, pages) = look(allocation.memory);
    let guest = Rc::clone(&fake.0.held.borrow().values().next().unwrap().memory);
    fake.guest_maps(true);
    for page in 0..PAGES {
        assert_eq!(pages.load_u32(page * PAGE_SIZE), Ok(0), "zeroed");
        guest.view.store_u32(page * PAGE_SIZE, 5).unwrap();
        assert_eq!(pages.load_u32(page * PAGE_SIZE), Ok(5));
    }
    drop(guest);
    grants.end_access(allocation.id);
    drop((fd, pages));
    assert!(releases(&mut grants, 40).is_empty(), "the guest maps it");
    fake.guest_maps(false);
    assert_eq!(releases(&mut grants, 2000), [allocation.id]);
    assert!(releases(&mut grants, 40).is_empty(), "once");
    assert!(fake.0.held.borrow().is_empty());
}

fn ready() -> Faults {
    Faults { helper: Some(VERSION), ..Faults::default() }
}

#[test]
fn memory_of_ours_comes_from_the_first_source_that_has_some() {
    test_source(ready(), true, Provider::Display, &[]);
    let both = Faults { heaps: vec!["system", "linux,cma"], ..ready() };
    test_source(both, false, Provider::ContiguousHeap, &[]);
    test_source(Faults { heaps: vec!["system", "reserved"], ..ready() }, false, Provider::ContiguousHeap, &[]);
    test_source(Faults { heaps: vec!["system"], ..ready() }, false, Provider::SystemHeap, &[]);
    test_source(ready(), false, Provider::HelperAllocation, &["the kernel has no dma-heap"]);
}

#[test]
fn memory_that_can_not_be_granted_page_by_page_is_passed_over_with_the_reason() {
    let merged = Faults { heaps: vec!["linux,cma", "system"], bad_page: Some((1, 3)), ..ready() };
    let why =
        ["dma-heap linux,cma: page 1 of the dma-buf can't be granted: it lies in one segment", "dma-heap system: "];
    test_source(merged, false, Provider::HelperAllocation, &why);
    let bounced = Fake::new(Faults { bad_page: Some((2, 2)), ..ready() });
    let refused = bounced.grants().grant_dmabuf(GUEST, Memory::new().file.into(), PAGES).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "page 2 of the dma-buf can't be granted: devices see a copy of it (it was bounced)"
    );
}

#[test]
fn memory_of_ours_needs_the_helper_and_its_quota() {
    let quota = Fake::new(Faults { alloc: Some(Errno::EDQUOT), ..ready() });
    let error = quota.grants().allocate(GUEST, PAGES, &mut any).unwrap_err();
    assert!(matches!(&error, GrantError::NoRoom { .. }) && error.to_string().contains("90 of at most 92"), "{error}");
    assert!(error.to_string().contains("still maps 7"), "{error}");
    for (helper, why) in [(None, "can't be opened"), (Some(VERSION + 1), "speaks version")] {
        let fake = Fake::new(Faults { helper, heaps: vec!["system"], ..Faults::default() });
        let error = fake.grants().allocate(GUEST, PAGES, &mut any).unwrap_err();
        assert!(matches!(error, GrantError::Driver(_)) && error.to_string().contains(why), "{error}");
    }
}

#[test]
fn a_display_that_can_not_gather_gets_one_piece() {
    let fake = Fake::new(ready());
    let mut grants = fake.grants();
    let first = grants.allocate(GUEST, PAGES, &mut one_piece).unwrap();
    assert_eq!(first.provider, Provider::HelperContiguous);
    assert!(first.reason.contains("xen-zcopy-alloc: not in one piece"), "{}", first.reason);
    assert_ne!(releases(&mut grants, 2000), [first.id], "what did not do is given back");
    assert_eq!(fake.0.held.borrow().len(), 1);
    // From then on one piece comes first.
    let second = grants.allocate(GUEST, PAGES, &mut one_piece).unwrap();
    assert_eq!((second.provider, second.reason.as_str()), (Provider::HelperContiguous, "the kernel has no dma-heap"));
    for allocation in [first, second] {
        grants.end_access(allocation.id);
        drop(allocation.memory);
        assert_eq!(releases(&mut grants, 2000), [allocation.id]);
    }
    assert!(fake.0.held.borrow().is_empty());
    // A dma-heap of any pages is passed over too, and one of contiguous memory is not.
    let heap = Fake::new(Faults { heaps: vec!["system"], ..ready() });
    let piece = heap.grants().allocate(GUEST, PAGES, &mut one_piece).unwrap();
    assert_eq!(piece.provider, Provider::HelperContiguous);
    assert_eq!(piece.reason, "dma-heap system: not in one piece");
    let both = Fake::new(Faults { heaps: vec!["system", "reserved"], ..ready() });
    let reserved = both.grants().allocate(GUEST, PAGES, &mut one_piece).unwrap();
    assert_eq!(reserved.provider, Provider::ContiguousHeap);
}

#[test]
fn without_one_piece_any_pages_do_and_the_reason_is_told() {
    let fake = Fake::new(Faults { one_piece: Some(Errno::ENOMEM), ..ready() });
    let mut grants = fake.grants();
    for _ in 0..2 {
        let allocation = grants.allocate(GUEST, PAGES, &mut one_piece).unwrap();
        assert_eq!(allocation.provider, Provider::HelperAllocation);
        assert!(allocation.reason.contains("xen-zcopy-contiguous: no room"), "{}", allocation.reason);
    }
    // A display that takes neither is asked once.
    let fake = Fake::new(ready());
    let mut grants = fake.grants();
    let neither = grants.allocate(GUEST, PAGES, &mut |_| Err("no".to_owned())).unwrap();
    assert_eq!(neither.provider, Provider::HelperAllocation);
    assert!(neither.reason.ends_with("xen-zcopy-alloc: no; xen-zcopy-contiguous: no"), "{}", neither.reason);
    let again = grants.allocate(GUEST, PAGES, &mut |_| panic!("asked again")).unwrap();
    assert_eq!(again.provider, Provider::HelperAllocation);
    assert_eq!(releases(&mut grants, 2000).len(), 1);
    assert_eq!(fake.0.held.borrow().len(), 2, "the piece that was no use is given back");
}

#[test]
fn what_a_process_before_us_left_is_told_apart_from_ours() {
    let fake = Fake::new(Faults { left: vec![(GUEST.0, 5), (9, 40)], ..ready() });
    let mut grants = fake.grants();
    let left = BTreeMap::from([(GUEST, 5), (DomId(9), 40)]);
    assert_eq!(grants.left_behind(), left);
    let ours = grants.allocate(GUEST, PAGES, &mut any).unwrap();
    assert_eq!(grants.left_behind(), left);
    grants.end_access(ours.id);
    drop(ours.memory);
    assert_eq!(releases(&mut grants, 2000), [ours.id]);
    assert_eq!(grants.left_behind(), left);
    assert!(Fake::new(ready()).grants().left_behind().is_empty());
}

#[test]
fn a_helper_that_does_not_say_what_was_left_is_not_used() {
    let left = || vec![(GUEST.0, 5), (9, 40)];
    let broken = Faults { left: left(), next_domain: Some(Errno::ENOTTY), ..ready() };
    test_provider(broken, Provider::GntdevDmabuf, &["who has memory of ours: Inappropriate ioctl"]);
    let again = Faults { left: left(), stuck: 1, ..ready() };
    test_provider(again, Provider::GntdevDmabuf, &["who has memory of ours: domain"]);
}
