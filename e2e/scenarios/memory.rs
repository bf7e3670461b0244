//! Bodies of any size in constant memory.

use std::thread;
use std::time::Duration;

use webrouter_testkit::{Asked, Client, HttpOrigin, Router, eventually, until};

use super::{SOON, entry, get, started};

/// 256 MiB, or 1 GiB where the environment asks for it.
fn size() -> u64 {
    let gib = std::env::var("WEBROUTER_TEST_GIB").is_ok_and(|value| value == "1");
    if gib { 1 << 30 } else { 256 << 20 }
}

/// What SPEC allows the router to grow by.
const GROWTH_KIB: u64 = 8 * 1024;
const LONG: Duration = Duration::from_secs(300);

/// A router that has served each kind of body once, so that its buffers and pools exist.
fn warm() -> (HttpOrigin, Router) {
    let origin = HttpOrigin::start("big");
    let router = started(&entry("big.web.web", &["a.test"], &[origin.addr()]));
    for path in ["/", "/bytes-1000000", "/chunked-1000000"] {
        assert_eq!(get(&router, "a.test", path).status, 200);
    }
    let mut client = Client::connect(router.http());
    let body = vec![b'x'; 1_000_000];
    client.send(b"POST /count HTTP/1.1\r\nHost: a.test\r\nContent-Length: 1000000\r\n\r\n");
    client.send(&body);
    assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok("1000000".to_owned()));
    (origin, router)
}

/// The highest resident memory seen while `work` runs.
fn peak_during(router: &Router, work: impl FnOnce() + Send) -> u64 {
    thread::scope(|scope| {
        let worker = scope.spawn(work);
        let mut peak = 0;
        until(LONG, || {
            peak = peak.max(router.rss_kib());
            worker.is_finished().then_some(())
        });
        worker.join().expect("the work succeeds");
        peak
    })
}

fn assert_flat(router: &Router, work: impl FnOnce() + Send) {
    let before = router.rss_kib();
    let peak = peak_during(router, work);
    println!("RSS before {before} KiB, peak {peak} KiB");
    assert!(peak < before + GROWTH_KIB, "grew from {before} to {peak} KiB");
}

#[test]
fn a_big_download_grows_nothing() {
    let (_origin, router) = warm();
    assert_flat(&router, || {
        let mut client = Client::connect(router.http());
        client.send(format!("GET /bytes-{} HTTP/1.1\r\nHost: a.test\r\n\r\n", size()).as_bytes());
        client.response_head(SOON).expect("a head");
        client.discard(size(), LONG).expect("every byte");
    });
}

#[test]
fn a_big_upload_grows_nothing() {
    let (_origin, router) = warm();
    assert_flat(&router, || {
        let mut client = Client::connect(router.http());
        client.send(format!("POST /count HTTP/1.1\r\nHost: a.test\r\nContent-Length: {}\r\n\r\n", size()).as_bytes());
        let block = vec![b'x'; 1 << 20];
        for _ in 0..size() >> 20 {
            assert!(client.send(&block));
        }
        assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok(size().to_string()));
    });
}

#[test]
fn a_big_chunked_upload_grows_nothing() {
    let (_origin, router) = warm();
    assert_flat(&router, || {
        let mut client = Client::connect(router.http());
        client.send(b"POST /count HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n");
        let chunk = [b"100000\r\n".as_slice(), &vec![b'x'; 1 << 20], b"\r\n"].concat();
        for _ in 0..size() >> 20 {
            assert!(client.send(&chunk));
        }
        client.send(b"0\r\n\r\n");
        assert_eq!(client.response(Asked::Content, SOON).map(|r| r.text()), Ok(size().to_string()));
    });
}

#[test]
fn a_slow_reader_is_not_buffered_for() {
    let (_origin, router) = warm();
    let before = router.rss_kib();
    let mut client = Client::connect(router.http());
    client.send(format!("GET /bytes-{} HTTP/1.1\r\nHost: a.test\r\n\r\n", size()).as_bytes());
    client.response_head(SOON).expect("a head");
    // The origin has pushed all it can when memory and the origin's progress no longer move.
    let mut last = 0;
    let mut still = 0;
    eventually(LONG, "the flow stands still", || {
        let now = router.rss_kib();
        still = if now == last { still + 1 } else { 0 };
        last = now;
        still > 100
    });
    assert!(router.rss_kib() < before + GROWTH_KIB, "grew from {before} to {} KiB", router.rss_kib());
    client.discard(size(), LONG).expect("every byte arrives in the end");
}
