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

    /// The only hold.
    #[track_caller]
    fn hold(&self) -> HoldStatus {
        let holds = self.gate.status();
        assert_eq!(holds.len(), 1, "{holds:?}");
        holds.into_iter().next().expect("one").1
    }

    /// What is in force, and how many procs are held, all holds together.
    #[track_caller]
    fn check(&self, in_force: &str, held: Option<usize>) {
        let procs: Vec<String> = self
            .table
            .procs()
            .map(|(key, proc)| format!("{}:{}", key.name.app(), proc.upstream.endpoints.len()))
            .collect();
        assert_eq!(procs.join(" "), in_force);
        let holds = self.gate.status();
        let procs = holds.iter().map(|(_, hold)| hold.procs.len()).sum();
        assert_eq!((!holds.is_empty()).then_some(procs), held);
    }
}

#[test]
fn a_halved_table_is_held_for_the_grace() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1");
    scene.says("a:1 b:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(3));
    let hold = scene.hold();
    assert_eq!((hold.routes_before, hold.routes_after, hold.endpoints_after), (5, 2, 2));
    scene.after(30);
    scene.says("a:1 b:1");
    assert_eq!(scene.hold().id, hold.id);
    scene.after(29);
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(3));
    scene.after(1);
    scene.check("a:1 b:1", None);
}

#[test]
fn a_worse_word_is_another_hold_with_a_clock_of_its_own() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1");
    scene.says("a:1 b:1");
    let first = scene.hold();
    scene.after(30);
    scene.says("a:1");
    let second = scene.hold();
    assert!(second.id > first.id && second.applies_at > first.applies_at);
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(first.id)), 0);
    scene.after(59);
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(4));
    scene.says("a:1 d:1");
    assert_eq!(scene.hold().id, second.id, "less is no other hold");
    scene.after(1);
    scene.check("a:1 d:1", None);
}

#[test]
fn what_becomes_worse_after_it_was_accepted_is_not_let_through() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1 j:1");
    scene.says("a:1 b:1 c:1 d:1");
    let first = scene.hold();
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(first.id)), 1);
    scene.says("a:1");
    scene.check("a:1 b:1 c:1 d:1", Some(3));
    assert!(scene.hold().id > first.id);
}

#[test]
fn losing_everything_waits_for_somebody() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("");
    let hold = scene.hold();
    assert_eq!((hold.applies_at, scene.gate.deadlines()), (None, (None, None)));
    assert!(hold.reason.starts_with("it takes away all 4 routes"), "{}", hold.reason);
    scene.after(100_000);
    scene.check("a:1 b:1 c:1 d:1", Some(4));
    scene.says("a:1");
    assert_eq!(scene.hold().id, hold.id);
    assert!(scene.hold().applies_at.is_some(), "it says something again");
    scene.says("");
    assert_eq!(scene.hold().applies_at, None);
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, None), 1);
    scene.pass();
    scene.check("", None);
}

#[test]
fn a_better_word_ends_the_hold() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("");
    scene.check("a:1 b:1 c:1 d:1", Some(4));
    scene.says("a:1 b:1 c:1 d:2");
    scene.check("a:1 b:1 c:1 d:2", None);
    scene.says("a:1");
    scene.check("a:1 b:1 c:1 d:2", Some(3));
    scene.says("a:1 b:1 c:1");
    scene.check("a:1 b:1 c:1 d:2", None);
    assert_eq!(scene.probe(&[]), 1, "d is asked like any other");
    scene.check("a:1 b:1 c:1", None);
}

#[test]
fn all_but_the_loss_passes_while_it_is_held() {
    let mut scene = Scene::new("a:2 b:1 c:1 d:1 e:1");
    scene.says("a:3 f:1");
    scene.check("a:3 b:1 c:1 d:1 e:1 f:1", Some(4));
    let hold = scene.hold();
    scene.says("a:3 f:2 g:1 h:1 i:1 j:1 k:1 l:1");
    scene.check("a:3 b:1 c:1 d:1 e:1 f:2 g:1 h:1 i:1 j:1 k:1 l:1", Some(4));
    assert_eq!(scene.hold().id, hold.id, "growth does not water a loss down");
    scene.after(60);
    scene.check("a:3 f:2 g:1 h:1 i:1 j:1 k:1 l:1", None);
}

#[test]
fn endpoints_that_moved_are_served_while_others_are_held() {
    let mut scene = Scene::new("a:4 b:4 c:1");
    let mut word = contribution("a:1 b:1 c:1");
    let moved = Endpoint::parse("127.0.0.9:9").expect("an endpoint");
    for app in ["a", "c"] {
        let known = word.procs.get(&name(app)).expect("there").clone();
        let there = webrouter_routing::contribution::Proc { endpoints: Arc::from([moved]), ..(*known).clone() };
        word.procs.insert(name(app), Arc::new(there));
    }
    scene.gate.offer(word);
    scene.pass();
    scene.check("a:5 b:4 c:1", Some(2));
    assert_eq!(scene.table.procs().filter(|(_, proc)| proc.upstream.endpoints.contains(&moved)).count(), 2);
    scene.says("a:3 b:3 c:1");
    scene.check("a:3 b:3 c:1", None);
}

#[test]
fn a_lost_mountpoint_is_kept_beside_the_new_one() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a=w.x:1 b=x.x:1 c=y.x:2 d:1");
    scene.check("a:1 b:1 c:2 d:1", Some(3));
    assert_eq!(scene.table.route_count(), 7);
    scene.after(60);
    assert_eq!(scene.table.route_count(), 4);
}

#[test]
fn a_loss_in_slices_is_held() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1 f:1 g:1 h:1 i:1 j:1");
    for word in ["a:1 b:1 c:1 d:1 e:1 f:1 g:1", "a:1 b:1 c:1 d:1 e:1"] {
        scene.says(word);
        scene.probe(&[]);
        scene.check(word, None);
        scene.after(1);
    }
    scene.says("a:1 b:1 c:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(2));
    assert!(scene.hold().reason.contains("7 of 10"), "{}", scene.hold().reason);
    scene.says("a:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(4));
    scene.says("a:1 b:1 c:1 d:1 e:1");
    scene.after(61);
    scene.says("a:1 b:1 c:1");
    scene.probe(&[]);
    scene.check("a:1 b:1 c:1", None);
}

#[test]
fn accepted_is_applied_at_once() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:1");
    let id = scene.hold().id;
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(id + 1)), 0);
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, Some(id)), 1);
    scene.pass();
    scene.check("a:1", None);
}

#[test]
fn refused_stays_for_as_long_as_no_more_is_lost() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1");
    scene.says("a:1");
    assert_eq!(scene.gate.resolve(HoldDecision::Refuse, None), 1);
    scene.after(1000);
    for word in ["a:1", "a:2", "a:1 e:1", "a:1 e:1 d:1"] {
        scene.says(word);
        assert_eq!(scene.hold().applies_at, None, "{word}");
        assert_eq!(scene.gate.deadlines(), (None, None), "{word}");
    }
    scene.says("a:1 b:1 c:1 d:1 e:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", None);
}

#[test]
fn more_than_was_refused_is_held_beside_it() {
    let mut scene = Scene::new("a:1 b:1 c:1 d:1 e:1");
    scene.says("a:1 b:1");
    assert_eq!(scene.gate.resolve(HoldDecision::Refuse, None), 1);
    scene.says("a:1");
    scene.check("a:1 b:1 c:1 d:1 e:1", Some(4));
    let holds = scene.gate.status();
    assert_eq!(holds.iter().map(|(refused, _)| refused.0).collect::<Vec<_>>(), [true, false]);
    scene.after(60);
    scene.check("a:1 c:1 d:1 e:1", Some(3));
    assert_eq!(scene.gate.resolve(HoldDecision::Accept, None), 1);
    scene.pass();
    scene.check("a:1", None);
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
