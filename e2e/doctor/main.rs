//! The doctor: for each hop a test that breaks exactly that hop, and finds it named with its advice.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod chain;
mod containers;
mod router;

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use webrouter_testkit::{Lainlet, Router, RouterBuilder, eventually};

/// Longer than any timing configured here; only a failure takes this long.
const SOON: Duration = Duration::from_secs(15);
const BINARY: &str = env!("CARGO_BIN_EXE_webrouter");

fn builder() -> RouterBuilder {
    Router::builder(BINARY)
}

/// A router that follows a lainlet and is ready.
fn following(lainlet: &Lainlet, builder: RouterBuilder) -> Router {
    let router = builder.lainlet(lainlet.addr()).start();
    router.wait_ready();
    router
}

/// What came of `webrouter doctor`.
struct Seen {
    code: Option<i32>,
    doctor: Value,
}

impl Seen {
    /// The first hop to put right.
    fn first(&self) -> &str {
        self.doctor["first"]["kind"].as_str().unwrap_or("none")
    }

    fn advice(&self) -> &str {
        self.doctor["first"]["advice"].as_str().unwrap_or_default()
    }

    /// The evidence of the first hop to put right, in one text.
    fn evidence(&self) -> String {
        lines(&self.doctor["first"])
    }

    /// The verdict of the first hop of this kind.
    fn verdict(&self, kind: &str) -> &str {
        self.hop(kind)["verdict"].as_str().unwrap_or("none")
    }

    fn hop(&self, kind: &str) -> &Value {
        static NULL: Value = Value::Null;
        let mut hops = self.doctor["hops"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        hops.find(|hop| hop["kind"] == kind).unwrap_or(&NULL)
    }

    /// The kinds of all hops with this verdict.
    fn all(&self, verdict: &str) -> Vec<&str> {
        let hops = self.doctor["hops"].as_array().map(Vec::as_slice).unwrap_or_default().iter();
        hops.filter(|hop| hop["verdict"] == verdict).filter_map(|hop| hop["kind"].as_str()).collect()
    }
}

fn lines(hop: &Value) -> String {
    let lines = hop["evidence"].as_array().map(Vec::as_slice).unwrap_or_default();
    lines.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("\n")
}

/// Runs the command beside a router, which may be down.
#[track_caller]
fn doctor(router: &Router, arguments: &[&str]) -> Seen {
    let mut command = Command::new(BINARY);
    command.env_clear().arg("doctor").args(arguments).arg("--json");
    let output = command.arg("--config").arg(router.path("webrouter.toml")).output().expect("the binary runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let doctor = serde_json::from_str(&text);
    let said = String::from_utf8_lossy(&output.stderr);
    Seen { code: output.status.code(), doctor: doctor.unwrap_or_else(|error| panic!("{error}: {text}{said}")) }
}

/// Asks until this hop is the first to put right.
#[track_caller]
fn finds(router: &Router, app: &str, kind: &str) -> Seen {
    let mut last = None;
    let found = webrouter_testkit::until(SOON, || {
        let seen = doctor(router, &[app]);
        let found = seen.first() == kind;
        last = Some(seen.doctor.clone());
        found.then_some(seen)
    });
    let seen = found.unwrap_or_else(|| panic!("{kind} is not the first: {last:#?}"));
    assert_eq!(seen.code, Some(1));
    seen
}

/// Waits until the table has these endpoints of an app.
#[track_caller]
fn wait_endpoints(router: &Router, app: &str, endpoints: &[SocketAddr]) {
    let told = |json: &Value| -> Vec<String> {
        let routes = json["routes"].as_array().cloned().unwrap_or_default();
        let first = routes.first().and_then(|route| route["endpoints"].as_array().cloned()).unwrap_or_default();
        first.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let expected: Vec<String> = endpoints.iter().map(ToString::to_string).collect();
    let path = format!("/v1/routes?app={app}");
    let there = || told(&serde_json::from_str(&router.admin_get(&path).1).unwrap_or_default()) == expected;
    eventually(SOON, &format!("{path} has {expected:?}"), there);
}
