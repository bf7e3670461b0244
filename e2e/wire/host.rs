//! `Host`: exactly one, a name and perhaps a port, compared without case and port.

use webrouter_testkit::Step;

use crate::case::{Case, OK, case, forwarded, refused};

fn bad(name: &'static str, cites: &'static str, hosts: &[u8]) -> Case {
    refused(name, cites, 400, [b"GET / HTTP/1.1\r\n", hosts, b"\r\n\r\n"].concat())
}

/// The router's fields when the client wrote its host as `received`.
fn seen(host: &str, received: &str) -> String {
    format!(
        "GET / HTTP/1.1\r\nHost: {host}\r\nX-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\n\
         X-Forwarded-Proto: http\r\nX-Forwarded-Host: {received}\r\nX-Original-URI: /\r\nREQUEST_URI: /\r\n\
         traceparent: {{any}}\r\nX-Request-Id: {{any}}\r\n\r\n"
    )
}

fn unknown(name: &'static str, cites: &'static str, host: &str) -> Case {
    case(name, cites).sends(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")).gets_page(404).stays_open()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        refused("no Host", "RFC 9112 §3.2", 400, b"GET / HTTP/1.1\r\nX-A: 1\r\n\r\n"),
        bad("two equal Hosts", "RFC 9112 §3.2", b"Host: demo.test\r\nHost: demo.test"),
        bad("two different Hosts", "RFC 9112 §3.2", b"Host: demo.test\r\nX-A: 1\r\nhost: other.test"),
        bad("an empty Host", "RFC 9112 §3.2, SPEC §4", b"Host:"),
        bad("a Host of white space", "RFC 9112 §3.2, SPEC §4", b"Host:   "),
        bad("a list of hosts", "RFC 9112 §3.2", b"Host: demo.test, other.test"),
        bad("a user in Host", "RFC 9110 §7.2", b"Host: user@demo.test"),
        bad("a space in Host", "RFC 3986 §3.2.2", b"Host: demo .test"),
        bad("a tab in Host", "RFC 3986 §3.2.2", b"Host: demo.test\tx"),
        bad("a path in Host", "RFC 9110 §7.2", b"Host: demo.test/x"),
        bad("a scheme in Host", "RFC 9110 §7.2", b"Host: http://demo.test"),
        bad("a query in Host", "RFC 9110 §7.2", b"Host: demo.test?x"),
        bad("a fragment in Host", "RFC 9110 §7.2", b"Host: demo.test#x"),
        bad("a port that is no number", "RFC 3986 §3.2.3", b"Host: demo.test:http"),
        bad("a port past 65535", "RFC 3986 §3.2.3", b"Host: demo.test:99999"),
        bad("two ports", "RFC 3986 §3.2.3", b"Host: demo.test:80:80"),
        bad("non-ASCII in Host", "RFC 3986 §3.2.2", b"Host: d\xc3\xa9mo.test"),
        bad("a backslash in Host", "RFC 3986 §3.2.2", b"Host: demo.test\\x"),
        bad("half an IPv6 address", "RFC 3986 §3.2.2", b"Host: [::1"),
        forwarded(
            "upper case in Host",
            "RFC 9110 §4.2.3, SPEC §4",
            b"GET / HTTP/1.1\r\nHost: DEMO.Test\r\n\r\n",
            seen("demo.test", "DEMO.Test"),
        ),
        forwarded(
            "a port in Host",
            "RFC 9110 §7.2, SPEC §4",
            b"GET / HTTP/1.1\r\nHost: demo.test:8080\r\n\r\n",
            seen("demo.test", "demo.test:8080"),
        ),
        case("a trailing dot in Host", "RFC 9110 §7.2, SPEC §3")
            .sends(b"GET / HTTP/1.1\r\nHost: demo.test.\r\n\r\n")
            .origin_sees_anything(Step::answer(OK))
            .gets(OK)
            .stays_open(),
        forwarded(
            "a subdomain",
            "SPEC §3",
            b"GET / HTTP/1.1\r\nHost: a.b.demo.test\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a.b.demo.test\r\n{ours}\r\n",
        ),
        forwarded(
            "fields around Host keep their order, in whichever place Host is sent",
            "RFC 9110 §5.3, §7.2",
            b"GET / HTTP/1.1\r\nX-A: 1\r\nhost: demo.test\r\nX-B: 2\r\n\r\n",
            b"GET / HTTP/1.1\r\nX-A: 1\r\nHost: demo.test\r\nX-B: 2\r\n{ours}\r\n",
        ),
        unknown("an unknown host", "SPEC §3, RFC 9110 §15.5.5", "nobody.invalid"),
        unknown("a host that only ends like a known one", "SPEC §3", "xdemo.test"),
        unknown("an address for a host", "RFC 3986 §3.2.2", "127.0.0.1"),
        unknown("an IPv6 address for a host", "RFC 3986 §3.2.2", "[::1]:80"),
    ]
}
