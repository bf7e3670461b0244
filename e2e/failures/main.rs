//! Endpoints that come, fail and go while clients keep asking: what can be served is served, once.
//!
//! The table of docs/operations/runbook.md names the test of each failure.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod balancing;
mod draining;
mod endpoint_failures;
mod limits;
mod retry_storm;
mod rolling_restart;
mod sick;
mod slow_start;
mod surviving;
mod timeouts;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use webrouter_testkit::{Client, OpenPlan, Outcome, Response, Router, RouterBuilder, Seen, Verb, eventually};

/// Generous: a wait ends when its condition holds, so only a failure takes this long.
const SOON: Duration = Duration::from_secs(10);

fn webrouter() -> RouterBuilder {
    Router::builder(env!("CARGO_BIN_EXE_webrouter"))
}

/// One app of apps.toml, `app.web.web` at `a.test`, with policy lines.
fn app(policies: &str, endpoints: &[SocketAddr]) -> String {
    app_at("app", "a.test", policies, endpoints)
}

/// One app of apps.toml with policy lines.
fn app_at(name: &str, host: &str, policies: &str, endpoints: &[SocketAddr]) -> String {
    let endpoints: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    format!("[apps.\"{name}.web.web\"]\nmountpoint = [\"{host}\"]\nendpoints = {endpoints:?}\n{policies}\n")
}

/// The name of the upstream of [`app`].
const UPSTREAM: &str = "app__upstream__web";

fn started(builder: RouterBuilder) -> Router {
    let router = builder.start();
    router.wait_ready();
    router
}

/// One GET on a connection of its own.
fn get(router: &Router, target: &str) -> Response {
    let answer = Client::connect(router.http()).get("a.test", target);
    answer.unwrap_or_else(|why| panic!("GET {target}: {why}"))
}

/// A page of the router's own: its status, the word of its cause, and when to come again if the status is 503.
#[track_caller]
fn assert_page(response: &Response, status: u16, cause: &str) {
    let text = response.text();
    assert_eq!(response.status, status, "{text}");
    assert!(text.contains(&format!("cause: {cause}\n")), "{text}");
    assert!(!text.contains("127.0.0.1"), "no address leaks: {text}");
    let wait = response.value("retry-after").map(str::parse::<u64>);
    assert!(status != 503 || matches!(wait, Some(Ok(1..))), "Retry-After: {wait:?}");
}

/// Whether the environment asks for the long form of tests that have one.
fn full() -> bool {
    std::env::var("WEBROUTER_TEST_FULL").is_ok_and(|value| value == "1")
}

/// A load on `a.test`.
fn plan(rate: u32, seconds: u64, post_every: u64) -> OpenPlan {
    OpenPlan { host: "a.test".to_owned(), rate, requests: u64::from(rate) * seconds, post_every }
}

/// What `/v1/endpoints` says of an endpoint; null when it says nothing.
fn endpoint(router: &Router, addr: SocketAddr) -> Value {
    let list: Value = serde_json::from_str(&router.admin_get("/v1/endpoints").1).unwrap_or_default();
    let list = list.as_array().or_else(|| list.get("endpoints").and_then(Value::as_array)).cloned();
    let is_it = |entry: &&Value| entry["endpoint"] == addr.to_string();
    list.unwrap_or_default().iter().find(is_it).cloned().unwrap_or_default()
}

/// Waits until `/v1/endpoints` says so.
#[track_caller]
fn await_state(router: &Router, addr: SocketAddr, state: &str) {
    let mut last = Value::Null;
    let reached = webrouter_testkit::until(SOON, || {
        last = endpoint(router, addr);
        (last["state"] == state).then_some(())
    });
    assert!(reached.is_some(), "{addr} is not {state}: {last}; {:?}", router.admin_get("/v1/endpoints"));
}

/// Waits until the file of the file source is in force: a marker app, there for that, is served.
#[track_caller]
fn edit_and_await(router: &Router, marker: &str, apps: &str, served_by: SocketAddr) {
    let host = format!("{marker}.test");
    router.edit_apps(&format!("{apps}{}", app_at(marker, &host, "", &[served_by])));
    eventually(SOON, "the edit is in force", || {
        Client::connect(router.http()).get(&host, "/").is_ok_and(|response| response.status == 200)
    });
}

/// The numbers of POSTs that origins saw more than once, all together.
fn posts_seen_twice<'a>(seen: impl IntoIterator<Item = &'a Seen>) -> Vec<u64> {
    let mut times: HashMap<u64, u32> = HashMap::new();
    for seen in seen.into_iter().filter(|seen| seen.method == "POST") {
        *times.entry(seen.id.expect("every request of the load has a number")).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times > 1).map(|(id, _)| id).collect()
}

/// Outcomes of one method that are no answer of an origin with status 200.
fn lost(outcomes: &[Outcome], verb: Verb) -> Vec<&Outcome> {
    let of_verb = outcomes.iter().filter(|outcome| outcome.verb == verb);
    of_verb.filter(|outcome| !matches!(&outcome.answer, Ok((200, _)))).collect()
}

/// The share of answers among these that came from the origin of this name.
fn share_of<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>, name: &str) -> f64 {
    let (mut its, mut all) = (0.0, 0.0);
    for outcome in outcomes {
        all += 1.0;
        its += if matches!(&outcome.answer, Ok((200, body)) if body == name) { 1.0 } else { 0.0 };
    }
    assert!(all > 0.0, "there is something to divide");
    its / all
}

/// Not a test alone: `origin_process` starts this program once more, with this test chosen.
#[test]
fn an_origin_is_killed_as_a_container_is() {
    use webrouter_testkit::OriginProcess;
    if OriginProcess::serve_if_asked() {
        return;
    }
    let mut origin = origin_process("child");
    let router = started(webrouter().apps(&app("", &[origin.addr()])));
    assert_eq!(get(&router, "/").text(), "child");
    origin.kill();
    assert_ne!(get(&router, "/").status, 200);
    assert_eq!(origin.seen().len(), 1);
}

/// An origin that can be killed with SIGKILL.
fn origin_process(name: &str) -> webrouter_testkit::OriginProcess {
    webrouter_testkit::OriginProcess::start(name, ORIGIN)
}

const ORIGIN: &str = "an_origin_is_killed_as_a_container_is";
