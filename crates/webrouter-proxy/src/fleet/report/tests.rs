use std::time::Instant as Clock;

use webrouter_routing::policy::HealthCheck;
use webrouter_telemetry::cause::Cause;

use super::super::scene::{Cluster, endpoint};
use super::super::upstream::Fault;
use super::super::{Fleet, FleetConfig};
use super::*;

/// `plain` has endpoints 1 and 2, `checked` has 2 and 3 and a health check.
fn scene() -> (Cluster, Fleet) {
    let mut cluster = Cluster::new(HealthCheck { fall: 1, ..HealthCheck::default() });
    cluster.with("plain", None, &[endpoint(1), endpoint(2)]).with("checked", Some("/"), &[endpoint(2), endpoint(3)]);
    (cluster, Fleet::new(FleetConfig::default(), Vec::new()))
}

/// What the fleet knows of an upstream, as a core that serves it would ask.
fn known(cluster: &Cluster, fleet: &Fleet, app: &str) -> (Arc<SharedUpstream>, Vec<Arc<EndpointState>>) {
    let upstream = cluster.upstream(app);
    let shared = fleet.upstream(&upstream);
    let states = shared.states(&upstream, fleet);
    (shared, states)
}

fn probe(result: Result<u16, ProbeError>) -> Probe {
    Probe { at: SystemTime::now(), took: Duration::from_millis(3), result }
}

fn probed(cluster: &Cluster, fleet: &Fleet, nth: usize, result: Result<u16, ProbeError>) {
    let (shared, states) = known(cluster, fleet, "checked");
    let policy = &cluster.upstream("checked").policy;
    shared.probed(&states[nth], probe(result), &policy.health, policy.slow_start);
}

fn one(cluster: &Cluster, fleet: &Fleet, app: &str) -> UpstreamReport {
    let name = cluster.upstream(app).name.clone();
    fleet.report(&cluster.snapshot(), |upstream| upstream.name == name).remove(0)
}

/// After something happened, these are the states of 1 and 2 in `plain`, of 2 and 3 in `checked`.
#[track_caller]
fn check(happen: impl FnOnce(&Cluster, &Fleet), expected: [State; 4]) {
    let (cluster, fleet) = scene();
    happen(&cluster, &fleet);
    let states = |app| one(&cluster, &fleet, app).endpoints.into_iter().map(|endpoint| endpoint.state);
    let seen: Vec<State> = states("plain").chain(states("checked")).collect();
    assert_eq!(seen, expected);
    let summary = fleet.summary(&cluster.snapshot());
    for state in State::ALL {
        let expected = expected.iter().filter(|expected| **expected == state).count();
        assert_eq!(summary.by_state.get(&state), Some(&expected), "{}", state.as_str());
    }
}

#[test]
fn states_follow_what_happens() {
    use State::{Down, Ejected, Unproven, Up};
    check(|_, _| {}, [Up, Up, Unproven, Unproven]);
    check(|cluster, fleet| drop(known(cluster, fleet, "checked")), [Up, Up, Unproven, Unproven]);
    check(|cluster, fleet| probed(cluster, fleet, 0, Ok(204)), [Up, Up, Up, Unproven]);
    check(|cluster, fleet| probed(cluster, fleet, 1, Err(ProbeError::Refused)), [Up, Up, Unproven, Down]);
    let eject = |cluster: &Cluster, fleet: &Fleet| {
        let (shared, states) = known(cluster, fleet, "plain");
        for _ in 0..3 {
            shared.failed(&states[0], Fault::Unreachable(Cause::ConnectRefused), fleet);
        }
    };
    check(eject, [Ejected, Up, Unproven, Unproven]);
    let drain = |cluster: &Cluster, fleet: &Fleet| drop(fleet.drain(&cluster.snapshot(), endpoint(2), Draining::On));
    check(drain, [Up, State::Draining, State::Draining, Unproven]);
}

#[test]
fn nobody_has_asked_it_yet() {
    let (cluster, fleet) = scene();
    let report = one(&cluster, &fleet, "plain");
    let expected = EndpointReport {
        endpoint: endpoint(1),
        state: State::Up,
        since: None,
        in_flight: 0,
        connections: 0,
        weight: 1,
        warmth: 1.0,
        failures: 0,
        last_probe: None,
        last_failure: None,
        ejected_for: None,
    };
    assert_eq!(report.endpoints[0], expected);
    assert_eq!((report.fail_open, report.breaker, report.queued), (false, BreakerState::Closed, 0));
    assert!(fleet.known(cluster.upstream("plain").id).is_none(), "a look makes nothing");
}

#[test]
fn what_an_earlier_run_knew_counts_before_anybody_asks() {
    let (cluster, before) = scene();
    before.drain(&cluster.snapshot(), endpoint(1), Draining::On);
    probed(&cluster, &before, 0, Ok(200));
    probed(&cluster, &before, 1, Ok(500));
    let fleet = Fleet::new(FleetConfig::default(), before.to_remember().collect());
    let states = |app| one(&cluster, &fleet, app).endpoints.into_iter().map(|report| report.state);
    assert_eq!(states("plain").collect::<Vec<_>>(), [State::Draining, State::Up]);
    assert_eq!(states("checked").collect::<Vec<_>>(), [State::Up, State::Down]);
    assert_eq!(fleet.summary(&cluster.snapshot()).draining, [endpoint(1)].into());
}

#[test]
fn evidence_is_told() {
    let (cluster, fleet) = scene();
    probed(&cluster, &fleet, 0, Ok(200));
    probed(&cluster, &fleet, 1, Err(ProbeError::TimedOut));
    let (shared, states) = known(&cluster, &fleet, "checked");
    for _ in 0..3 {
        shared.failed(&states[0], Fault::Status(502), &fleet);
    }
    assert!(states[0].try_enter(9) && states[0].try_connect(9));
    let report = one(&cluster, &fleet, "checked");
    let [good, bad] = &report.endpoints[..] else { panic!("{report:?}") };
    assert_eq!((good.state, good.failures, good.in_flight, good.connections), (State::Ejected, 3, 1, 1));
    assert_eq!(good.last_failure.map(|failure| (failure.cause, failure.status)), Some((Cause::BadStatus, Some(502))));
    let first = FleetConfig::default().ejection.first;
    assert!(good.ejected_for.is_some_and(|left| left <= first && left > first / 2), "{:?}", good.ejected_for);
    assert_eq!(good.last_probe.as_ref().map(|probe| probe.result), Some(Ok(200)));
    assert_eq!(bad.last_probe.as_ref().map(|probe| probe.result), Some(Err(ProbeError::TimedOut)));
    assert!(bad.since.is_some() && bad.ejected_for.is_none());
    assert!(report.fail_open, "one is ejected, the other down");
    let summary = fleet.summary(&cluster.snapshot());
    assert_eq!((summary.fail_open, summary.ejections), (vec![cluster.upstream("checked").name.clone()], 1));
}

#[test]
fn a_drain_is_of_every_upstream_that_holds_the_endpoint() {
    let (cluster, fleet) = scene();
    let snapshot = cluster.snapshot();
    let drain = |draining| fleet.drain(&snapshot, endpoint(2), draining).expect("it is there");
    let (_, plain) = known(&cluster, &fleet, "plain");
    assert!(plain[1].try_enter(9));
    let drained = drain(Draining::On);
    assert_eq!(drained.upstreams, ["checked__upstream__web", "plain__upstream__web"]);
    assert!(drained.news && drained.exhausted.is_empty());
    assert_eq!(drained.in_flight(), 1);
    assert!(!drain(Draining::On).news, "it drains already");
    plain[1].leave();
    assert_eq!(drained.in_flight(), 0, "it is the count of now");
    assert!(drain(Draining::Off).news && !drain(Draining::Off).news);
    assert_eq!(one(&cluster, &fleet, "plain").endpoints[1].state, State::Up);
    assert!(fleet.drain(&snapshot, endpoint(9), Draining::On).is_none());
    fleet.drain(&snapshot, endpoint(3), Draining::On);
    assert_eq!(drain(Draining::On).exhausted, ["checked__upstream__web"]);
}

#[test]
fn a_drained_endpoint_that_leaves_the_table_is_counted_until_its_last_request_ends() {
    let (mut cluster, fleet) = scene();
    let (_, plain) = known(&cluster, &fleet, "plain");
    assert!(plain[0].try_enter(9));
    let old = cluster.snapshot();
    fleet.drain(&old, endpoint(1), Draining::On);
    let new = cluster.with("plain", None, &[endpoint(2)]).snapshot();
    let in_flight = || {
        let drained = fleet.drain(&new, endpoint(1), Draining::On).expect("it serves still");
        assert_eq!(drained.upstreams, ["plain__upstream__web"]);
        drained.in_flight()
    };
    assert_eq!(in_flight(), 1, "the table is newer than what the fleet has followed");
    fleet.follow(&old, &new);
    assert_eq!(in_flight(), 1);
    assert!(fleet.drain(&new, endpoint(1), Draining::Off).is_none(), "there is nothing to take back");
    let leaving = fleet.leaving();
    let [leaving] = &leaving[..] else { panic!("{leaving:?}") };
    assert_eq!((leaving.endpoint.state, leaving.endpoint.in_flight), (State::Leaving, 1));
    assert_eq!(fleet.summary(&new).by_state.get(&State::Leaving), Some(&1));
    plain[0].leave();
    assert!(fleet.drain(&new, endpoint(1), Draining::On).is_none() && fleet.leaving().is_empty());
}

#[test]
fn a_large_fleet_is_told_in_no_time() {
    let mut cluster = Cluster::new(HealthCheck::default());
    let all: Vec<Endpoint> = (1..=20_000).map(endpoint).collect();
    cluster.with("large", None, &all);
    let fleet = Fleet::new(FleetConfig::default(), Vec::new());
    let (shared, _) = known(&cluster, &fleet, "large");
    let snapshot = cluster.snapshot();
    let timed = |what: &str, work: &dyn Fn() -> usize| {
        let best = (0..5).map(|_| {
            let begun = Clock::now();
            let found = work();
            (begun.elapsed(), found)
        });
        let (took, found) = best.min().expect("five");
        println!("{what}: {found} in {took:?}");
        // Unoptimised, on a busy machine; something quadratic would take minutes.
        assert!(took < Duration::from_millis(500), "{what}: {took:?}");
        found
    };
    assert_eq!(
        timed("report", &|| fleet.report(&snapshot, |_| true).iter().map(|it| it.endpoints.len()).sum()),
        20_000
    );
    assert_eq!(timed("summary", &|| fleet.summary(&snapshot).by_state.values().sum()), 20_000);
    assert_eq!(timed("the longest lock", &|| shared.endpoints().len()), 20_000);
    let last = endpoint(20_000);
    assert_eq!(timed("drain", &|| fleet.drain(&snapshot, last, Draining::On).map_or(0, |it| it.upstreams.len())), 1);
}
