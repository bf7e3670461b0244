//! The hops of an app's chain, but its containers.

use std::net::{SocketAddr, TcpListener};

use serde_json::json;
use webrouter_testkit::{Host, HttpOrigin, Lainlet, Mode, Signal, eventually};

use super::{SOON, builder, doctor, finds, following, lines, wait_endpoints};

/// Two apps, so that losing one is not losing half.
fn lainlet(origin: &HttpOrigin) -> Lainlet {
    let lainlet = Lainlet::start();
    lainlet.edit(|procs| {
        procs.insert("demo.web.web".to_owned(), Lainlet::entry(&["demo.test"], &[origin.addr()]));
        procs.insert("other.web.web".to_owned(), Lainlet::entry(&["other.test"], &[origin.addr()]));
    });
    lainlet
}

#[test]
fn an_app_that_is_well_is_well() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let annotation = json!({ "mountpoint": ["demo.test"], "healthcheck": "/" }).to_string();
    lainlet.set_annotated("demo.web.web", &annotation, &[origin.addr()]);
    let router = following(&lainlet, builder());
    for name in ["demo", "demo.web", "demo.web.web"] {
        let seen = doctor(&router, &[name]);
        assert_eq!((seen.code, seen.first()), (Some(0), "none"), "{:#}", seen.doctor);
        assert_eq!(seen.all("ok"), ["instance", "name", "endpoints", "reach", "table", "source", "watch"]);
        assert_eq!(seen.all("skipped"), ["containers"]);
    }
    let reach = lines(doctor(&router, &["demo"]).hop("reach"));
    assert!(reach.contains("/ answers 200"), "{reach}");
    assert_eq!(lainlet.crashes(), Vec::<String>::new());
}

#[test]
fn a_name_that_nobody_knows_is_told_with_what_was_meant() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    let seen = doctor(&router, &["demmo"]);
    assert_eq!((seen.code, seen.first()), (Some(1), "name"));
    assert_eq!(seen.doctor["did_you_mean"], json!(["demo"]));
    assert!(seen.advice().contains("did you mean demo?"), "{}", seen.advice());
    assert!(seen.evidence().contains("lainlet knows no such app now"), "{}", seen.evidence());
}

#[test]
fn a_container_without_an_address_is_the_hop_endpoints() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let annotation = json!({ "mountpoint": ["demo.test"] }).to_string();
    let pod = |ip: &str| json!({ "Annotation": annotation, "ContainerInfos": [{ "ContainerIp": ip, "Expose": origin.addr().port() }] });
    lainlet.set_raw("demo.web.web", json!({ "PodInfos": [pod("127.0.0.1"), pod("")] }));
    let router = following(&lainlet, builder());
    let seen = finds(&router, "demo", "endpoints");
    assert!(seen.evidence().contains("instance 2: the container has no IP address"), "{}", seen.evidence());
    assert!(seen.advice().contains("restart the container"), "{}", seen.advice());
    assert_eq!(seen.all("broken"), ["endpoints"], "{:#}", seen.doctor);
}

#[test]
fn a_firewalled_port_is_the_hop_reach() {
    let Some(host) = Host::start() else { return };
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    host.fall_silent();
    lainlet.set_app("demo.web.web", &["demo.test"], &[SocketAddr::from((host.addr(), 8000))]);
    let router = following(&lainlet, builder());
    let seen = finds(&router, "demo", "reach");
    assert!(seen.evidence().contains("no answer to a TCP connect within 1s"), "{}", seen.evidence());
    assert!(seen.advice().contains("firewall"), "{}", seen.advice());
    assert_eq!(seen.all("broken"), ["reach"], "{:#}", seen.doctor);
}

#[test]
fn a_refused_port_is_the_hop_reach() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    lainlet.set_app("demo.web.web", &["demo.test"], &[free]);
    let router = following(&lainlet, builder());
    let seen = finds(&router, "demo", "reach");
    assert!(seen.evidence().contains("connection refused"), "{}", seen.evidence());
    assert_eq!(seen.all("broken"), ["reach"], "{:#}", seen.doctor);
}

#[test]
fn a_rejected_annotation_is_the_hop_table() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    lainlet.set_annotated("demo.web.web", "{not json", &[origin.addr()]);
    let seen = finds(&router, "demo", "table");
    assert!(seen.evidence().contains("unreadable annotation, the last good one stays in force"), "{}", seen.evidence());
    assert!(seen.advice().contains("correct the annotation's JSON"), "{}", seen.advice());
    assert_eq!(seen.all("broken"), ["table"], "{:#}", seen.doctor);
}

#[test]
fn a_lost_mountpoint_is_the_hop_table_and_its_owner_is_named() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    lainlet.set_app("late.web.web", &["demo.test", "late.test"], &[origin.addr()]);
    let seen = finds(&router, "late", "table");
    assert!(seen.evidence().contains("demo.test belongs to demo.web.web (lainlet)"), "{}", seen.evidence());
    assert!(seen.advice().contains("have demo.web.web (lainlet) give it up"), "{}", seen.advice());
    assert_eq!(seen.all("broken"), ["table"], "{:#}", seen.doctor);
    assert_eq!(doctor(&router, &["demo"]).code, Some(0));
}

#[test]
fn https_only_without_a_certificate_is_the_hop_table() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let annotation = json!({ "mountpoint": ["demo.test"], "https_only": true }).to_string();
    lainlet.set_annotated("demo.web.web", &annotation, &[origin.addr()]);
    let router = following(&lainlet, builder());
    let seen = finds(&router, "demo", "table");
    assert!(seen.evidence().contains("no certificate serves demo.test"), "{}", seen.evidence());
    assert!(seen.advice().contains("put a certificate for demo.test"), "{}", seen.advice());
}

#[test]
fn a_held_update_is_the_hop_table() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder().section("[guard]\ngrace = \"60s\""));
    // It still answers: the guard keeps it.
    lainlet.edit(|procs| {
        procs.insert("demo.web.web".to_owned(), Lainlet::entry(&["demo.test"], &[]));
    });
    let seen = finds(&router, "demo", "endpoints");
    let table = seen.hop("table");
    assert_eq!(table["verdict"], "broken", "{:#}", seen.doctor);
    assert!(lines(table).contains("the guard keeps its last version"), "{table:#}");
    assert!(table["advice"].as_str().unwrap_or_default().contains("webrouter hold accept --id"), "{table:#}");
}

#[test]
fn a_lainlet_that_lies_is_the_hop_source() {
    let origin = HttpOrigin::start("demo");
    let other = HttpOrigin::start("other");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    wait_endpoints(&router, "demo", &[origin.addr()]);
    // The watch says nothing of it, a GET does, and the router believes it only after a while.
    lainlet.set_mode(Mode::DropEvents);
    let mut lied = None;
    eventually(SOON, "the lie is found", || {
        let end = if lied == Some(other.addr()) { origin.addr() } else { other.addr() };
        lainlet.set_app("demo.web.web", &["demo.test"], &[end]);
        lied = Some(end);
        let seen = doctor(&router, &["demo"]);
        let found = seen.first() == "source";
        if found {
            assert!(seen.evidence().contains("only in what lainlet says: 127.0.0.1:"), "{}", seen.evidence());
            assert!(seen.advice().contains("lainlet lies or lags"), "{}", seen.advice());
            assert_eq!(seen.all("broken"), ["source"], "{:#}", seen.doctor);
        }
        found
    });
}

#[test]
fn a_dead_watch_is_the_hop_watch() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    lainlet.down();
    let seen = finds(&router, "demo", "watch");
    assert!(seen.evidence().contains("failing for"), "{}", seen.evidence());
    assert!(seen.evidence().contains("its last news is"), "{}", seen.evidence());
    let target = lainlet.addr();
    assert!(seen.advice().contains(&format!("see that lainlet runs at {target}")), "{}", seen.advice());
    assert_eq!((seen.all("broken"), seen.verdict("source")), (vec!["watch"], "unknown"), "{:#}", seen.doctor);
}

#[test]
fn an_instance_that_is_down_is_a_hop_and_the_disk_is_looked_at() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let mut router = following(&lainlet, builder());
    let stored = router.path("state/webrouter.redb");
    eventually(SOON, "the table is stored", || stored.is_file());
    router.signal(Signal::TERM);
    assert!(router.wait_exit(SOON).is_some());
    let seen = finds(&router, "demo", "instance");
    assert!(seen.advice().contains("webrouter run"), "{}", seen.advice());
    assert_eq!(seen.all("broken"), ["instance"], "{:#}", seen.doctor);
    assert_eq!(seen.all("ok"), ["name", "endpoints", "reach", "table", "source"], "{:#}", seen.doctor);
    assert!(lines(seen.hop("name")).contains("the table on disk, stored"), "{:#}", seen.doctor);
    // What was read is left as it was.
    router.crash_and_restart();
    router.wait_ready();
    assert_eq!(doctor(&router, &["demo"]).code, Some(0));
}

#[test]
fn an_instance_that_was_killed_left_its_table() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let mut router = following(&lainlet, builder());
    let kept = || doctor(&router, &["demo"]).verdict("table") == "ok";
    assert!(kept());
    let stored = router.path("state/webrouter.redb");
    eventually(SOON, "the table is stored", || stored.metadata().is_ok_and(|file| file.len() > 0));
    router.signal(Signal::KILL);
    assert!(router.wait_exit(SOON).is_some());
    let seen = finds(&router, "demo", "instance");
    assert!(matches!(seen.verdict("table"), "ok" | "unknown"), "{:#}", seen.doctor);
}

#[test]
fn an_instance_elsewhere_is_asked_by_its_address() {
    let origin = HttpOrigin::start("demo");
    let lainlet = lainlet(&origin);
    let router = following(&lainlet, builder());
    let admin = router.admin().to_string();
    assert_eq!(doctor(&router, &["demo", "--admin", &admin]).code, Some(0));
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let seen = doctor(&router, &["demo", "--admin", &free.to_string()]);
    assert_eq!((seen.code, seen.all("broken")), (Some(1), vec!["instance"]));
    assert_eq!(seen.doctor["hops"].as_array().map(Vec::len), Some(1));
}
