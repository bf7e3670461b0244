use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use super::precedence::PathVerdict;
use super::*;
use crate::annotation::Annotation;
use crate::name::{ProcKey, ProcName, SourceName};
use crate::route::{Upstream, UpstreamId};

fn table(subdomains: Subdomains, mountpoints: &[Mountpoint]) -> RouteTable {
    let mut table = RouteTable::new(subdomains);
    mountpoints.iter().for_each(|mountpoint| table.put(route(mountpoint.clone(), 1)));
    table
}

fn route(mountpoint: Mountpoint, upstream: u32) -> Arc<Route> {
    let name = ProcName::parse("demo.web.web").expect("a name");
    let upstream = Upstream {
        id: UpstreamId(upstream),
        name: name.upstream_name(),
        proc: ProcKey { source: SourceName::new("test"), name },
        endpoints: Arc::default(),
        policy: Arc::default(),
        annotation: Arc::new(Annotation::default()),
    };
    Arc::new(Route { mountpoint, upstream: Arc::new(upstream) })
}

fn mountpoints(texts: &[&str]) -> Vec<Mountpoint> {
    texts.iter().map(|text| Mountpoint::parse(text).expect("a mountpoint")).collect()
}

fn told(outcome: Outcome<'_>) -> String {
    match outcome {
        Outcome::Route(route) => route.mountpoint.to_string(),
        Outcome::AddSlash(route) => format!("add a slash to {}", route.mountpoint),
        Outcome::NoPath => "no path".to_owned(),
        Outcome::NoHost => "no host".to_owned(),
    }
}

fn check(routes: &[&str], host: &str, path: &str, expected: &str) {
    let table = table(Subdomains::Follow, &mountpoints(routes));
    assert_eq!(told(table.lookup(host, path.as_bytes())), expected, "{host}{path} among {routes:?}");
    check_explanation(&table, host, path.as_bytes());
}

/// The explanation tells the lookup's outcome and names its winner and no other.
fn check_explanation(table: &RouteTable, host: &str, path: &[u8]) {
    let outcome = table.lookup(host, path);
    let (explained, steps) = table.explain(host, path);
    assert_eq!(explained, outcome);
    let winners: Vec<&Mountpoint> = steps
        .iter()
        .filter_map(|step| match step {
            Step::Path { mountpoint, verdict: PathVerdict::Won } => Some(mountpoint),
            _ => None,
        })
        .collect();
    let expected: Vec<&Mountpoint> = match outcome {
        Outcome::Route(route) | Outcome::AddSlash(route) => vec![&route.mountpoint],
        Outcome::NoPath | Outcome::NoHost => vec![],
    };
    assert_eq!(winners, expected, "{steps:?}");
    let hosts_found = steps.iter().filter(|step| matches!(step, Step::Host { found: true, .. })).count();
    assert_eq!(hosts_found, usize::from(outcome != Outcome::NoHost), "{steps:?}");
    let also_matching = steps.iter().any(|step| matches!(step, Step::Path { verdict: PathVerdict::Shorter, .. }));
    assert!(!also_matching || !expected.is_empty(), "something matched and nothing won: {steps:?}");
}

#[test]
fn the_exact_host_beats_its_domain() {
    let routes = ["test", "demo.test", "a.demo.test"];
    check(&routes, "a.demo.test", "/", "a.demo.test");
    check(&routes, "demo.test", "/", "demo.test");
    check(&routes, "test", "/", "test");
}

#[test]
fn a_name_below_a_host_goes_to_the_longest_suffix() {
    let routes = ["test", "demo.test"];
    check(&routes, "x.demo.test", "/", "demo.test");
    check(&routes, "y.x.demo.test", "/", "demo.test");
    check(&routes, "other.test", "/", "test");
}

#[test]
fn a_suffix_is_whole_labels() {
    check(&["demo.test"], "mydemo.test", "/", "no host");
    check(&["demo.test"], "demo.test.evil", "/", "no host");
    check(&["demo.test"], "test", "/", "no host");
    check(&["demo.test"], "[::1]", "/", "no host");
    check(&[], "demo.test", "/", "no host");
}

#[test]
fn without_subdomains_only_the_exact_host_counts() {
    let table = table(Subdomains::Ignore, &mountpoints(&["demo.test"]));
    assert_eq!(told(table.lookup("demo.test", b"/")), "demo.test");
    assert_eq!(told(table.lookup("a.demo.test", b"/")), "no host");
    check_explanation(&table, "a.demo.test", b"/");
}

#[test]
fn the_longest_path_on_a_segment_boundary_wins() {
    let routes = ["demo.test", "demo.test/api", "demo.test/api/v1"];
    check(&routes, "demo.test", "/", "demo.test");
    check(&routes, "demo.test", "/apis", "demo.test");
    check(&routes, "demo.test", "/api/", "demo.test/api");
    check(&routes, "demo.test", "/api/v10", "demo.test/api");
    check(&routes, "demo.test", "/api/v1/x", "demo.test/api/v1");
    check(&routes, "demo.test", "/API/v1/x", "demo.test");
    check(&routes, "demo.test", "/x/api/v1/", "demo.test");
}

#[test]
fn a_mountpoint_without_its_slash_is_sent_there() {
    let routes = ["demo.test", "demo.test/api", "demo.test/api/v1"];
    check(&routes, "demo.test", "/api", "add a slash to demo.test/api");
    check(&routes, "demo.test", "/api/v1", "add a slash to demo.test/api/v1");
    check(&routes, "x.demo.test", "/api", "add a slash to demo.test/api");
}

#[test]
fn the_host_decides_alone() {
    let routes = ["test", "test/api", "demo.test/only"];
    check(&routes, "demo.test", "/", "no path");
    check(&routes, "demo.test", "/api/", "no path");
    check(&routes, "a.demo.test", "/api/", "no path");
    check(&routes, "demo.test", "/only/x", "demo.test/only");
}

#[test]
fn a_crowded_host_serves_as_a_small_one() {
    let crowd: Vec<Mountpoint> =
        (0..1_000).map(|n| Mountpoint::parse(&format!("demo.test/a{n}/b")).expect("a mountpoint")).collect();
    let mut table = table(Subdomains::Follow, &crowd);
    assert_eq!(told(table.lookup("demo.test", b"/a500/b/c")), "demo.test/a500/b");
    assert_eq!(told(table.lookup("demo.test", b"/a500/c")), "no path");
    let paths: Vec<String> =
        table.hosts().flat_map(|(_, paths)| paths.iter()).map(|r| r.mountpoint.to_string()).collect();
    assert_eq!(paths.len(), 1_000);
    assert!(paths.is_sorted());
    table.put(route(crowd[500].clone(), 7));
    let Outcome::Route(found) = table.lookup("demo.test", b"/a500/b/c") else { panic!("no route") };
    assert_eq!(found.upstream.id, UpstreamId(7));
    crowd.iter().skip(1).for_each(|mountpoint| table.remove(mountpoint));
    assert_eq!(told(table.lookup("demo.test", b"/a0/b/")), "demo.test/a0/b");
    assert_eq!(told(table.lookup("demo.test", b"/a500/b/c")), "no path");
    crowd.iter().for_each(|mountpoint| table.remove(mountpoint));
    assert_eq!(told(table.lookup("demo.test", b"/a0/b/")), "no host");
    assert_eq!(table.hosts().count(), 0);
}

#[test]
fn a_changed_copy_leaves_the_original_as_it_was() {
    let [root, api] = [0, 1].map(|at| mountpoints(&["demo.test", "demo.test/api"])[at].clone());
    let before = table(Subdomains::Follow, std::slice::from_ref(&root));
    let mut after = before.clone();
    after.put(route(api.clone(), 2));
    after.remove(&root);
    assert_eq!(told(before.lookup("demo.test", b"/api/")), "demo.test");
    assert_eq!(told(after.lookup("demo.test", b"/api/")), "demo.test/api");
    assert_eq!(told(after.lookup("demo.test", b"/")), "no path");
}

#[test]
fn a_route_put_again_replaces_the_old_one() {
    let mut table = table(Subdomains::Follow, &mountpoints(&["demo.test/api"]));
    table.put(route(mountpoints(&["demo.test/api"])[0].clone(), 7));
    let Outcome::Route(found) = table.lookup("demo.test", b"/api/") else { panic!("no route") };
    assert_eq!(found.upstream.id, UpstreamId(7));
    assert_eq!(table.hosts().flat_map(|(_, paths)| paths.iter()).count(), 1);
}

/// The rules, read aloud: among the hosts that equal the name or are a suffix of it after a dot, the longest; among its
/// paths that equal the path or are a prefix of it before a slash, the longest.
fn model(routes: &[Mountpoint], subdomains: Subdomains, host: &str, path: &str) -> String {
    let covers_host = |m: &&Mountpoint| {
        let name = m.host().as_str();
        name == host || (subdomains == Subdomains::Follow && host.ends_with(&format!(".{name}")))
    };
    let Some(winner) = routes.iter().filter(covers_host).map(Mountpoint::host).max_by_key(|h| h.as_str().len()) else {
        return "no host".to_owned();
    };
    let of_host = routes.iter().filter(|m| m.host() == winner);
    let covers_path = |m: &&Mountpoint| m.path() == path || path.starts_with(&format!("{}/", m.path()));
    match of_host.filter(covers_path).max_by_key(|m| m.path().len()) {
        Some(m) if m.path() == path => format!("add a slash to {m}"),
        Some(m) => m.to_string(),
        None => "no path".to_owned(),
    }
}

/// Few letters, so that names share suffixes and paths share prefixes.
fn any_host() -> impl Strategy<Value = String> {
    "[ab]{1,2}(\\.[ab]{1,2}){0,3}"
}

fn any_path() -> impl Strategy<Value = String> {
    "(/[ab]{1,2}){0,4}"
}

proptest! {
    #[test]
    fn lookup_agrees_with_the_model(
        routes in prop::collection::vec((any_host(), any_path()), 0..40),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        requests in prop::collection::vec((any_host(), any_path(), any::<bool>()), 1..40),
        follow in any::<bool>(),
    ) {
        check_against_model(&routes, &removed, &requests, if follow { Subdomains::Follow } else { Subdomains::Ignore });
    }

    #[test]
    fn lookup_agrees_with_the_model_on_crowded_hosts(
        paths in prop::collection::vec(any_path(), 0..80),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        requests in prop::collection::vec((Just("a.b".to_owned()), any_path(), any::<bool>()), 1..40),
    ) {
        let routes: Vec<(String, String)> = paths.into_iter().map(|path| ("b".to_owned(), path)).collect();
        check_against_model(&routes, &removed, &requests, Subdomains::Follow);
    }
}

/// As many as a busy entry sees in a second, against a table as large as a cluster's.
#[test]
fn explain_and_lookup_agree_on_a_hundred_thousand_requests() {
    let mut runner = TestRunner::deterministic();
    let pair = (any_host(), any_path());
    let mut draw = || pair.new_tree(&mut runner).expect("a host and a path").current();
    let mut mountpoint = || {
        let (host, path) = draw();
        Mountpoint::parse(&(host + &path)).expect("a mountpoint")
    };
    let mut known: Vec<Mountpoint> = (0..2_000).map(|_| mountpoint()).collect();
    known.sort_unstable_by_key(ToString::to_string);
    known.dedup();
    let table = table(Subdomains::Follow, &known);
    let mut served = 0;
    for _ in 0..100_000 {
        let (host, path) = draw();
        let path = path + "/";
        check_explanation(&table, &host, path.as_bytes());
        served += usize::from(matches!(table.lookup(&host, path.as_bytes()), Outcome::Route(_)));
    }
    assert!((20_000..=100_000).contains(&served), "{served} of them lead somewhere");
}

fn check_against_model(
    routes: &[(String, String)],
    removed: &[prop::sample::Index],
    requests: &[(String, String, bool)],
    subdomains: Subdomains,
) {
    let parse = |(host, path): &(String, String)| Mountpoint::parse(&format!("{host}{path}")).expect("a mountpoint");
    let mut known: Vec<Mountpoint> = routes.iter().map(parse).collect();
    let mut table = table(subdomains, &known);
    for index in removed {
        if !known.is_empty() {
            let gone = known[index.index(known.len())].clone();
            table.remove(&gone);
            known.retain(|mountpoint| *mountpoint != gone);
        }
    }
    for (host, path, ends_with_slash) in requests {
        let path = if *ends_with_slash || path.is_empty() { format!("{path}/") } else { path.clone() };
        assert_eq!(told(table.lookup(host, path.as_bytes())), model(&known, subdomains, host, &path), "{host}{path}");
        check_explanation(&table, host, path.as_bytes());
    }
    for mountpoint in &known {
        assert!(table.route(mountpoint).is_some_and(|route| route.mountpoint == *mountpoint), "{mountpoint}");
    }
}
