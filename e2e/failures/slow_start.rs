//! A cold endpoint among warm ones takes its share gradually.

use std::time::Duration;

use webrouter_testkit::{Fault, FaultyOrigin, OpenLoad, Outcome, Verb};

use super::{app, edit_and_await, full, lost, plan, share_of, started, webrouter};

#[test]
fn a_cold_endpoint_among_warm_ones_takes_its_share_gradually() {
    let warm = ["one", "two", "three"].map(FaultyOrigin::start);
    let cold = FaultyOrigin::start("cold");
    // As slow as a process that has to compile and connect first; it warms up while it gets little.
    cold.set_fault(Fault::Slow(Duration::from_millis(300)));
    // Slow for 4 s of 10, or for 12 s of 30.
    let pace = if full() { 3 } else { 1 };
    let policies = format!("slow_start = \"{}s\"", 6 * pace);
    let mut endpoints: Vec<_> = warm.iter().map(FaultyOrigin::addr).collect();
    let router = started(webrouter().apps(&app(&policies, &endpoints)));
    let load = OpenLoad::start(router.http(), plan(200, 10 * pace, 0));
    load.wait_begun(100);
    endpoints.push(cold.addr());
    edit_and_await(&router, "marker", &app(&policies, &endpoints), warm[0].addr());
    let joined = std::time::Instant::now();
    load.wait_begun(100 + 800 * pace);
    cold.set_fault(Fault::None);
    let outcomes = load.finish();
    let window = |from: u64, to: u64| -> Vec<&Outcome> {
        let (from, to) = (joined + Duration::from_secs(from * pace), joined + Duration::from_secs(to * pace));
        outcomes.iter().filter(|outcome| outcome.due >= from && outcome.due < to).collect()
    };
    let [early, middle, late] = [(0, 2), (3, 5), (7, 9)].map(|(from, to)| share_of(window(from, to), "cold"));
    println!("its share: {early:.3}, {middle:.3}, {late:.3}");
    assert!((0.18..0.32).contains(&late), "a quarter when it is warm: {late}");
    assert!(early > 0.0 && early < late * 0.6, "little at first: {early} of {late}");
    assert!(early < middle && middle < late, "more and more: {early}, {middle}, {late}");
    assert!(lost(&outcomes, Verb::Get).is_empty());
}

#[test]
fn endpoints_that_are_all_new_need_not_warm_up() {
    let origins = ["one", "two"].map(FaultyOrigin::start);
    let router = started(webrouter().apps(&app("slow_start = \"60s\"", &origins.each_ref().map(FaultyOrigin::addr))));
    let outcomes = OpenLoad::start(router.http(), plan(200, 1, 0)).finish();
    let share = share_of(&outcomes, "one");
    assert!((0.4..0.6).contains(&share), "{share}");
}
