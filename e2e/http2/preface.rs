//! The first bytes of a connection: the preface, or HTTP/1.1, or neither.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Frame, PREFACE};

use crate::case::{Case, Must, OK, SEEN_GET, case, get, head, ok, post, whole};

fn opening(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    case(name, cites).without_preface().sends_bytes(bytes)
}

/// An invalid preface; a GOAWAY may be left out then (RFC 9113 §3.4).
fn refused(name: &'static str, cites: &'static str, bytes: impl AsRef<[u8]>) -> Case {
    opening(name, cites, bytes).must(Must::Closed)
}

fn preface_then(frame: &Frame) -> Vec<u8> {
    [PREFACE, &frame.encode()].concat()
}

fn whole_opening() -> Vec<u8> {
    [PREFACE, &Frame::settings(&[]).encode(), &whole(1, &get()).encode()].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        opening("a request sent before the server's settings have come", "RFC 9113 §3.4", whole_opening())
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a preface in pieces of one byte", "RFC 9113 §3.4")
            .without_preface()
            .sends_in_pieces(whole_opening(), 1)
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a preface in pieces of seven bytes", "RFC 9113 §3.4")
            .without_preface()
            .sends_in_pieces(whole_opening(), 7)
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        opening("HTTP/1.1 on a listener for both", "RFC 9113 §3.3", b"GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n")
            .origin_sees(SEEN_GET, Step::answer(OK))
            .must(Must::Bytes(b"HTTP/1.1 200 OK\r\n".to_vec())),
        opening(
            "a method that begins like the preface",
            "RFC 9113 §3.4",
            b"PRINT / HTTP/1.1\r\nHost: demo.test\r\n\r\n",
        )
        .origin_sees(b"PRINT / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n", Step::answer(OK))
        .must(Must::Bytes(b"HTTP/1.1 200 OK\r\n".to_vec())),
        refused("a preface with one wrong byte", "RFC 9113 §3.4", b"PRI * HTTP/2.0\r\n\r\nSN\r\n\r\n"),
        refused("a preface of another version", "RFC 9113 §3.4", b"PRI * HTTP/3.0\r\n\r\nSM\r\n\r\n"),
        refused("a preface with bare LF", "RFC 9113 §3.4", b"PRI * HTTP/2.0\n\nSM\n\n\0\0\0\x04\0\0\0\0\0"),
        refused("a preface followed by PING", "RFC 9113 §3.4", preface_then(&Frame::ping([0; 8]))),
        refused("a preface followed by HEADERS", "RFC 9113 §3.4", preface_then(&whole(1, &get()))),
        refused(
            "a preface followed by HTTP/1.1",
            "RFC 9113 §3.4",
            [PREFACE, b"GET / HTTP/1.1\r\nHost: demo.test\r\n\r\n"].concat(),
        ),
        refused("a second preface", "RFC 9113 §3.4", [&whole_opening()[..33], PREFACE].concat()),
    ]
}

/// Makes the router lose patience while a test can wait for it.
pub(crate) const IMPATIENT: &str =
    "[timeouts]\nrequest_header = \"400ms\"\nrequest_body = \"400ms\"\nkeep_alive = \"400ms\"\n";

/// Clients that fall silent in the worst place.
pub(crate) fn silent_cases() -> Vec<Case> {
    vec![
        refused("half a preface, then nothing", "SPEC §4, RFC 9113 §9.1", b"PRI * HTTP/2.0\r\n\r"),
        refused("a preface, then nothing", "SPEC §4, RFC 9113 §9.1", PREFACE),
        case("half a frame header, then nothing", "SPEC §4, RFC 9113 §9.1").sends_bytes(b"\0\0").must(Must::Closed),
        case("half a head, then nothing", "SPEC §4, RFC 9113 §9.1")
            .sends([head(1, &get()).unfinished()])
            .must(Must::Closed),
        case("no request at all", "SPEC §4, RFC 9113 §9.1")
            .must(Must::ConnectionError(&[Code::NO_ERROR]))
            .has_no_next_request(),
        case("a body that stops", "SPEC §4, RFC 9113 §8.1")
            .sends([head(1, &post()), Frame::data(1, *b"half")])
            .origin_cut()
            .must(Must::Either(vec![
                Must::Page(1, 408),
                Must::StreamError(1, &[Code::CANCEL, Code::INTERNAL_ERROR, Code::PROTOCOL_ERROR, Code::NO_ERROR]),
            ]))
            .must(Must::Closed),
    ]
}
