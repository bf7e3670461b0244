//! Endpoints that speak HTTP/2 and refuse, give up, leave, or send to clients that do not read.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use webrouter_testkit::http2::{Code, Fields, Frame, Http2, PREFACE, Windows, indexed, setting};
use webrouter_testkit::{Asked, Client, H2cOrigin, Origin, Router, Step, eventually};

fn router(endpoints: &[SocketAddr]) -> Router {
    let mut list = String::new();
    for endpoint in endpoints {
        let _ = write!(list, "\"{endpoint}\", ");
    }
    let apps =
        format!("[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nprotocol = \"h2c\"\nendpoints = [{list}]\n");
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter"))
        .listen("h2c = true")
        // One core, so that requests share what connections there are.
        .section("[engine]\nthreads = 1\n[timeouts]\nkeep_alive = \"1s\"\n")
        .apps(&apps)
        .start();
    router.wait_ready();
    router
}

/// What an endpoint says on each of its connections: to each request its answer, after `last` nothing more.
fn script(answers: impl Iterator<Item = Vec<Frame>>) -> Vec<Step> {
    let mut steps = vec![Step::ReadUntil(PREFACE.to_vec()), written(&[Frame::settings(&[]), Frame::settings_ack()])];
    for (stream, answer) in (1_u32..).step_by(2).zip(answers) {
        // HEADERS with END_STREAM and END_HEADERS.
        steps.push(Step::ReadUntil([&[1, 5][..], &stream.to_be_bytes()].concat()));
        steps.push(written(&answer.into_iter().map(|frame| frame.on(stream)).collect::<Vec<_>>()));
    }
    steps
}

fn written(frames: &[Frame]) -> Step {
    Step::Write(frames.iter().flat_map(Frame::encode).collect())
}

/// `:status: 200`, and no body.
fn ok() -> Vec<Frame> {
    vec![Frame::headers(1, indexed(8)).ending()]
}

fn ask(router: &Router, method: &str) -> u16 {
    let request = format!("{method} / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 0\r\n\r\n");
    let mut client = Client::connect(router.http());
    client.send(request.as_bytes());
    client.response(Asked::Content, SOON).expect("an answer").status
}

/// Requests share a connection, and one that was reset was taken for a connection that had been idle for too long: an
/// endpoint that resets all it is asked was asked for ever.
#[test]
fn an_endpoint_that_resets_every_request_is_ejected() {
    let well = H2cOrigin::start("well");
    let resets = || vec![Frame::rst_stream(1, Code::INTERNAL_ERROR)];
    let sick = Origin::start(script(std::iter::repeat_with(resets).take(200)));
    let router = router(&[well.addr(), sick.addr()]);
    let failed = (0..60).filter(|_| ask(&router, "POST") != 200).count();
    assert!((3..10).contains(&failed), "{failed} of 60 failed");
    let endpoints: Value = serde_json::from_str(&router.admin_get("/v1/endpoints").1).expect("JSON");
    let text = endpoints.to_string();
    assert!(text.contains("ejected"), "{text}");
    assert_eq!((0..20).filter(|_| ask(&router, "GET") != 200).count(), 0);
}

/// RFC 9113 §6.8: what comes behind the last stream that a GOAWAY names was not processed, so that a POST, too, can be sent
/// again, and to the same endpoint.
#[test]
fn requests_that_an_endpoint_leaves_behind_are_sent_again() {
    let leaves = |last| vec![Frame::goaway(last, Code::NO_ERROR).on(0)];
    let script = || {
        let mut steps = script([ok()].into_iter());
        steps.push(Step::ReadUntil([&[1, 5][..], &3_u32.to_be_bytes()].concat()));
        steps.push(written(&leaves(1)));
        steps.push(Step::Close);
        steps
    };
    let origin = Origin::start(script());
    let router = router(&[origin.addr()]);
    let statuses: Vec<u16> = (0..20).map(|_| ask(&router, "POST")).collect();
    assert_eq!(statuses, [200; 20]);
    assert_eq!(router.metric("webrouter_retries_total", ""), 0.0, "it costs nothing of the budget");
}

/// What `http` does not take for a target was never sent, and the endpoint was blamed for it.
#[test]
fn what_cannot_be_said_in_http2_is_the_clients_mistake() {
    let origin = H2cOrigin::start("one");
    let router = router(&[origin.addr()]);
    for target in ["/a<b", "/a`b", "/?a=\"b"] {
        let mut client = Client::connect(router.http());
        client.send(format!("GET {target} HTTP/1.1\r\nHost: demo.test\r\n\r\n").as_bytes());
        assert_eq!(client.response(Asked::Content, SOON).expect("an answer").status, 400, "{target}");
    }
    assert_eq!(ask(&router, "GET"), 200);
    assert_eq!(router.metric("webrouter_upstream_stale_total", ""), 0.0);
}

/// A connection to an endpoint had one window for all requests: a few clients that did not read held up the others.
#[test]
fn clients_that_do_not_read_take_nothing_from_others() {
    let origin = H2cOrigin::start("one");
    let router = router(&[origin.addr()]);
    // There is a connection to share from then on.
    assert_eq!(ask(&router, "GET"), 200);
    let mut idle = Http2::begun(Client::connect(router.http()), &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    idle.set_windows(Windows::ByHand);
    let fields = Fields::request("GET", "demo.test", "/bytes-300000");
    let streams: Vec<u32> = (0..60).map(|_| idle.ask(&fields, b"")).collect();
    let heads = idle.until(SOON, |inbox| streams.iter().all(|&stream| inbox.stream(stream).head.is_some()));
    assert_eq!(heads, Ok(()));
    let mut other = Http2::connect(router.http());
    for _ in 0..5 {
        assert_eq!(other.get("demo.test", "/bytes-300000").map(|answer| answer.body.len()), Ok(300_000));
    }
    assert_eq!(origin.connections(), 1);
}

/// Answers that were made and are not read kept their connection, and what they hold, for ever.
#[test]
fn answers_that_nobody_reads_are_given_up() {
    let origin = H2cOrigin::start("one");
    let router = router(&[origin.addr()]);
    let mut client = Client::connect(router.http());
    let hello = [Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 20)]), Frame::window_update(0, 1 << 30)];
    let bytes: Vec<u8> = hello.iter().flat_map(Frame::encode).collect();
    client.send(&[PREFACE, &bytes].concat());
    let block = Fields::request("GET", "demo.test", "/bytes-60000").block();
    for stream in (1..).step_by(2).take(100) {
        client.send(&Frame::headers(stream, block.clone()).ending().encode());
    }
    // Nothing is read here: what the kernel does not take stays in the router.
    eventually(SOON, "all is answered, or will never be", || origin.requests().len() == 100);
    eventually(Duration::from_secs(20), "the connection is given up", || {
        router.metric("webrouter_connections_open", "") == 0.0
    });
}

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
