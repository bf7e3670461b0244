//! A client that comes again skips half of the handshake, on whichever core it lands.

use webrouter_testkit::programs::{have, run};
use webrouter_testkit::{Router, TlsClient, TlsStream, Version};

use crate::{Scene, body, ready};

/// With 24 connections spread over two cores, all on one is a matter of one in eight millions.
const CONNECTIONS: usize = 24;

fn router(scene: &Scene) -> Router {
    ready(scene.builder().section("[engine]\nthreads = 2\n"))
}

/// How many of a client's connections, after the first, went on from an earlier session.
fn resumed(router: &Router, client: &TlsClient) -> usize {
    let mut resumed = 0;
    for _ in 0..=CONNECTIONS {
        let mut connection = client.connect(router.https(), "one.test");
        // What can be resumed comes after the handshake (RFC 8446 §4.6.1).
        assert_eq!(body(&mut connection, "one.test", "/"), "one");
        resumed += usize::from(connection.transport().tls().is_some_and(TlsStream::is_resumed));
    }
    resumed
}

/// RFC 8446 §2.2.
#[test]
fn tls_1_3_is_resumed_across_cores() {
    let scene = Scene::new();
    let router = router(&scene);
    assert_eq!(resumed(&router, &scene.tls().speaking(Version::Tls13)), CONNECTIONS);
}

/// RFC 5077 §3.
#[test]
fn tls_1_2_is_resumed_across_cores() {
    let scene = Scene::new();
    let router = router(&scene);
    assert_eq!(resumed(&router, &scene.tls().speaking(Version::Tls12)), CONNECTIONS);
}

#[test]
fn openssl_resumes() {
    if !have("openssl") {
        return;
    }
    let scene = Scene::new();
    let router = router(&scene);
    let (addr, file) = (router.https().to_string(), router.path("session").display().to_string());
    for version in ["-tls1_2", "-tls1_3"] {
        let common = ["s_client", "-connect", &addr, "-servername", "one.test", version, "-ign_eof"];
        let request = "GET / HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n";
        let with = |more: [&str; 2]| run("openssl", &[&common[..], &more].concat(), request).expect("openssl is there");
        let first = with(["-sess_out", &file]);
        assert!(first.out.contains("\nNew, "), "{}", first.said());
        let again = with(["-sess_in", &file]);
        assert!(again.out.contains("\nReused, "), "{version}: {}", again.said());
    }
}

/// A session outlives the certificate that it began with: no client is thrown back by a renewal.
#[test]
fn a_renewed_certificate_does_not_break_clients_that_come_again() {
    let scene = Scene::new();
    let router = router(&scene);
    let client = scene.tls();
    assert_eq!(body(&mut client.connect(router.https(), "one.test"), "one.test", "/"), "one");
    let new = scene.authority.pair(&["one.test"]);
    new.write(&router.path("ssl"), "one");
    let shown = || crate::names::shows(&router, &scene.authority, "one.test", &new);
    webrouter_testkit::eventually(crate::AT_ONCE, "the new one is shown", shown);
    assert_eq!(body(&mut client.connect(router.https(), "one.test"), "one.test", "/"), "one");
}
