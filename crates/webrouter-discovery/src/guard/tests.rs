use webrouter_routing::annotation::Annotation;
use webrouter_routing::merge::{Defaults, merge};

use super::*;

pub(super) fn name(key: &str) -> ProcName {
    ProcName::parse(&format!("{key}.web.web")).expect("a name")
}

/// `a:2` is app a with two endpoints and the mountpoint a.lain; `b=x.lain:1` has another mountpoint.
pub(super) fn contribution(apps: &str) -> Contribution {
    let mut contribution = Contribution::empty(SourceName::new("lainlet"));
    for app in apps.split_whitespace() {
        let (key, count) = app.split_once(':').expect("app:count");
        let (key, mountpoint) = key.split_once('=').map_or((key, format!("{key}.lain")), |(k, m)| (k, m.to_owned()));
        let annotation = Annotation::parse(&format!(r#"{{"mountpoint":["{mountpoint}"]}}"#)).expect("readable").0;
        let endpoint = |at: u16| Endpoint::parse(&format!("127.0.0.1:{}", 100 + at)).expect("an endpoint");
        let endpoints = (0..count.parse().expect("a count")).map(endpoint).collect();
        let proc = Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints, reasons: Vec::new() };
        contribution.procs.insert(name(key), Arc::new(proc));
    }
    contribution
}

pub(super) fn in_force(apps: &str) -> Snapshot {
    merge(&Snapshot::empty(&Defaults::default()), &[contribution(apps)], &Defaults::default())
}

fn check(before: &str, after: &str, loss: Option<&str>, suspects: &[&str]) {
    let snapshot = in_force(before);
    let source = SourceName::new("lainlet");
    let candidate = contribution(after);
    let whole = size(&snapshot, &source);
    let judgement = judge(&snapshot, whole, &candidate, &BTreeMap::new());
    let lost = judgement.losses.values().map(|loss| loss.routes.len()).sum();
    let excess = excess(lost, judgement.after, whole, &GuardConfig::default()).map(|excess| excess.to_string());
    assert_eq!(excess.as_deref(), loss, "{before} -> {after}");
    let expected: Vec<ProcName> = suspects.iter().map(|key| name(key)).collect();
    assert_eq!(judgement.suspects.into_keys().collect::<Vec<_>>(), expected, "{before} -> {after}");
    let merged = merge(&snapshot, &[candidate], &Defaults::default());
    assert_eq!(judgement.after, size(&merged, &source), "{before} -> {after}");
}

#[test]
fn more_than_half_of_a_table_is_too_much() {
    check("a:1 b:1 c:1 d:1", "a:1", Some("it takes away 3 of 4 routes"), &["b", "c", "d"]);
    check("a:1 b:1 c:1 d:1", "a:1 b:1", None, &["c", "d"]);
    check("a:4 b:4", "a:1 b:1", Some("it takes away 6 of 8 endpoints"), &[]);
    check("a:4 b:4", "a:2 b:2", None, &[]);
}

#[test]
fn a_small_table_may_shrink_but_not_to_nothing() {
    check("a:1 b:1 c:1", "a:1", None, &["b", "c"]);
    check("a:1 b:1", "", Some("it takes away all 2 routes"), &["a", "b"]);
    check("a:1", "a:0", None, &["a"]);
    check("", "", None, &[]);
}

#[test]
fn what_changes_hands_is_not_lost() {
    check("a:1", "b=a.lain:1", None, &[]);
    check("a:1 b:1 c:1 d:1", "e=a.lain:1 f=b.lain:1 g=c.lain:1 d:1", None, &[]);
    check("a:1 b:1 c:1 d:1", "a=w.x:1 b=x.x:1 c=y.x:1 d:1", Some("it takes away 3 of 4 routes"), &[]);
    check("a:1 b:1", "b=a.lain:0", None, &["a", "b"]);
}

#[test]
fn growth_and_moves_are_fine() {
    check("", "a:1 b:2", None, &[]);
    check("a:1", "a:3 b:1", None, &[]);
    check("a:0 b:1", "b:1", None, &[]);
}

#[test]
fn only_routes_in_force_count() {
    check("a:1 b=a.lain:1 c=a.lain:1 d:3", "a:1 d:3", None, &[]);
    check("a:1 b=a.lain:1 c=a.lain:1 d:3", "d:3", None, &["a"]);
    check("a:1 b=a.lain:1 d:1", "b=a.lain:1 d=a.lain:1", None, &[]);
    let mut other = contribution("a:1 z:1");
    other.source = SourceName::new("file");
    let table = merge(&in_force("a:1 b=a.lain:1 c:1"), &[other], &Defaults::default());
    let (lainlet, file) = (SourceName::new("lainlet"), SourceName::new("file"));
    assert_eq!(size(&table, &lainlet), Size { routes: 2, endpoints: 3 });
    assert_eq!(size(&table, &file), Size { routes: 1, endpoints: 2 });
    let judgement = judge(&table, size(&table, &lainlet), &contribution("c:1"), &BTreeMap::new());
    assert_eq!(judgement.after, Size { routes: 1, endpoints: 1 });
}
