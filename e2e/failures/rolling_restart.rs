//! An app's four containers restarted one after another, and lainlet tells of it 2 s late each time: nobody notices.

use std::net::SocketAddr;
use std::process::Command;
use std::thread;
use std::time::Duration;

use webrouter_testkit::{FaultyOrigin, Lainlet, OpenLoad, OpenPlan, Outcome, Router, Verb, eventually};

use super::{SOON, full, lost, plan, posts_seen_twice, started, webrouter};

/// Whether the deploy tool tells the router before it stops a container.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Deploy {
    Unannounced,
    /// `webrouter drain` first.
    Drained,
}

/// Restarts each container once under load; what became of the requests, and what all containers saw.
fn restart_all(deploy: Deploy, load: OpenPlan) -> (Vec<Outcome>, Vec<webrouter_testkit::Seen>) {
    let lainlet = Lainlet::start();
    let mut containers: Vec<FaultyOrigin> = (0..4).map(|n| FaultyOrigin::start(&format!("old{n}"))).collect();
    let tell = |containers: &[FaultyOrigin]| {
        let endpoints: Vec<SocketAddr> = containers.iter().map(FaultyOrigin::addr).collect();
        lainlet.set_app("app.web.web", &["a.test"], &endpoints);
    };
    tell(&containers);
    let router = started(webrouter().lainlet(lainlet.addr()));
    let requests = load.requests;
    let load = OpenLoad::start(router.http(), load);
    let mut seen = Vec::new();
    for nth in 0..containers.len() {
        load.wait_begun(requests * (nth as u64 + 1) / 6);
        if deploy == Deploy::Drained {
            drain(&router, containers[nth].addr());
        }
        // The old one is gone at once, with all its connections; the new one is there at once, under another address.
        let old = std::mem::replace(&mut containers[nth], FaultyOrigin::start(&format!("new{nth}")));
        old.set_fault(webrouter_testkit::Fault::Refuse);
        seen.extend(old.seen());
        // This is how late the news is.
        thread::sleep(Duration::from_secs(2));
        tell(&containers);
        let new = &containers[nth];
        eventually(SOON, "the new container serves", || !new.seen().is_empty());
    }
    let outcomes = load.finish();
    seen.extend(containers.iter().flat_map(FaultyOrigin::seen));
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
    (outcomes, seen)
}

fn drain(router: &Router, endpoint: SocketAddr) {
    let output = Command::new(env!("CARGO_BIN_EXE_webrouter"))
        .args(["drain", &endpoint.to_string(), "--wait", "10s", "--admin", &router.admin().to_string()])
        .output()
        .expect("the binary runs");
    assert!(output.status.success(), "{output:?}");
}

/// 50,000 where the environment asks for it.
fn requests() -> (u32, u64) {
    if full() { (800, 50_000) } else { (400, 8_000) }
}

#[test]
fn a_rolling_restart_with_late_news_loses_no_get() {
    let (rate, requests) = requests();
    let (outcomes, seen) = restart_all(Deploy::Unannounced, OpenPlan { requests, ..plan(rate, 0, 0) });
    let lost = lost(&outcomes, Verb::Get);
    let slowest = outcomes.iter().map(|outcome| outcome.latency).max();
    println!("{} requests, {} seen by containers, slowest {slowest:?}", outcomes.len(), seen.len());
    assert_eq!(outcomes.len() as u64, requests);
    assert!(lost.is_empty(), "{} lost: {:#?}", lost.len(), lost.first());
}

#[test]
fn a_rolling_restart_with_each_container_drained_ahead_loses_nothing() {
    let (outcomes, seen) = restart_all(Deploy::Drained, plan(200, 18, 3));
    for verb in [Verb::Get, Verb::Post] {
        let lost = lost(&outcomes, verb);
        assert!(lost.is_empty(), "{} {verb:?} lost: {:#?}", lost.len(), lost.first());
    }
    assert_eq!(posts_seen_twice(&seen), Vec::<u64>::new());
}
