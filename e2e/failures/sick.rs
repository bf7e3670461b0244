//! What the health check finds: who is left out, and what happens when nobody is left.

use std::time::{Duration, Instant};

use webrouter_testkit::{Fault, FaultyOrigin, Router, eventually};

use super::{SOON, UPSTREAM, app, assert_page, await_state, edit_and_await, endpoint, get, started, webrouter};

/// An app that is checked often.
const CHECKED: &str = "healthcheck = \"/health\"\nhealth_interval = \"200ms\"\nhealth_timeout = \"200ms\"\nhealth_rise = 2\nhealth_fall = 2\n\
    slow_start = \"0s\"";

fn fail_open(router: &Router) -> bool {
    let status = router.status();
    status["fail_open"].as_array().is_some_and(|names| names.iter().any(|name| name == UPSTREAM))
}

#[test]
fn endpoints_that_are_all_sick_and_answer_are_all_asked_and_it_is_said() {
    let origins = ["one", "two"].map(FaultyOrigin::start);
    let router = started(webrouter().apps(&app(CHECKED, &origins.each_ref().map(FaultyOrigin::addr))));
    origins.iter().for_each(|origin| await_state(&router, origin.addr(), "up"));
    assert!(!fail_open(&router));
    assert_eq!(router.metric("webrouter_fail_open", UPSTREAM), 0.0);

    origins.iter().for_each(|origin| origin.set_health(500));
    origins.iter().for_each(|origin| await_state(&router, origin.addr(), "down"));
    for _ in 0..20 {
        assert_eq!(get(&router, "/").status, 200);
    }
    assert!(origins.iter().all(|origin| origin.seen().len() >= 5), "all are tried");
    assert!(fail_open(&router), "{}", router.status());
    assert_eq!(router.metric("webrouter_fail_open", UPSTREAM), 1.0);
    let log = router.output();
    assert!(log.lines().any(|line| line.contains("WARN") && line.contains(UPSTREAM)), "{log}");

    origins[0].set_health(200);
    await_state(&router, origins[0].addr(), "up");
    eventually(SOON, "it is over", || !fail_open(&router));
    assert_eq!(router.metric("webrouter_fail_open", UPSTREAM), 0.0);
    let before = origins[1].seen().len();
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "one");
    }
    assert_eq!(origins[1].seen().len(), before, "the sick one is left alone");
}

#[test]
fn a_sick_endpoint_gets_no_request_until_it_is_well() {
    let origins = ["one", "two"].map(FaultyOrigin::start);
    origins[1].set_fault(Fault::Hang);
    let router = started(webrouter().apps(&app(CHECKED, &origins.each_ref().map(FaultyOrigin::addr))));
    await_state(&router, origins[0].addr(), "up");
    await_state(&router, origins[1].addr(), "down");
    let seen = origins[1].seen().len();
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "one");
    }
    assert_eq!(origins[1].seen().len(), seen);
    let evidence = endpoint(&router, origins[1].addr());
    assert!(evidence["last_probe"].is_object(), "the last probe is told: {evidence}");
    origins[1].set_fault(Fault::None);
    await_state(&router, origins[1].addr(), "up");
    eventually(SOON, "it serves", || get(&router, "/").text() == "two");
}

#[test]
fn a_new_endpoint_is_asked_by_nobody_before_it_has_proved_itself() {
    let (old, new) = (FaultyOrigin::start("old"), FaultyOrigin::start("new"));
    let router = started(webrouter().apps(&app(CHECKED, &[old.addr()])));
    await_state(&router, old.addr(), "up");
    new.set_health(500);
    // So many bad probes that it is not down before the end.
    let unhurried = CHECKED.replace("health_fall = 2", "health_fall = 100");
    edit_and_await(&router, "marker", &app(&unhurried, &[old.addr(), new.addr()]), old.addr());
    await_state(&router, new.addr(), "unproven");
    for _ in 0..20 {
        assert_eq!(get(&router, "/").text(), "old");
    }
    assert!(new.seen().is_empty());
    new.set_health(204);
    await_state(&router, new.addr(), "up");
    eventually(SOON, "it serves", || get(&router, "/").text() == "new");
}

#[test]
fn unproven_endpoints_are_used_while_there_is_no_other() {
    let origin = FaultyOrigin::start("one");
    origin.set_health(500);
    let policies = CHECKED.replace("health_fall = 2", "health_fall = 100");
    let router = started(webrouter().apps(&app(&policies, &[origin.addr()])));
    await_state(&router, origin.addr(), "unproven");
    assert_eq!(get(&router, "/").text(), "one");
}

#[test]
fn probes_do_not_grow_with_cores() {
    let origin = FaultyOrigin::start("one");
    let builder = webrouter().section("[engine]\nthreads = 8").apps(&app(CHECKED, &[origin.addr()]));
    let began = Instant::now();
    let router = started(builder);
    eventually(SOON, "some probes", || origin.probes() >= 15);
    let intervals = began.elapsed().as_secs_f64() / 0.2;
    // Jitter makes some come earlier; each core its own would be eight times as many.
    assert!(intervals > 15.0 / 2.0, "15 probes in {intervals:.1} intervals");
    assert_eq!(endpoint(&router, origin.addr())["state"], "up");
}

/// Asks until nothing is left to be ejected or closed, then says what an answer takes.
fn assert_gone(router: &Router, cause: &str) {
    let began = Instant::now();
    let page = get(router, "/");
    println!("first answer after {:?}", began.elapsed());
    assert_page(&page, 503, cause);
    let mut client = webrouter_testkit::Client::connect(router.http());
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let began = Instant::now();
            let page = client.get("a.test", "/").expect("an answer");
            assert_page(&page, 503, cause);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("50 more: median {:?}, slowest {:?}", times[25], times[49]);
    // The fastest, as a machine that is busy with other things delays some, but not all of fifty.
    assert!(times[0] < Duration::from_millis(5), "{times:?}");
}

#[test]
fn an_app_without_endpoints_is_503_at_once() {
    let origin = FaultyOrigin::start("one");
    let router = started(webrouter().apps(&app("", &[origin.addr()])));
    assert_eq!(get(&router, "/").status, 200);
    edit_and_await(&router, "marker", &app("", &[]), origin.addr());
    assert_gone(&router, "no_endpoint");
}

/// SPEC §3: an app without a usable endpoint is 503, where a proxy that gives up would say 502.
#[test]
fn an_app_whose_endpoints_are_all_dead_is_503_at_once() {
    let origins = ["one", "two"].map(FaultyOrigin::start);
    let router = started(webrouter().apps(&app("", &origins.each_ref().map(FaultyOrigin::addr))));
    assert_eq!(get(&router, "/").status, 200);
    origins.iter().for_each(|origin| origin.set_fault(Fault::Refuse));
    assert_gone(&router, "connect_refused");
}
