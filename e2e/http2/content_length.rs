//! `content-length` against what DATA brings (RFC 9113 §8.1.1): the origin never gets a body of another length.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Fields, Frame};

use crate::case::{Case, Must, OK, case, get, head, malformed, ok, post, whole};

fn with_length(length: &str) -> Fields {
    post().with("content-length", length)
}

/// A body of another length than announced: an error of the stream, or a page; the origin's request never completes.
fn lies(name: &'static str, cites: &'static str, length: &str, frames: Vec<Frame>) -> Case {
    let mut all = vec![head(1, &with_length(length))];
    all.extend(frames);
    case(name, cites).sends(all).origin_cut().must(Must::Refused(1))
}

fn seen(length: usize, body: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: demo.test\r\n{{ours}}Content-Length: {length}\r\n\r\n{body}")
}

fn bad(name: &'static str, cites: &'static str, fields: &Fields) -> Case {
    case(name, cites).sends([head(1, fields), Frame::data(1, *b"hello").ending()]).origin_cut().must(Must::Refused(1))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        malformed("a length, and a head that ends the request", "RFC 9113 §8.1.1, CVE-2021-31618", &with_length("5")),
        lies("less than the length", "RFC 9113 §8.1.1", "5", vec![Frame::data(1, *b"hi").ending()]),
        lies(
            "less than the length, in two frames",
            "RFC 9113 §8.1.1",
            "5",
            vec![Frame::data(1, *b"hi"), Frame::data(1, []).ending()],
        ),
        lies(
            "more than the length",
            "RFC 9113 §8.1.1, CVE-2021-21295",
            "1",
            vec![Frame::data(1, *b"xGET /admin HTTP/1.1\r\nHost: demo.test\r\n\r\n").ending()],
        ),
        // The app may have had all that was announced before the client said more.
        case("more than the length, in two frames", "RFC 9113 §8.1.1")
            .sends([head(1, &with_length("2")), Frame::data(1, *b"hi"), Frame::data(1, *b"!").ending()])
            .origin_sees_unless_given_up(seen(2, "hi"))
            .must(Must::Either(vec![Must::Refused(1), Must::Answer(1, ok())])),
        case("more than a length of 0", "RFC 9113 §8.1.1, CVE-2021-21409")
            .sends([
                head(1, &with_length("0")),
                Frame::data(1, *b"GET /admin HTTP/1.1\r\nHost: demo.test\r\n\r\n").ending(),
            ])
            .origin_sees_unless_given_up(seen(0, ""))
            .must(Must::Either(vec![Must::Refused(1), Must::Answer(1, ok())])),
        lies(
            "less than the length, with trailers",
            "RFC 9113 §8.1.1",
            "5",
            vec![Frame::data(1, *b"hi"), whole(1, &Fields::default().with("x-sum", "1"))],
        ),
        lies(
            "padding instead of content",
            "RFC 9113 §6.1, §8.1.1",
            "5",
            vec![Frame::data(1, *b"hi").padded(3, 3).ending()],
        ),
        bad("two lengths that differ", "RFC 9110 §8.6", &with_length("5").with("content-length", "2")),
        bad("a list of lengths that differ", "RFC 9110 §8.6", &with_length("5, 2")),
        bad("a length that is no number", "RFC 9110 §8.6", &with_length("five")),
        bad("a length with a sign", "RFC 9110 §8.6", &with_length("+5")),
        bad("a negative length", "RFC 9110 §8.6", &with_length("-5")),
        bad("a length in hexadecimal", "RFC 9110 §8.6", &with_length("0x5")),
        bad("an empty length", "RFC 9110 §8.6", &with_length("")),
        bad("a length past all numbers", "RFC 9110 §8.6", &with_length("18446744073709551621")),
        case("the length that was announced", "RFC 9113 §8.1.1")
            .sends([head(1, &with_length("5")), Frame::data(1, *b"he"), Frame::data(1, *b"llo").ending()])
            .origin_sees(seen(5, "hello"), Step::answer(OK))
            .gets(1, ok()),
        case("the length that was announced, the end by itself", "RFC 9113 §8.1.1")
            .sends([head(1, &with_length("5")), Frame::data(1, *b"hello"), Frame::data(1, []).ending()])
            .origin_sees(seen(5, "hello"), Step::answer(OK))
            .gets(1, ok()),
        case("a length of 0 in a head that ends the request", "RFC 9113 §8.1.1")
            .sends([whole(1, &with_length("0"))])
            .origin_sees(seen(0, ""), Step::answer(OK))
            .gets(1, ok()),
        case("GET with a length of 0", "RFC 9110 §9.3.1")
            .sends([whole(1, &get().with("content-length", "0"))])
            .origin_sees_anything(Step::answer(OK))
            .gets(1, ok()),
    ]
}
