//! One test for each fixed bug, named after what went wrong.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use webrouter_testkit::{HttpOrigin, Lainlet, Router, eventually};

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
