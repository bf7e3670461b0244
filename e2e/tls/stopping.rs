//! A router that stops does not wait for clients that have said nothing.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use webrouter_testkit::http2::{Fields, Frame};
use webrouter_testkit::{Client, End, Origin, Signal, Step, Transport, eventually};

use crate::{AT_ONCE, SOON, Scene, entry, ready, webrouter};

#[test]
fn connections_that_have_said_nothing_are_closed_at_once() {
    let scene = Scene::new();
    let mut router = ready(scene.builder().listen("h2c = true"));
    let mut silent = [router.http(), router.https()].map(Client::connect);
    let open = || router.metric("webrouter_connections_open", "");
    eventually(SOON, "they are accepted", || open() >= 2.0);
    router.signal(Signal::TERM);
    for client in &mut silent {
        assert_ne!(client.read_to_end(AT_ONCE), End::Deadline);
    }
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
}

/// A connection of HTTP/2 may carry more tunnels than there are connections; they part last all the same.
#[test]
fn tunnels_of_one_connection_do_not_part_while_requests_are_under_way() {
    let scene = Scene::new();
    let granted = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Accept: {accept}\r\n\r\n";
    let echo = Origin::start(vec![Step::ReadHead, Step::AcceptWebSocket(granted.to_vec()), Step::Echo]);
    let apps = [
        entry("one.web.web", &["one.test"], scene.origin.addr(), ""),
        entry("ws.web.web", &["ws.one.test"], echo.addr(), ""),
    ];
    let pair = scene.authority.pair(&["one.test", "*.one.test"]);
    let builder = webrouter().https_listener().pair("one", &pair).apps(&apps.concat());
    let mut router = ready(builder.section("[engine]\nthreads = 1\n[stop]\ndeadline = \"40s\"\n"));
    let mut http2 = scene.tls().offering(&["h2"]).http2(router.https(), "one.test");
    let fields = Fields::request("CONNECT", "ws.one.test", "/ws").but(":scheme", "https");
    let fields = fields.with(":protocol", "websocket").with("sec-websocket-version", "13");
    let tunnels: Vec<u32> = (0..3).map(|_| http2.begin(&fields, false)).collect();
    let opened = http2.until(SOON, |inbox| tunnels.iter().all(|tunnel| inbox.stream(*tunnel).status() == Some(200)));
    assert!(opened.is_ok(), "{opened:?}");
    let held = http2.ask(&Fields::request("GET", "one.test", "/hold").but(":scheme", "https"), b"");
    eventually(SOON, "a request is under way", || scene.origin.holding() == 1);
    router.signal(Signal::TERM);
    let _ = http2.until(SOON, |inbox| inbox.goaway.is_some());
    assert!(http2.inbox().goaway.is_some(), "the client knows of it");
    for tunnel in &tunnels {
        assert_eq!(http2.inbox().body_length(*tunnel), 0, "no Close frame yet");
    }
    // Both ways still: masked, as a client's frames are.
    http2.send_frames(&[Frame::data(tunnels[0], [0x82, 0x82, 0, 0, 0, 0, b'h', b'i'])]);
    let echoed = http2.until(AT_ONCE, |inbox| inbox.body_length(tunnels[0]) > 0);
    assert!(echoed.is_ok(), "{echoed:?}");
    assert!(tunnels[1..].iter().all(|tunnel| http2.inbox().body_length(*tunnel) == 0));
    scene.origin.release();
    assert_eq!(http2.answer(held, SOON).map(|answer| answer.status), Ok(200));
    let parted = http2.until(SOON, |inbox| tunnels.iter().all(|tunnel| inbox.body_length(*tunnel) > 0));
    assert!(parted.is_ok(), "{parted:?}");
    drop(http2);
    assert!(router.wait_exit(Duration::from_secs(15)).is_some_and(|exit| exit.success()));
}

/// Bytes of a record that never becomes whole are no request: the time of an idle connection goes on.
#[test]
fn pieces_of_a_record_do_not_keep_a_connection_alive() {
    let scene = Scene::new();
    let router = ready(scene.builder().section("[timeouts]\nkeep_alive = \"1s\"\n"));
    let tcp = TcpStream::connect(router.https()).expect("connected");
    let mut below = tcp.try_clone().expect("a second handle");
    let stream = scene.tls().handshake_over(tcp, "one.test").expect("a handshake");
    let mut client = Client::over(Transport::Tls(Box::new(stream)));
    assert_eq!(crate::body(&mut client, "one.test", "/"), "one");
    let begun = Instant::now();
    // An application record of 100 bytes, a byte at a time.
    let record = [23, 3, 3, 0, 100].into_iter().chain(std::iter::repeat_n(7, 60));
    let ended = record
        .map(|byte| below.write_all(&[byte]).is_err())
        .any(|broken| broken || client.read_to_end(Duration::from_millis(200)) != End::Deadline);
    assert!(ended && begun.elapsed() < SOON, "{:?}", begun.elapsed());
}

/// What is too much is told in the words of the port.
#[test]
fn a_connection_too_many_hears_no_plain_text_on_a_port_of_tls() {
    let scene = Scene::new();
    let router = ready(scene.builder().section("[limits]\nconnections = 1\n"));
    let mut first = Client::connect(router.http());
    assert_eq!(first.get("one.test", "/").map(|answer| answer.status), Ok(200));
    let mut second = Client::connect(router.https());
    assert_ne!(second.read_to_end(SOON), End::Deadline);
    assert_eq!(second.received(), b"");
    let mut third = Client::connect(router.http());
    third.read_to_end(SOON);
    assert!(third.received().starts_with(b"HTTP/1.1 503 "));
}
