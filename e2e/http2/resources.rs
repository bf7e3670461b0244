//! What one connection may take: streams, windows, memory.

use std::time::Duration;

use webrouter_testkit::http2::{Code, Ended, Fields, Frame, Http2, MAX_FRAME_SIZE, Windows, setting};
use webrouter_testkit::{End, HttpOrigin, Origin, Router, Step, eventually};

use crate::floods::{GROWTH_KIB, peak_during};

fn router(apps: &str) -> Router {
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).listen("h2c = true").apps(apps).start();
    router.wait_ready();
    router
}

fn entry(addr: std::net::SocketAddr) -> String {
    format!("[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nendpoints = [\"{addr}\"]\n")
}

fn at(method: &str, path: &str) -> Fields {
    Fields::request(method, "demo.test", path)
}

/// RFC 9113 §5.1.2: what is too much is refused, so that the client may try again.
#[test]
fn more_streams_than_allowed_are_refused() {
    let origin = HttpOrigin::start("one");
    let router = router(&entry(origin.addr()));
    let mut connection = Http2::connect(router.http());
    let known = connection.until(SOON, |inbox| inbox.setting(setting::MAX_CONCURRENT_STREAMS).is_some());
    assert_eq!(known, Ok(()), "the number of streams is limited");
    let most = connection.inbox().setting(setting::MAX_CONCURRENT_STREAMS).expect("known");
    assert!((100..=1000).contains(&most), "{most} streams");
    for _ in 0..most {
        connection.ask(&at("GET", "/hold"), b"");
    }
    eventually(SOON, "as many requests are in flight", || origin.holding() == most as usize);
    let one_more = connection.ask(&at("GET", "/hold"), b"");
    assert_eq!(connection.until(SOON, |inbox| inbox.end_of(one_more) != Ended::Open), Ok(()));
    let code = connection.inbox().stream(one_more).reset;
    assert!(code == Some(Code::REFUSED_STREAM) || code == Some(Code::PROTOCOL_ERROR), "{code:?}");
    assert_eq!(origin.holding(), most as usize);
    origin.release();
    for number in 0..most {
        assert_eq!(connection.answer(2 * number + 1, SOON).map(|answer| answer.text()).as_deref(), Ok("one"));
    }
    assert_eq!(connection.get("demo.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
}

/// RFC 9113 §6.9.1: who sends more than the windows allow is cut off, and what nobody reads is not piled up.
#[test]
fn more_content_than_the_windows_allow_is_an_error() {
    let origin = Origin::start(vec![Step::ReadHead, Step::Deaf]);
    let router = router(&entry(origin.addr()));
    let mut connection = Http2::connect(router.http());
    let stream = connection.begin(&at("POST", "/"), false);
    eventually(SOON, "the app has the head", || !origin.exchanges().is_empty());
    let before = router.rss_kib();
    let block: Vec<u8> = (0..16).flat_map(|_| Frame::data(stream, [b'x'; MAX_FRAME_SIZE]).encode()).collect();
    let peak = peak_during(&router, || {
        for _ in 0..256 {
            if !connection.send(&block) {
                break;
            }
        }
        let end = connection.until(SOON, |inbox| inbox.goaway.is_some() || inbox.end_of(stream) != Ended::Open);
        let (goaway, reset) = (connection.inbox().goaway.clone(), connection.inbox().stream(stream).reset);
        let code = reset.or(goaway.map(|goaway| goaway.code));
        // The GOAWAY may be lost where the rest of what was sent meets a closed socket.
        assert!(code == Some(Code::FLOW_CONTROL_ERROR) || end == Err(End::Reset), "{code:?} {end:?}");
    });
    assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
}

/// RFC 9113 §5.2: what one client does not read is not read from the app.
#[test]
fn answers_that_nobody_takes_are_not_piled_up() {
    let origin = HttpOrigin::start("one");
    let router = router(&entry(origin.addr()));
    let mut warm = Http2::connect(router.http());
    assert_eq!(warm.get("demo.test", "/bytes-1000000").map(|answer| answer.body.len()), Ok(1_000_000));
    let before = router.rss_kib();
    let mut connection = Http2::connect(router.http());
    connection.set_windows(Windows::ByHand);
    let streams: Vec<u32> = (0..20).map(|_| connection.ask(&at("GET", "/bytes-50000000"), b"")).collect();
    let peak = peak_during(&router, || {
        let heads =
            |inbox: &webrouter_testkit::http2::Inbox| streams.iter().all(|&stream| inbox.stream(stream).head.is_some());
        assert_eq!(connection.until(SOON, heads), Ok(()));
        // Nothing more comes than the connection's window holds.
        assert_eq!(connection.read_to_end(Duration::from_millis(500)), End::Deadline);
    });
    let taken: usize = streams.iter().map(|&stream| connection.inbox().body_length(stream)).sum();
    assert!(taken <= 65_535, "{taken} bytes into a window of 65,535");
    assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
    drop(connection);
    eventually(SOON, "the app is let go", || origin.open_connections() <= 1);
}

/// SPEC §4: bodies of any size in constant memory.
#[test]
fn big_bodies_over_http2_grow_nothing() {
    const SIZE: usize = 64 << 20;
    let origin = HttpOrigin::start("one");
    let router = router(&entry(origin.addr()));
    let mut connection = Http2::connect(router.http());
    assert_eq!(connection.get("demo.test", "/bytes-1000000").map(|answer| answer.body.len()), Ok(1_000_000));
    let before = router.rss_kib();
    let stream = connection.ask(&at("GET", &format!("/bytes-{SIZE}")), b"");
    let peak = peak_during(&router, || {
        let mut taken = 0;
        while taken < SIZE {
            connection.turn(SOON).expect("the answer goes on");
            taken += connection.inbox_mut().discard(stream);
        }
        assert_eq!(taken, SIZE);
    });
    assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
    assert_eq!(connection.get("demo.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
}

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
