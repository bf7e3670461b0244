//! Chunked bodies: read strictly, written anew; one mistake and the request never completes.

use webrouter_testkit::Step;

use crate::case::{Case, OK, case, forwarded, refused_midway};

fn request(body: &[u8]) -> Vec<u8> {
    [b"POST /x HTTP/1.1\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\n\r\n", body].concat()
}

fn seen(body: &[u8]) -> Vec<u8> {
    [b"POST /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n", body].concat()
}

fn good(name: &'static str, cites: &'static str, sent: &[u8], expected: &[u8]) -> Case {
    forwarded(name, cites, request(sent), seen(expected))
}

fn bad(name: &'static str, cites: &'static str, body: &[u8]) -> Case {
    refused_midway(name, cites, request(body))
}

const HELLO: &[u8] = b"5\r\nhello\r\n0\r\n\r\n";

pub(crate) fn cases() -> Vec<Case> {
    let long_extension = [b"5;".as_slice(), &[b'a'; 100_000], b"\r\nhello\r\n0\r\n\r\n"].concat();
    let many_trailers = [b"0\r\n".as_slice(), &b"X-A: 1\r\n".repeat(20_000), b"\r\n"].concat();
    vec![
        good("two chunks", "RFC 9112 §7.1", b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", HELLO),
        good("an empty chunked body", "RFC 9112 §7.1", b"0\r\n\r\n", b"0\r\n\r\n"),
        good("an upper-case size", "RFC 9112 §7.1", b"A\r\n0123456789\r\n0\r\n\r\n", b"a\r\n0123456789\r\n0\r\n\r\n"),
        good("leading zeros in a size", "RFC 9112 §7.1", b"0005\r\nhello\r\n000\r\n\r\n", HELLO),
        good("a chunk extension is dropped", "RFC 9112 §7.1.1", b"5;a=b\r\nhello\r\n0;last\r\n\r\n", HELLO),
        good("a quoted chunk extension is dropped", "RFC 9112 §7.1.1", b"5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n", HELLO),
        good("white space before a chunk extension", "RFC 9112 §7.1.1", b"5 ;a=b\r\nhello\r\n0\r\n\r\n", HELLO),
        good(
            "data that looks like the end",
            "RFC 9112 §7.1",
            b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
            b"5\r\n0\r\n\r\n\r\n0\r\n\r\n",
        ),
        case("chunks in pieces of one byte", "RFC 9112 §7.1")
            .sends_in_pieces(request(b"2\r\nhe\r\n3;x\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n"), 1)
            .origin_sees(seen(b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), Step::answer(OK))
            .gets(OK)
            .stays_open(),
        good(
            "trailers are passed on",
            "RFC 9110 §6.5",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n",
        ),
        good(
            "framing in trailers is dropped",
            "RFC 9110 §6.5.1",
            b"5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: chunked\r\nTrailer: a\r\nX-Sum: 1\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        good(
            "routing and credentials in trailers are dropped",
            "RFC 9110 §6.5.1",
            b"5\r\nhello\r\n0\r\nHost: other.test\r\nAuthorization: x\r\nX-Sum: 1\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        good(
            "the router's own fields in trailers are dropped",
            "RFC 9110 §6.5.1, SPEC §4",
            b"5\r\nhello\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nX-Sum: 1\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        good(
            "what only a proxy may say is dropped from trailers",
            "RFC 9110 §6.5.1, CVE-2016-5385",
            b"5\r\nhello\r\n0\r\nssl-client-verify: SUCCESS\r\nSSL_Client-Subject_DN: CN=root\r\n\
              Forwarded: for=6.6.6.6\r\nX-Forwarded-Port: 1\r\nx_forwarded_port: 1\r\nProxy: a\r\nX-Sum: 1\r\n\r\n",
            b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        bad("a size that is no number", "RFC 9112 §7.1", b"g\r\nhello\r\n0\r\n\r\n"),
        bad("an empty size", "RFC 9112 §7.1", b"\r\nhello\r\n0\r\n\r\n"),
        bad("a negative size", "RFC 9112 §7.1", b"-5\r\nhello\r\n0\r\n\r\n"),
        bad("a plus before a size", "RFC 9112 §7.1", b"+5\r\nhello\r\n0\r\n\r\n"),
        bad("0x before a size", "RFC 9112 §7.1, CVE-2022-24801", b"0x5\r\nhello\r\n0\r\n\r\n"),
        bad("an underscore in a size", "RFC 9112 §7.1", b"0_5\r\nhello\r\n0\r\n\r\n"),
        bad("a space before a size", "RFC 9112 §7.1", b" 5\r\nhello\r\n0\r\n\r\n"),
        bad("a space after a size", "RFC 9112 §7.1.1", b"5 \r\nhello\r\n0\r\n\r\n"),
        bad("a size past 2^64", "RFC 9112 §7.1, CVE-2021-32714", b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("a size of f's past 2^64", "RFC 9112 §7.1", b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF after a size", "RFC 9112 §7.1, CVE-2025-22871", b"5\nhello\r\n0\r\n\r\n"),
        bad("a bare CR after a size", "RFC 9112 §7.1", b"5\rhello\r\n0\r\n\r\n"),
        bad("a bare LF in an extension", "RFC 9112 §7.1.1, CVE-2021-22960", b"5;a\nb\r\nhello\r\n0\r\n\r\n"),
        bad("a bare CR in an extension", "RFC 9112 §7.1.1", b"5;a\rb\r\nhello\r\n0\r\n\r\n"),
        bad("NUL in an extension", "RFC 9112 §7.1.1", b"5;a\0b\r\nhello\r\n0\r\n\r\n"),
        bad("data longer than its size", "RFC 9112 §7.1", b"5\r\nhelloXX\r\n0\r\n\r\n"),
        bad("data shorter than its size", "RFC 9112 §7.1", b"6\r\nhello\r\n0\r\n\r\n"),
        bad("a bare LF after the data", "RFC 9112 §7.1", b"5\r\nhello\n0\r\n\r\n"),
        bad("no CRLF after the data", "RFC 9112 §7.1", b"5\r\nhello0\r\n\r\n"),
        bad("a bare LF after the last size", "RFC 9112 §7.1", b"5\r\nhello\r\n0\n\n"),
        bad("a bare LF ends the trailers", "RFC 9112 §7.1.2", b"5\r\nhello\r\n0\r\nX-Sum: 1\n\n"),
        bad("a space before a trailer's colon", "RFC 9112 §7.1.2", b"5\r\nhello\r\n0\r\nX-Sum : 1\r\n\r\n"),
        bad("a folded trailer", "RFC 9112 §7.1.2", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n 2\r\n\r\n"),
        bad("a request for a trailer", "RFC 9112 §7.1.2", b"5\r\nhello\r\n0\r\nGET /e HTTP/1.1\r\n\r\n"),
        bad("an extension of 100,000 bytes", "RFC 9112 §7.1.1, CVE-2024-22019", &long_extension),
        bad("160,000 bytes of trailers", "RFC 9112 §7.1.2, SPEC §4", &many_trailers),
        case("a client that leaves in the middle of a chunk", "RFC 9112 §8")
            .sends(request(b"5\r\nhel"))
            .half_closes()
            .origin_cut()
            .gets_nothing_but_perhaps_a_page(400),
        case("a client that leaves before the last chunk", "RFC 9112 §8")
            .sends(request(b"5\r\nhello\r\n"))
            .half_closes()
            .origin_cut()
            .gets_nothing_but_perhaps_a_page(400),
        case("a client that leaves before the final CRLF", "RFC 9112 §8")
            .sends(request(b"5\r\nhello\r\n0\r\n"))
            .half_closes()
            .origin_cut()
            .gets_nothing_but_perhaps_a_page(400),
    ]
}
