//! A field block is one piece, in however many frames it comes (RFC 9113 §4.3).

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Frame, kind};

use crate::case::{Case, OK, PROTOCOL, SEEN_GET, case, connection_error, get, ok, post, whole};

/// The head of a GET in pieces of `size`.
fn in_pieces(stream: u32, size: usize) -> Vec<Frame> {
    let block = get().block();
    let mut pieces = block.chunks(size);
    let first = Frame::headers(stream, pieces.next().expect("a block")).ending().unfinished();
    let mut frames = vec![first];
    frames.extend(pieces.map(|piece| Frame::continuation(stream, piece).unfinished()));
    let last = frames.pop().expect("several pieces");
    frames.push(last.flagged(webrouter_testkit::http2::flag::END_HEADERS));
    frames
}

/// A head that is not finished, then a frame that has no place there.
fn interrupted(name: &'static str, cites: &'static str, frame: Frame) -> Case {
    connection_error(name, cites, [whole(1, &get()).unfinished(), frame, Frame::continuation(1, [])], PROTOCOL)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a head in two frames", "RFC 9113 §4.3, §6.10")
            .sends(in_pieces(1, 30))
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a head in frames of 10 bytes", "RFC 9113 §4.3, §6.10")
            .sends(in_pieces(1, 10))
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a head whose frames are sent one byte a segment", "RFC 9113 §4.3")
            .sends_in_pieces(in_pieces(1, 30).iter().flat_map(Frame::encode).collect::<Vec<u8>>(), 1)
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a continuation without a byte", "RFC 9113 §6.10")
            .sends([whole(1, &get()).unfinished(), Frame::continuation(1, []).unfinished(), Frame::continuation(1, [])])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        interrupted("DATA within a head", "RFC 9113 §4.3, §6.2", Frame::data(1, *b"x")),
        interrupted("PING within a head", "RFC 9113 §4.3, §6.2", Frame::ping([0; 8])),
        interrupted("SETTINGS within a head", "RFC 9113 §4.3, §6.2", Frame::settings(&[])),
        interrupted("WINDOW_UPDATE within a head", "RFC 9113 §4.3, §6.2", Frame::window_update(0, 1)),
        interrupted("PRIORITY within a head", "RFC 9113 §4.3, §6.2", Frame::priority(1, 0)),
        interrupted("another head within a head", "RFC 9113 §4.3, §6.2", whole(3, &get())),
        interrupted("an unknown frame within a head", "RFC 9113 §5.5", Frame::new(0xfa, 0, 1, [])),
        interrupted("a continuation of another stream", "RFC 9113 §6.10", Frame::continuation(3, [])),
        connection_error(
            "a continuation after the end of a head",
            "RFC 9113 §6.10",
            [Frame::headers(1, post().block()), Frame::continuation(1, [])],
            PROTOCOL,
        )
        .origin_cut(),
        connection_error(
            "a continuation after DATA",
            "RFC 9113 §6.10",
            [Frame::headers(1, post().block()), Frame::data(1, *b"x"), Frame::new(kind::CONTINUATION, 0, 1, [])],
            PROTOCOL,
        )
        .origin_cut(),
    ]
}
