use std::collections::BTreeMap;

use webrouter_routing::policy::HealthCheck;

use super::*;
use crate::fleet::scene::{Cluster, endpoint};
use crate::fleet::{Fleet, FleetConfig};

struct Scene {
    cluster: Cluster,
    fleet: Fleet,
    schedule: Schedule,
    start: Instant,
}

impl Scene {
    fn new(check: HealthCheck) -> Self {
        let (cluster, fleet) = (Cluster::new(check), Fleet::new(FleetConfig::default(), Vec::new()));
        let schedule = Schedule::new(fastrand::Rng::with_seed(7));
        Self { cluster, fleet, schedule, start: Instant::now() }
    }

    fn put(&mut self, path: &str, endpoints: std::ops::Range<u32>, first: First, now: Instant) {
        self.cluster.with("demo", Some(path), &endpoints.map(endpoint).collect::<Vec<_>>());
        self.put_again(first, now);
    }

    fn put_again(&mut self, first: First, now: Instant) {
        let upstream = self.cluster.upstream("demo");
        let shared = self.fleet.upstream(&upstream);
        let states = shared.states(&upstream, &self.fleet);
        self.schedule.put(&upstream, shared, states, first, now);
    }

    fn prove(&self) {
        for state in self.fleet.upstream(&self.cluster.upstream("demo")).endpoints() {
            state.unmark(Mark::UNPROVEN);
        }
    }

    /// When, in milliseconds from the start, each endpoint is checked until a time, looked at every millisecond.
    fn run(&mut self, from: u64, until: u64) -> BTreeMap<String, Vec<u64>> {
        let mut checks: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for at in from..until {
            while let Some(job) = self.schedule.take(self.start + Duration::from_millis(at)) {
                checks.entry(job.state.endpoint.to_string()).or_default().push(at);
            }
        }
        checks
    }
}

#[test]
fn a_new_endpoint_is_checked_at_once_then_every_second_then_every_interval() {
    let mut scene = Scene::new(HealthCheck { timeout: Duration::from_millis(500), ..HealthCheck::default() });
    scene.put("/", 0..1, First::AtOnce, scene.start);
    let unproven = scene.run(0, 10_000).remove("10.0.0.0:8000").expect("it is checked");
    assert_eq!(unproven.first(), Some(&0));
    assert!(unproven.windows(2).all(|pair| (900..=1101).contains(&(pair[1] - pair[0]))), "{unproven:?}");
    scene.prove();
    let proven = scene.run(12_000, 60_000).remove("10.0.0.0:8000").expect("it is checked");
    assert!(proven.windows(2).skip(1).all(|pair| (2_700..=3_301).contains(&(pair[1] - pair[0]))), "{proven:?}");
    let gaps: std::collections::BTreeSet<u64> = proven.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.len() > 5, "no two gaps are alike: {gaps:?}");
}

#[test]
fn many_are_spread_over_the_interval_and_stay_spread() {
    let mut scene = Scene::new(HealthCheck::default());
    for app in 0..100 {
        let endpoints: Vec<_> = (app * 200..app * 200 + 200).map(endpoint).collect();
        scene.cluster.with(&format!("app{app}"), Some("/"), &endpoints);
        let upstream = scene.cluster.upstream(&format!("app{app}"));
        let shared = scene.fleet.upstream(&upstream);
        let states = shared.states(&upstream, &scene.fleet);
        assert!(states.iter().all(|state| state.unmark(Mark::UNPROVEN)));
        scene.schedule.put(&upstream, shared, states, First::Spread, scene.start);
    }
    let checks = scene.run(0, 30_000);
    assert_eq!(checks.len(), 20_000);
    let mut per_tenth = vec![0_u32; 300];
    for at in checks.values().flatten() {
        per_tenth[(at / 100) as usize] += 1;
    }
    // 20,000 / 3 s is 667 in a tenth of a second; the first round's end is the most uneven.
    assert!(per_tenth.iter().all(|count| (333..=1000).contains(count)), "{per_tenth:?}");
    assert!(checks.values().all(|times| (9..=12).contains(&times.len())));
    assert_eq!(scene.schedule.due.len(), 20_000, "one entry each");
}

#[test]
fn endpoints_that_stay_keep_their_turn_those_that_left_are_not_checked() {
    let mut scene = Scene::new(HealthCheck::default());
    scene.put("/", 0..3, First::AtOnce, scene.start);
    scene.prove();
    let mut twin = Scene::new(HealthCheck::default());
    twin.put("/", 0..3, First::AtOnce, twin.start);
    twin.prove();
    assert_eq!(scene.run(0, 1_000), twin.run(0, 1_000));
    let now = scene.start + Duration::from_secs(1);
    scene.put("/", 1..4, First::AtOnce, now);
    let (checks, unchanged) = (scene.run(1_000, 4_500), twin.run(1_000, 4_500));
    assert_eq!(checks.keys().collect::<Vec<_>>(), ["10.0.0.1:8000", "10.0.0.2:8000", "10.0.0.3:8000"]);
    for stayed in ["10.0.0.1:8000", "10.0.0.2:8000"] {
        assert_eq!(checks[stayed].first(), unchanged[stayed].first());
    }
    assert_eq!(checks["10.0.0.3:8000"].first(), Some(&1_000), "the new one at once");
}

#[test]
fn another_path_or_interval_is_followed_though_all_endpoints_stay() {
    let hour = Duration::from_secs(3600);
    let mut scene = Scene::new(HealthCheck { interval: hour, ..HealthCheck::default() });
    scene.put("/old", 0..2, First::AtOnce, scene.start);
    scene.prove();
    let job = scene.schedule.take(scene.start).expect("the first check");
    assert!(scene.schedule.counts(&job).is_some());
    scene.put("/new", 0..2, First::AtOnce, scene.start);
    scene.prove();
    assert!(scene.schedule.counts(&job).is_none(), "it asked for the old path");
    let mut last = scene.start;
    let mut paths = Vec::new();
    while let Some(at) = scene.schedule.next().filter(|at| *at < scene.start + hour) {
        paths.extend(scene.schedule.take(at).map(|job| job.upstream.annotation.healthcheck.clone().expect("a path")));
        last = at;
    }
    assert_eq!(paths, ["/new", "/new"]);

    let mut faster = Cluster::new(HealthCheck::default());
    let endpoints: Vec<_> = (0..2).map(endpoint).collect();
    faster.with("demo", Some("/new"), &endpoints);
    let (id, upstream) = (scene.cluster.upstream("demo").id, faster.upstream("demo"));
    assert_eq!(id, upstream.id, "the same upstream under another policy");
    scene.cluster = faster;
    scene.put_again(First::AtOnce, last);
    assert!(scene.schedule.next().is_some_and(|at| at <= last + Duration::from_secs(3)));
}

#[test]
fn a_check_that_takes_its_time_is_not_overtaken_by_the_next() {
    let second = Duration::from_secs(1);
    let mut scene = Scene::new(HealthCheck { interval: second, timeout: 5 * second, ..HealthCheck::default() });
    scene.put("/", 0..1, First::AtOnce, scene.start);
    let times = scene.run(0, 20_000).remove("10.0.0.0:8000").expect("it is checked");
    assert_eq!(times, [0, 5_100, 10_200, 15_300]);
}

#[test]
fn what_left_does_not_stay_in_memory_until_its_turn() {
    let mut scene = Scene::new(HealthCheck { interval: Duration::from_secs(3600), ..HealthCheck::default() });
    for round in 0..100 {
        scene.put("/", round * 100..round * 100 + 100, First::Spread, scene.start);
    }
    assert!(scene.schedule.due.len() <= 2 * 100 + FEW);
    assert!(scene.schedule.remove(scene.cluster.upstream("demo").id));
    assert_eq!((scene.schedule.live, scene.schedule.checked.len()), (0, 0));
    assert!(scene.schedule.take(scene.start + Duration::from_secs(7200)).is_none());
}
