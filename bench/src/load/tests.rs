use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use super::{Answer, Echo, Plan, Reuse, answer_length, clients, run};
use crate::{origin, relay};

fn origin_and_relay(lifetime: Duration) -> SocketAddr {
    let deadline = Instant::now() + lifetime;
    let (port, listeners) = origin::listen(&[SocketAddr::from(([127, 0, 0, 1], 0))]).unwrap();
    let upstream = SocketAddr::from(([127, 0, 0, 1], port));
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = door.local_addr().unwrap();
    std::thread::spawn(move || origin::serve(listeners, b'x', deadline));
    std::thread::spawn(move || relay::serve(door, upstream, deadline));
    address
}

fn check(path: &'static str, body: usize, reuse: Reuse) -> super::Outcome {
    run(&Plan {
        target: origin_and_relay(Duration::from_secs(20)),
        hosts: vec!["one.test".to_owned(), "two.test".to_owned()],
        path,
        body,
        reuse,
        clients: 4,
        window: Duration::from_millis(200),
    })
    .unwrap()
}

#[test]
fn small_answers_on_kept_connections_through_the_relay() {
    let outcome = check("/", origin::SMALL, Reuse::KeepAlive);
    assert!(outcome.good > 8, "{outcome:?}");
    assert_eq!(outcome.bad, 0);
}

#[test]
fn a_connection_for_every_request_through_the_relay() {
    let outcome = check("/", origin::SMALL, Reuse::NewConnection);
    assert!(outcome.good > 8, "{outcome:?}");
    assert_eq!(outcome.bad, 0);
}

#[test]
fn large_answers_through_the_relay_are_whole() {
    let outcome = check("/10m", origin::LARGE, Reuse::KeepAlive);
    assert!(outcome.good >= 4, "{outcome:?}");
    assert_eq!(outcome.bad, 0);
}

#[test]
fn websocket_messages_come_back_through_the_relay() {
    let echo = Echo { target: origin_and_relay(Duration::from_secs(20)), hosts: vec!["one.test".to_owned()] };
    let (answers, _) = clients::run(echo, 4, Duration::from_millis(200)).unwrap();
    assert!(answers > 8, "{answers}");
}

#[test]
fn a_wrong_length_is_never_counted_as_good() {
    let outcome = check("/64k", origin::SMALL, Reuse::KeepAlive);
    assert_eq!(outcome.good, 0);
    assert!(outcome.bad > 0);
}

#[test]
fn heads() {
    let check = |bytes: &[u8], expected| assert_eq!(answer_length(bytes), expected);
    check(b"", Answer::Partial);
    check(b"HTTP/1.1 200 OK\r\ncontent-le", Answer::Partial);
    check(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", Answer::Good { head: 38, body: 5 });
    check(b"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n", Answer::Bad);
    check(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Answer::Bad);
    check(b"nonsense\r\n\r\n", Answer::Bad);
}
