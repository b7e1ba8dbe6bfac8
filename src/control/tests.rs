// SPDX-License-Identifier: GPL-3.0-or-later
//! The socket with real clients, on the same thread: nothing of the server blocks.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use super::*;

struct Fixture {
    server: Server,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("run/control.sock");
    Fixture { server: Server::bind(&path, 0o600, Access::Owner).unwrap(), path, _dir: dir }
}

fn raw(fixture: &Fixture) -> UnixStream {
    let stream = UnixStream::connect(&fixture.path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn rounds(server: &mut Server) {
    for _ in 0..50 {
        server.dispatch().unwrap();
    }
}

/// Serves until the client thread has its answer.
fn ask(fixture: &mut Fixture, request: Request, answer: Response) -> Result<Response, ClientError> {
    let path = fixture.path.clone();
    let expected = request.clone();
    let client =
        thread::spawn(move || Client::connect(&path, Duration::from_secs(10)).and_then(|mut c| c.request(&request)));
    while !client.is_finished() {
        fixture.server.dispatch().unwrap();
        for (from, request) in fixture.server.take_requests() {
            assert_eq!(request, expected);
            fixture.server.reply(from, answer.clone());
        }
        thread::yield_now();
    }
    client.join().unwrap()
}

fn sample() -> Status {
    let connector = ConnectorStatus {
        unique_id: "conn-a".to_owned(),
        state: "enabled".to_owned(),
        width: 800,
        height: 600,
        format: Some("XR24".to_owned()),
        flips: 1200,
        events: 1199,
        import_path: Some("pixman-in-place".to_owned()),
        import_reason: Some("no GPU".to_owned()),
        provider: Some("xen-zcopy".to_owned()),
        presented_by: PresentedBy::Composite,
        window: Some(WindowStatus { output: "HDMI-A-1".to_owned(), x: 3, y: 25, width: 800, height: 600 }),
        ..ConnectorStatus::default()
    };
    let guest = GuestStatus {
        domid: 3,
        name: "web".to_owned(),
        color: "#2f6fb5".to_owned(),
        state: "connected".to_owned(),
        connectors: vec![connector],
        buffers: 2,
        framebuffers: 2,
        grants: 938,
        mib_held: 3.66,
        requests_refused: 1,
        last_refusal: Some("buffer 0x2a:\u{1b}[2J too small".to_owned()),
        ..GuestStatus::default()
    };
    let output = OutputStatus {
        name: "HDMI-A-1".to_owned(),
        width: 1920,
        height: 1080,
        refresh_mhz: 59_940,
        frames: 77,
        ..OutputStatus::default()
    };
    Status {
        version: "0.1.0".to_owned(),
        platform: "xen".to_owned(),
        backend: "kms".to_owned(),
        renderer: "pixman".to_owned(),
        outputs: vec![output],
        guests: vec![guest],
        focus: Some(FocusStatus {
            domid: 3,
            name: "web".to_owned(),
            connector: 0,
            keyboard: true,
            pointer_grabbed: false,
        }),
        secure_attention: false,
        workspace: Some(1),
        clients: Vec::new(),
        departed: Vec::new(),
        kiosk: Vec::new(),
    }
}

#[test]
fn memory_of_ours_and_who_keeps_it_is_told() {
    let mut status = sample();
    assert!(!render(&status).contains("our memory"));
    status.guests[0].mib_allocated = 3.66;
    assert!(render(&status).contains("\nweb: 3.66 MiB in our memory\n"), "{}", render(&status));
    status.guests[0].pages_waiting = 469;
    status.departed = vec![DepartedStatus { domid: 9, pages_waiting: 12, pages_left_behind: 0 }];
    let text = render(&status);
    assert!(text.contains("\nweb: 3.66 MiB in our memory; 469 pages wait for it to let go\n"), "{text}");
    assert!(text.ends_with("\ndom 9, gone: 12 pages of our memory wait for it\n"), "{text}");
    status.guests[0].pages_left_behind = 31;
    status.departed[0].pages_left_behind = 5;
    let text = render(&status);
    assert!(
        text.contains("; 500 pages wait for it to let go, 31 of them from a compositor before this one\n"),
        "{text}"
    );
    assert!(text.ends_with("gone: 17 pages of our memory wait for it, 5 of them from a compositor before this one\n"));
    status.guests.clear();
    assert!(render(&status).contains("dom 9, gone"));
}

#[test]
fn every_answer_arrives_as_it_was_given() {
    let mut fixture = fixture();
    let picture = ScreenshotTarget::Guest { guest: GuestSelector::Name("web".to_owned()), connector: 1 };
    // Larger than a socket buffer, so that it goes out in pieces.
    let pixels = (0..3_000_000_u32).map(|number| number.to_le_bytes()[1]).collect();
    let talks = [
        (Request::Status {}, Response::Status(Box::new(sample()))),
        (Request::Screenshot { target: picture }, Response::Screenshot(Picture { width: 1000, height: 750, pixels })),
        (Request::Screenshot { target: ScreenshotTarget::FirstOutput }, Response::Error("no output".to_owned())),
        (Request::Fullscreen { guest: Some(GuestSelector::DomId(3)) }, Response::Done),
        (Request::Fullscreen { guest: None }, Response::Done),
        (Request::Workspace { number: 3 }, Response::Done),
        (
            Request::Input {
                guest: Some(GuestSelector::DomId(3)),
                connector: 0,
                action: InputAction::Touch { contact: 1, phase: TouchPhase::Down, x: 5, y: 6 },
            },
            Response::Done,
        ),
        (
            Request::Reload {},
            Response::Reloaded { changed: vec!["keys".to_owned()], needs_restart: vec!["output.mode".to_owned()] },
        ),
        (Request::Quit {}, Response::Done),
    ];
    for (request, answer) in talks {
        assert_eq!(ask(&mut fixture, request, answer.clone()).unwrap(), answer);
    }
}

#[test]
fn requests_look_as_documented() {
    let line = |request: Request| String::from_utf8(request.encode().unwrap()).unwrap();
    assert_eq!(line(Request::Status {}), "{\"request\":\"status\",\"version\":1}\n");
    let target = ScreenshotTarget::Guest { guest: GuestSelector::DomId(3), connector: 0 };
    assert_eq!(
        line(Request::Screenshot { target }),
        "{\"request\":\"screenshot\",\"target\":{\"guest\":{\"connector\":0,\"guest\":3}},\"version\":1}\n"
    );
    assert_eq!(decode_request(b"{\"version\":1,\"request\":\"quit\"}"), Ok(Request::Quit {}));
}

#[test]
fn requests_that_are_not_understood_are_refused_with_the_reason() {
    let refusal = |line: &str| decode_request(line.as_bytes()).unwrap_err();
    assert!(refusal("status").contains("not JSON"));
    assert!(refusal("[1]").contains("not a JSON object"));
    assert!(refusal("{\"request\":\"status\"}").contains("no \"version\""));
    assert!(refusal("{\"version\":2,\"request\":\"status\"}").contains("speaks version 1"));
    assert!(refusal("{\"version\":1,\"request\":\"reboot\"}").contains("unknown variant"));
    assert!(refusal("{\"version\":1,\"request\":\"status\",\"x\":1}").contains("unknown field"));
    assert!(refusal("{\"version\":1,\"request\":\"fullscreen\",\"guest\":-1}").contains("did not match"));
    assert!(refusal(&"[".repeat(4000)).contains("recursion"));
}

#[test]
fn a_client_that_talks_nonsense_is_told_so_and_dropped() {
    let mut fixture = fixture();
    for nonsense in ["GET / HTTP/1.1\r\n\r\n".to_owned(), "x".repeat(MAX_REQUEST * 2)] {
        let mut client = raw(&fixture);
        client.write_all(nonsense.as_bytes()).unwrap();
        rounds(&mut fixture.server);
        let mut answer = Vec::new();
        // Bytes that were never read may turn the end of the stream into a reset, after the answer.
        let _ = client.read_to_end(&mut answer);
        assert!(String::from_utf8(answer).unwrap().contains("\"response\":\"error\""));
        assert_eq!(fixture.server.take_requests(), []);
    }
}

#[test]
fn one_client_has_one_request_at_a_time() {
    let mut fixture = fixture();
    let mut client = raw(&fixture);
    let line = Request::Status {}.encode().unwrap();
    client.write_all(&line.repeat(3)).unwrap();
    for _ in 0..3 {
        rounds(&mut fixture.server);
        let requests = fixture.server.take_requests();
        assert_eq!(requests.len(), 1);
        fixture.server.reply(requests[0].0, Response::Done);
    }
    client.shutdown(std::net::Shutdown::Write).unwrap();
    rounds(&mut fixture.server);
    assert_eq!(fixture.server.take_requests(), []);
    let mut answers = String::new();
    client.read_to_string(&mut answers).unwrap();
    assert_eq!(answers.lines().count(), 3);
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let mut fixture = fixture();
    let mut client = raw(&fixture);
    client.write_all(&Request::Quit {}.encode().unwrap()).unwrap();
    rounds(&mut fixture.server);
    drop(client);
    rounds(&mut fixture.server);
    assert_eq!(fixture.server.take_requests(), []);
}

#[test]
fn idle_clients_make_room_for_new_ones() {
    let mut fixture = fixture();
    let idle: Vec<UnixStream> = (0..40).map(|_| raw(&fixture)).collect();
    rounds(&mut fixture.server);
    let answer = ask(&mut fixture, Request::Status {}, Response::Done).unwrap();
    assert_eq!(answer, Response::Done);
    drop(idle);
}

#[test]
fn a_client_that_never_reads_blocks_nobody() {
    let mut fixture = fixture();
    let mut lazy = raw(&fixture);
    lazy.write_all(&Request::Screenshot { target: ScreenshotTarget::FirstOutput }.encode().unwrap()).unwrap();
    rounds(&mut fixture.server);
    let (id, _) = fixture.server.take_requests().remove(0);
    fixture.server.reply(id, Response::Screenshot(Picture { width: 2048, height: 1024, pixels: vec![7; 8 << 20] }));
    assert_eq!(ask(&mut fixture, Request::Status {}, Response::Done).unwrap(), Response::Done);
    drop(lazy);
    rounds(&mut fixture.server);
}

#[test]
fn the_socket_is_the_owners_and_goes_with_its_server() {
    let fixture = fixture();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&fixture.path), 0o600);
    assert_eq!(mode(fixture.path.parent().unwrap()), 0o700);
    let path = fixture.path.clone();
    drop(fixture.server);
    assert!(!path.exists());
}

#[test]
fn only_the_owner_and_root_are_heard_unless_the_file_mode_decides() {
    use super::server::is_heard;
    assert!(is_heard(1000, 1000, Access::Owner) && is_heard(0, 1000, Access::Owner));
    assert!(!is_heard(1001, 1000, Access::Owner) && !is_heard(1000, 0, Access::Owner));
    assert!(is_heard(1001, 1000, Access::FileMode));
}

#[test]
fn a_dead_ones_socket_is_replaced_and_a_living_ones_is_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let server = Server::bind(&path, 0o600, Access::Owner).unwrap();
    let error = Server::bind(&path, 0o600, Access::Owner).unwrap_err();
    assert!(error.to_string().contains("another grantway is running"), "{error}");
    drop(server);
    std::fs::write(&path, "precious").unwrap();
    let error = Server::bind(&path, 0o600, Access::Owner).unwrap_err();
    assert!(error.to_string().contains("not a socket"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let error = Server::bind(Path::new("/nonexistent/deep/s"), 0o600, Access::Owner).unwrap_err();
    assert!(error.to_string().contains("no control socket"), "{error}");
}

#[test]
fn without_a_server_the_client_says_so() {
    let error = Client::connect(Path::new("/nonexistent/s"), Duration::from_secs(1)).unwrap_err();
    assert!(error.to_string().contains("no grantway answers"), "{error}");
}

#[test]
fn a_server_that_does_not_answer_is_not_waited_for_forever() {
    let fixture = fixture();
    let mut client = Client::connect(&fixture.path, Duration::from_secs(1)).unwrap();
    let error = client.request(&Request::Status {}).unwrap_err();
    assert_eq!(error.to_string(), "grantway did not answer within 1 s");
}

#[test]
fn the_default_socket_suits_the_user() {
    assert_eq!(default_socket(0, Some(Path::new("/run/user/0"))), Path::new("/run/grantway/control.sock"));
    assert_eq!(default_socket(7, Some(Path::new("/run/user/7"))), Path::new("/run/user/7/grantway.sock"));
    assert_eq!(default_socket(7, None), Path::new("/tmp/grantway-7/grantway.sock"));
}

#[test]
fn the_status_is_a_table_for_people() {
    let expected = "\
grantway 0.1.0 on xen, presented by kms with pixman

OUTPUT    MODE             FRAMES
HDMI-A-1  1920x1080@59.94      77

GUEST  DOM  CONNECTOR  STATE    SIZE     FORMAT  FLIPS  EVENTS  SHOWN BY   COPIED
web      3  0 conn-a   enabled  800x600  XR24     1200    1199  composite       0

GUEST  STATE      BUFFERS  FRAMEBUFFERS  GRANTS  MIB HELD  FREES PENDING  REFUSED
web    connected        2             2     938      3.66              0        1

web 0: xen-zcopy > pixman-in-place (no GPU)
web: last refused: buffer 0x2a:?[2J too small

keyboard: web (dom 3), connector 0
";
    assert_eq!(render(&sample()), expected);
}

#[test]
fn the_table_tells_the_plane_or_why_there_is_none() {
    let mut status = sample();
    status.guests[0].connectors[0].plane_refused = Some("pitch 5464 not a multiple of 64".to_owned());
    assert!(render(&status).contains("\nweb 0: on no plane: pitch 5464 not a multiple of 64\n"));
    let connector = &mut status.guests[0].connectors[0];
    (connector.presented_by, connector.plane) = (PresentedBy::Plane, Some("plane 31 (primary)".to_owned()));
    assert!(render(&status).contains("\nweb 0: on plane 31 (primary)\n"));
}

#[test]
fn the_table_tells_where_the_cursor_is() {
    let mut status = sample();
    status.outputs[0].cursor_plane_refused = Some("the display has no cursor plane".to_owned());
    assert!(render(&status).contains("77\nHDMI-A-1: cursor on no plane: the display has no cursor plane\n"));
    status.outputs[0].cursor_plane = Some("plane 41 (cursor)".to_owned());
    assert!(render(&status).contains("77\nHDMI-A-1: cursor on plane 41 (cursor)\n"));
}

#[test]
fn a_status_without_guests_says_so() {
    let status = Status { guests: Vec::new(), ..sample() };
    assert!(render(&status).ends_with("\nno guest has a display device\n"));
}

#[test]
fn wide_names_stay_aligned_and_the_widest_table_fits() {
    let mut status = sample();
    status.guests[0].name = "work-browser".to_owned();
    status.guests[0].connectors[0].bytes_copied = 5 << 30;
    let widest = render(&status).lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest}");
}

proptest::proptest! {
    /// Every request is understood as it was meant; no bytes make the decoder do anything but refuse.
    #[test]
    fn requests_survive_the_wire_and_noise_is_refused(domid: u16, name in "[a-z][a-z0-9-]{0,20}", connector in 0_usize..9, noise: Vec<u8>) {
        let selectors = [GuestSelector::DomId(domid), GuestSelector::Name(name.clone())];
        for guest in selectors {
            let target = ScreenshotTarget::Guest { guest: guest.clone(), connector };
            for request in [Request::Screenshot { target }, Request::Fullscreen { guest: Some(guest) }] {
                assert_eq!(decode_request(&request.encode().unwrap()), Ok(request));
            }
        }
        assert!(decode_request(&noise).is_err());
    }
}
