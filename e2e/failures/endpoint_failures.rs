//! Two endpoints under 200 requests a second, and one of them fails: no GET is lost, no POST is sent twice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use webrouter_testkit::{Fault, FaultyOrigin, Host, OpenLoad, OriginProcess, Outcome, Router, Seen, Verb};

use super::{ORIGIN, app, lost, origin_process, plan, posts_seen_twice, started, webrouter};

/// What a test looks at when the load is over.
struct Run {
    router: Router,
    /// When the endpoint began to fail.
    broke: Instant,
    outcomes: Vec<Outcome>,
    healthy: FaultyOrigin,
}

/// Six seconds of load, one request in four a POST; after two, `fail` is done to the other endpoint.
fn load(policies: &str, other: SocketAddr, fail: impl FnOnce()) -> Run {
    let healthy = FaultyOrigin::start("healthy");
    let router = started(
        webrouter()
            .section("[timeouts]\nconnect = \"1s\"")
            .section("[health]\nfailures = 3\neject = \"10s\"")
            .apps(&app(policies, &[other, healthy.addr()])),
    );
    let load = OpenLoad::start(router.http(), plan(200, 6, 4));
    load.wait_begun(400);
    let broke = Instant::now();
    fail();
    let outcomes = load.finish();
    Run { router, broke, outcomes, healthy }
}

impl Run {
    /// What must hold whatever fails: `seen` is what the failing endpoint saw, `bound` how long one attempt can take there.
    #[track_caller]
    fn assert_served_once(&self, seen: &[Seen], bound: Duration) {
        let get_ids = |broken: bool| seen.iter().filter(|seen| (seen.at >= self.broke) == broken).count();
        assert!(get_ids(false) > 100, "it had its share before: {}", get_ids(false));
        let slowest = |verb| self.outcomes.iter().filter(move |o| o.verb == verb).map(|o| o.latency).max();
        let lost_posts = lost(&self.outcomes, Verb::Post);
        println!(
            "seen by it before {}, after {}; slowest GET {:?}, POST {:?}; POSTs not answered {} of {}; retries {}, denied {}, ejections {}",
            get_ids(false),
            get_ids(true),
            slowest(Verb::Get),
            slowest(Verb::Post),
            lost_posts.len(),
            self.outcomes.iter().filter(|outcome| outcome.verb == Verb::Post).count(),
            self.router.metric("webrouter_retries_total", ""),
            self.router.metric("webrouter_retries_denied_total", ""),
            self.router.metric("webrouter_ejections_total", ""),
        );
        let twice = posts_seen_twice(seen.iter().chain(&self.healthy.seen()));
        assert!(twice.is_empty(), "POSTs sent twice: {twice:?}");
        let lost_gets = lost(&self.outcomes, Verb::Get);
        let lost_gets: Vec<_> = lost_gets.into_iter().filter(|outcome| !passed_through(outcome, 500..=503)).collect();
        assert!(
            lost_gets.is_empty(),
            "{} GETs lost: {:#?}",
            lost_gets.len(),
            lost_gets.iter().take(3).collect::<Vec<_>>()
        );
        let slowest = slowest(Verb::Get).unwrap_or_default();
        assert!(slowest < bound + SLACK, "a GET took {slowest:?}");
    }

    /// Nothing was under way at the moment of the failure that concerns these: POSTs that could be sent to nobody else.
    #[track_caller]
    fn assert_no_post_lost_after(&self, settled: Duration) {
        let late = lost(&self.outcomes, Verb::Post);
        let late: Vec<_> = late.into_iter().filter(|outcome| outcome.due > self.broke + settled).collect();
        assert!(late.is_empty(), "{} POSTs lost: {:#?}", late.len(), late.first());
    }

    /// How many answers with this status came of the endpoint itself, due in this window after the failure.
    fn passed(&self, status: u16, window: std::ops::Range<Duration>) -> usize {
        let in_window = |o: &&Outcome| o.due >= self.broke + window.start && o.due < self.broke + window.end;
        self.outcomes.iter().filter(in_window).filter(|o| passed_through(o, status..=status)).count()
    }
}

/// Whether this is the failing endpoint's own answer, with its name as the body, and not a page of ours.
fn passed_through(outcome: &Outcome, status: std::ops::RangeInclusive<u16>) -> bool {
    matches!(&outcome.answer, Ok((got, body)) if status.contains(got) && body == FAILING)
}

/// One that fails in this process.
fn with_fault(policies: &str, fault: Fault, bound: Duration) -> (Run, FaultyOrigin) {
    let failing = FaultyOrigin::start(FAILING);
    let run = load(policies, failing.addr(), || failing.set_fault(fault));
    run.assert_served_once(&failing.seen(), bound);
    (run, failing)
}

#[test]
fn an_endpoint_killed_with_sigkill_loses_no_get() {
    let mut failing = origin_process(FAILING);
    let run = load("", failing.addr(), || failing.kill());
    run.assert_served_once(&failing.seen(), Duration::ZERO);
    run.assert_no_post_lost_after(Duration::from_millis(200));
}

#[test]
fn an_endpoint_that_refuses_connections_loses_no_get() {
    let (run, _failing) = with_fault("", Fault::Refuse, Duration::ZERO);
    run.assert_no_post_lost_after(Duration::from_millis(200));
}

#[test]
fn a_host_that_falls_silent_loses_no_get_and_delays_it_by_the_connect_timeout_at_most() {
    silenced("", Duration::from_secs(1));
}

/// What was under way is noticed by one time-out or the other, and the next connection by the connect time-out.
#[test]
fn a_host_that_falls_silent_loses_no_get_of_an_app_with_a_first_byte_timeout() {
    silenced("first_byte_timeout = \"1s\"", Duration::from_secs(2));
}

/// Kept connections lead to it, and no packet comes back any more.
fn silenced(policies: &str, bound: Duration) {
    let Some(host) = Host::start() else { return };
    let failing = OriginProcess::start_on(&host, FAILING, ORIGIN);
    let run = load(policies, failing.addr(), || host.fall_silent());
    run.assert_served_once(&failing.seen(), bound);
    run.assert_no_post_lost_after(Duration::from_millis(2500));
}

#[test]
fn a_new_endpoint_whose_host_drops_every_packet_delays_requests_by_the_connect_timeout_at_most() {
    let Some(host) = Host::start() else { return };
    host.fall_silent();
    let healthy = FaultyOrigin::start("healthy");
    let silent = SocketAddr::from((host.addr(), 80));
    let builder = webrouter().section("[timeouts]\nconnect = \"1s\"").apps(&app("", &[silent, healthy.addr()]));
    let router = started(builder);
    let outcomes = OpenLoad::start(router.http(), plan(200, 4, 4)).finish();
    assert!(router.metric("webrouter_upstream_connect_failures_total", "") > 0.0, "it was tried");
    // Nothing was ever sent there: POSTs are tried elsewhere as well.
    for verb in [Verb::Get, Verb::Post] {
        let lost = lost(&outcomes, verb);
        assert!(lost.is_empty(), "{} {verb:?} lost: {:#?}", lost.len(), lost.first());
    }
    let slowest = outcomes.iter().map(|outcome| outcome.latency).max().unwrap_or_default();
    println!("slowest {slowest:?}");
    assert!(slowest < Duration::from_secs(1) + SLACK, "{slowest:?}");
    assert!(posts_seen_twice(&healthy.seen()).is_empty());
}

#[test]
fn an_endpoint_that_hangs_after_accepting_loses_no_get() {
    let (run, failing) = with_fault("first_byte_timeout = \"1s\"", Fault::Hang, Duration::from_secs(1));
    assert!(failing.seen().iter().any(|seen| seen.at >= run.broke), "it was asked while it hung");
    run.assert_no_post_lost_after(Duration::from_millis(2500));
}

#[test]
fn an_endpoint_that_resets_after_the_head_loses_no_get() {
    let (run, failing) = with_fault("", Fault::ResetAfterHead, Duration::ZERO);
    assert!(failing.seen().iter().any(|seen| seen.at >= run.broke), "it was asked while it reset");
    // Ejected after a few failures in a row, and tried again after 10 s only.
    run.assert_no_post_lost_after(Duration::from_secs(2));
}

#[test]
fn an_endpoint_that_answers_500_is_passed_through_as_it_is() {
    let (run, _failing) = with_fault("", Fault::Answer(500), Duration::ZERO);
    let passed = run.passed(500, Duration::ZERO..Duration::from_secs(9));
    assert!(passed > 100, "a 500 is the app's own answer: {passed}");
}

#[test]
fn an_endpoint_that_answers_503_is_passed_through_and_soon_left_out() {
    let (run, _failing) = with_fault("", Fault::Answer(503), Duration::ZERO);
    let (first, later) =
        (run.passed(503, Duration::ZERO..Duration::from_secs(1)), run.passed(503, Duration::from_secs(1)..MINUTE));
    assert!((3..=60).contains(&first) && later == 0, "{first} at first, {later} later");
}

#[test]
fn an_endpoint_that_closes_connections_at_random_loses_no_get() {
    let (run, failing) = with_fault("", Fault::CloseAtRandom, Duration::ZERO);
    let after = failing.seen().iter().filter(|seen| seen.at >= run.broke).count();
    assert!(after > 200, "closing what is idle is no failure, it keeps its share: {after}");
    let refused = lost(&run.outcomes, Verb::Post).len();
    assert!(refused <= 10, "{refused} POSTs met a connection that was being closed");
}

const FAILING: &str = "failing";
const MINUTE: Duration = Duration::from_secs(60);
/// What a busy machine may take on top.
const SLACK: Duration = Duration::from_secs(3);
