use tokio::time::advance;

use super::*;
use crate::fleet::FleetConfig;
use crate::fleet::record::ProbeError;
use crate::fleet::remembered::Remembered;
use crate::fleet::scene::{Cluster, endpoint};

/// What befalls the first endpoint of an upstream.
#[derive(Clone, Copy)]
enum Event {
    Good,
    Bad,
    /// A request that ended so.
    Fails(Fault),
    Served,
    Seconds(u64),
    Drained,
    Undrained,
    /// A restart of webrouter.
    Restart,
}
use Event::*;

const REFUSED: Event = Fails(Fault::Unreachable(Cause::ConnectRefused));
const BUSY: Event = Fails(Fault::Status(503));

struct Scene {
    cluster: Cluster,
    fleet: Fleet,
    shared: Arc<SharedUpstream>,
    states: Vec<Arc<EndpointState>>,
}

impl Scene {
    /// An upstream whose endpoints are new, all together.
    fn new(healthcheck: Option<&str>, endpoints: u32) -> Self {
        let mut cluster = Cluster::new(HealthCheck::default());
        let endpoints: Vec<Endpoint> = (1..=endpoints).map(endpoint).collect();
        cluster.with("demo", healthcheck, &endpoints);
        Self::of(cluster, Fleet::new(FleetConfig::default(), Vec::new()))
    }

    fn of(cluster: Cluster, fleet: Fleet) -> Self {
        let upstream = cluster.upstream("demo");
        let shared = fleet.upstream(&upstream);
        let states = shared.states(&upstream, &fleet);
        Self { cluster, fleet, shared, states }
    }

    fn state(&self, nth: usize) -> &Arc<EndpointState> {
        &self.states[nth]
    }

    fn probe(&self, nth: usize, result: Result<u16, ProbeError>) {
        let probe = Probe { at: SystemTime::now(), took: Duration::ZERO, result };
        let policy = &self.cluster.upstream("demo").policy;
        self.shared.probed(self.state(nth), probe, &policy.health, policy.slow_start);
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Good => self.probe(0, Ok(204)),
            Bad => self.probe(0, Err(ProbeError::TimedOut)),
            Fails(fault) => self.shared.failed(self.state(0), fault, &self.fleet),
            Served => self.state(0).succeeded(),
            Seconds(seconds) => {
                advance(Duration::from_secs(seconds)).await;
                self.fleet.readmit(&self.cluster.snapshot());
            }
            Drained => assert!(self.shared.drain(self.state(0), true)),
            Undrained => assert!(self.shared.drain(self.state(0), false)),
            Restart => self.restart(),
        }
    }

    fn restart(&mut self) {
        let text = serde_json::to_string(&self.fleet.to_remember().collect::<Vec<_>>()).expect("JSON");
        let remembered: Vec<Remembered> = serde_json::from_str(&text).expect("what was written");
        let cluster = std::mem::replace(&mut self.cluster, Cluster::new(HealthCheck::default()));
        *self = Self::of(cluster, Fleet::new(FleetConfig::default(), remembered));
    }

    /// The next table, with these endpoints.
    fn publish(&mut self, healthcheck: Option<&str>, endpoints: &[u32]) {
        let old = self.cluster.snapshot();
        let endpoints: Vec<Endpoint> = endpoints.iter().map(|nth| endpoint(*nth)).collect();
        self.cluster.with("demo", healthcheck, &endpoints);
        self.fleet.follow(&old, &self.cluster.snapshot());
        self.states = self.shared.states(&self.cluster.upstream("demo"), &self.fleet);
    }
}

fn marks(state: &EndpointState) -> String {
    let names = [
        (Mark::UNPROVEN, "unproven"),
        (Mark::DOWN, "down"),
        (Mark::EJECTED, "ejected"),
        (Mark::DRAINING, "draining"),
        (Mark::GONE, "gone"),
        (Mark::WARMING, "warming"),
    ];
    let set: Vec<&str> = names.iter().filter(|(mark, _)| state.is_marked(*mark)).map(|(_, name)| *name).collect();
    set.join(" ")
}

/// The marks of the first of two endpoints with a health check, after these events.
async fn check(events: &[Event], expected: &str) {
    let mut scene = Scene::new(Some("/health"), 2);
    for event in events {
        scene.happen(*event).await;
    }
    assert_eq!(marks(scene.state(0)), expected);
    assert_eq!(marks(scene.state(1)), "unproven", "the other");
}

#[tokio::test(start_paused = true)]
async fn one_good_probe_proves_a_new_endpoint() {
    check(&[], "unproven").await;
    check(&[Good], "").await;
    check(&[Bad, Bad, Bad, Bad, Good], "").await;
}

#[tokio::test(start_paused = true)]
async fn as_many_bad_probes_in_a_row_as_fall_says_take_it_down() {
    check(&[Good, Bad, Bad, Bad, Bad], "").await;
    check(&[Good, Bad, Bad, Bad, Bad, Bad], "down").await;
    check(&[Good, Bad, Bad, Bad, Bad, Good, Bad, Bad, Bad, Bad], "").await;
    check(&[Bad, Bad, Bad, Bad, Bad], "down").await;
}

#[tokio::test(start_paused = true)]
async fn as_many_good_ones_as_rise_says_bring_it_back_slowly() {
    let down = [Bad; 5];
    check(&[&down[..], &[Good]].concat(), "down").await;
    check(&[&down[..], &[Good, Bad, Good]].concat(), "down").await;
    check(&[&down[..], &[Good, Good]].concat(), "warming").await;
    check(&[&down[..], &[Good, Good, Bad, Bad, Bad, Bad, Bad]].concat(), "down warming").await;
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_eject_for_a_time_that_grows() {
    check(&[Good, REFUSED, REFUSED], "").await;
    check(&[Good, REFUSED, REFUSED, Served, REFUSED, REFUSED], "").await;
    check(&[Good, REFUSED, REFUSED, REFUSED], "ejected").await;
    check(&[Good, REFUSED, REFUSED, REFUSED, Seconds(9)], "ejected").await;
    let readmitted = [Good, REFUSED, REFUSED, REFUSED, Seconds(10)];
    check(&readmitted, "warming").await;
    let again = [&readmitted[..], &[REFUSED]].concat();
    check(&again, "ejected warming").await;
    check(&[&again[..], &[Seconds(19)]].concat(), "ejected warming").await;
    check(&[&again[..], &[Seconds(20)]].concat(), "warming").await;
    check(&[&readmitted[..], &[Served, REFUSED, REFUSED]].concat(), "warming").await;
}

#[tokio::test(start_paused = true)]
async fn what_health_checks_and_requests_find_is_kept_apart() {
    let out = [Good, REFUSED, REFUSED, REFUSED];
    check(&[&out[..], &[Good, Good]].concat(), "ejected").await;
    check(&[&out[..], &[Bad; 5], &[Seconds(10)]].concat(), "down warming").await;
    check(&[Drained, Good], "draining").await;
    check(&[Drained, Bad, Bad, Bad, Bad, Bad, Undrained], "down").await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_changes_nothing() {
    check(&[Restart], "unproven").await;
    check(&[Good, Restart], "").await;
    check(&[Bad, Bad, Bad, Bad, Bad, Restart], "down").await;
    check(&[Good, Drained, Restart], "draining").await;
    let out = [Good, REFUSED, REFUSED, REFUSED, Restart];
    check(&out, "ejected").await;
    check(&[&out[..], &[Seconds(9)]].concat(), "ejected").await;
    check(&[&out[..], &[Seconds(11)]].concat(), "warming").await;
    // The time goes on growing.
    let again = [&out[..], &[Seconds(11), REFUSED]].concat();
    check(&[&again[..], &[Seconds(19)]].concat(), "ejected warming").await;
}

#[tokio::test(start_paused = true)]
async fn what_endpoints_answer_takes_no_more_than_a_share_of_them_away() {
    let mut scene = Scene::new(None, 3);
    let fail = |scene: &Scene, nth: usize, fault: Fault| {
        (0..9).for_each(|_| scene.shared.failed(scene.state(nth), fault, &scene.fleet));
    };
    fail(&scene, 0, Fault::Status(502));
    fail(&scene, 1, Fault::Broken(Cause::UpstreamReset));
    assert_eq!([0, 1, 2].map(|nth| marks(scene.state(nth))), ["ejected", "", ""]);
    fail(&scene, 1, Fault::Unreachable(Cause::ConnectTimeout));
    fail(&scene, 2, Fault::Unreachable(Cause::ConnectRefused));
    assert_eq!([0, 1, 2].map(|nth| marks(scene.state(nth))), ["ejected"; 3]);
    assert!(scene.shared.is_fail_open());
    scene.happen(Seconds(10)).await;
    assert!(!scene.shared.is_fail_open());

    let mut alone = Scene::new(None, 1);
    for _ in 0..9 {
        alone.happen(BUSY).await;
        alone.happen(REFUSED).await;
    }
    assert_eq!(marks(alone.state(0)), "", "there is nobody else");
}

#[tokio::test(start_paused = true)]
async fn two_cores_do_not_take_the_last_place_of_the_share_both() {
    for _ in 0..200 {
        let scene = Scene::new(None, 4);
        std::thread::scope(|threads| {
            for state in &scene.states {
                let fail = || (0..3).for_each(|_| scene.shared.failed(state, Fault::Status(502), &scene.fleet));
                threads.spawn(fail);
            }
        });
        let ejected = scene.states.iter().filter(|state| state.is_marked(Mark::EJECTED)).count();
        assert_eq!(ejected, 2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_ejection_that_comes_while_others_end_ends_too() {
    let scene = Scene::new(None, 16);
    let over = std::sync::atomic::AtomicBool::new(false);
    for _ in 0..20 {
        std::thread::scope(|threads| {
            let readmitting = threads.spawn(|| {
                while !over.load(Ordering::Acquire) {
                    scene.fleet.readmit(&scene.cluster.snapshot());
                }
            });
            for state in &scene.states {
                let fault = Fault::Unreachable(Cause::ConnectRefused);
                (0..3).for_each(|_| scene.shared.failed(state, fault, &scene.fleet));
            }
            over.store(true, Ordering::Release);
            readmitting.join().expect("it ends");
        });
        over.store(false, Ordering::Release);
        advance(Duration::from_secs(300)).await;
        scene.fleet.readmit(&scene.cluster.snapshot());
        let ejected = scene.states.iter().filter(|state| state.is_marked(Mark::EJECTED)).count();
        assert_eq!(ejected, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn all_are_tried_when_all_are_sick_and_that_is_said() {
    let mut scene = Scene::new(Some("/health"), 2);
    for nth in [0, 1] {
        assert!(!scene.shared.is_fail_open());
        (0..5).for_each(|_| scene.probe(nth, Ok(500)));
    }
    assert!(scene.shared.is_fail_open());
    scene.restart();
    assert!(scene.shared.is_fail_open(), "after a restart, too");
    scene.publish(Some("/health"), &[1, 2, 3]);
    assert!(!scene.shared.is_fail_open(), "one may be well");
    (0..5).for_each(|_| scene.probe(2, Err(ProbeError::Refused)));
    assert!(scene.shared.is_fail_open());
    scene.shared.drain(scene.state(0), true);
    assert!(scene.shared.is_fail_open(), "who is drained is not asked");
    scene.publish(None, &[1, 2, 3]);
    assert!(!scene.shared.is_fail_open(), "there is no health check any more");
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_is_unproven_and_warms_up_from_its_proof_on() {
    let mut scene = Scene::new(Some("/health"), 2);
    scene.publish(Some("/health"), &[1, 2, 3]);
    assert_eq!([0, 1, 2].map(|nth| marks(scene.state(nth))), ["unproven", "unproven", "unproven warming"]);
    advance(Duration::from_secs(8)).await;
    scene.probe(2, Ok(200));
    advance(Duration::from_secs(5)).await;
    assert_eq!(scene.state(2).warmth(Instant::now()), 0.5);
    advance(Duration::from_secs(5)).await;
    assert_eq!(scene.state(2).warmth(Instant::now()), 1.0);
    assert_eq!(marks(scene.state(2)), "");

    scene.publish(Some("/health"), &[4, 5]);
    assert_eq!(marks(scene.state(0)), "unproven", "all are new");
}

#[tokio::test(start_paused = true)]
async fn beside_one_that_is_remembered_a_new_one_is_new() {
    let mut scene = Scene::new(Some("/health"), 1);
    scene.probe(0, Ok(200));
    scene.cluster.with("demo", Some("/health"), &[endpoint(1), endpoint(2)]);
    scene.restart();
    assert_eq!([0, 1].map(|nth| marks(scene.state(nth))), ["", "unproven warming"]);
}

#[tokio::test(start_paused = true)]
async fn who_left_is_neither_judged_nor_ejected() {
    let mut scene = Scene::new(Some("/health"), 3);
    let gone = Arc::clone(scene.state(2));
    gone.try_enter(u32::MAX);
    scene.publish(Some("/health"), &[1, 2]);
    for _ in 0..9 {
        scene.shared.failed(&gone, Fault::Unreachable(Cause::ConnectRefused), &scene.fleet);
    }
    assert_eq!(marks(&gone), "unproven gone");
    for nth in [0, 1] {
        (0..5).for_each(|_| scene.probe(nth, Ok(500)));
    }
    assert!(scene.shared.is_fail_open());
    scene.fleet.sweep();
    assert_eq!(scene.fleet.departed().len(), 1, "it still serves");
    gone.leave();
    scene.fleet.sweep();
    assert_eq!(scene.fleet.departed().len(), 0);
    scene.publish(Some("/health"), &[1, 2, 3]);
    assert!(!Arc::ptr_eq(&gone, scene.state(2)), "it came back as another");
}

#[tokio::test(start_paused = true)]
async fn a_health_check_that_is_no_more_leaves_no_mark() {
    let mut scene = Scene::new(Some("/health"), 2);
    (0..5).for_each(|_| scene.probe(0, Ok(500)));
    scene.publish(None, &[1, 2]);
    assert_eq!([0, 1].map(|nth| marks(scene.state(nth))), ["", ""]);
    assert_eq!(scene.state(0).record().last_probe, None);

    let mut scene = Scene::new(Some("/health"), 2);
    (0..5).for_each(|_| scene.probe(0, Ok(500)));
    scene.cluster.with("demo", None, &[endpoint(1), endpoint(2)]);
    scene.restart();
    assert_eq!([0, 1].map(|nth| marks(scene.state(nth))), ["", ""], "nor over a restart");
}
