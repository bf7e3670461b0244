//! Every endpoint fails every request: the router does not make it worse.

use std::time::Instant;

use webrouter_testkit::{Fault, FaultyOrigin, OpenLoad, Verb};

use super::{app, await_state, lost, plan, started, webrouter};

/// A load on three endpoints that fail every request, the first of which are known to be sick.
fn storm(sick: usize, ejection: &str) {
    let origins = ["one", "two", "three"].map(FaultyOrigin::start);
    origins.iter().for_each(|origin| origin.set_fault(Fault::ResetAfterHead));
    origins[..sick].iter().for_each(|origin| origin.set_health(500));
    let policies =
        "healthcheck = \"/health\"\nhealth_interval = \"200ms\"\nhealth_timeout = \"200ms\"\nhealth_fall = 1";
    let builder = webrouter().section("[retries]\nshare = 0.2\nfloor = 3").section(ejection);
    let router = started(builder.apps(&app(policies, &origins.each_ref().map(FaultyOrigin::addr))));
    for (nth, origin) in origins.iter().enumerate() {
        await_state(&router, origin.addr(), if nth < sick { "down" } else { "up" });
    }
    let began = Instant::now();
    let outcomes = OpenLoad::start(router.http(), plan(1000, 3, 0)).finish();
    let seconds = began.elapsed().as_secs_f64();
    let (asked, seen) = (outcomes.len(), origins.iter().map(|origin| origin.seen().len()).sum::<usize>());
    println!("{asked} requests in {seconds:.1} s, {seen} seen by origins");
    assert_eq!(lost(&outcomes, Verb::Get).len(), asked, "none can be answered");
    assert!(seen > asked, "some are tried again");
    let allowed = asked as f64 * 1.2 + 3.0 * seconds + UNDER_WAY;
    assert!((seen as f64) <= allowed, "{seen} seen, {allowed:.0} allowed");
    assert!(router.metric("webrouter_retries_total", "") > 0.0);
}

#[test]
fn a_retry_storm_sends_little_more_than_the_clients_sent() {
    storm(0, "");
}

/// Every endpoint is out, so that all are tried: that is no licence to try them all for each request.
#[test]
fn a_retry_storm_on_endpoints_known_to_be_sick_sends_little_more_than_the_clients_sent() {
    storm(3, "");
}

/// A request that failed at the one that is left must not be tried freely at those that are out.
#[test]
fn a_retry_storm_where_one_of_three_is_left_sends_little_more_than_the_clients_sent() {
    storm(2, "[health]\neject_share = 0.0");
}

#[test]
fn a_budget_of_nothing_is_no_retry() {
    let origins = ["one", "two"].map(FaultyOrigin::start);
    origins.iter().for_each(|origin| origin.set_fault(Fault::ResetAfterHead));
    let builder = webrouter().section("[retries]\nshare = 0.0\nfloor = 0");
    let router = started(builder.apps(&app("", &origins.each_ref().map(FaultyOrigin::addr))));
    for _ in 0..20 {
        super::assert_page(&super::get(&router, "/"), 502, "upstream_reset");
    }
    assert_eq!(origins.iter().map(|origin| origin.seen().len()).sum::<usize>(), 20);
}

/// Nothing of such a request was processed, so it is no retry.
#[test]
fn an_idle_connection_that_was_closed_under_us_costs_no_budget() {
    let origin = FaultyOrigin::start("one");
    origin.set_fault(Fault::CloseAtRandom);
    let builder = webrouter().section("[retries]\nshare = 0.0\nfloor = 0");
    let router = started(builder.apps(&app("", &[origin.addr()])));
    let outcomes = OpenLoad::start(router.http(), plan(200, 3, 0)).finish();
    let lost = lost(&outcomes, Verb::Get);
    println!("{} kept connections found closed", router.metric("webrouter_upstream_stale_total", ""));
    assert!(lost.is_empty(), "{} lost: {:#?}", lost.len(), lost.first());
    assert_eq!(router.metric("webrouter_retries_total", ""), 0.0);
}

/// What is under way at an endpoint when it is ejected may be tried again at once; on a busy machine that may be a request
/// of every client.
const UNDER_WAY: f64 = 160.0;
