//! The doctor of the router itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;
use webrouter_testkit::{Authority, HttpOrigin, Lainlet, Signal};

use super::{SOON, builder, doctor, following, lines};

const APPS: &str = "[apps.\"demo.web.web\"]\nmountpoint = [\"demo.test\"]\nendpoints = [\"127.0.0.1:1\"]\n";

#[test]
fn a_router_that_is_well_is_well() {
    let router = builder().apps(APPS).start();
    router.wait_ready();
    let seen = doctor(&router, &[]);
    assert_eq!((seen.code, seen.first()), (Some(0), "none"), "{:#}", seen.doctor);
    let ok = ["instance", "listeners", "watch", "holds", "state", "access_log", "open_files", "clock"];
    assert_eq!(seen.all("ok"), ok, "{:#}", seen.doctor);
    assert_eq!(seen.all("skipped"), ["certificates"]);
}

#[test]
fn a_clock_that_is_far_off_is_told() {
    let origin = HttpOrigin::start("demo");
    // Its host has one date, always.
    let lainlet = Lainlet::start();
    lainlet.set_app("demo.web.web", &["demo.test"], &[origin.addr()]);
    let router = following(&lainlet, builder());
    let seen = doctor(&router, &[]);
    assert_eq!((seen.code, seen.all("broken")), (Some(1), vec!["clock"]), "{:#}", seen.doctor);
    assert!(seen.evidence().contains("lainlet's host says 2026-11-22T10:56:37.000Z"), "{}", seen.evidence());
    assert!(seen.advice().contains("set the clock"), "{}", seen.advice());
}

#[test]
fn a_source_that_fails_a_broken_pair_and_a_state_directory_that_is_gone_are_told() {
    let pair = Authority::new("webrouter test").pair(&["demo.test"]);
    let router = builder().apps(APPS).https_listener().pair("demo", &pair).start();
    router.wait_ready();
    std::fs::write(router.path("ssl/demo.key"), "no key").expect("written");
    router.edit_apps("no toml");
    std::fs::remove_dir_all(router.path("state")).expect("removed");
    let admin = router.admin().to_string();
    let found = webrouter_testkit::until(SOON, || {
        let seen = doctor(&router, &["--admin", &admin]);
        (seen.all("broken") == ["watch", "certificates", "state"]).then_some(seen)
    });
    let seen = found.unwrap_or_else(|| panic!("{:#}", doctor(&router, &["--admin", &admin]).doctor));
    assert!(lines(seen.hop("certificates")).contains("demo.key"), "{:#}", seen.doctor);
    assert!(lines(seen.hop("state")).contains("cannot be written"), "{:#}", seen.doctor);
}

#[test]
fn a_router_that_is_down_is_told() {
    let mut router = builder().apps(APPS).start();
    router.wait_ready();
    router.signal(Signal::TERM);
    assert!(router.wait_exit(SOON).is_some());
    let seen = doctor(&router, &[]);
    assert_eq!((seen.code, seen.all("broken")), (Some(1), vec!["instance"]), "{:#}", seen.doctor);
}

#[test]
fn who_asks_often_gets_what_was_found_a_moment_ago() {
    let origin = HttpOrigin::start("demo");
    let lainlet = Lainlet::start();
    lainlet.set_app("demo.web.web", &["demo.test"], &[origin.addr()]);
    let router = following(&lainlet, builder());
    let examined = || lainlet.requests().iter().filter(|line| line.contains("appname=demo")).count();
    let asked = AtomicUsize::new(0);
    let began = std::time::Instant::now();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..5 {
                    let (status, body) = router.admin_get("/v1/doctor/demo");
                    let doctor: Value = serde_json::from_str(&body).unwrap_or_default();
                    assert_eq!((status, &doctor["first"]), (200, &Value::Null), "{body}");
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    // Each second one, and one at its edge.
    let most = usize::try_from(began.elapsed().as_secs()).unwrap_or_default() + 2;
    assert!(examined() <= most, "{} examinations for {asked:?} questions", examined());
    assert_eq!(router.admin_get("/v1/doctor/a%2Fb").0, 400);
}
