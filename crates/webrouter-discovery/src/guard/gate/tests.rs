use std::time::Duration;

use webrouter_routing::merge::{Defaults, merge};

use super::super::tests::{contribution, in_force, name};
use super::*;

/// A gate before a table; time passes when it is told to.
struct Scene {
    gate: Gate,
    table: Snapshot,
    now: Instant,
}

impl Scene {
    fn new(apps: &str) -> Self {
        let table = in_force(apps);
        let gate =
            Gate::new(SourceName::new("lainlet"), Word::Observation, GuardConfig::default(), &table, Arc::default());
        Self { gate, table, now: Instant::now() }
    }

    fn says(&mut self, apps: &str) {
        self.gate.offer(contribution(apps));
        self.pass();
    }

    fn pass(&mut self) {
        if let Some(passed) = self.gate.pass(&self.table, self.now) {
            self.table = merge(&self.table, &[passed], &Defaults::default());
        }
    }

    fn after(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.pass();
    }

    /// Asks what is due; these apps answer.
    fn probe(&mut self, answering: &[&str]) -> usize {
        let asked: Vec<ProcName> = self.gate.take_due_probes(self.now).into_iter().map(|(name, _)| name).collect();
        let answering = answering.iter().map(|key| name(key)).collect();
        if self.gate.probed(&asked, &answering, self.now) {
            self.pass();
        }
        asked.len()
    }

    #[track_caller]
    fn check(&self, in_force: &str, held: Option<usize>) {
        let procs: Vec<String> = self
            .table
            .procs()
            .map(|(key, proc)| format!("{}:{}", key.name.app(), proc.upstream.endpoints.len()))
            .collect();
        assert_eq!(procs.join(" "), in_force);
        assert_eq!(self.gate.status().map(|hold| hold.procs.len()), held);
    }
}

#[test]
fn a_halved_table_is_held_for_the_grace() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1");
    scene.says("a:1 b:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(0));
    let first = scene.gate.status().expect("held");
    assert_eq!((first.routes_before, first.routes_after, first.endpoints_after), (5, 2, 2));
    scene.after(30);
    scene.says("a:1");
    let second = scene.gate.status().expect("held");
    assert_eq!((second.id, second.applies_at), (first.id, first.applies_at), "the grace does not begin again");
    scene.after(29);
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(0));
    scene.after(1);
    scene.check("a:1", None);
}

#[test]
fn a_better_word_ends_the_hold() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("");
    scene.check("a:1 b:1 c:1 d:1", Some(0));
    scene.says("a:1 b:1 c:1 d:2");
    scene.check("a:1 b:1 c:1 d:2", None);
}

#[test]
fn accepted_is_applied_at_once() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:1");
    let id = scene.gate.status().expect("held").id;
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(id + 1)), 0);
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(id)), 1);
    scene.pass();
    scene.check("a:1", None);
}

#[test]
fn refused_stays_until_the_source_says_something_else() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:1");
    assert_eq!(scene.gate.resolve(HoldDecision::Refuse, None), 1);
    scene.after(1000);
    scene.says("a:1");
    scene.check("a:1 b:1 c:1 d:1", Some(0));
    assert_eq!(scene.gate.status().expect("held").applies_at, None);
    assert_eq!(scene.gate.deadlines(), (None, None));
    scene.says("b:1");
    scene.check("a:1 b:1 c:1 d:1", Some(0));
    assert!(scene.gate.status().expect("held anew").applies_at.is_some());
    scene.after(60);
    scene.check("b:1", None);
}

#[test]
fn an_app_that_still_answers_is_kept_while_the_rest_is_applied() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:2 b:0 d:1");
    scene.check("a:2 b:1 c:1 d:1", None);
    assert_eq!(scene.probe(&["b"]), 2);
    scene.check("a:2 b:1 d:1", Some(1));
    scene.after(2);
    assert_eq!(scene.probe(&["b"]), 1, "it is asked again");
    scene.after(2);
    scene.probe(&[]);
    scene.check("a:2 b:0 d:1", None);
}

#[test]
fn a_kept_app_goes_when_the_grace_is_over_or_it_is_accepted_and_stays_when_refused() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1");
    scene.says("a:1 c:1 d:1 e:1");
    scene.probe(&["b"]);
    scene.after(60);
    scene.check("a:1 c:1 d:1 e:1", None);
    scene.says("a:1 d:1 e:1");
    scene.probe(&["c"]);
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, None), 1);
    scene.pass();
    scene.check("a:1 d:1 e:1", None);
    scene.says("a:1 d:1");
    scene.probe(&["e"]);
    assert_eq!(scene.gate.resolve(HoldDecision::Refuse, None), 1);
    scene.after(1000);
    assert_eq!(scene.probe(&[]), 0);
    scene.check("a:1 d:1 e:1", Some(1));
    scene.says("a:2 d:1");
    scene.check("a:2 d:1 e:1", Some(1));
    scene.says("a:2 d:1 e:3");
    scene.check("a:2 d:1 e:3", None);
}

#[test]
fn an_app_that_comes_back_is_no_longer_kept() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:1 b:1 c:1");
    scene.probe(&["d"]);
    scene.check("a:1 b:1 c:1 d:1", Some(1));
    scene.says("a:1 b:1 c:1 d:2");
    scene.check("a:1 b:1 c:1 d:2", None);
}
