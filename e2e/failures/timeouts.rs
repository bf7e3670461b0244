//! Each time-out is 504 and names itself; an app's own counts before the general one.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use webrouter_testkit::{Asked, Client, Fault, FaultyOrigin, Host, HttpOrigin, Origin, Router, Step, eventually};

use super::{SOON, app, app_at, assert_page, get, started, webrouter};

/// Longer than a test takes: what is not the point.
const LONG: &str = "[timeouts]\nconnect = \"9s\"\nfirst_byte = \"9s\"\nupstream = \"9s\"";

/// A router on which only this app's time-out is short.
fn impatient(policy: &str, endpoint: SocketAddr) -> Router {
    started(webrouter().section(LONG).apps(&app(policy, &[endpoint])))
}

#[test]
fn connect_timeout() {
    let Some(host) = Host::start() else { return };
    host.fall_silent();
    let silent = SocketAddr::from((host.addr(), 80));
    let router = impatient("connect_timeout = \"200ms\"", silent);
    let page = get(&router, "/");
    assert_page(&page, 504, "connect_timeout");
    assert!(!page.text().contains(&host.addr().to_string()), "{}", page.text());
}

#[test]
fn first_byte_timeout() {
    let origin = FaultyOrigin::start("one");
    origin.set_fault(Fault::Hang);
    let router = impatient("first_byte_timeout = \"200ms\"", origin.addr());
    assert_page(&get(&router, "/"), 504, "first_byte_timeout");
}

#[test]
fn upstream_timeout_in_the_middle_of_the_head() {
    let origin = Origin::start(vec![Step::ReadHead, Step::Write(b"HTTP/1.1 200 OK\r\nX-".to_vec()), Step::Hang]);
    let router = impatient("upstream_timeout = \"200ms\"", origin.addr());
    assert_page(&get(&router, "/"), 504, "upstream_timeout");
}

#[test]
fn upstream_timeout_while_the_request_is_not_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let router = impatient("upstream_timeout = \"300ms\"", listener.local_addr().expect("a bound address"));
    let mut client = Client::connect(router.http());
    let size = 64 << 20;
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n").as_bytes());
    let block = vec![b'x'; 1 << 20];
    // The kernel accepts for a listener that nobody serves, and takes what fits its buffers.
    let accepted: Option<TcpStream> = listener.accept().ok().map(|(stream, _)| stream);
    for _ in 0..size / block.len() {
        if !client.send(&block) {
            break;
        }
    }
    let page = client.response(Asked::Content, SOON).expect("an answer");
    assert_page(&page, 504, "upstream_write_timeout");
    drop(accepted);
}

#[test]
fn request_timeout() {
    let origin = HttpOrigin::start("one");
    let router = impatient("request_timeout = \"300ms\"", origin.addr());
    assert_page(&get(&router, "/hold"), 504, "request_timeout");
    origin.release();
    assert_eq!(get(&router, "/").status, 200);
}

/// 100 lines, 50 ms each: nothing is idle, and it takes too long all the same.
#[test]
fn request_timeout_in_the_middle_of_an_answer_cuts_it_short() {
    let origin = HttpOrigin::start("one");
    let router = impatient("request_timeout = \"300ms\"", origin.addr());
    let mut client = Client::connect(router.http());
    client.send(b"GET /slow-100 HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let cut = client.response(Asked::Content, SOON).expect_err("it is not whole");
    assert!(cut.contains("cut short"), "{cut}");
}

#[test]
fn a_time_out_of_an_app_is_its_own() {
    let origin = FaultyOrigin::start("one");
    origin.set_fault(Fault::Slow(Duration::from_millis(700)));
    let apps = app("first_byte_timeout = \"200ms\"", &[origin.addr()])
        + &app_at("patient", "patient.test", "first_byte_timeout = \"30s\"", &[origin.addr()])
        + &app_at("plain", "plain.test", "", &[origin.addr()]);
    let router = started(webrouter().section("[timeouts]\nfirst_byte = \"300ms\"").apps(&apps));
    assert_page(&get(&router, "/"), 504, "first_byte_timeout");
    let ask = |host: &str| Client::connect(router.http()).get(host, "/").expect("an answer");
    assert_eq!(ask("patient.test").status, 200);
    // The general one is for those that have none of their own.
    assert_page(&ask("plain.test"), 504, "first_byte_timeout");
}

/// The connect time-out is for connecting: it does not end the wait for a reader that pauses.
#[test]
fn an_app_that_reads_late_gets_the_whole_upload() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let router = impatient("connect_timeout = \"200ms\"", listener.local_addr().expect("a bound address"));
    let mut client = Client::connect(router.http());
    let size = 64 << 20;
    let late = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        // Longer than the guard against silent hosts lasts at least.
        std::thread::sleep(Duration::from_millis(2500));
        let (mut seen, mut block) = (0, vec![0; 1 << 20]);
        while seen < size {
            match std::io::Read::read(&mut stream, &mut block) {
                Ok(0) | Err(_) => return seen,
                Ok(read) => seen += read,
            }
        }
        let _ = std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        seen
    });
    client.send(format!("POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: {size}\r\n\r\n").as_bytes());
    let block = vec![b'x'; 1 << 20];
    assert!((0..size / block.len()).all(|_| client.send(&block)), "it is taken");
    assert_eq!(client.response(Asked::Content, SOON).map(|answer| answer.status), Ok(200));
    assert!(late.join().expect("the origin ends") >= size);
}

/// An endpoint that lets requests run into their time-out is left out as one that is silent.
#[test]
fn request_timeout_is_held_against_the_endpoint() {
    let (hung, good) = (FaultyOrigin::start("hung"), FaultyOrigin::start("good"));
    hung.set_fault(Fault::Hang);
    let router = started(webrouter().apps(&app("request_timeout = \"200ms\"", &[hung.addr(), good.addr()])));
    eventually(SOON, "it is ejected", || {
        get(&router, "/");
        super::endpoint(&router, hung.addr())["state"] == "ejected"
    });
    assert_eq!(get(&router, "/").text(), "good");
}
