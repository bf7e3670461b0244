//! Starting and stopping: ready only with a table, gone only when the last request is answered.

use std::time::Duration;

use webrouter_testkit::{Asked, Client, End, HttpOrigin, Lainlet, Mode, Signal, eventually};

use super::{SOON, body, entry, get, started, webrouter};

#[test]
fn sigterm_finishes_the_request_in_flight_and_closes_idle_connections() {
    let origin = HttpOrigin::start("done");
    let mut router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut idle = Client::connect(router.http());
    assert_eq!(idle.get("a.test", "/").map(|r| r.status), Ok(200));
    let mut busy = Client::connect(router.http());
    busy.send(b"GET /hold HTTP/1.1\r\nHost: a.test\r\n\r\n");
    eventually(SOON, "the request is in flight", || origin.holding() == 1);

    router.signal(Signal::TERM);
    assert_ne!(idle.read_to_end(SOON), End::Deadline, "an idle connection is closed");
    assert_eq!(idle.received(), b"");
    eventually(SOON, "no new connections", || Client::try_connect(router.http()).is_err());
    assert!(router.is_running(), "it waits for the request");
    origin.release();
    let response = busy.response(Asked::Content, SOON).expect("the answer");
    assert_eq!((response.status, response.text().as_str()), (200, "done"));
    assert_eq!(response.value("connection"), Some("close"));
    let exit = router.wait_exit(SOON).expect("it goes when all is done");
    assert!(exit.success(), "{exit:?}");
}

#[test]
fn sigterm_gives_notice_before_it_closes_the_door() {
    let origin = HttpOrigin::start("x");
    let builder = webrouter().apps(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut router = builder.section("[stop]\nnotice = \"1s\"").start();
    router.wait_ready();
    router.signal(Signal::TERM);
    eventually(SOON, "not ready", || router.admin_get("/readyz").0 == 503);
    assert_eq!(body(&router, "a.test", "/"), "x", "a new connection is served");
    assert!(router.is_running());
    eventually(SOON, "no new connections", || Client::try_connect(router.http()).is_err());
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
}

#[test]
fn sigterm_with_nothing_to_do_exits_at_once() {
    let origin = HttpOrigin::start("x");
    let mut router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    router.signal(Signal::TERM);
    assert!(router.wait_exit(SOON).is_some_and(|exit| exit.success()));
}

#[test]
fn not_ready_before_there_is_a_table() {
    let lainlet = Lainlet::start();
    lainlet.set_mode(Mode::Error);
    let router = webrouter().lainlet(lainlet.addr()).start();
    eventually(SOON, "lainlet was asked", || !lainlet.requests().is_empty());
    assert_eq!(router.admin_get("/healthz").0, 200, "alive");
    assert_eq!(router.admin_get("/readyz").0, 503, "not ready");
    let origin = HttpOrigin::start("x");
    lainlet.set_app("app.web.web", &["a.test"], &[origin.addr()]);
    lainlet.set_mode(Mode::Normal);
    eventually(Duration::from_secs(10), "ready", || router.admin_get("/readyz").0 == 200);
    assert_eq!(body(&router, "a.test", "/"), "x");
}

#[test]
fn metrics_are_in_the_exposition_format() {
    let origin = HttpOrigin::start("x");
    let router = started(&entry("app.web.web", &["a.test"], &[origin.addr()]));
    get(&router, "a.test", "/");
    let (status, text) = router.admin_get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("# TYPE webrouter_"), "{text}");
    assert!(text.contains("# HELP webrouter_"), "{text}");
}
