use webrouter_routing::policy::HealthCheck;

use super::scene::{Cluster, endpoint, key};
use super::*;

fn scene() -> (Cluster, Fleet) {
    (Cluster::new(HealthCheck::default()), Fleet::new(FleetConfig::default(), Vec::new()))
}

#[test]
fn what_a_core_adds_from_an_old_table_goes_again() {
    let (mut cluster, fleet) = scene();
    let old = cluster.with("demo", None, &[endpoint(1), endpoint(2)]).with("gone", None, &[endpoint(3)]).snapshot();
    let (demo, gone) = (cluster.upstream("demo"), cluster.upstream("gone"));
    let new = cluster.with("demo", None, &[endpoint(1)]).without("gone").snapshot();
    fleet.follow(&old, &new);
    // A core that has not seen the new table yet.
    for upstream in [&demo, &gone] {
        fleet.upstream(upstream).states(upstream, &fleet);
    }
    let grown = fleet.grown();
    assert_eq!(grown.len(), 2);
    fleet.settle(grown, &new);
    assert!(fleet.known(gone.id).is_none());
    let left: Vec<Endpoint> = fleet.upstream(&demo).endpoints().iter().map(|state| state.endpoint).collect();
    assert_eq!(left, [endpoint(1)]);
    assert!(fleet.grown().is_empty());
}

#[test]
fn what_a_core_adds_from_a_new_table_stays() {
    let (mut cluster, fleet) = scene();
    cluster.with("demo", Some("/"), &[endpoint(1)]);
    let demo = cluster.upstream("demo");
    let state = fleet.upstream(&demo).states(&demo, &fleet).remove(0);
    fleet.settle(fleet.grown(), &cluster.snapshot());
    assert!(Arc::ptr_eq(&state, &fleet.upstream(&demo).states(&demo, &fleet).remove(0)));
    assert!(state.is_marked(endpoint::Mark::UNPROVEN));
}

#[test]
fn a_proc_that_comes_again_is_another() {
    let (mut cluster, fleet) = scene();
    let old = cluster.with("demo", None, &[endpoint(1)]).snapshot();
    let demo = cluster.upstream("demo");
    let state = fleet.upstream(&demo).states(&demo, &fleet).remove(0);
    cluster.without("demo");
    let new = cluster.with("demo", None, &[endpoint(1)]).snapshot();
    fleet.follow(&old, &new);
    assert!(fleet.known(demo.id).is_none());
    assert!(state.is_leaving());
}

/// What is still remembered, of endpoints 1 and 2 of `demo` and 3 of `gone`, after a change.
fn check(change: impl FnOnce(&mut Cluster, &Fleet), expected: &[Endpoint]) {
    let (mut cluster, fleet) = scene();
    cluster.with("demo", None, &[endpoint(1), endpoint(2)]).with("gone", None, &[endpoint(3)]);
    for app in ["demo", "gone"] {
        fleet.upstream(&cluster.upstream(app)).states(&cluster.upstream(app), &fleet);
    }
    let next_run = Fleet::new(FleetConfig::default(), fleet.to_remember().collect());
    change(&mut cluster, &next_run);
    let mut left: Vec<Endpoint> = next_run.to_remember().map(|known| known.endpoint).collect();
    left.sort();
    assert_eq!(left, expected);
}

#[test]
fn what_was_not_seen_yet_is_remembered_until_it_leaves_the_table() {
    let all = [1, 2, 3].map(endpoint);
    check(|_, _| {}, &all);
    let see = |cluster: &mut Cluster, fleet: &Fleet| {
        let demo = cluster.upstream("demo");
        assert!(!fleet.upstream(&demo).states(&demo, fleet).is_empty());
    };
    check(see, &all);
    let leave = |cluster: &mut Cluster, fleet: &Fleet| {
        let old = cluster.snapshot();
        fleet.follow(&old, &cluster.with("demo", None, &[endpoint(1)]).snapshot());
    };
    check(leave, &[endpoint(1), endpoint(3)]);
    let forget = |cluster: &mut Cluster, fleet: &Fleet| {
        let snapshot = cluster.without("gone").snapshot();
        assert!(snapshot.proc(&key("gone")).is_none());
        fleet.forget_strangers(&snapshot);
    };
    check(forget, &[endpoint(1), endpoint(2)]);
}

#[test]
fn an_endpoint_stays_small() {
    // There are 20,000 of them in a cluster of 10,000 apps; the counts of an `Arc` take one more line.
    assert!(size_of::<EndpointState>() <= 192, "{}", size_of::<EndpointState>());
}
