//! Which host is asked for: `:authority`, `host`, and what happens when they are not the same.

use crate::case::{Case, SEEN_GET, case, forwarded, get, malformed, whole};

fn bad(name: &'static str, cites: &'static str, authority: &[u8]) -> Case {
    malformed(name, cites, &get().but(":authority", authority))
}

/// The app is told `host` and, in X-Forwarded-Host, `asked`.
fn seen(host: &str, asked: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\
         X-Forwarded-Host: {asked}\r\nX-Original-URI: /\r\nREQUEST_URI: /\r\ntraceparent: {{any}}\r\nX-Request-Id: {{any}}\r\n\r\n"
    )
}

fn unknown(name: &'static str, cites: &'static str, authority: &str) -> Case {
    case(name, cites).sends([whole(1, &get().but(":authority", authority))]).gets_page(1, 404)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        malformed("a host that is not the authority", "RFC 9113 §8.3.1", &get().with("host", "other.test")),
        malformed("a host of another port", "RFC 9113 §8.3.1", &get().with("host", "demo.test:8080")),
        malformed(
            "several hosts",
            "RFC 9110 §7.2",
            &get().without(":authority").with("host", "demo.test").with("host", "other.test"),
        ),
        malformed(
            "two hosts that are the same",
            "RFC 9110 §7.2",
            &get().without(":authority").with("host", "demo.test").with("host", "demo.test"),
        ),
        malformed(
            "an authority and two hosts",
            "RFC 9113 §8.3.1",
            &get().with("host", "demo.test").with("host", "other.test"),
        ),
        malformed("neither authority nor host", "RFC 9113 §8.3.1, RFC 9110 §7.2", &get().without(":authority")),
        malformed("an empty host beside the authority", "RFC 9113 §8.3.1", &get().with("host", "")),
        bad("an empty authority", "RFC 9113 §8.3.1", b""),
        bad("userinfo in the authority", "RFC 9113 §8.3.1, RFC 9110 §4.2.4", b"user@demo.test"),
        bad("userinfo with a password in the authority", "RFC 9110 §4.2.4", b"other.test:80@demo.test"),
        bad("a path in the authority", "RFC 3986 §3.2", b"demo.test/admin"),
        bad("a query in the authority", "RFC 3986 §3.2", b"demo.test?x"),
        bad("a space in the authority", "RFC 3986 §3.2.2", b"demo.test x"),
        bad("CR LF in the authority", "RFC 9113 §8.2.1, §10.3, CVE-2021-36740", b"demo.test\r\nx-a: 1"),
        bad("NUL in the authority", "RFC 9113 §8.2.1", b"demo.test\0.evil.test"),
        bad("two ports in the authority", "RFC 3986 §3.2.3", b"demo.test:80:80"),
        bad("a port that is no number in the authority", "RFC 3986 §3.2.3", b"demo.test:http"),
        bad("a port too large in the authority", "RFC 3986 §3.2.3", b"demo.test:99999"),
        bad("half an IPv6 address in the authority", "RFC 3986 §3.2.2", b"[::1"),
        forwarded(
            "a host without an authority",
            "RFC 9113 §8.3.1",
            &get().without(":authority").with("host", "demo.test"),
            SEEN_GET,
        ),
        forwarded("a host that repeats the authority", "RFC 9113 §8.3.1", &get().with("host", "demo.test"), SEEN_GET),
        forwarded(
            "an authority in upper case",
            "RFC 9110 §4.2.3, SPEC §4",
            &get().but(":authority", "DEMO.test"),
            seen("demo.test", "DEMO.test"),
        ),
        forwarded(
            "an authority with a port",
            "RFC 9110 §7.2, SPEC §4",
            &get().but(":authority", "demo.test:8080"),
            seen("demo.test", "demo.test:8080"),
        ),
        forwarded(
            "the authority of a subdomain",
            "SPEC §3",
            &get().but(":authority", "a.b.demo.test"),
            seen("a.b.demo.test", "a.b.demo.test"),
        ),
        unknown("an authority nobody serves", "SPEC §3, RFC 9110 §15.5.5", "nobody.invalid"),
        unknown("an authority that only ends like a known one", "SPEC §3", "xdemo.test"),
    ]
}
