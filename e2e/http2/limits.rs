//! Limits with a clear status each, the same as for HTTP/1.1: 414 for the target, 431 for the head, 413 for the body.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Fields, Frame, MAX_FRAME_SIZE, flag};

use crate::case::{Case, Must, OK, SEEN_GET, case, get, head, ok, post, whole};

/// Bodies are unlimited by default; everything else here is the default.
pub(crate) const CONFIGURATION: &str = "[limits]\nrequest_body_bytes = 50000\n";

/// A head of any size in as many frames as it takes.
fn frames(fields: &Fields) -> Vec<Frame> {
    let block = fields.block();
    let mut frames: Vec<Frame> =
        block.chunks(MAX_FRAME_SIZE).map(|part| Frame::continuation(1, part).unfinished()).collect();
    frames[0] = Frame::headers(1, frames[0].payload.clone()).unfinished().ending();
    let last = frames.pop().expect("at least one");
    frames.push(last.flagged(flag::END_HEADERS));
    frames
}

fn with_fields(count: usize) -> Fields {
    (0..count).fold(get(), |fields, number| fields.with(format!("x-{number}"), "1"))
}

fn passes(name: &'static str, cites: &'static str, fields: &Fields) -> Case {
    case(name, cites).sends(frames(fields)).origin_sees_anything(Step::answer(OK)).gets(1, ok())
}

/// A page with this status; who sends far more than anybody may is told to calm down, or cut off.
fn refused(name: &'static str, cites: &'static str, status: u16, fields: &Fields) -> Case {
    case(name, cites).sends(frames(fields)).must(Must::Either(vec![
        Must::Status(1, status),
        Must::StreamError(1, &[Code::ENHANCE_YOUR_CALM, Code::PROTOCOL_ERROR, Code::REFUSED_STREAM]),
    ]))
}

fn body(name: &'static str, cites: &'static str, fields: &Fields, pieces: usize) -> Case {
    let mut all = vec![head(1, fields)];
    all.extend((0..pieces).map(|_| Frame::data(1, [b'x'; 10_000])));
    all.push(Frame::data(1, []).ending());
    case(name, cites).sends(all)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        passes("120 fields in a block", "RFC 6585 §5, SPEC §4", &with_fields(120)),
        case("140 fields in a block", "RFC 6585 §5, SPEC §4").sends(frames(&with_fields(140))).gets_page(1, 431),
        passes("a value of 60,000 bytes in a block", "RFC 6585 §5, SPEC §4", &get().with("x-a", "x".repeat(60_000))),
        refused(
            "a value of 70,000 bytes in a block",
            "RFC 6585 §5, RFC 9113 §10.5.1",
            431,
            &get().with("x-a", "x".repeat(70_000)),
        ),
        refused(
            "a value of a megabyte in a block",
            "RFC 6585 §5, RFC 9113 §10.5.1",
            431,
            &get().with("x-a", "x".repeat(1_000_000)),
        ),
        passes("a :path of 16,000 bytes", "RFC 9110 §15.5.15", &get().but(":path", format!("/{}", "a".repeat(16_000)))),
        case("a :path of 17,000 bytes", "RFC 9110 §15.5.15, SPEC §4")
            .sends(frames(&get().but(":path", format!("/{}", "a".repeat(17_000)))))
            .gets_page(1, 414),
        body("a body as long as allowed", "RFC 9110 §15.5.14", &post(), 5)
            .origin_sees_anything(Step::answer(OK))
            .gets(1, ok()),
        case("a content-length past the limit", "RFC 9110 §15.5.14, SPEC §4")
            .sends([head(1, &post().with("content-length", "50001"))])
            .gets_page(1, 413)
            .must(Must::EndsKindly(1)),
        body("content past the limit", "RFC 9110 §15.5.14, SPEC §4", &post(), 6).origin_cut().must(Must::Either(vec![
            Must::Page(1, 413),
            Must::StreamError(1, &[Code::CANCEL, Code::ENHANCE_YOUR_CALM]),
        ])),
        case("a table full of fields, all named again", "RFC 7541 §7.3, CVE-2016-6581").sends(bomb()).must(
            Must::Either(vec![
                Must::Status(1, 431),
                Must::StreamError(1, &[Code::ENHANCE_YOUR_CALM, Code::PROTOCOL_ERROR, Code::REFUSED_STREAM]),
            ]),
        ),
        case("a head within the limits after one that was too large", "RFC 9113 §4.3, SPEC §4")
            .sends(frames(&with_fields(140)))
            .gets_page(1, 431)
            .sends([whole(3, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(3, ok()),
    ]
}

/// One field of 4,000 bytes, named 16,000 times: 64 MB of head in one frame.
fn bomb() -> Vec<Frame> {
    use webrouter_testkit::http2::{indexed, indexing};
    let first = indexing("x-a", "x".repeat(4000));
    let again = indexed(62).repeat(11_000);
    vec![Frame::headers(1, [get().block(), first, again].concat()).ending()]
}
