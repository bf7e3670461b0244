//! Limits with a clear status each: 414 for the target, 431 for the head, 413 for the body, 502 for an answer's head.

use webrouter_testkit::Step;

use crate::case::{Case, OK, bad_answer, case, forwarded, refused};

/// Bodies are unlimited by default; everything else here is the default.
pub(crate) const CONFIGURATION: &str = "[limits]\nrequest_body_bytes = 100000\n";

fn with_fields(count: usize) -> String {
    let fields: String = (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect();
    format!("GET / HTTP/1.1\r\nHost: demo.test\r\n{fields}")
}

fn with_value(length: usize) -> String {
    format!("GET / HTTP/1.1\r\nHost: demo.test\r\nX-A: {}\r\n", "a".repeat(length))
}

fn with_target(length: usize) -> String {
    format!("GET /{} HTTP/1.1\r\nHost: demo.test\r\n", "a".repeat(length))
}

fn with_body(length: usize) -> String {
    format!("POST / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: {length}\r\n\r\n{}", "a".repeat(length))
}

fn chunked(chunks: usize) -> String {
    let chunk = format!("2710\r\n{}\r\n", "a".repeat(10_000));
    format!("POST / HTTP/1.1\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\n\r\n{}0\r\n\r\n", chunk.repeat(chunks))
}

fn passes(name: &'static str, cites: &'static str, head: &str) -> Case {
    forwarded(name, cites, format!("{head}\r\n"), format!("{head}{{ours}}\r\n"))
}

fn answers(name: &'static str, cites: &'static str, length: usize) -> Case {
    let answer = format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok", "a".repeat(length));
    crate::case::answered(name, cites, &answer, &answer)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        passes("120 fields", "RFC 6585 §5, SPEC §4", &with_fields(120)),
        refused("140 fields", "RFC 6585 §5, SPEC §4", 431, with_fields(140) + "\r\n"),
        passes("a value of 60,000 bytes", "RFC 6585 §5, SPEC §4", &with_value(60_000)),
        refused("a value of 70,000 bytes", "RFC 6585 §5, SPEC §4", 431, with_value(70_000) + "\r\n"),
        refused("a value of a megabyte", "RFC 6585 §5, SPEC §4", 431, with_value(1_000_000) + "\r\n"),
        refused("a head that never ends", "RFC 6585 §5, SPEC §4", 431, with_value(70_000)),
        passes("a target of 16,000 bytes", "RFC 9110 §15.5.15", &with_target(16_000)),
        refused("a target of 17,000 bytes", "RFC 9110 §15.5.15, SPEC §4", 414, with_target(17_000) + "\r\n"),
        refused(
            "a target that never ends",
            "RFC 9110 §15.5.15, SPEC §4",
            414,
            "GET /".to_owned() + &"a".repeat(70_000),
        ),
        forwarded(
            "a body within the limit",
            "RFC 9110 §15.5.14",
            with_body(100_000),
            with_body(100_000).replace("\r\nContent-Length", "\r\n{ours}Content-Length"),
        ),
        refused("a length past the limit", "RFC 9110 §15.5.14, SPEC §4", 413, with_body(100_001)),
        case("chunks within the limit", "RFC 9110 §15.5.14")
            .sends(chunked(10))
            .origin_sees_anything(Step::answer(OK))
            .gets(OK)
            .stays_open(),
        case("chunks past the limit", "RFC 9110 §15.5.14, SPEC §4").sends(chunked(11)).origin_cut().gets_page(413),
        answers("an answer's head of 60,000 bytes", "SPEC §4", 60_000),
        bad_answer(
            "an answer's head of 70,000 bytes",
            "RFC 9110 §15.6.3, SPEC §4",
            format!("HTTP/1.1 200 OK\r\nX-A: {}\r\nContent-Length: 2\r\n\r\nok", "a".repeat(70_000)),
        ),
    ]
}

/// As far as the limit of a request head goes.
pub(crate) const RAISED: &str = "[limits]\nrequest_head_bytes = \"1MiB\"\n";

/// Old apps send header lines of up to 1 MiB.
pub(crate) fn raised_cases() -> Vec<Case> {
    vec![
        passes("a value of a million bytes where that is allowed", "SPEC §4", &with_value(1_000_000)),
        refused("a value of 1.1 million bytes", "RFC 6585 §5, SPEC §4", 431, with_value(1_100_000) + "\r\n"),
        refused("140 fields in a big head", "RFC 6585 §5, SPEC §4", 431, with_fields(140) + "\r\n"),
    ]
}
