//! Waits that end, and what the client is told: each time-out with its status, and the limit of connections.

use webrouter_testkit::{Asked, Client, End, HttpOrigin, Origin, Router, Step, eventually};

use super::{SOON, entry, get, webrouter};

fn impatient(timeouts: &str, apps: &str) -> Router {
    let router = webrouter().section(&format!("[timeouts]\n{timeouts}")).apps(apps).start();
    router.wait_ready();
    router
}

#[test]
fn half_a_request_head_is_408_and_the_connection_ends() {
    let router = impatient("request_header = \"200ms\"", "");
    let mut client = Client::connect(router.http());
    client.send(b"GET / HTTP/1.1\r\nHost: a.t");
    let answer = client.response(Asked::Content, SOON).expect("an answer");
    assert_eq!((answer.status, answer.value("connection")), (408, Some("close")));
    assert_ne!(client.read_to_end(SOON), End::Deadline, "closed");
}

#[test]
fn half_a_request_body_is_408() {
    let origin = HttpOrigin::start("x");
    let router = impatient("request_body = \"200ms\"", &entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut client = Client::connect(router.http());
    client.send(b"POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 10\r\n\r\nhalf");
    assert_eq!(client.response(Asked::Content, SOON).expect("an answer").status, 408);
    assert_ne!(client.read_to_end(SOON), End::Deadline, "closed");
}

#[test]
fn an_endpoint_that_says_nothing_is_504_and_the_page_names_the_cause_but_no_address() {
    let origin = HttpOrigin::start("x");
    let router = impatient("upstream = \"200ms\"", &entry("app.web.web", &["a.test"], &[origin.addr()]));
    let answer = get(&router, "a.test", "/hold");
    assert_eq!(answer.status, 504);
    let page = answer.text();
    assert!(page.contains("first_byte_timeout"), "{page}");
    assert!(!page.contains("127.0.0.1"), "{page}");
    origin.release();
}

#[test]
fn an_endpoint_that_stops_in_mid_answer_cuts_the_answer_short() {
    let origin = Origin::start(Vec::new());
    origin.push(vec![
        Step::ReadHead,
        Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".to_vec()),
        Step::Hang,
    ]);
    let router = impatient("upstream = \"200ms\"", &entry("app.web.web", &["a.test"], &[origin.addr()]));
    let mut client = Client::connect(router.http());
    client.send(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    assert_ne!(client.read_to_end(SOON), End::Deadline, "closed");
    assert!(client.received().ends_with(b"\r\n\r\nhalf"), "{:?}", String::from_utf8_lossy(client.received()));
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let router = impatient("keep_alive = \"200ms\"", "");
    let mut client = Client::connect(router.http());
    assert_eq!(client.read_to_end(SOON), End::Closed);
    assert_eq!(client.received(), b"");
}

#[test]
fn past_the_limit_of_connections_a_client_is_told_503_and_room_is_used_again() {
    let origin = HttpOrigin::start("x");
    let apps = entry("app.web.web", &["a.test"], &[origin.addr()]);
    let router = webrouter().section("[limits]\nconnections = 2").apps(&apps).start();
    router.wait_ready();
    let mut first = Client::connect(router.http());
    let mut second = Client::connect(router.http());
    assert_eq!(first.get("a.test", "/").map(|r| r.status), Ok(200));
    assert_eq!(second.get("a.test", "/").map(|r| r.status), Ok(200));
    let mut third = Client::connect(router.http());
    third.read_to_end(SOON);
    assert!(third.received().starts_with(b"HTTP/1.1 503 "), "{:?}", String::from_utf8_lossy(third.received()));
    drop(first);
    eventually(SOON, "a place is free", || {
        Client::connect(router.http()).get("a.test", "/").is_ok_and(|answer| answer.status == 200)
    });
}
