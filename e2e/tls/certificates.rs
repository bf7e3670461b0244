//! Certificates that change, break, or run out while the router serves.

use std::time::Duration;

use webrouter_testkit::{Client, Router, eventually};

use crate::names::shows;
use crate::{AT_ONCE, SOON, Scene, body, entry, ready};

/// What `status` says of the certificate files, all of it.
fn status(router: &Router) -> String {
    router.status().to_string()
}

fn open(scene: &Scene, router: &Router) -> Client {
    let mut client = scene.tls().connect(router.https(), "one.test");
    assert_eq!(body(&mut client, "one.test", "/"), "one");
    client
}

#[test]
fn a_replaced_certificate_is_shown_at_once_and_open_connections_live_on() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let mut http1 = open(&scene, &router);
    let mut http2 = scene.tls().offering(&["h2"]).http2(router.https(), "one.test");
    assert!(http2.get("one.test", "/").is_ok());
    for _ in 0..3 {
        let new = scene.authority.pair(&["one.test"]);
        new.write(&router.path("ssl"), "one");
        eventually(AT_ONCE, "the new one is shown", || shows(&router, &scene.authority, "one.test", &new));
    }
    assert_eq!(body(&mut http1, "one.test", "/"), "one");
    assert_eq!(http2.get("one.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
}

#[test]
fn a_certificate_that_is_added_serves_its_host_at_once() {
    let scene = Scene::new();
    let router =
        ready(scene.builder().apps(&entry("one.web.web", &["one.test", "late.test"], scene.origin.addr(), "")));
    assert!(scene.tls().handshake(router.https(), "late.test").is_err());
    let late = scene.authority.pair(&["late.test"]);
    late.write(&router.path("ssl"), "late");
    eventually(AT_ONCE, "it is shown", || shows(&router, &scene.authority, "late.test", &late));
}

#[test]
fn files_that_are_written_in_place_and_slowly_are_taken_when_they_are_whole() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let new = scene.authority.pair(&["one.test"]);
    let folder = router.path("ssl");
    let (certificate, key) = (new.certificate_pem(), new.key_pem());
    // The old pair is in force as long as the new one is not complete.
    std::fs::write(folder.join("one.crt"), &certificate[..certificate.len() / 2]).expect("written");
    assert_eq!(body(&mut open(&scene, &router), "one.test", "/"), "one");
    std::fs::write(folder.join("one.crt"), certificate).expect("written");
    assert_eq!(body(&mut open(&scene, &router), "one.test", "/"), "one");
    std::fs::write(folder.join("one.key"), key).expect("written");
    eventually(AT_ONCE, "the new one is shown", || shows(&router, &scene.authority, "one.test", &new));
}

#[test]
fn a_broken_pair_changes_nothing_and_is_reported_with_its_file_and_the_reason() {
    let scene = Scene::new();
    let first = scene.authority.pair(&["one.test"]);
    let router = ready(scene.builder().pair("one", &first));
    assert!(shows(&router, &scene.authority, "one.test", &first));
    let other = scene.authority.pair(&["one.test"]);

    scene.authority.pair(&["one.test"]).with_key_of(&other).write(&router.path("ssl"), "one");
    eventually(SOON, "the mismatch is reported", || status(&router).contains("one.key"));
    assert!(shows(&router, &scene.authority, "one.test", &first), "the old one stays");

    std::fs::write(router.path("ssl/one.crt"), "not a certificate").expect("written");
    eventually(SOON, "the garbage is reported", || status(&router).contains("one.crt"));
    assert!(shows(&router, &scene.authority, "one.test", &first), "the old one stays");
    assert!(!status(&router).contains("PRIVATE KEY") && !router.output().contains("PRIVATE KEY"));

    other.write(&router.path("ssl"), "one");
    eventually(AT_ONCE, "a good one is taken", || shows(&router, &scene.authority, "one.test", &other));
    eventually(SOON, "nothing is wrong any more", || {
        let status = status(&router);
        !status.contains("one.crt") || !status.contains("not a certificate")
    });
}

#[test]
fn a_pair_that_is_broken_from_the_start_hurts_its_host_alone() {
    let scene = Scene::new();
    let broken = scene.authority.pair(&["two.test"]).with_key_of(&scene.authority.pair(&["two.test"]));
    let router = ready(scene.builder().pair("two", &broken));
    assert!(scene.tls().trusting_anybody().handshake(router.https(), "two.test").is_err());
    assert_eq!(body(&mut open(&scene, &router), "one.test", "/"), "one");
    eventually(SOON, "it is reported", || status(&router).contains("two."));
}

#[test]
fn a_certificate_without_its_key_is_reported() {
    let scene = Scene::new();
    let lonely = scene.authority.pair(&["two.test"]);
    let router = ready(scene.builder());
    std::fs::write(router.path("ssl/two.crt"), lonely.certificate_pem()).expect("written");
    eventually(SOON, "it is reported", || status(&router).contains("two.key"));
    assert_eq!(body(&mut open(&scene, &router), "one.test", "/"), "one");
}

#[test]
fn a_removed_certificate_is_not_shown_to_hosts_that_have_another() {
    let scene = Scene::new();
    let (all, own) = (scene.authority.pair(&["*.test"]), scene.authority.pair(&["one.test"]));
    let router = ready(scene.builder().pair("one", &own).pair("all", &all));
    assert!(shows(&router, &scene.authority, "one.test", &own));
    std::fs::remove_file(router.path("ssl/one.key")).expect("removed");
    std::fs::remove_file(router.path("ssl/one.crt")).expect("removed");
    eventually(AT_ONCE, "the other is shown", || shows(&router, &scene.authority, "one.test", &all));
}

/// From 21 days on, and afterwards all the more.
#[test]
fn certificates_that_run_out_are_named() {
    let scene = Scene::new();
    let soon = scene.authority.ending_pair(&["soon.test"], Duration::from_secs(10 * 86_400));
    let past = scene.authority.expired_pair(&["past.test"]);
    let router = ready(scene.builder().pair("soon", &soon).pair("past", &past));
    eventually(SOON, "both are named", || {
        let status = status(&router);
        status.contains("soon") && status.contains("past")
    });
    let (_, metrics) = router.admin_get("/metrics");
    assert!(metrics.lines().any(|line| line.contains("certificate") && line.contains("soon")), "{metrics}");
}
