//! One test for each fixed bug, named after what went wrong.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use webrouter_testkit::{Client, HttpOrigin, Lainlet, Origin, Router, Signal, Step, eventually};

/// A real lainlet dies of one byte on a watch connection; the router must never be the one that sends it.
#[test]
fn nothing_is_written_on_a_watch_not_even_when_stopping() {
    let origin = HttpOrigin::start("one");
    let lainlet = Lainlet::start();
    lainlet.set_app("one.web.web", &["one.test"], &[origin.addr()]);
    let mut router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).lainlet(lainlet.addr()).start();
    router.wait_ready();
    eventually(Duration::from_secs(5), "a watch is open", || lainlet.watches() > 0);
    for _ in 0..3 {
        router.restart();
        router.wait_ready();
    }
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}

/// One app at `a.test`, served by `origin`.
fn router_before(origin: &Origin) -> Router {
    let apps = format!("[apps.\"a.web.web\"]\nmountpoint = [\"a.test\"]\nendpoints = [\"{}\"]\n", origin.addr());
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps(&apps).start();
    router.wait_ready();
    router
}

const EVIL: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";

/// An endpoint that sends a second answer behind its first one handed it to whoever used the connection next.
#[test]
fn a_surplus_answer_reaches_nobody() {
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec();
    // In a piece of its own, so that it can arrive when the first answer has been passed on.
    let origin = Origin::start(vec![Step::ReadHead, Step::Write(good), Step::Write(EVIL.to_vec())]);
    let router = router_before(&origin);
    for _ in 0..100 {
        let answer = Client::connect(router.http()).get("a.test", "/").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "good"));
        // What comes after the next request was sent is that request's answer for all that HTTP/1.1 can tell.
        eventually(Duration::from_secs(5), "the surplus is there", || origin.exchanges().iter().all(|e| e.finished));
    }
}

/// What a body's last read brought too many was dropped, and the connection used on from the middle of it.
#[test]
fn bytes_behind_a_streamed_body_end_its_connection() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel".to_vec();
    let rest = [b"lo".as_slice(), EVIL].concat();
    let origin = Origin::start(vec![Step::ReadHead, Step::Write(head), Step::Write(rest)]);
    let router = router_before(&origin);
    for _ in 0..100 {
        let answer = Client::connect(router.http()).get("a.test", "/").expect("an answer");
        assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
        eventually(Duration::from_secs(5), "the surplus is there", || origin.exchanges().iter().all(|e| e.finished));
    }
}

/// The body that some apps send to HEAD became the answer to the GET behind it.
#[test]
fn a_body_sent_to_head_is_no_answer_to_the_next_request() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 45\r\n\r\n".to_vec();
    let good = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood".to_vec();
    let origin = Origin::start(Step::answer(&good));
    let router = router_before(&origin);
    for _ in 0..50 {
        origin.push(vec![Step::ReadHead, Step::Write(head.clone()), Step::Write(EVIL.to_vec())]);
        let mut client = Client::connect(router.http());
        client.send(
            b"HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\nGET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n",
        );
        client.read_to_end(Duration::from_secs(5));
        let seen = String::from_utf8_lossy(client.received()).into_owned();
        assert!(seen.ends_with("\r\n\r\ngood"), "{seen}");
        assert!(!seen.contains("evil"), "{seen}");
    }
}

/// A request was sent again although the endpoint had begun to process it, as its 103 shows.
#[test]
fn nothing_is_sent_twice_after_an_interim_answer() {
    let origin = Origin::start(Step::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter"))
        .section("[engine]\nthreads = 1")
        .apps(&format!("[apps.\"a.web.web\"]\nmountpoint = [\"a.test\"]\nendpoints = [\"{}\"]\n", origin.addr()))
        .start();
    router.wait_ready();
    let mut client = Client::connect(router.http());
    assert_eq!(client.get("a.test", "/first").map(|answer| answer.status), Ok(200), "its connection is kept");
    origin.push(vec![Step::ReadHead, Step::Write(b"HTTP/1.1 103 Early Hints\r\n\r\n".to_vec()), Step::Close]);
    client.send(b"DELETE /once HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let answer = client.read_until(b"502 Bad Gateway", Duration::from_secs(5));
    assert!(answer.is_ok(), "{answer:?}");
    let sent = origin.exchanges().iter().filter(|exchange| exchange.bytes.starts_with(b"DELETE")).count();
    assert_eq!(sent, 1);
}

/// A client that ends only its own side still gets the answers to what it asked.
#[test]
fn a_half_closed_client_is_answered() {
    let origin = HttpOrigin::start("x");
    let apps = format!("[apps.\"a.web.web\"]\nmountpoint = [\"a.test\"]\nendpoints = [\"{}\"]\n", origin.addr());
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps(&apps).start();
    router.wait_ready();
    let mut client = Client::connect(router.http());
    client.send(b"GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n");
    client.half_close();
    eventually(Duration::from_secs(5), "the request is in flight", || origin.holding() == 1);
    origin.release();
    client.read_to_end(Duration::from_secs(5));
    assert!(client.received().starts_with(b"HTTP/1.1 200 "), "{:?}", String::from_utf8_lossy(client.received()));
}

/// An endpoint that leads back to the router made thousands of requests of one.
#[test]
fn a_request_that_goes_round_in_a_circle_ends() {
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps("").start();
    router.wait_ready();
    router
        .edit_apps(&format!("[apps.\"a.web.web\"]\nmountpoint = [\"a.test\"]\nendpoints = [\"{}\"]\n", router.http()));
    let mut seen = None;
    eventually(Duration::from_secs(5), "the circle is closed", || {
        seen = Client::connect(router.http()).get("a.test", "/").ok();
        seen.as_ref().is_some_and(|answer| answer.status == 508)
    });
}

/// HUP and USR2, which other servers understand as a reload, ended the process at once.
#[test]
fn a_reload_signal_changes_nothing_and_quit_stops_in_order() {
    let mut router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).apps("").start();
    router.wait_ready();
    router.signal(Signal::HUP);
    router.signal(Signal::USR2);
    eventually(Duration::from_secs(5), "both were heard", || router.output().matches("nothing to reload").count() == 2);
    router.signal(Signal::QUIT);
    assert!(router.wait_exit(Duration::from_secs(5)).is_some_and(|exit| exit.success()));
}

/// While webrouter itself could open no connection, every endpoint that was asked was taken for unreachable, and ejected.
#[test]
fn want_of_files_here_is_not_held_against_endpoints() {
    let origins = ["one", "two"].map(HttpOrigin::start);
    let endpoints = origins.each_ref().map(|origin| origin.addr().to_string());
    let apps = format!("[apps.\"a.web.web\"]\nmountpoint = [\"a.test\"]\nendpoints = {endpoints:?}\n");
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).section("[engine]\nthreads = 1").apps(&apps).start();
    router.wait_ready();
    let mut client = Client::connect(router.http());
    assert_eq!(client.get("unknown.test", "/").expect("an answer").status, 404, "the client is connected");
    let answers: Vec<_> =
        router.without_files(|| (0..10).map(|_| client.get("a.test", "/").expect("an answer")).collect());
    for answer in answers {
        let text = answer.text();
        assert!(answer.status == 503 && text.contains("cause: over_limit\n"), "{} {text}", answer.status);
    }
    assert_eq!(router.metric("webrouter_ejections_total", ""), 0.0);
    assert_eq!(client.get("a.test", "/").expect("an answer").status, 200);
}

/// Where HTTP/2 may come without TLS, whoever sent the beginning of its preface was asked every 10 ms for more, even when gone.
#[test]
fn who_leaves_within_the_preface_is_let_go() {
    let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).listen("h2c = true").apps("").start();
    router.wait_ready();
    let open = || router.metric("webrouter_connections_open", "");
    let mut client = Client::connect(router.http());
    client.send(b"PRI");
    eventually(Duration::from_secs(5), "it is open", || open() >= 1.0);
    client.half_close();
    assert_ne!(client.read_to_end(Duration::from_secs(5)), webrouter_testkit::End::Deadline);
    // One byte at a time, and one that turns out to be HTTP/1.1 in its last byte.
    let mut client = webrouter_testkit::http2::Http2::silent(Client::connect(router.http()));
    let (preface, settings) = (webrouter_testkit::http2::PREFACE, webrouter_testkit::http2::Frame::settings(&[]));
    client.client().send_in_pieces(preface, 1);
    client.send_frames(&[settings]);
    assert!(client.get("unknown.test", "/").is_ok_and(|answer| answer.status == 404));
    let mut client = Client::connect(router.http());
    for piece in [&b"P"[..], b"R", b"OPFIND / HTTP/1.1\r\nHost: unknown.test\r\n\r\n"] {
        client.send(piece);
        client.read_to_end(Duration::from_millis(30));
    }
    client.read_until(b"HTTP/1.1 404 ", Duration::from_secs(5)).expect("an answer");
}
