// SPDX-License-Identifier: GPL-3.0-or-later
//! A session with a frontend at its other end and a host of plain maps, for the displif tests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use grantway::displif::limits::Limits;
use grantway::displif::pace::{Hold, Pace};
use grantway::displif::page_directory::{REFS_PER_PAGE, build};
use grantway::displif::session::{ConnectorPages, Fatal, Progress, Session};
use grantway::displif::wire::{
    AttachFramebuffer, CreateBuffer, FLAG_REQ_ALLOC, FlipEvent, Operation, Packet, Response, SetConfig, Version,
};
use grantway::displif::{Action, Allocation, BufferSerial, FlipSerial, Host, Usage};
use grantway::time::Time;
use grantway::xen::event_page::Layout;
use grantway::xen::front::{FrontEvents, FrontRing, HeapPages};
use grantway::xen::grants::GrantError;
use grantway::xen::{DomId, GrantRef, PAGE_SIZE};

pub(crate) const XR24: u32 = u32::from_le_bytes(*b"XR24");
pub(crate) const RG16: u32 = u32::from_le_bytes(*b"RG16");
pub(crate) const NV12: u32 = u32::from_le_bytes(*b"NV12");

/// First grant reference of buffer pages; those below are directories.
pub(crate) const DATA: u32 = 1_000_000;

fn refused(why: &str) -> GrantError {
    GrantError::Refused { domid: DomId(3), why: why.into() }
}

/// What the guest has granted, and what was made of it.
#[derive(Default)]
pub(crate) struct FakeHost {
    pub(crate) directories: BTreeMap<GrantRef, [u8; PAGE_SIZE]>,
    pub(crate) revoked: BTreeSet<GrantRef>,
    pub(crate) imported: BTreeMap<BufferSerial, usize>,
    /// Buffers of our memory, with their directories.
    pub(crate) allocated: BTreeMap<BufferSerial, (usize, Vec<GrantRef>)>,
    /// What the guest holds elsewhere.
    pub(crate) elsewhere: Usage,
    pub(crate) written: BTreeMap<GrantRef, Vec<u8>>,
    pub(crate) page_reads: usize,
    /// The domain's, once a request was refused.
    pub(crate) pace: Option<Pace>,
    /// The EDID of the display that shows each connector.
    pub(crate) edids: BTreeMap<usize, Vec<u8>>,
    next_directory: u32,
}

impl FakeHost {
    /// Grants a directory of `pages` buffer pages, and returns its first page.
    pub(crate) fn directory(&mut self, pages: usize) -> GrantRef {
        let refs: Vec<_> = (DATA..).take(pages).map(GrantRef).collect();
        self.directory_of(&refs)
    }

    pub(crate) fn directory_of(&mut self, refs: &[GrantRef]) -> GrantRef {
        let first = self.next_directory + 1;
        let pages: Vec<_> = (first..).take(refs.len().div_ceil(REFS_PER_PAGE).max(1)).map(GrantRef).collect();
        self.next_directory = pages.last().unwrap().0;
        let mut contents = build(&pages, refs);
        contents.resize(pages.len(), [0; PAGE_SIZE]);
        self.directories.extend(pages.iter().copied().zip(contents));
        pages[0]
    }
}

impl Host for FakeHost {
    fn edid(&self, connector: usize) -> Option<Vec<u8>> {
        self.edids.get(&connector).cloned()
    }

    fn usage(&self) -> Usage {
        let ours = self.allocated.values().map(|(pages, _)| pages).sum::<usize>();
        Usage {
            buffers: self.elsewhere.buffers + self.imported.len() + self.allocated.len(),
            pages: self.elsewhere.pages + self.imported.values().sum::<usize>() + ours,
            allocated: self.elsewhere.allocated + ours,
            overdue: self.elsewhere.overdue,
        }
    }

    fn refused(&mut self, borne_per_second: u32, now: Time) -> Option<Hold> {
        self.pace.get_or_insert_with(|| Pace::new(borne_per_second)).refused(now)
    }

    fn allocate(&mut self, buffer: BufferSerial, pages: usize, directory: &[GrantRef]) -> Result<(), GrantError> {
        if directory.iter().any(|gref| self.revoked.contains(gref)) {
            return Err(refused("granted read-only"));
        }
        assert!(self.allocated.insert(buffer, (pages, directory.to_vec())).is_none(), "{buffer:?} allocated twice");
        Ok(())
    }

    fn read_page(&mut self, gref: GrantRef) -> Result<[u8; PAGE_SIZE], GrantError> {
        self.page_reads += 1;
        self.directories.get(&gref).copied().ok_or_else(|| refused("bad_gref"))
    }

    fn write_pages(&mut self, refs: &[GrantRef], bytes: &[u8]) -> Result<(), GrantError> {
        if refs.len() * PAGE_SIZE < bytes.len() {
            return Err(GrantError::Driver("too few pages".into()));
        }
        if refs.iter().any(|gref| self.revoked.contains(gref)) {
            return Err(refused("granted read-only"));
        }
        self.written.insert(refs[0], bytes.to_vec());
        Ok(())
    }

    fn import(&mut self, buffer: BufferSerial, refs: &[GrantRef]) -> Result<(), GrantError> {
        if refs.iter().any(|gref| self.revoked.contains(gref)) {
            return Err(refused("bad_gref"));
        }
        assert!(self.imported.insert(buffer, refs.len()).is_none(), "{buffer:?} imported twice");
        Ok(())
    }
}

/// A guest and the session that serves it.
pub(crate) struct Fixture {
    pub(crate) session: Session,
    pub(crate) host: FakeHost,
    pub(crate) rings: Vec<FrontRing<64>>,
    pub(crate) events: Vec<FrontEvents<64>>,
    pub(crate) now: Time,
    pub(crate) actions: Vec<Action>,
    next_id: u16,
}

impl Fixture {
    pub(crate) fn new(sizes: &[(u32, u32)], version: Version, limits: Limits) -> Self {
        Self::allocating(sizes, version, limits, Allocation::Off)
    }

    /// A session that makes buffers of our memory, or says why not.
    pub(crate) fn allocating(sizes: &[(u32, u32)], version: Version, limits: Limits, allocation: Allocation) -> Self {
        let (mut rings, mut events, mut connectors) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (width, height)) in sizes.iter().enumerate() {
            let (requests, event_page) = (HeapPages::new(1), HeapPages::new(1));
            rings.push(FrontRing::new(requests.share()).unwrap());
            events.push(FrontEvents::new(event_page.share(), Layout::DISPLIF, 0).unwrap());
            connectors.push(ConnectorPages {
                unique_id: format!("conn-{index}"),
                width: *width,
                height: *height,
                requests: requests.share(),
                events: event_page.share(),
            });
        }
        let now = Duration::from_secs(1000);
        let session = Session::new("guest \"web\" (dom 3)".into(), limits, version, connectors, now).unwrap();
        let session = session.allocating(allocation);
        let mut it = Self { session, host: FakeHost::default(), rings, events, now, actions: Vec::new(), next_id: 0 };
        // A session looks at every ring once, without being asked to.
        while let Some(connector) = it.session.ready(it.now) {
            it.service(connector).unwrap();
        }
        it
    }

    /// Two connectors of 800x600 and 640x480, version 2, default limits.
    pub(crate) fn plain() -> Self {
        Self::new(&[(800, 600), (640, 480)], Version::V2, Limits::default())
    }

    pub(crate) fn advance(&mut self, by: Duration) {
        self.now += by;
        self.session.tick(self.now);
        self.collect();
    }

    pub(crate) fn collect(&mut self) {
        self.actions.extend(self.session.actions());
    }

    /// What was to be done since the last call, notifications left out.
    pub(crate) fn take_actions(&mut self) -> Vec<Action> {
        let actions = std::mem::take(&mut self.actions);
        let told = |action: &Action| matches!(action, Action::NotifyRequests(_) | Action::NotifyEvents(_));
        actions.into_iter().filter(|action| !told(action)).collect()
    }

    pub(crate) fn service(&mut self, connector: usize) -> Result<Progress, Fatal> {
        let progress = self.session.service(connector, &mut self.host, self.now);
        self.collect();
        progress
    }

    /// Puts a request into a ring, without a look at it from the other side.
    pub(crate) fn push(&mut self, connector: usize, operation: &Operation) -> u16 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.rings[connector].push(&operation.encode(id)).unwrap();
        id
    }

    pub(crate) fn push_raw(&mut self, connector: usize, packet: &Packet) {
        self.rings[connector].push(packet).unwrap();
    }

    pub(crate) fn pop(&mut self, connector: usize) -> Option<Response> {
        let packet = self.rings[connector].pop().unwrap();
        if packet.is_none() {
            assert!(!self.rings[connector].final_check().unwrap());
        }
        packet.map(|packet| Response::decode(&packet))
    }

    pub(crate) fn event(&mut self, connector: usize) -> Option<FlipEvent> {
        let packet = self.events[connector].pop().unwrap()?;
        Some(FlipEvent::decode(&packet).expect("only flip events exist"))
    }

    /// One request and its response, or `None` when it is not answered yet. Waits while the ring is held back.
    pub(crate) fn ask(&mut self, connector: usize, operation: &Operation) -> Option<i32> {
        let id = self.push(connector, operation);
        for _ in 0..1000 {
            if self.service(connector).unwrap() != Progress::Stalled {
                break;
            }
            self.advance(Duration::from_millis(1));
        }
        let response = self.pop(connector)?;
        assert_eq!(response.id.id, id);
        assert_eq!(self.pop(connector), None, "one response a request");
        self.session.verify_invariants();
        Some(response.status)
    }

    /// DBUF_CREATE that asks for our memory, with an empty directory.
    pub(crate) fn create_ours(&mut self, cookie: u64, width: u32, height: u32) -> i32 {
        let mut create = self.creation(cookie, width, height, 32, width * height * 4);
        create.directory = self.host.directory_of(&vec![GrantRef(0); create.size.div_ceil(4096) as usize]);
        create.flags = FLAG_REQ_ALLOC;
        self.ask(0, &Operation::CreateBuffer(create)).unwrap()
    }

    /// DBUF_CREATE with a fitting directory.
    pub(crate) fn create(&mut self, cookie: u64, width: u32, height: u32, bpp: u32) -> i32 {
        let size = (width * bpp).div_ceil(8) * height;
        let create = self.creation(cookie, width, height, bpp, size);
        self.ask(0, &Operation::CreateBuffer(create)).unwrap()
    }

    pub(crate) fn creation(&mut self, cookie: u64, width: u32, height: u32, bpp: u32, size: u32) -> CreateBuffer {
        let pages = usize::try_from(size).unwrap().div_ceil(PAGE_SIZE).clamp(1, 20_000);
        let directory = self.host.directory(pages);
        CreateBuffer { cookie, width, height, bpp, size, flags: 0, directory, data_offset: 0 }
    }

    pub(crate) fn attach(&mut self, buffer_cookie: u64, cookie: u64, width: u32, height: u32, fourcc: u32) -> i32 {
        let attach = AttachFramebuffer { buffer_cookie, cookie, width, height, fourcc };
        self.ask(0, &Operation::AttachFramebuffer(attach)).unwrap()
    }

    pub(crate) fn configure(&mut self, connector: usize, cookie: u64, width: u32, height: u32) -> i32 {
        let config = SetConfig { cookie, x: 0, y: 0, width, height, bpp: 32 };
        self.ask(connector, &Operation::SetConfig(config)).unwrap()
    }

    /// A connector 0 that shows framebuffer 0x10 of buffer 1, with framebuffer 0x11 beside it.
    pub(crate) fn showing() -> Self {
        let mut it = Self::plain();
        assert_eq!(it.create(1, 800, 600, 32), 0);
        assert_eq!(it.attach(1, 0x10, 800, 600, XR24), 0);
        assert_eq!(it.attach(1, 0x11, 800, 600, XR24), 0);
        assert_eq!(it.configure(0, 0x10, 800, 600), 0);
        it.take_actions();
        it
    }

    /// The flips that are to be shown now.
    pub(crate) fn take_flips(&mut self) -> Vec<(usize, FlipSerial)> {
        let flips = self.take_actions().into_iter().filter_map(|action| match action {
            Action::Flip { connector, flip, .. } => Some((connector, flip)),
            _ => None,
        });
        flips.collect()
    }

    pub(crate) fn presented(&mut self, connector: usize, flip: FlipSerial) {
        self.session.presented(connector, flip);
        self.collect();
    }

    pub(crate) fn freed(&mut self, buffer: BufferSerial) {
        self.host.imported.remove(&buffer);
        self.host.allocated.remove(&buffer);
        self.session.freed(buffer);
        self.collect();
    }
}
