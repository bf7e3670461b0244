//! The request line: one method token, one target, one version, single spaces, CRLF.

use crate::case::{Case, GET, SEEN_GET, case, forwarded, refused};
use webrouter_testkit::Step;

pub(crate) fn cases() -> Vec<Case> {
    vec![
        forwarded("a plain GET", "RFC 9112 §3", GET, SEEN_GET),
        forwarded(
            "a method nobody knows",
            "RFC 9110 §9.1",
            b"M-SEARCH /x HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            b"M-SEARCH /x HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
        forwarded(
            "methods are case-sensitive",
            "RFC 9110 §9.1",
            b"get /x HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            b"get /x HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
        forwarded(
            "one empty line before the request line",
            "RFC 9112 §2.2",
            b"\r\nGET / HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            SEEN_GET,
        ),
        forwarded(
            "two empty lines before the request line",
            "RFC 9112 §2.2",
            b"\r\n\r\nGET / HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            SEEN_GET,
        ),
        case("a head in pieces of one byte", "RFC 9112 §2.2")
            .sends_in_pieces(GET, 1)
            .origin_sees(SEEN_GET, Step::answer(crate::case::OK))
            .gets(crate::case::OK)
            .stays_open(),
        refused(
            "a bare LF before the request line",
            "RFC 9112 §2.2",
            400,
            b"\nGET / HTTP/1.1\r\nHost: demo.test\r\n\r\n",
        ),
        refused("two spaces after the method", "RFC 9112 §3", 400, b"GET  / HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("two spaces before the version", "RFC 9112 §3", 400, b"GET /  HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a tab for a space", "RFC 9112 §3", 400, b"GET\t/ HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a space after the version", "RFC 9112 §3", 400, b"GET / HTTP/1.1 \r\nHost: demo.test\r\n\r\n"),
        refused("a space before the method", "RFC 9112 §3", 400, b" GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("no version, as in HTTP/0.9", "RFC 9112 §2.3", 400, b"GET /\r\nHost: demo.test\r\n\r\n"),
        refused("no target", "RFC 9112 §3", 400, b"GET HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("HTTP/2.0 as text", "RFC 9110 §15.6.6", 505, b"GET / HTTP/2.0\r\nHost: demo.test\r\n\r\n"),
        refused("HTTP/3.0 as text", "RFC 9110 §15.6.6", 505, b"GET / HTTP/3.0\r\nHost: demo.test\r\n\r\n"),
        refused("a lower-case version", "RFC 9112 §2.3", 400, b"GET / http/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a version of three parts", "RFC 9112 §2.3", 400, b"GET / HTTP/1.1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a version with a leading zero", "RFC 9112 §2.3", 400, b"GET / HTTP/01.1\r\nHost: demo.test\r\n\r\n"),
        refused("half a version", "RFC 9112 §2.3", 400, b"GET / HTTP/1.\r\nHost: demo.test\r\n\r\n"),
        refused(
            "a second version hidden in the target",
            "CVE-2021-33193",
            400,
            b"GET / HTTP/1.1 HTTP/1.1\r\nHost: demo.test\r\n\r\n",
        ),
        refused("a bare LF ends the request line", "RFC 9112 §2.2", 400, b"GET / HTTP/1.1\nHost: demo.test\r\n\r\n"),
        refused("a bare CR ends the request line", "RFC 9112 §2.2", 400, b"GET / HTTP/1.1\rHost: demo.test\r\n\r\n"),
        refused("a bare CR in the target", "RFC 9112 §2.2", 400, b"GET /a\rb HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("NUL in the target", "RFC 3986 §2", 400, b"GET /a\0b HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a control byte in the target", "RFC 3986 §2", 400, b"GET /a\x01b HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("DEL in the target", "RFC 3986 §2", 400, b"GET /a\x7fb HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a space in the target", "RFC 9112 §3.2", 400, b"GET /a b HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("a method that is no token", "RFC 9110 §5.6.2", 400, b"GE(T / HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        refused("CONNECT", "RFC 9110 §9.3.6", 405, b"CONNECT demo.test:80 HTTP/1.1\r\nHost: demo.test:80\r\n\r\n"),
        refused("the HTTP/2 preface", "RFC 9113 §3.4", 505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        refused(
            "a TLS hello on the plain port",
            "RFC 9112 §2.2",
            400,
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        ),
    ]
}
