//! curl, as everybody has it: both versions of HTTP, over TLS and by prior knowledge.

use webrouter_testkit::Router;
use webrouter_testkit::programs::{Ran, have, run};

use crate::{Scene, ready};

struct Curl {
    scene: Scene,
    router: Router,
    authority: String,
}

fn curl() -> Option<Curl> {
    if !have("curl") {
        return None;
    }
    let scene = Scene::new();
    let router = ready(scene.builder().listen("h2c = true"));
    let authority = scene.authority.write(&router.path(""), "authority").display().to_string();
    Some(Curl { scene, router, authority })
}

impl Curl {
    /// Version of HTTP, status and body.
    fn get(&self, scheme: &str, target: &str, more: &[&str]) -> (String, String) {
        let addr = if scheme == "https" { self.router.https() } else { self.router.http() };
        let resolve = format!("one.test:{}:127.0.0.1", addr.port());
        let url = format!("{scheme}://one.test:{}{target}", addr.port());
        let written = "\n%{http_version} %{http_code}";
        let mut arguments =
            vec!["-sS", "--max-time", "20", "--cacert", &self.authority, "--resolve", &resolve, "-w", written];
        arguments.extend(more);
        arguments.push(&url);
        let Ran { code, out, err } = run("curl", &arguments, "").expect("curl is there");
        assert_eq!(code, Some(0), "{more:?}: {err}");
        let (body, written) = out.rsplit_once('\n').expect("what was asked for");
        (written.to_owned(), body.to_owned())
    }
}

#[test]
fn curl_speaks_both_versions() {
    let Some(curl) = curl() else { return };
    let expected = |version: &str| (format!("{version} 200"), "one".to_owned());
    assert_eq!(curl.get("https", "/", &["--http1.1"]), expected("1.1"));
    assert_eq!(curl.get("https", "/", &["--http2"]), expected("2"));
    assert_eq!(curl.get("https", "/", &["--tlsv1.2", "--tls-max", "1.2", "--http2"]), expected("2"));
    assert_eq!(curl.get("http", "/", &["--http2-prior-knowledge"]), expected("2"));
    assert_eq!(curl.get("http", "/", &["--http1.1"]), expected("1.1"));
    // The upgrade of HTTP/1.1 is not offered any more (RFC 9113 §3.1).
    assert_eq!(curl.get("http", "/", &["--http2"]), expected("1.1"));
}

#[test]
fn curl_sends_and_gets_big_bodies() {
    let Some(curl) = curl() else { return };
    let big = curl.router.path("big").display().to_string();
    std::fs::write(&big, vec![b'x'; 5_000_000]).expect("written");
    let upload = format!("@{big}");
    for version in ["--http1.1", "--http2"] {
        let sent = curl.get("https", "/count", &[version, "--data-binary", &upload]);
        assert_eq!(sent.1, "5000000", "{version}");
        let chunked =
            curl.get("https", "/count", &[version, "-H", "Transfer-Encoding: chunked", "-H", "Expect:", "-T", &big]);
        assert_eq!(chunked.1, "5000000", "{version}");
        assert_eq!(curl.get("https", "/bytes-5000000", &[version]).1.len(), 5_000_000, "{version}");
    }
    assert!(curl.scene.origin.served() >= 6);
}

#[test]
fn curl_does_not_trust_what_it_should_not() {
    let Some(curl) = curl() else { return };
    let url = format!("https://other.test:{}/", curl.router.https().port());
    let resolve = format!("other.test:{}:127.0.0.1", curl.router.https().port());
    let arguments = ["-sS", "--cacert", &curl.authority, "--resolve", &resolve, &url];
    let ran = run("curl", &arguments, "").expect("curl is there");
    assert_eq!(ran.code, Some(35), "the handshake is refused: {}", ran.said());
}
