//! An endpoint that leaves, by an update or an operator's word: no new request, and what is under way ends well.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use webrouter_testkit::{Asked, Client, End, HttpOrigin, Origin, Router, Step, eventually, until};

use super::{SOON, app, assert_page, await_state, edit_and_await, endpoint, get, started, webrouter};

/// `webrouter drain`, under way.
fn drain_command(router: &Router, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_webrouter"))
        .arg("drain")
        .args(arguments)
        .args(["--admin", &router.admin().to_string()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

/// How it ended, and what it said.
fn end_of(mut command: Child) -> (Option<i32>, String) {
    let exit = until(SOON, || command.try_wait().ok().flatten());
    let mut text = String::new();
    let _ = command.kill();
    command.stdout.take().map(|mut stdout| stdout.read_to_string(&mut text));
    command.stderr.take().map(|mut stderr| stderr.read_to_string(&mut text));
    (exit.and_then(|exit| exit.code()), text)
}

fn drain(router: &Router, method: &str, addr: SocketAddr) -> Value {
    let (status, body) = router.admin_act(method, &format!("/v1/endpoints/{addr}/drain"));
    assert_eq!(status, 200, "{method}: {body}");
    serde_json::from_str(&body).unwrap_or_default()
}

/// A request that waits in `origin`.
fn under_way(router: &Router, origin: &HttpOrigin) -> Client {
    let before = origin.holding();
    let mut client = Client::connect(router.http());
    eventually(SOON, "the request is under way there", || {
        client = Client::connect(router.http());
        client.send(b"GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n");
        until(Duration::from_millis(500), || (origin.holding() > before).then_some(())).is_some()
    });
    client
}

/// Gives both origins idle connections from every core.
fn warm(router: &Router) {
    for _ in 0..40 {
        assert_eq!(get(router, "/").status, 200);
    }
}

#[test]
fn a_removed_endpoint_finishes_its_request_and_loses_its_idle_connections() {
    let (old, new) = (HttpOrigin::start("old"), HttpOrigin::start("new"));
    let router = started(webrouter().apps(&app("", &[old.addr()])));
    warm(&router);
    let mut client = under_way(&router, &old);
    edit_and_await(&router, "marker", &app("", &[new.addr()]), new.addr());
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "new");
    }
    eventually(SOON, "only the busy connection is left", || old.open_connections() == 1);
    old.release();
    assert_eq!(client.response(Asked::Content, SOON).map(|response| response.text()), Ok("old".to_owned()));
    eventually(SOON, "no connection is left", || old.open_connections() == 0);
}

#[test]
fn a_drained_endpoint_finishes_its_request_gets_no_new_one_and_can_be_had_back() {
    let (going, staying) = (HttpOrigin::start("going"), HttpOrigin::start("staying"));
    let router = started(webrouter().apps(&app("slow_start = \"0s\"", &[going.addr(), staying.addr()])));
    warm(&router);
    // `hold` would hold there as well, for a request that is sent to the other one.
    staying.release();
    let mut client = under_way(&router, &going);

    assert_eq!(drain(&router, "POST", going.addr())["in_flight"], 1);
    await_state(&router, going.addr(), "draining");
    assert_eq!(endpoint(&router, going.addr())["in_flight"], 1);
    let served = going.served();
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "staying");
    }
    assert_eq!(going.served(), served);
    eventually(SOON, "its idle connections are closed", || going.open_connections() == 1);
    going.release();
    assert_eq!(client.response(Asked::Content, SOON).map(|response| response.text()), Ok("going".to_owned()));
    eventually(SOON, "nothing is under way", || drain(&router, "POST", going.addr())["in_flight"] == 0);
    eventually(SOON, "no connection is left", || going.open_connections() == 0);

    drain(&router, "DELETE", going.addr());
    await_state(&router, going.addr(), "up");
    eventually(SOON, "it is asked again", || get(&router, "/").text() == "going");
}

#[test]
fn the_drain_command_waits_for_the_last_request() {
    let (going, staying) = (HttpOrigin::start("going"), HttpOrigin::start("staying"));
    let router = started(webrouter().apps(&app("", &[going.addr(), staying.addr()])));
    staying.release();
    let mut client = under_way(&router, &going);
    let addr = going.addr().to_string();

    let (code, text) = end_of(drain_command(&router, &[&addr, "--wait", "300ms"]));
    assert_eq!(code, Some(1), "it is not done in that time: {text}");
    let mut waiting = drain_command(&router, &[&addr, "--wait", "30s"]);
    await_state(&router, going.addr(), "draining");
    let early = until(Duration::from_millis(500), || waiting.try_wait().ok().flatten());
    assert_eq!(early, None, "it waits");
    going.release();
    assert_eq!(client.response(Asked::Content, SOON).map(|response| response.status), Ok(200));
    let (code, text) = end_of(waiting);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn draining_what_is_not_there_is_told() {
    let origin = HttpOrigin::start("one");
    let router = started(webrouter().apps(&app("", &[origin.addr()])));
    assert_eq!(router.admin_act("POST", "/v1/endpoints/192.0.2.1:80/drain").0, 404);
    let (code, text) = end_of(drain_command(&router, &["192.0.2.1:80"]));
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("192.0.2.1:80"), "{text}");
    assert_eq!(router.admin_post(&format!("/v1/endpoints/{}/drain", origin.addr()), "").0, 403, "without the header");
    assert_eq!(get(&router, "/").status, 200);
}

#[test]
fn an_app_that_is_drained_altogether_is_503() {
    let origin = HttpOrigin::start("one");
    let router = started(webrouter().apps(&app("", &[origin.addr()])));
    drain(&router, "POST", origin.addr());
    await_state(&router, origin.addr(), "draining");
    let page = get(&router, "/");
    assert_page(&page, 503, "draining");
    assert_eq!(origin.served(), 0);
}

/// An app with a WebSocket that greets, sends one frame for one, and answers a Close.
fn web_socket_app() -> Origin {
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    Origin::start(vec![
        Step::ReadHead,
        Step::Write(switched.to_vec()),
        Step::Write(HELLO.to_vec()),
        Step::ReadUntil(FROM_CLIENT.to_vec()),
        Step::Write(HELLO.to_vec()),
        Step::ReadUntil(vec![0x88, 0x82]),
        Step::Write(GOING_AWAY.to_vec()),
        Step::ReadToEnd,
        Step::Close,
    ])
}

/// A WebSocket that is there lives on for a second when its endpoint leaves, and then ends politely.
fn web_socket_ends(leave: impl FnOnce(&Router, &Origin, &HttpOrigin)) {
    let (going, staying) = (web_socket_app(), HttpOrigin::start("staying"));
    let router = started(webrouter().apps(&app("drain_timeout = \"1s\"", &[going.addr()])));
    let mut client = Client::connect(router.http());
    client.send(
        b"GET /ws HTTP/1.1\r\nHost: a.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\
          Sec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(client.response_head(SOON).map(|head| head.status()), Ok(Some(101)));
    assert_eq!(client.read_exactly(HELLO.len(), SOON).as_deref(), Ok(HELLO));

    leave(&router, &going, &staying);
    let left = Instant::now();
    client.send(FROM_CLIENT);
    assert_eq!(client.read_exactly(HELLO.len(), SOON).as_deref(), Ok(HELLO), "it lives on");
    assert_eq!(client.read_exactly(GOING_AWAY.len(), SOON).as_deref(), Ok(GOING_AWAY), "a Close with 1001");
    println!("closed {:?} after the endpoint left", left.elapsed());
    // The time began a moment before we looked at the clock.
    assert!(left.elapsed() > Duration::from_millis(500), "{:?}", left.elapsed());
    client.send(b"\x88\x82\x01\x02\x03\x04\x02\xeb");
    assert_eq!(client.read_to_end(SOON), End::Closed);
    eventually(SOON, "the app is done", || going.exchanges().iter().all(|exchange| exchange.finished));
    let seen = going.exchanges().pop().expect("one").bytes;
    let [.., 0x88, 0x82, a, b, _, _, high, low] = seen[..] else { panic!("no masked Close: {seen:02x?}") };
    assert_eq!(u16::from_be_bytes([high ^ a, low ^ b]), 1001);
}

#[test]
fn a_web_socket_of_a_removed_endpoint_gets_its_time_and_then_a_close_frame() {
    web_socket_ends(|router, _, staying| {
        edit_and_await(router, "marker", &app("drain_timeout = \"1s\"", &[staying.addr()]), staying.addr());
    });
}

#[test]
fn a_web_socket_of_a_drained_endpoint_gets_its_time_and_then_a_close_frame() {
    web_socket_ends(|router, going, _| {
        drain(router, "POST", going.addr());
    });
}

/// A text frame as an app sends it.
const HELLO: &[u8] = b"\x81\x05Hello";
/// The same, masked, as a client sends it.
const FROM_CLIENT: &[u8] = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
/// A Close frame with status 1001.
const GOING_AWAY: &[u8] = b"\x88\x02\x03\xe9";
