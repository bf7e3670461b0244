use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::HealthCheck;

use super::*;
use crate::fleet::FleetConfig;
use crate::fleet::scene::{Cluster, endpoint};

struct Scene {
    cluster: Cluster,
    fleet: Fleet,
    prober: Prober,
}

impl Scene {
    fn new() -> Self {
        let fleet = Fleet::new(FleetConfig::default(), Vec::new());
        Self { cluster: Cluster::new(HealthCheck::default()), fleet, prober: Prober::new(Metrics::new()) }
    }

    fn publish(&mut self, change: impl FnOnce(&mut Cluster) -> &mut Cluster) {
        let old = self.cluster.snapshot();
        change(&mut self.cluster);
        let new = self.cluster.snapshot();
        self.fleet.follow(&old, &new);
        self.prober.follow(&old, &new, &self.fleet);
    }

    /// What is due now.
    fn due(&mut self) -> Vec<Endpoint> {
        let jobs = std::iter::from_fn(|| self.prober.schedule.take(Instant::now()));
        let mut due: Vec<Endpoint> = jobs.map(|job| job.state.endpoint).collect();
        due.sort();
        due
    }
}

#[tokio::test(start_paused = true)]
async fn each_change_of_a_snapshot_is_followed() {
    let mut scene = Scene::new();
    scene.publish(|cluster| cluster.with("demo", Some("/"), &[endpoint(1)]).with("other", None, &[endpoint(9)]));
    assert_eq!(scene.due(), [endpoint(1)]);
    scene.publish(|cluster| cluster.with("demo", Some("/"), &[endpoint(1), endpoint(2)]));
    assert_eq!(scene.due(), [endpoint(2)], "the new one alone");
    scene.publish(|cluster| cluster.with("demo", None, &[endpoint(1), endpoint(2)]));
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert_eq!(scene.due(), [], "the check is no more");
    scene.publish(|cluster| cluster.with("demo", Some("/"), &[endpoint(1), endpoint(2)]));
    tokio::time::advance(std::time::Duration::from_secs(3)).await;
    assert_eq!(scene.due(), [endpoint(1), endpoint(2)], "known ones within the interval");
    scene.publish(|cluster| cluster.without("demo").with("demo", Some("/"), &[endpoint(2)]));
    assert_eq!(scene.due(), [endpoint(2)], "another upstream of the same name");
    scene.publish(|cluster| cluster.without("demo"));
    tokio::time::advance(std::time::Duration::from_secs(9)).await;
    assert_eq!(scene.due(), []);
}

#[tokio::test(start_paused = true)]
async fn what_was_counted_on_another_path_does_not_count() {
    let mut scene = Scene::new();
    scene.publish(|cluster| cluster.with("demo", Some("/old"), &[endpoint(1)]));
    let state = scene.fleet.upstream(&scene.cluster.upstream("demo")).endpoints().remove(0);
    state.record().bad = 4;
    scene.publish(|cluster| cluster.with("demo", Some("/new"), &[endpoint(1)]));
    assert_eq!(state.record().bad, 0);
}

#[tokio::test(start_paused = true)]
async fn a_whole_cluster_that_comes_is_not_asked_all_at_once() {
    let mut scene = Scene::new();
    let many: Vec<Endpoint> = (0..2_000).map(endpoint).collect();
    scene.publish(|cluster| cluster.with("demo", Some("/"), &many));
    let mut asked = scene.due().len();
    assert!(asked <= 1, "{asked} at once");
    for tenth in 1..=30 {
        tokio::time::advance(std::time::Duration::from_millis(100)).await;
        let due = scene.due();
        let new = due.len();
        assert!(new < 250, "{new} in tenth {tenth}");
        asked += new;
    }
    assert!(asked >= 2_000, "each within the interval: {asked}");
}
