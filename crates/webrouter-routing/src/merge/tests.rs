use proptest::prelude::*;

use super::*;
use crate::diff::{ProcDiff, diff};
use crate::name::SourceName;
use crate::policy::{SetBy, Wishes};
use crate::rejection::Reason;
use crate::table::Outcome;

mod properties;

/// A source's view, written line by line: `<name>: <mountpoint>… @ <port>…`, or `<name>! @ <port>…` when its
/// annotation cannot be read.
fn contribution(source: &str, lines: &[&str]) -> Contribution {
    let mut contribution = Contribution::empty(SourceName::new(source));
    for line in lines {
        let (wish, ports) = line.split_once(" @").unwrap_or((line, ""));
        let name_len = wish.find([':', '!']).expect("a name");
        let claims = if wish[name_len..].starts_with('!') {
            Claims::Unreadable(unreadable())
        } else {
            let mountpoints = wish[name_len + 1..].split_whitespace().map(mountpoint).collect();
            Claims::Readable(Arc::new(Annotation { mountpoints, ..Annotation::default() }))
        };
        let endpoints = ports.split_whitespace().map(endpoint).collect();
        contribution.procs.insert(name(&wish[..name_len]), Arc::new(Proc { claims, endpoints, reasons: Vec::new() }));
    }
    contribution
}

fn unreadable() -> Reason {
    Reason::UnreadableAnnotation("not JSON".to_owned())
}

fn name(app: &str) -> ProcName {
    ProcName::parse(&format!("{app}.web.web")).expect("a name")
}

fn key(source: &str, app: &str) -> ProcKey {
    ProcKey { source: SourceName::new(source), name: name(app) }
}

fn mountpoint(text: &str) -> Mountpoint {
    Mountpoint::parse(text).expect("a mountpoint")
}

fn endpoint(port: &str) -> Endpoint {
    Endpoint::parse(&format!("127.0.0.1:{port}")).expect("an endpoint")
}

/// Starts from nothing and merges the steps one after the other.
fn after(steps: &[Contribution]) -> Snapshot {
    let empty = Snapshot::empty(&Defaults::default());
    steps.iter().fold(empty, |snapshot, step| merge(&snapshot, std::slice::from_ref(step), &Defaults::default()))
}

/// `<mountpoint> -> <app> @ <port>…` for every route, sorted.
fn told(snapshot: &Snapshot) -> Vec<String> {
    let line = |route: &Arc<Route>| {
        let ports: Vec<String> = route.upstream.endpoints.iter().map(|e| e.address().port().to_string()).collect();
        format!("{} -> {} @ {}", route.mountpoint, route.upstream.proc.name.app(), ports.join(" "))
    };
    snapshot.routes().map(line).collect()
}

fn check(steps: &[Contribution], routes: &[&str]) -> Snapshot {
    let snapshot = after(steps);
    assert_eq!(told(&snapshot), routes);
    snapshot
}

fn owned_by(source: &str, app: &str, at: &str) -> Reason {
    Reason::Owned { mountpoint: mountpoint(at), owner: key(source, app) }
}

fn reasons(snapshot: &Snapshot, source: &str, app: &str) -> Vec<Reason> {
    snapshot.rejections_of(&key(source, app)).into_iter().map(|rejection| rejection.reason).collect()
}

#[test]
fn the_first_owner_keeps_a_mountpoint_though_another_name_sorts_first() {
    let steps = [contribution("s", &["b: x.test @ 2"]), contribution("s", &["a: x.test @ 1", "b: x.test @ 2"])];
    let snapshot = check(&steps, &["x.test -> b @ 2"]);
    assert_eq!(reasons(&snapshot, "s", "a"), [owned_by("s", "b", "x.test")]);
    assert_eq!(reasons(&snapshot, "s", "b"), []);
    let rejections = snapshot.rejections();
    assert_eq!(rejections.len(), 1);
    assert_eq!(rejections[0].entry, "a.web.web");
    assert_eq!(rejections[0].reason.to_string(), "mountpoint x.test belongs to b.web.web (s), which claimed it first");
}

#[test]
fn a_released_mountpoint_goes_to_who_waited_longest() {
    let queue = [
        contribution("s", &["c: x.test @ 3"]),
        contribution("s", &["b: x.test @ 2", "c: x.test @ 3"]),
        contribution("s", &["a: x.test @ 1", "b: x.test @ 2", "c: x.test @ 3"]),
    ];
    let gone = contribution("s", &["a: x.test @ 1", "b: x.test @ 2"]);
    let snapshot = check(&[queue.as_slice(), &[gone]].concat(), &["x.test -> b @ 2"]);
    assert_eq!(reasons(&snapshot, "s", "a"), [owned_by("s", "b", "x.test")]);
    assert_eq!(reasons(&snapshot, "s", "b"), []);
    let released = contribution("s", &["a: x.test @ 1", "b: x.test @ 2", "c: y.test @ 3"]);
    check(&[queue.as_slice(), &[released]].concat(), &["x.test -> b @ 2", "y.test -> c @ 3"]);
}

#[test]
fn who_gives_up_a_mountpoint_and_claims_it_again_stands_last() {
    let steps = [
        contribution("s", &["a: x.test @ 1", "b: x.test @ 2"]),
        contribution("s", &["a: @ 1", "b: x.test @ 2"]),
        contribution("s", &["a: x.test @ 1", "b: x.test @ 2"]),
    ];
    check(&steps, &["x.test -> b @ 2"]);
}

#[test]
fn who_releases_and_who_claims_in_one_update_do_not_collide() {
    let steps = [contribution("s", &["z: x.test @ 1"]), contribution("s", &["a: x.test @ 2", "z: y.test @ 1"])];
    let snapshot = check(&steps, &["x.test -> a @ 2", "y.test -> z @ 1"]);
    assert_eq!(snapshot.rejections(), []);
}

#[test]
fn two_that_arrive_together_stand_in_the_order_of_source_and_name() {
    let both = [contribution("t", &["a: x.test @ 1"]), contribution("s", &["c: x.test @ 3", "b: x.test @ 2"])];
    let snapshot = merge(&Snapshot::empty(&Defaults::default()), &both, &Defaults::default());
    let queue: Vec<String> = snapshot.claims().flat_map(|(_, queue)| queue).map(ProcKey::to_string).collect();
    assert_eq!(queue, ["b.web.web (s)", "c.web.web (s)", "a.web.web (t)"]);
}

#[test]
fn a_source_cannot_take_or_remove_the_routes_of_another() {
    let steps = [
        contribution("s", &["a: x.test @ 1"]),
        contribution("r", &["a: x.test y.test @ 9"]),
        contribution("r", &[]),
        contribution("r", &["a: x.test @ 9"]),
    ];
    check(&steps[..2], &["x.test -> a @ 1", "y.test -> a @ 9"]);
    check(&steps[..3], &["x.test -> a @ 1"]);
    let snapshot = check(&steps, &["x.test -> a @ 1"]);
    assert_eq!(reasons(&snapshot, "r", "a"), [owned_by("s", "a", "x.test")]);
    assert_eq!(reasons(&snapshot, "s", "a"), []);
}

#[test]
fn quarantine_keeps_the_annotation_while_endpoints_follow() {
    let steps = [contribution("s", &["a: x.test y.test/p @ 1"]), contribution("s", &["a! @ 2 3"])];
    let snapshot = check(&steps, &["x.test -> a @ 2 3", "y.test/p -> a @ 2 3"]);
    assert_eq!(reasons(&snapshot, "s", "a"), [unreadable()]);
    assert_eq!(snapshot.proc(&key("s", "a")).and_then(|proc| proc.quarantine.clone()), Some(unreadable()));
    let well = contribution("s", &["a: z.test @ 2"]);
    let snapshot = check(&[steps.as_slice(), &[well]].concat(), &["z.test -> a @ 2"]);
    assert_eq!(snapshot.rejections(), []);
}

#[test]
fn quarantine_keeps_the_place_in_the_queue() {
    let steps = [contribution("s", &["b: x.test @ 2"]), contribution("s", &["a: x.test @ 1", "b! @ 2"])];
    let snapshot = check(&steps, &["x.test -> b @ 2"]);
    assert_eq!(reasons(&snapshot, "s", "a"), [owned_by("s", "b", "x.test")]);
}

#[test]
fn unreadable_at_first_sight_has_no_route() {
    let snapshot = check(&[contribution("s", &["a! @ 1", "b: x.test @ 2"])], &["x.test -> b @ 2"]);
    assert_eq!(reasons(&snapshot, "s", "a"), [unreadable()]);
    assert_eq!(snapshot.endpoint_count(), 2);
    let gone = [contribution("s", &["a: x.test @ 1"]), contribution("s", &[]), contribution("s", &["a! @ 1"])];
    check(&gone, &[]);
}

#[test]
fn a_proc_without_containers_keeps_its_route() {
    check(&[contribution("s", &["a: x.test @ 1"]), contribution("s", &["a: x.test"])], &["x.test -> a @ "]);
}

#[test]
fn the_generation_rises_only_on_change() {
    let first = contribution("s", &["a: x.test @ 1"]);
    let one = after(std::slice::from_ref(&first));
    assert_eq!(one.generation(), Generation(1));
    let rebuilt = contribution("s", &["a: x.test @ 1"]);
    let same = merge(&one, &[first.clone(), rebuilt], &Defaults::default());
    assert_eq!(same.generation(), Generation(1));
    let two = merge(&one, &[contribution("s", &["a: x.test @ 2"])], &Defaults::default());
    assert_eq!(two.generation(), Generation(2));
    let nothing_said = merge(&one, &[], &Defaults::default());
    assert_eq!(nothing_said.generation(), Generation(1));
    let empty_view = merge(&Snapshot::empty(&Defaults::default()), &[contribution("s", &[])], &Defaults::default());
    assert_eq!(empty_view.generation(), Generation(1));
}

#[test]
fn what_did_not_change_is_shared() {
    let one = after(&[contribution("s", &["a: x.test @ 1", "b: y.test @ 2"])]);
    let two = merge(&one, &[contribution("s", &["a: x.test @ 3", "b: y.test @ 2"])], &Defaults::default());
    let route = |snapshot: &Snapshot, at: &str| snapshot.table().route(&mountpoint(at)).cloned().expect("a route");
    assert!(Arc::ptr_eq(&route(&one, "y.test"), &route(&two, "y.test")));
    assert!(!Arc::ptr_eq(&route(&one, "x.test"), &route(&two, "x.test")));
    assert!(
        matches!(one.table().lookup("x.test", b"/"), Outcome::Route(r) if r.upstream.endpoints[..] == [endpoint("1")])
    );
}

#[test]
fn rejections_tell_entry_source_and_reason() {
    let mut told = contribution("s", &["a: x.test @ 1"]);
    told.unreadable = Arc::new(vec![("demo".to_owned(), Reason::BadName("too few parts".to_owned()))]);
    let bad_port = Reason::BadEndpoint("0 is not a port".to_owned());
    let proc = Proc { claims: Claims::Readable(Arc::default()), endpoints: Arc::default(), reasons: vec![bad_port] };
    told.procs.insert(name("b"), Arc::new(proc));
    let snapshot = merge(&Snapshot::empty(&Defaults::default()), &[told.clone()], &Defaults::default());
    let rejections = snapshot.rejections();
    let brief: Vec<(&str, &str)> = rejections.iter().map(|r| (r.entry.as_str(), r.reason.kind())).collect();
    assert_eq!(brief, [("demo", "bad_name"), ("b.web.web", "bad_endpoint")]);
    told.unreadable = Arc::default();
    told.procs.remove(&name("b"));
    assert_eq!(merge(&snapshot, &[told], &Defaults::default()).rejections(), []);
}

#[test]
fn an_upstreams_number_is_stable_while_known_and_never_used_again() {
    let id = |snapshot: &Snapshot, app: &str| snapshot.proc(&key("s", app)).map(|proc| proc.upstream.id);
    let one = after(&[contribution("s", &["a: x.test @ 1", "b: y.test @ 2"])]);
    let next = |from: &Snapshot, lines: &[&str]| merge(from, &[contribution("s", lines)], &Defaults::default());
    let two = next(&one, &["a: z.test @ 5", "b! @ 2"]);
    assert_eq!((id(&two, "a"), id(&two, "b")), (id(&one, "a"), id(&one, "b")));
    let three = next(&two, &["b: y.test @ 2"]);
    let four = next(&three, &["a: x.test @ 1", "b: y.test @ 2"]);
    assert_eq!(id(&four, "b"), id(&one, "b"));
    assert!(id(&four, "a") > id(&one, "a").max(id(&one, "b")), "a new life, a new number");
}

#[test]
fn a_source_that_names_settings_beats_the_defaults() {
    let host = |text: &str| Host::parse(text).expect("a host");
    let defaults =
        Defaults { domains: vec![host("lain")], extra_domains: vec![host("extra.test")], ..Defaults::default() };
    let empty = Snapshot::empty(&defaults);
    assert!(empty.domains().is_internal("a.extra.test"));
    let mut told = contribution("s", &[]);
    told.settings = Arc::new(crate::contribution::Settings {
        extra_domains: Some(vec![host("told.test")]),
        certificates: Some(CertificateMap::new([("*.told.test".to_owned(), "web".to_owned())])),
    });
    let snapshot = merge(&empty, &[told], &defaults);
    assert!(snapshot.domains().is_internal("a.told.test") && snapshot.domains().is_internal("a.lain"));
    assert!(!snapshot.domains().is_internal("a.extra.test"));
    assert_eq!(snapshot.certificates().stems("a.told.test").next(), Some("web"));
    let silent = merge(&snapshot, &[contribution("s", &[])], &defaults);
    assert!(silent.domains().is_internal("a.extra.test"));
    assert_eq!(silent.certificates().stems("a.told.test").next(), None);
}

/// The contributions as a store keeps them: with the annotation in force, also where a source's is unreadable.
fn in_force(snapshot: &Snapshot) -> Vec<Contribution> {
    let mut contributions = snapshot.contributions.clone();
    for (key, proc) in snapshot.procs() {
        let stored = Proc {
            claims: Claims::Readable(Arc::clone(&proc.upstream.annotation)),
            endpoints: Arc::clone(&proc.upstream.endpoints),
            reasons: proc.quarantine.iter().chain(&proc.reasons).cloned().collect(),
        };
        let contribution = contributions.get_mut(&key.source).expect("its source said it");
        contribution.procs.insert(key.name.clone(), Arc::new(stored));
    }
    contributions.into_values().collect()
}

fn remembered(snapshot: &Snapshot) -> Ownership {
    snapshot.claims().map(|(mountpoint, queue)| (mountpoint.clone(), queue.to_vec())).collect()
}

#[test]
fn a_restart_remembers_owners_and_queues() {
    let steps = [
        contribution("s", &["c: x.test @ 3"]),
        contribution("s", &["a: x.test @ 1", "c: x.test @ 3"]),
        contribution("r", &["b: x.test @ 2"]),
    ];
    let before = check(&steps, &["x.test -> c @ 3"]);
    let restored =
        Snapshot::restore(&Defaults::default(), &in_force(&before), &remembered(&before), before.generation());
    assert_eq!(told(&restored), told(&before));
    assert_eq!(remembered(&restored), remembered(&before));
    assert_eq!(restored.rejections(), before.rejections());
    assert_eq!(restored.generation(), Generation(3));
    let forgotten = Snapshot::restore(&Defaults::default(), &in_force(&before), &Ownership::new(), Generation(0));
    assert_eq!(told(&forgotten), ["x.test -> b @ 2"]);
}

#[test]
fn a_remembered_owner_that_is_gone_makes_room() {
    let told_before = contribution("s", &["a: x.test @ 1", "b: x.test @ 2"]);
    let ownership = Ownership::from([(mountpoint("x.test"), vec![key("s", "z"), key("s", "b")])]);
    let restored = Snapshot::restore(&Defaults::default(), &[told_before], &ownership, Generation(7));
    assert_eq!(told(&restored), ["x.test -> b @ 2"]);
    assert_eq!(reasons(&restored, "s", "a"), [owned_by("s", "b", "x.test")]);
}

#[test]
fn a_restart_keeps_what_a_quarantined_proc_last_wished() {
    let before = after(&[contribution("s", &["a: x.test @ 1"]), contribution("s", &["a! @ 2"])]);
    let restored =
        Snapshot::restore(&Defaults::default(), &in_force(&before), &remembered(&before), before.generation());
    assert_eq!(told(&restored), ["x.test -> a @ 2"]);
    assert_eq!(restored.rejections(), before.rejections());
    let live = merge(&restored, &[contribution("s", &["a! @ 3"])], &Defaults::default());
    assert_eq!(told(&live), ["x.test -> a @ 3"]);
}

#[test]
fn ten_thousand_claimants_of_one_mountpoint_are_merged_at_once() {
    let lines: Vec<String> = (0..10_000).map(|n| format!("a{n}: x.test @ 1")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let snapshot = check(&[contribution("s", &lines)], &["x.test -> a0 @ 1"]);
    assert_eq!((snapshot.rejections().len(), snapshot.rejection_count()), (9_999, 9_999));
}

#[test]
fn two_hundred_procs_that_share_their_mountpoints_cost_no_more_than_their_claims() {
    let claims: Vec<String> = (0..256).map(|n| format!("h{n}.test")).collect();
    let lines = |port: u8| (0..200).map(|n| format!("a{n}: {} @ {port}", claims.join(" "))).collect::<Vec<_>>();
    let told = |lines: &[String]| contribution("s", &lines.iter().map(String::as_str).collect::<Vec<_>>());
    let (first, second) = (told(&lines(1)), told(&lines(2)));
    let began = std::time::Instant::now();
    let snapshot = merge(&after(&[first]), &[second], &Defaults::default());
    assert_eq!(snapshot.rejection_counts().collect::<Vec<_>>(), [("owned", 199 * 256)]);
    // Far more than it takes, far less than comparing each with each would.
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn a_difference_tells_what_came_and_went() {
    let old = after(&[contribution("s", &["a: x.test @ 1 2", "b: y.test @ 3", "c: z.test @ 4"])]);
    let new = after(&[contribution("s", &["a: x.test/p @ 2 5", "c: z.test @ 4", "d: w.test @ 6"])]);
    let changes = |app: &str, lists: [&str; 4]| {
        let mountpoints = |list: &str| list.split_whitespace().map(mountpoint).collect();
        let endpoints = |list: &str| list.split_whitespace().map(endpoint).collect();
        ProcDiff {
            key: key("s", app),
            mountpoints_added: mountpoints(lists[0]),
            mountpoints_removed: mountpoints(lists[1]),
            endpoints_added: endpoints(lists[2]),
            endpoints_removed: endpoints(lists[3]),
        }
    };
    let expected = [
        changes("a", ["x.test/p", "x.test", "5", "1"]),
        changes("b", ["", "y.test", "", "3"]),
        changes("d", ["w.test", "", "6", ""]),
    ];
    assert_eq!(diff(&old, &new), expected);
    assert_eq!(diff(&old, &old), []);
}

#[test]
fn a_difference_ignores_order_and_quarantine_but_not_policies() {
    let old = after(&[contribution("s", &["a: x.test @ 1 2"])]);
    assert_eq!(diff(&old, &after(&[contribution("s", &["a: x.test @ 2 1"])])), []);
    let quarantined = merge(&old, &[contribution("s", &["a! @ 1 2"])], &Defaults::default());
    assert_eq!(diff(&old, &quarantined), []);
    let mut strict = contribution("s", &["a: x.test @ 1 2"]);
    let annotation = Annotation { mountpoints: vec![mountpoint("x.test")], https_only: true, ..Annotation::default() };
    let mut proc = strict.procs[&name("a")].as_ref().clone();
    proc.claims = Claims::Readable(Arc::new(annotation));
    strict.procs.insert(name("a"), Arc::new(proc));
    let changes = diff(&old, &after(&[strict]));
    assert_eq!(changes.len(), 1);
    assert_eq!((changes[0].mountpoints_added.len(), changes[0].endpoints_added.len()), (0, 0));
}

/// App `a` with these wishes, in JSON, at one endpoint.
fn wishing(wishes: &str) -> Contribution {
    let mut contribution = contribution("s", &["a: x.test @ 1", "b: y.test @ 2"]);
    let (annotation, reasons) =
        Annotation::parse(&format!(r#"{{"mountpoint":["x.test"]{wishes}}}"#)).expect("readable");
    let proc = Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: Arc::new([endpoint("1")]), reasons };
    contribution.procs.insert(name("a"), Arc::new(proc));
    contribution
}

fn upstream<'a>(snapshot: &'a Snapshot, app: &str) -> &'a Arc<Upstream> {
    &snapshot.proc(&key("s", app)).expect("in force").upstream
}

fn operator(entries: &[(&str, Wishes)]) -> Defaults {
    let overrides = entries.iter().map(|(name, wishes)| ((*name).to_owned(), wishes.clone())).collect();
    let policy = Policy { queue: 5, ..Policy::default() };
    Defaults { overrides: Arc::new(Overrides::new(overrides)), policy: Arc::new(policy), ..Defaults::default() }
}

#[test]
fn the_operator_wins_over_the_owner_who_wins_over_the_default_key_by_key() {
    let queue = |queue| Wishes { queue: Some(queue), ..Wishes::default() };
    let check = |defaults: &Defaults, wishes: &str, expected: u32, set_by: SetBy| {
        let snapshot = merge(&Snapshot::empty(defaults), &[wishing(wishes)], defaults);
        let upstream = upstream(&snapshot, "a");
        assert_eq!((upstream.policy.queue, upstream.policy.health.rise), (expected, 9), "{wishes}");
        let told = snapshot.policy_of(upstream);
        let told = told.iter().find(|told| told.key == "queue").map(|told| (told.value.clone(), told.set_by));
        assert_eq!(told, Some((expected.to_string(), set_by)));
    };
    let none = operator(&[]);
    check(&none, r#","health_rise":9"#, 5, SetBy::Operator);
    check(&none, r#","health_rise":9,"queue":1"#, 1, SetBy::Annotation);
    check(&none, r#","health_rise":9,"queue":"x""#, 5, SetBy::Operator);
    let app = operator(&[("a", queue(2))]);
    check(&app, r#","health_rise":9,"queue":1"#, 2, SetBy::Operator);
    let both = operator(&[("a", queue(2)), ("a.web.web", queue(3))]);
    check(&both, r#","health_rise":9,"queue":1"#, 3, SetBy::Operator);
    let other = operator(&[("b", queue(2)), ("a.web", queue(2))]);
    check(&other, r#","health_rise":9"#, 5, SetBy::Operator);
    let unset = Defaults::default();
    check(&unset, r#","health_rise":9"#, Policy::default().queue, SetBy::Default);
}

#[test]
fn a_policy_alone_makes_a_new_upstream_with_the_same_number() {
    let defaults = Defaults::default();
    let first = merge(&Snapshot::empty(&defaults), &[wishing("")], &defaults);
    assert!(Arc::ptr_eq(&upstream(&first, "a").policy, &defaults.policy), "without wishes it is shared");
    let second = merge(&first, &[wishing(r#","queue":1"#)], &defaults);
    let (before, after) = (upstream(&first, "a"), upstream(&second, "a"));
    assert_eq!((before.id, after.policy.queue), (after.id, 1));
    assert!(Arc::ptr_eq(&second.table.route(&mountpoint("x.test")).expect("a route").upstream, after));
    assert!(Arc::ptr_eq(upstream(&first, "b"), upstream(&second, "b")), "who did not change is not touched");
    assert_eq!(diff(&first, &second).len(), 1);
    let same = merge(&second, &[wishing(r#","queue" : 1,"other":2"#)], &defaults);
    assert!(Arc::ptr_eq(upstream(&same, "a"), after));
    let back = merge(&second, &[wishing("")], &defaults);
    assert!(Arc::ptr_eq(&upstream(&back, "a").policy, &defaults.policy));
}

#[test]
fn a_bad_policy_is_a_rejection_and_the_rest_is_in_force() {
    let snapshot = after(&[wishing(r#","queue":[1],"balance":"sticky","health_fall":0"#)]);
    let policy = &upstream(&snapshot, "a").policy;
    assert_eq!((&policy.balance, policy.queue), (&crate::policy::Balance::Sticky("webrouter".into()), 128));
    let told: Vec<String> = reasons(&snapshot, "s", "a").iter().map(ToString::to_string).collect();
    let expected = [
        "bad health_fall: `0` is out of range; write a number from 1 to 100",
        "bad queue: a list is not a whole number; write a number from 0 to 65536",
    ];
    assert_eq!(told, expected);
    assert_eq!(snapshot.rejection_counts().collect::<Vec<_>>(), [("bad_policy", 2)]);
}
