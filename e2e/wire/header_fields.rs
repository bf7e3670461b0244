//! Field lines: a token, a colon at once, a value without control bytes, CRLF.

use webrouter_testkit::Step;

use crate::case::{Case, OK, case, forwarded, refused};

/// A request with one more line after `Host`.
fn with(line: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: demo.test\r\n", line, b"\r\n\r\n"].concat()
}

fn seen_with(line: &[u8]) -> Vec<u8> {
    [b"GET / HTTP/1.1\r\nHost: demo.test\r\n", line, b"\r\n{ours}\r\n"].concat()
}

fn bad(name: &'static str, cites: &'static str, line: &[u8]) -> Case {
    refused(name, cites, 400, with(line))
}

fn good(name: &'static str, cites: &'static str, line: &[u8]) -> Case {
    forwarded(name, cites, with(line), seen_with(line))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        bad("a space before the colon", "RFC 9112 §5.1, CVE-2019-16869", b"X-A : 1"),
        bad("a tab before the colon", "RFC 9112 §5.1, CVE-2021-22959", b"X-A\t: 1"),
        bad("a folded value", "RFC 9112 §5.2, CVE-2022-32215", b"X-A: 1\r\n 2"),
        bad("a value folded with a tab", "RFC 9112 §5.2", b"X-A: 1\r\n\t2"),
        bad("a folded line of white space only", "RFC 9112 §5.2", b"X-A: 1\r\n  "),
        refused(
            "white space before the first field",
            "RFC 9112 §2.2",
            400,
            b"GET / HTTP/1.1\r\n Host: demo.test\r\nHost: demo.test\r\n\r\n",
        ),
        bad("an empty name", "RFC 9110 §5.1, CVE-2023-25725", b": 1"),
        bad("a line without a colon", "RFC 9112 §5, CVE-2019-20444", b"X-A"),
        bad("a brace in a name", "RFC 9110 §5.6.2", b"X{A}: 1"),
        bad("a space in a name", "RFC 9110 §5.6.2", b"X A: 1"),
        bad("a quote in a name", "RFC 9110 §5.6.2", b"X\"A: 1"),
        bad("a non-ASCII name", "RFC 9110 §5.6.2", b"X-\xc3\xa9: 1"),
        bad("NUL in a name", "RFC 9110 §5.6.2", b"X\0A: 1"),
        bad("a bare CR in a name", "RFC 9112 §2.2, CVE-2020-8201", b"X\rA: 1"),
        bad("NUL in a value", "RFC 9110 §5.5", b"X-A: 1\x002"),
        bad("a bare CR in a value", "RFC 9112 §2.2, CVE-2023-30589", b"X-A: 1\rX-B: 2"),
        bad("a bare CR at the end of a value", "RFC 9112 §2.2", b"X-A: 1\r"),
        bad("a bare LF in a value", "RFC 9112 §2.2, CVE-2022-32214", b"X-A: 1\nX-B: 2"),
        bad("a control byte in a value", "RFC 9110 §5.5", b"X-A: 1\x012"),
        bad("DEL in a value", "RFC 9110 §5.5", b"X-A: 1\x7f2"),
        refused("two bare LF end the head", "RFC 9112 §2.2", 400, b"GET / HTTP/1.1\r\nHost: demo.test\r\nX-A: 1\n\n"),
        refused(
            "CRLF and a bare LF end the head",
            "RFC 9112 §2.2",
            400,
            b"GET / HTTP/1.1\r\nHost: demo.test\r\nX-A: 1\r\n\n",
        ),
        good("a tab inside a value", "RFC 9110 §5.5", b"X-A: 1\t2"),
        good("bytes above ASCII in a value", "RFC 9110 §5.5", b"X-A: \xe4\xb8\xad\xff"),
        good("an empty value", "RFC 9110 §5.5", b"X-A:"),
        good("every character of a token in a name", "RFC 9110 §5.6.2", b"!#$%&'*+-.^`|~09azAZ: 1"),
        good("an underscore in a name of the app's own", "RFC 9110 §5.6.2", b"my_field: 1"),
        forwarded(
            "white space around a value is not part of it",
            "RFC 9112 §5.1",
            with(b"X-A: \t 1 2 \t "),
            seen_with(b"X-A: 1 2"),
        ),
        good("no white space after the colon", "RFC 9112 §5.1", b"X-A:1"),
        good(
            "repeated fields stay apart and in order",
            "RFC 9110 §5.3",
            b"X-A: 1\r\nX-B: 2\r\nX-A: 3\r\nCookie: a=1\r\nCookie: b=2",
        ),
        good("names keep their letter case", "RFC 9110 §5.1", b"x-lower: 1\r\nX-UPPER: 2\r\nx-MiXed: 3"),
        case("a folded line that arrives later", "RFC 9112 §5.2")
            .sends_in_pieces(with(b"X-A: 1\r\n 2"), 7)
            .gets_page(400),
        case("fields in pieces of three bytes", "RFC 9112 §2.2")
            .sends_in_pieces(with(b"X-A: 1\r\nX-B: 2"), 3)
            .origin_sees(seen_with(b"X-A: 1\r\nX-B: 2"), Step::answer(OK))
            .gets(OK)
            .stays_open(),
    ]
}
