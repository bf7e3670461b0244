//! Discovery gone, silent, lying or empty, while clients keep asking: no request fails, and the status says why.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

mod garbage;
mod guard;
mod restart;
mod silence;

use std::time::Duration;

use serde_json::Value;
use webrouter_testkit::{Client, HttpOrigin, Lainlet, Load, Router, Target, eventually};

/// Longer than any timing configured here; only a failure takes this long.
const SOON: Duration = Duration::from_secs(5);
/// Long enough for a read time-out of 3 s to be noticed.
const NOTICED: Duration = Duration::from_secs(15);

/// A cluster of five apps under load.
struct Cluster {
    origins: Vec<HttpOrigin>,
    lainlet: Lainlet,
    router: Router,
    load: Load,
}

impl Cluster {
    fn start() -> Cluster {
        let origins: Vec<HttpOrigin> = NAMES.iter().map(|name| HttpOrigin::start(name)).collect();
        let lainlet = Lainlet::start();
        lainlet.edit(|procs| {
            for (name, origin) in NAMES.iter().zip(&origins) {
                let entry = Lainlet::entry(&[&format!("{name}.test")], &[origin.addr()]);
                procs.insert(format!("{name}.web.web"), entry);
            }
        });
        let router = Router::builder(env!("CARGO_BIN_EXE_webrouter"))
            .lainlet(lainlet.addr())
            .section("[guard]\ngrace = \"60s\"")
            .start();
        router.wait_ready();
        let load = Cluster::load(&router);
        assert!(load.proceeds(50, SOON), "{:?}", load.failures());
        Cluster { origins, lainlet, router, load }
    }

    fn load(router: &Router) -> Load {
        let target =
            |name: &&str| Target { host: format!("{name}.test"), path: "/".to_owned(), body: (*name).to_owned() };
        let targets: Vec<Target> = NAMES.iter().map(target).collect();
        Load::start(router.http(), 3, &targets)
    }

    /// What the status says of the lainlet source.
    fn source(&self) -> Value {
        let status = self.router.status();
        find_source(&status).cloned().unwrap_or_default()
    }

    /// Waits until the source is shown as failing, with a time and a reason.
    fn assert_failing(&self) {
        eventually(NOTICED, "the status shows the source as failing", || self.source()["state"] == "failing");
        let source = self.source();
        let text = source.to_string();
        assert!(!source["since"].is_null(), "since when: {text}");
        assert!(text.contains("message"), "why: {text}");
    }

    /// Publishes a new app and waits until it is served.
    fn assert_news_arrive(&self, name: &str, deadline: Duration) {
        let host = format!("{name}.test");
        self.lainlet.set_app(&format!("{name}.web.web"), &[&host], &[self.origins[0].addr()]);
        eventually(deadline, &format!("{name} is served; {}", self.router.status()), || {
            let answer = Client::connect(self.router.http()).get(&host, "/");
            answer.is_ok_and(|response| response.status == 200)
        });
    }

    /// No request failed, and no byte was written on a watch.
    fn assert_unharmed(self) {
        assert!(self.load.proceeds(50, SOON), "the load stands still");
        assert_eq!(self.load.finish(), Vec::<String>::new());
        assert_eq!(self.lainlet.crashes(), Vec::<String>::new());
    }
}

/// The first object in `value` that is about a lainlet.
fn find_source(value: &Value) -> Option<&Value> {
    match value {
        Value::Object(fields) if fields.get("kind").is_some_and(|kind| kind == "lainlet") => Some(value),
        Value::Object(fields) => fields.values().find_map(find_source),
        Value::Array(items) => items.iter().find_map(find_source),
        _ => None,
    }
}

const NAMES: [&str; 5] = ["alpha", "bravo", "charlie", "delta", "echo"];
