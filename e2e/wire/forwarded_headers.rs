//! What the router tells the app about the client, and what a client cannot make it say.
//!
//! The test client is on loopback, which is a trusted proxy by default.

use crate::case::{Case, forwarded};

/// The eight fields the app gets, with their values for a plain request.
struct Ours {
    real_ip: &'static str,
    forwarded_for: &'static str,
    proto: &'static str,
    host: &'static str,
    traceparent: &'static str,
    request_id: &'static str,
}

const PLAIN: Ours = Ours {
    real_ip: "127.0.0.1",
    forwarded_for: "127.0.0.1",
    proto: "http",
    host: "demo.test",
    traceparent: "{any}",
    request_id: "{any}",
};

/// `fields` of the client make the app see `kept` and `ours`.
fn told(name: &'static str, cites: &'static str, fields: &str, kept: &str, ours: &Ours) -> Case {
    let Ours { real_ip, forwarded_for, proto, host, traceparent, request_id } = ours;
    forwarded(
        name,
        cites,
        format!("GET /x?y HTTP/1.1\r\nHost: demo.test\r\n{fields}\r\n"),
        format!(
            "GET /x?y HTTP/1.1\r\nHost: demo.test\r\n{kept}X-Real-IP: {real_ip}\r\nX-Forwarded-For: {forwarded_for}\r\n\
             X-Forwarded-Proto: {proto}\r\nX-Forwarded-Host: {host}\r\nX-Original-URI: /x?y\r\nREQUEST_URI: /x?y\r\n\
             traceparent: {traceparent}\r\nX-Request-Id: {request_id}\r\n\r\n"
        ),
    )
}

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        told("a direct client", "SPEC §4", "", "", &PLAIN),
        told(
            "a chain from a trusted proxy is appended to",
            "SPEC §4, RFC 7239 §5.2",
            "X-Forwarded-For: 1.2.3.4\r\n",
            "",
            &Ours { real_ip: "1.2.3.4", forwarded_for: "1.2.3.4, 127.0.0.1", ..PLAIN },
        ),
        told(
            "the chain is walked from the right",
            "SPEC §4, RFC 7239 §8.1",
            "X-Forwarded-For: 9.9.9.9, 1.2.3.4, 10.0.0.1\r\n",
            "",
            &Ours { real_ip: "1.2.3.4", forwarded_for: "{any}", ..PLAIN },
        ),
        told(
            "a chain in two fields is one chain",
            "RFC 9110 §5.3, SPEC §4",
            "X-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.0.0.1\r\n",
            "",
            &Ours { real_ip: "1.2.3.4", forwarded_for: "1.2.3.4, 10.0.0.1, 127.0.0.1", ..PLAIN },
        ),
        told(
            "a chain of trusted proxies only",
            "SPEC §4",
            "X-Forwarded-For: 10.0.0.1, 192.168.0.1\r\n",
            "",
            &Ours { real_ip: "10.0.0.1", forwarded_for: "10.0.0.1, 192.168.0.1, 127.0.0.1", ..PLAIN },
        ),
        told(
            "no address in the chain",
            "SPEC §4",
            "X-Forwarded-For: not-an-address\r\n",
            "",
            &Ours { forwarded_for: "{any}", ..PLAIN },
        ),
        told("X-Real-IP is replaced", "SPEC §4", "X-Real-IP: 6.6.6.6\r\n", "", &PLAIN),
        told("x-real-ip in any case is replaced", "SPEC §4, RFC 9110 §5.1", "x-rEAL-ip: 6.6.6.6\r\n", "", &PLAIN),
        told(
            "X-Original-URI and REQUEST_URI are replaced",
            "SPEC §4",
            "X-Original-URI: /admin\r\nREQUEST_URI: /admin\r\nrequest_uri: /admin\r\n",
            "",
            &PLAIN,
        ),
        told(
            "https from a trusted proxy",
            "SPEC §4",
            "X-Forwarded-Proto: https\r\n",
            "",
            &Ours { proto: "https", ..PLAIN },
        ),
        told("a scheme that is none", "SPEC §4", "X-Forwarded-Proto: javascript\r\n", "", &PLAIN),
        told(
            "the host a trusted proxy was asked for",
            "SPEC §4",
            "X-Forwarded-Host: public.test\r\n",
            "",
            &Ours { host: "public.test", ..PLAIN },
        ),
        told(
            "x_forwarded_for collides in CGI",
            "SPEC §4, RFC 3875 §4.1.18",
            "x_forwarded_for: 6.6.6.6\r\n",
            "",
            &PLAIN,
        ),
        told("X_Real_IP collides in CGI", "SPEC §4, RFC 3875 §4.1.18", "X_Real_IP: 6.6.6.6\r\n", "", &PLAIN),
        told(
            "X_FORWARDED_PROTO collides in CGI",
            "SPEC §4, RFC 3875 §4.1.18",
            "X_FORWARDED_PROTO: https\r\n",
            "",
            &PLAIN,
        ),
        told(
            "x_forwarded_host collides in CGI",
            "SPEC §4, RFC 3875 §4.1.18",
            "x_forwarded_host: evil.test\r\n",
            "",
            &PLAIN,
        ),
        told(
            "X-Forwarded_For collides in CGI",
            "SPEC §4, RFC 3875 §4.1.18",
            "X-Forwarded_For: 6.6.6.6\r\n",
            "",
            &PLAIN,
        ),
        told("x_original_uri collides in CGI", "SPEC §4, RFC 3875 §4.1.18", "x_original_uri: /admin\r\n", "", &PLAIN),
        told(
            "a trace goes on",
            "SPEC §4",
            "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n",
            "",
            &Ours { traceparent: TRACE, ..PLAIN },
        ),
        told(
            "a request id is kept",
            "SPEC §4",
            "X-Request-Id: abc-123\r\n",
            "",
            &Ours { request_id: "abc-123", ..PLAIN },
        ),
        told(
            "other fields of the client stay",
            "RFC 9110 §5.3",
            "Forwarded: for=6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nAccept: */*\r\n",
            "Forwarded: for=6.6.6.6\r\nAccept: */*\r\n",
            &PLAIN,
        ),
    ]
}

/// Makes the test client a stranger.
pub(crate) const UNTRUSTED: &str = "[forwarding]\ntrusted_proxies = []\n";

/// With nobody trusted, nothing a client says about itself counts.
pub(crate) fn untrusted_cases() -> Vec<Case> {
    vec![
        told("a stranger's chain", "SPEC §4, RFC 7239 §8.1", "X-Forwarded-For: 1.2.3.4\r\n", "", &PLAIN),
        told("a stranger's X-Real-IP", "SPEC §4", "X-Real-IP: 1.2.3.4\r\n", "", &PLAIN),
        told("a stranger's scheme", "SPEC §4, §5", "X-Forwarded-Proto: https\r\n", "", &PLAIN),
        told("a stranger's host", "SPEC §4", "X-Forwarded-Host: evil.test\r\n", "", &PLAIN),
        told("a stranger's underscores", "SPEC §4, RFC 3875 §4.1.18", "x_forwarded_for: 1.2.3.4\r\n", "", &PLAIN),
    ]
}
