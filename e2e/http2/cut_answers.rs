//! Answers that an app does not finish: the stream is reset, it never ends as if the answer were complete (SPEC §4).

use webrouter_testkit::Step;
use webrouter_testkit::http2::Answer;

use crate::case::{Case, Must, SEEN_GET, answer, answer_and_close, case, get, whole};

fn cut(name: &'static str, cites: &'static str, bytes: &[u8], expected: Answer) -> Case {
    broken_off(name, cites, answer_and_close(bytes), expected)
}

fn broken_off(name: &'static str, cites: &'static str, script: Vec<Step>, expected: Answer) -> Case {
    case(name, cites).sends([whole(1, &get())]).origin_sees(SEEN_GET, script).must(Must::Cut(1, expected))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        cut(
            "an answer cut before its length",
            "RFC 9112 §8, RFC 9113 §8.1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
            answer(200, &[("content-length", "10")], "abc"),
        ),
        cut(
            "chunks cut before the last one",
            "RFC 9112 §8, RFC 9113 §8.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
            answer(200, &[], "abc"),
        ),
        cut(
            "an answer cut within a chunk",
            "RFC 9112 §8",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
            answer(200, &[], "abc"),
        ),
        cut(
            "an answer cut within its trailers",
            "RFC 9112 §8",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Su",
            answer(200, &[], "abc"),
        ),
        cut(
            "a chunk size that is none",
            "RFC 9112 §7.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n0\r\n\r\n",
            answer(200, &[], "abc"),
        ),
        broken_off(
            "an answer broken off with a reset",
            "RFC 9112 §8",
            vec![
                Step::ReadHead,
                Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()),
                Step::Reset,
            ],
            answer(200, &[("content-length", "10")], "abc"),
        ),
    ]
}
