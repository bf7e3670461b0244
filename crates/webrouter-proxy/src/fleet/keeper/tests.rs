use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize};

use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::HealthCheck;

use super::*;
use crate::fleet::FleetConfig;
use crate::fleet::endpoint::{EndpointState, Mark};
use crate::fleet::scene::Cluster;

/// An endpoint that answers 200, or closes when it is told to be ill; it counts who asks.
struct Origin {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    ill: Arc<AtomicBool>,
}

impl Origin {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let (asked, ill) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, is_ill) = (Arc::clone(&asked), Arc::clone(&ill));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                let _ = stream.read(&mut [0; 1024]);
                if !is_ill.load(Ordering::Acquire) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                }
                count.fetch_add(1, Ordering::AcqRel);
            }
        });
        Self { address, asked, ill }
    }

    fn endpoint(&self) -> Endpoint {
        Endpoint::new(self.address).expect("an endpoint")
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Acquire)
    }
}

struct Scene {
    cluster: Cluster,
    snapshots: Arc<ArcSwap<Snapshot>>,
    fleet: Arc<Fleet>,
    metrics: Metrics,
    keeper: Keeper,
}

impl Scene {
    fn start(cluster: Cluster, health_file: Option<&Path>) -> Self {
        let config = FleetConfig { health_file: health_file.map(Path::to_path_buf), ..FleetConfig::default() };
        let (fleet, metrics) = (Arc::new(Fleet::open(config)), Metrics::new());
        let snapshots = Arc::new(ArcSwap::new(cluster.snapshot()));
        let keeper = Keeper::start(Arc::clone(&fleet), Arc::clone(&snapshots), metrics.clone()).expect("a thread");
        Self { cluster, snapshots, fleet, metrics, keeper }
    }

    fn publish(&mut self, change: impl FnOnce(&mut Cluster) -> &mut Cluster) {
        change(&mut self.cluster);
        self.snapshots.store(self.cluster.snapshot());
    }

    fn state(&self) -> Option<Arc<EndpointState>> {
        self.fleet.known(self.cluster.upstream("demo").id)?.endpoints().into_iter().next()
    }

    fn is_marked(&self, mark: Mark) -> Option<bool> {
        Some(self.state()?.is_marked(mark))
    }
}

fn quick() -> HealthCheck {
    let (interval, timeout) = (Duration::from_millis(100), Duration::from_millis(200));
    HealthCheck { interval, timeout, rise: 2, fall: 2 }
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn an_endpoint_is_checked_from_its_snapshot_on_until_it_leaves() {
    let origin = Origin::start();
    let mut scene = Scene::start(Cluster::new(quick()), None);
    scene.publish(|cluster| cluster.with("demo", Some("/"), &[origin.endpoint()]));
    eventually("proven", || scene.is_marked(Mark::UNPROVEN) == Some(false));
    let state = scene.state().expect("a state");
    assert_eq!(state.record().last_probe.as_ref().map(|probe| probe.result), Some(Ok(200)));
    origin.ill.store(true, Ordering::Release);
    eventually("down", || state.is_marked(Mark::DOWN));
    origin.ill.store(false, Ordering::Release);
    eventually("up", || !state.is_marked(Mark::DOWN));
    state.mark(Mark::DRAINING);
    let asked = origin.asked();
    eventually("a drained one is asked, too", || origin.asked() > asked + 1);

    scene.publish(|cluster| cluster.with("demo", None, &[origin.endpoint()]));
    eventually("no evidence", || state.record().last_probe.is_none());
    scene.publish(|cluster| cluster.with("demo", Some("/"), &[origin.endpoint()]));
    eventually("evidence again", || state.record().last_probe.is_some());
    scene.publish(|cluster| cluster.without("demo"));
    eventually("gone", || state.is_marked(Mark::GONE));
    let asked = origin.asked();
    // Another upstream's checks are the clock.
    let clock = Origin::start();
    scene.publish(|cluster| cluster.with("clock", Some("/"), &[clock.endpoint()]));
    eventually("time passes", || clock.asked() > 4);
    assert!(origin.asked() <= asked + 1, "nobody asks it any more, but a check that was under way");
    let node = scene.metrics.node();
    assert!(node.probes_good.value() > 5);
    assert!(node.probes_bad.value() >= 2);
    scene.keeper.stop();
}

#[test]
fn health_survives_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("health.json");
    let origin = Origin::start();
    let mut cluster = Cluster::new(HealthCheck { interval: Duration::from_secs(3600), ..quick() });
    cluster.with("demo", Some("/"), &[origin.endpoint()]);
    let scene = Scene::start(cluster, Some(&path));
    eventually("proven", || scene.is_marked(Mark::UNPROVEN) == Some(false));
    eventually("written while it runs", || path.exists());
    let upstream = scene.cluster.upstream("demo");
    scene.fleet.upstream(&upstream).drain(&scene.state().expect("a state"), true);
    let Scene { cluster, keeper, .. } = scene;
    keeper.stop();

    let asked = origin.asked();
    let scene = Scene::start(cluster, Some(&path));
    eventually("known", || scene.state().is_some());
    let state = scene.state().expect("a state");
    let marks = [Mark::UNPROVEN, Mark::WARMING, Mark::DOWN, Mark::DRAINING].map(|mark| state.is_marked(mark));
    assert_eq!(marks, [false, false, false, true]);
    assert_eq!(origin.asked(), asked, "what is known need not be asked at once");
    scene.keeper.stop();
}

#[test]
fn a_file_that_cannot_be_written_hurts_nobody() {
    let directory = tempfile::tempdir().expect("a directory");
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "").expect("a file");
    let origin = Origin::start();
    let mut cluster = Cluster::new(quick());
    cluster.with("demo", Some("/"), &[origin.endpoint()]);
    let scene = Scene::start(cluster, Some(&blocked.join("health.json")));
    eventually("counted", || scene.metrics.node().health_save_failures.value() > 0);
    eventually("checked nonetheless", || scene.is_marked(Mark::UNPROVEN) == Some(false));
    scene.keeper.stop();
}
