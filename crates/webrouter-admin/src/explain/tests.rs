use std::sync::Arc;
use std::time::Duration;

use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::host::Host;
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::policy::wishes::KEYS;
use webrouter_routing::policy::{Overrides, Wishes};

use super::*;

fn snapshot() -> Snapshot {
    let mut contribution = Contribution::empty(SourceName::new("file"));
    for (name, mountpoints, endpoints) in [
        ("demo.web.web", &["demo.lain.local", "x.test/demo"][..], &["192.0.2.9:80"][..]),
        ("api.web.web", &["x.test/demo/api"][..], &[][..]),
    ] {
        let wishes = Wishes { queue: Some(7), slow_start: Some(Duration::ZERO), ..Wishes::default() };
        let mountpoints = mountpoints.iter().map(|text| Mountpoint::parse(text).expect("a mountpoint")).collect();
        let claims = Claims::Readable(Arc::new(Annotation {
            mountpoints,
            wishes: Some(Box::new(wishes)),
            ..Annotation::default()
        }));
        let endpoints = endpoints.iter().map(|text| Endpoint::parse(text).expect("an endpoint")).collect();
        let proc = Proc { claims, endpoints, reasons: Vec::new() };
        contribution.procs.insert(ProcName::parse(name).expect("a name"), Arc::new(proc));
    }
    let domains = vec![Host::parse("lain.local").expect("a host")];
    let operator = Wishes { slow_start: Some(Duration::from_secs(1)), ..Wishes::default() };
    let overrides = Arc::new(Overrides::new([("demo".to_owned(), operator)].into()));
    let defaults = Defaults { domains, overrides, ..Defaults::default() };
    merge(&Snapshot::empty(&defaults), &[contribution], &defaults)
}

fn asked(url: &str) -> Explain {
    let listener = |address: &str, scope| Listener { address: address.into(), scope, tls: false };
    let listeners = [listener("192.0.2.1:80", ListenerScope::All), listener("192.0.2.1:8080", ListenerScope::External)];
    let question = Question { url: url.to_owned(), method: None, client: None, at: None, generation: None };
    explain(&snapshot(), &listeners, None, UnknownHost::NotFound, &question).expect("an answer")
}

fn check(url: &str, outcome: Outcome, status: Option<u16>, target: Option<&str>) {
    let explained = asked(url);
    assert_eq!((explained.outcome, explained.status), (outcome, status), "{url}: {explained:?}");
    let line = explained.sent.as_ref().map(|sent| sent.request_line.as_str()).or(explained.location.as_deref());
    assert_eq!(line, target, "{url}");
}

#[test]
fn outcomes() {
    check("http://demo.lain.local/a//b/%41?q", Outcome::Forwarded, None, Some("GET /a//b/%41?q HTTP/1.1"));
    check("http://x.test/demo/a//b/%41%20?q", Outcome::Forwarded, None, Some("GET /a/b/A%20?q HTTP/1.1"));
    check("http://sub.x.test/demo/", Outcome::Forwarded, None, Some("GET / HTTP/1.1"));
    check("http://x.test/demo?q", Outcome::AddSlash, Some(301), Some("/demo/?q"));
    check("http://x.test/demo/api/y", Outcome::NoEndpoint, Some(503), None);
    check("http://x.test/other", Outcome::NoPath, Some(404), None);
    check("http://y.test/", Outcome::UnknownHost, Some(404), None);
    check("http://x.test/%zz", Outcome::BadRequest, Some(400), None);
}

#[test]
fn a_post_keeps_its_method_when_the_slash_is_added() {
    let question =
        Question { url: "x.test/demo".into(), method: Some("POST".into()), client: None, at: None, generation: None };
    let explained = explain(&snapshot(), &[], None, UnknownHost::NotFound, &question).expect("an answer");
    assert_eq!(explained.status, Some(308));
}

#[test]
fn an_unknown_host_may_get_no_answer() {
    let question = Question { url: "http://y.test/".into(), method: None, client: None, at: None, generation: None };
    let explained = explain(&snapshot(), &[], None, UnknownHost::Close, &question).expect("an answer");
    assert_eq!((explained.outcome, explained.status), (Outcome::UnknownHost, None));
    assert!(explained.summary.starts_with("closed without an answer"), "{}", explained.summary);
}

#[test]
fn every_rule_is_told() {
    let explained = asked("http://sub.x.test/demo/api/y");
    let steps: Vec<_> = explained.steps.iter().map(|step| (step.kind, &*step.subject, step.verdict)).collect();
    let expected = [
        (StepKind::Host, "sub.x.test", StepVerdict::NoMatch),
        (StepKind::Host, "x.test", StepVerdict::Won),
        (StepKind::Path, "x.test/demo", StepVerdict::Shorter),
        (StepKind::Path, "x.test/demo/api", StepVerdict::Won),
    ];
    assert_eq!(steps, expected);
}

#[test]
fn an_internal_host_does_not_answer_on_external_listeners() {
    let answers = |url| asked(url).listeners.iter().map(|listener| listener.answers).collect::<Vec<_>>();
    assert_eq!(answers("http://demo.lain.local/"), [true, false]);
    assert_eq!(answers("http://x.test/demo/"), [true, true]);
}

#[test]
fn the_policy_in_force_is_told_with_who_set_what() {
    let policy = asked("http://demo.lain.local/").policy;
    assert_eq!(policy.iter().map(|key| key.key.as_str()).collect::<Vec<_>>(), KEYS);
    let set = policy.iter().filter(|key| key.set_by != SetBy::Default);
    let set: Vec<_> = set.map(|key| (key.key.as_str(), key.value.as_str(), key.set_by)).collect();
    assert_eq!(set, [("slow_start", "1s", SetBy::Operator), ("queue", "7", SetBy::Annotation)]);
    assert!(asked("http://y.test/").policy.is_empty());
}
