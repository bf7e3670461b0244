//! What was in force, who changed it, and going back: history, diff, explain of the past, rollback, pins.

#![allow(clippy::panic, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::Value;
use webrouter_testkit::{Client, HttpOrigin, Lainlet, Router, eventually};

const SOON: Duration = Duration::from_secs(5);

/// Two apps, whose origins say their names.
struct Cluster {
    origins: [HttpOrigin; 2],
    lainlet: Lainlet,
    router: Router,
}

impl Cluster {
    fn start() -> Cluster {
        let origins = ["one", "two"].map(HttpOrigin::start);
        let lainlet = Lainlet::start();
        lainlet.set_app("alpha.web.web", &["alpha.test"], &[origins[0].addr()]);
        lainlet.set_app("bravo.web.web", &["bravo.test"], &[origins[1].addr()]);
        let router = Router::builder(env!("CARGO_BIN_EXE_webrouter")).lainlet(lainlet.addr()).start();
        router.wait_ready();
        Cluster { origins, lainlet, router }
    }

    fn body(&self, host: &str) -> Option<String> {
        let answer = Client::connect(self.router.http()).get(host, "/").ok()?;
        (answer.status == 200).then(|| String::from_utf8_lossy(&answer.body).into_owned())
    }

    #[track_caller]
    fn assert_becomes(&self, host: &str, expected: Option<&str>) {
        eventually(SOON, &format!("{host} is {expected:?}"), || self.body(host).as_deref() == expected);
    }

    fn generation(&self) -> u64 {
        self.router.status()["generation"].as_u64().expect("a generation")
    }

    #[track_caller]
    fn json(&self, path: &str) -> Value {
        let (status, body) = self.router.admin_get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).expect("JSON")
    }

    #[track_caller]
    fn act(&self, method: &str, path: &str) {
        let (status, body) = self.router.admin_act(method, path);
        assert_eq!(status, 200, "{path}: {body}");
    }

    fn remove_alpha(&self) {
        self.lainlet.edit(|procs| procs.retain(|key, _| !key.starts_with("alpha")));
        eventually(SOON, "it is held, or gone", || {
            if !self.router.status()["hold"].is_null() {
                let _ = self.router.admin_act("POST", "/v1/hold/accept");
            }
            self.body("alpha.test").is_none()
        });
    }
}

#[test]
fn history_says_who_removed_a_route_and_a_rollback_brings_it_back() {
    let cluster = Cluster::start();
    let before = cluster.generation();
    cluster.remove_alpha();
    let history = cluster.json("/v1/history?app=alpha&limit=1");
    let entry = &history["entries"][0];
    assert_eq!(entry["changes"][0]["routes_removed"][0], "alpha.test", "{history}");
    assert_eq!(entry["changes"][0]["source"], "lainlet");
    assert!(["source", "hold_accepted", "guard"].contains(&entry["cause"].as_str().unwrap_or_default()), "{entry}");
    let now = cluster.generation();
    let diff = cluster.json(&format!("/v1/diff?from={before}&to={now}"));
    assert_eq!(diff["changes"][0]["change"], "removed", "{diff}");
    let then = cluster.json(&format!("/v1/explain?url=http://alpha.test/&generation={before}"));
    assert_eq!((&then["outcome"], &then["generation"]), (&Value::from("forwarded"), &Value::from(before)), "{then}");
    assert_eq!(cluster.json("/v1/explain?url=http://alpha.test/")["outcome"], "unknown_host");
    let began = std::time::Instant::now();
    cluster.act("POST", &format!("/v1/rollback?generation={before}"));
    println!("rollback: answered after {:?}", began.elapsed());
    assert_eq!(cluster.body("alpha.test").as_deref(), Some("one"));
    assert_eq!(cluster.json("/v1/history?limit=1")["entries"][0]["cause"], "rollback");
    assert_eq!(cluster.router.status()["pins"][0]["app"], "alpha");
    // Others follow; what is rolled back does not.
    cluster.lainlet.set_app("bravo.web.web", &["bravo.test"], &[cluster.origins[0].addr()]);
    cluster.assert_becomes("bravo.test", Some("one"));
    assert_eq!(cluster.body("alpha.test").as_deref(), Some("one"));
    cluster.act("DELETE", "/v1/rollback");
    assert_eq!(cluster.body("alpha.test"), None);
    assert!(cluster.router.output().contains(" audit: "), "the audit log");
}

#[test]
fn a_pin_survives_its_source_and_a_restart_and_ends_with_unpin() {
    let mut cluster = Cluster::start();
    cluster.act("POST", "/v1/pins/alpha");
    cluster.lainlet.set_app("alpha.web.web", &["alpha.test"], &[cluster.origins[1].addr()]);
    cluster.lainlet.set_app("charlie.web.web", &["charlie.test"], &[cluster.origins[1].addr()]);
    cluster.assert_becomes("charlie.test", Some("two"));
    assert_eq!(cluster.body("alpha.test").as_deref(), Some("one"));
    let explained = cluster.json("/v1/explain?url=http://alpha.test/");
    assert_eq!(explained["pin"]["app"], "alpha", "{explained}");
    cluster.router.restart();
    cluster.router.wait_ready();
    cluster.lainlet.set_app("delta.web.web", &["delta.test"], &[cluster.origins[1].addr()]);
    cluster.assert_becomes("delta.test", Some("two"));
    assert_eq!(cluster.body("alpha.test").as_deref(), Some("one"));
    let history = cluster.json("/v1/history?limit=1000").to_string();
    assert!(history.contains("\"restart\"") && history.contains("\"pin\""), "{history}");
    cluster.act("DELETE", "/v1/pins/alpha");
    assert_eq!(cluster.body("alpha.test").as_deref(), Some("two"));
    assert_eq!(cluster.router.status()["pins"], Value::Array(Vec::new()));
}
