//! h2load and nghttp: many streams on many connections, none lost.

use webrouter_testkit::Router;
use webrouter_testkit::programs::{have, run};

use crate::{Scene, entry, ready};

/// These programs take the authority from the URL, so the app is known by its address, too.
fn router(scene: &Scene) -> Router {
    let apps = entry("one.web.web", &["one.test", "127.0.0.1"], scene.origin.addr(), "");
    let builder = scene.builder().listen("h2c = true").tls("default = \"one\"").apps(&apps);
    ready(builder.section("[engine]\nthreads = 2\n"))
}

/// Runs h2load; its report.
fn load(url: &str, more: &[&str]) -> String {
    let mut arguments = vec!["-T", "10"];
    arguments.extend(more);
    arguments.push(url);
    run("h2load", &arguments, "").expect("h2load is there").said()
}

fn all_succeed(report: &str, requests: usize) {
    let expected = format!("{requests} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(report.contains(&expected), "{report}");
    assert!(report.contains(&format!("{requests} 2xx")), "{report}");
}

#[test]
fn h2load_loses_nothing() {
    if !have("h2load") {
        return;
    }
    let scene = Scene::new();
    let router = router(&scene);
    let (https, http) = (format!("https://{}/", router.https()), format!("http://{}/", router.http()));
    for (url, more) in [
        (&https, &["-n", "3000", "-c", "8", "-m", "32"][..]),
        (&http, &["-n", "3000", "-c", "8", "-m", "32"]),
        (&https, &["-n", "1000", "-c", "8", "--h1"]),
    ] {
        let requests = more[1].parse().expect("a number");
        all_succeed(&load(url, more), requests);
    }
    assert_eq!(scene.origin.served(), 7000);
}

#[test]
fn h2load_uploads() {
    if !have("h2load") {
        return;
    }
    let scene = Scene::new();
    let router = router(&scene);
    let file = router.path("body").display().to_string();
    std::fs::write(&file, vec![b'x'; 100_000]).expect("written");
    let url = format!("https://{}/count", router.https());
    let report = load(&url, &["-n", "200", "-c", "4", "-m", "10", "-d", &file]);
    all_succeed(&report, 200);
}

#[test]
fn nghttp_gets_its_page_and_names_no_error() {
    if !have("nghttp") {
        return;
    }
    let scene = Scene::new();
    let router = router(&scene);
    for url in [format!("https://{}/bytes-100000", router.https()), format!("http://{}/bytes-100000", router.http())] {
        let ran = run("nghttp", &["-nvy", &url], "").expect("nghttp is there");
        let said = ran.said();
        assert_eq!(ran.code, Some(0), "{said}");
        assert!(said.contains(":status: 200"), "{said}");
        assert!(!said.contains("PROTOCOL_ERROR") && !said.contains("INTERNAL_ERROR"), "{said}");
    }
}
