//! Which protocol is spoken after the handshake (RFC 7301).

use webrouter_testkit::http2::Fields;
use webrouter_testkit::{AlertDescription, TlsStream, Version, alert_of};

use crate::{SOON, Scene, body, field, ready};

fn agreed(scene: &Scene, addr: std::net::SocketAddr, offered: &[&str]) -> Option<String> {
    let stream = scene.tls().offering(offered).handshake(addr, "one.test").expect("a handshake");
    TlsStream::alpn(&stream)
}

#[test]
fn http2_is_preferred_and_http1_is_spoken() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let agreed = |offered: &[&str]| agreed(&scene, router.https(), offered);
    assert_eq!(agreed(&["h2", "http/1.1"]).as_deref(), Some("h2"));
    assert_eq!(agreed(&["http/1.1", "h2"]).as_deref(), Some("h2"), "the server's preference counts");
    assert_eq!(agreed(&["http/1.1"]).as_deref(), Some("http/1.1"));
    assert_eq!(agreed(&[]), None);
}

#[test]
fn a_client_that_offers_nothing_speaks_http1() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    for version in [Version::Tls12, Version::Tls13] {
        let mut client = scene.tls().speaking(version).connect(router.https(), "one.test");
        assert_eq!(body(&mut client, "one.test", "/"), "one");
    }
}

/// RFC 7301 §3.2.
#[test]
fn protocols_that_nobody_speaks_are_refused() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let refused = scene.tls().offering(&["spdy/3", "h3"]).handshake(router.https(), "one.test");
    let alert = alert_of(&refused.err().expect("no protocol in common"));
    assert_eq!(alert, Some(AlertDescription::NoApplicationProtocol));
}

#[test]
fn both_protocols_are_served_by_one_listener() {
    let scene = Scene::new();
    let router = ready(scene.builder());
    let mut http2 = scene.tls().offering(&["h2"]).http2(router.https(), "one.test");
    let mut http1 = scene.tls().offering(&["http/1.1"]).connect(router.https(), "one.test");
    assert_eq!(http2.get("one.test", "/").map(|answer| answer.text()).as_deref(), Ok("one"));
    assert_eq!(body(&mut http1, "one.test", "/"), "one");
    let stream = http2.ask(&Fields::request("GET", "one.test", "/head").but(":scheme", "https"), b"");
    let head = http2.answer(stream, SOON).expect("an answer").text();
    assert_eq!(field(&head, "x-forwarded-proto"), Some("https"), "{head}");
}
