//! The form of frames: lengths, streams they belong on, padding, types and flags nobody knows.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Frame, flag, kind};

use crate::case::{
    Case, FRAME_SIZE, Must, OK, PROTOCOL, SEEN_GET, case, connection_error, get, head, ignored, ok, post, stream_error,
    whole,
};

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = lengths();
    cases.extend(streams());
    cases.extend(padding());
    cases.extend(unknown());
    cases
}

fn lengths() -> Vec<Case> {
    let too_large = 1 << 21;
    vec![
        connection_error("PING of 7 bytes", "RFC 9113 §6.7", [Frame::ping([0; 8]).resized(7)], FRAME_SIZE),
        connection_error("PING of 9 bytes", "RFC 9113 §6.7", [Frame::ping([0; 8]).resized(9)], FRAME_SIZE),
        connection_error("PING of no bytes", "RFC 9113 §6.7", [Frame::ping([0; 8]).resized(0)], FRAME_SIZE),
        connection_error(
            "RST_STREAM of 3 bytes",
            "RFC 9113 §6.4",
            [head(1, &post()), Frame::rst_stream(1, Code::CANCEL).resized(3)],
            FRAME_SIZE,
        )
        .origin_cut(),
        connection_error(
            "RST_STREAM of 5 bytes",
            "RFC 9113 §6.4",
            [head(1, &post()), Frame::rst_stream(1, Code::CANCEL).resized(5)],
            FRAME_SIZE,
        )
        .origin_cut(),
        connection_error(
            "WINDOW_UPDATE of 3 bytes",
            "RFC 9113 §6.9",
            [Frame::window_update(0, 1).resized(3)],
            FRAME_SIZE,
        ),
        connection_error(
            "WINDOW_UPDATE of 5 bytes",
            "RFC 9113 §6.9",
            [Frame::window_update(0, 1).resized(5)],
            FRAME_SIZE,
        ),
        connection_error("SETTINGS of 5 bytes", "RFC 9113 §6.5", [Frame::settings(&[(3, 1)]).resized(5)], FRAME_SIZE),
        connection_error(
            "GOAWAY of 7 bytes",
            "RFC 9113 §4.2",
            [Frame::goaway(0, Code::NO_ERROR).resized(7)],
            FRAME_SIZE,
        ),
        stream_error(
            "PRIORITY of 4 bytes",
            "RFC 9113 §6.3",
            [head(1, &post()), Frame::priority(1, 0).resized(4)],
            FRAME_SIZE,
        ),
        connection_error(
            "a head with priority and no room for it",
            "RFC 9113 §6.2",
            [Frame::new(kind::HEADERS, flag::END_HEADERS | flag::PRIORITY, 1, [0; 4])],
            FRAME_SIZE,
        ),
        connection_error(
            "HEADERS larger than any frame may be",
            "RFC 9113 §4.2, §6.2",
            [Frame::headers(1, []).claiming(too_large)],
            FRAME_SIZE,
        ),
        connection_error(
            "SETTINGS larger than any frame may be",
            "RFC 9113 §4.2",
            [Frame::settings(&[]).claiming(too_large)],
            FRAME_SIZE,
        ),
        connection_error(
            "an unknown frame larger than any frame may be",
            "RFC 9113 §4.2",
            [Frame::new(0xbb, 0, 0, []).claiming(too_large)],
            FRAME_SIZE,
        ),
        stream_error(
            "DATA larger than any frame may be",
            "RFC 9113 §4.2",
            [head(1, &post()), Frame::data(1, []).claiming(too_large)],
            FRAME_SIZE,
        ),
    ]
}

fn streams() -> Vec<Case> {
    vec![
        connection_error("DATA on the connection", "RFC 9113 §6.1", [Frame::data(0, *b"x")], PROTOCOL),
        connection_error("HEADERS on the connection", "RFC 9113 §6.2", [whole(0, &get())], PROTOCOL),
        connection_error("PRIORITY on the connection", "RFC 9113 §6.3", [Frame::priority(0, 3)], PROTOCOL),
        connection_error(
            "RST_STREAM on the connection",
            "RFC 9113 §6.4",
            [Frame::rst_stream(0, Code::CANCEL)],
            PROTOCOL,
        ),
        connection_error("CONTINUATION on the connection", "RFC 9113 §6.10", [Frame::continuation(0, [])], PROTOCOL),
        connection_error("PING on a stream", "RFC 9113 §6.7", [Frame::ping([0; 8]).on(1)], PROTOCOL),
        connection_error("GOAWAY on a stream", "RFC 9113 §6.8", [Frame::goaway(0, Code::NO_ERROR).on(1)], PROTOCOL),
        connection_error("SETTINGS on a stream", "RFC 9113 §6.5", [Frame::settings(&[]).on(1)], PROTOCOL),
        connection_error(
            "PUSH_PROMISE of a client",
            "RFC 9113 §8.4",
            [head(1, &post()), Frame::new(kind::PUSH_PROMISE, flag::END_HEADERS, 1, [0, 0, 0, 2, 0x82])],
            PROTOCOL,
        )
        .origin_cut(),
        ignored("the reserved bit of the stream", "RFC 9113 §4.1", [Frame::ping([1; 8]).on(1 << 31)])
            .must(Must::Pong([1; 8])),
    ]
}

fn padding() -> Vec<Case> {
    let padded_post = |frame: Frame| [head(1, &post()), frame];
    vec![
        connection_error(
            "DATA with more padding than payload",
            "RFC 9113 §6.1",
            padded_post(Frame::data(1, *b"hi").padded(0, 3).ending()),
            PROTOCOL,
        )
        .origin_cut(),
        connection_error(
            "DATA that is all padding and says one more",
            "RFC 9113 §6.1",
            padded_post(Frame::data(1, []).padded(5, 6).ending()),
            PROTOCOL,
        )
        .origin_cut(),
        connection_error(
            "padded DATA without a length of padding",
            "RFC 9113 §6.1",
            padded_post(Frame::data(1, []).flagged(flag::PADDED).ending()),
            FRAME_SIZE,
        )
        .origin_cut(),
        connection_error(
            "HEADERS with more padding than payload",
            "RFC 9113 §6.2",
            [whole(1, &get()).padded(0, 255)],
            PROTOCOL,
        ),
        connection_error(
            "padded HEADERS without a length of padding",
            "RFC 9113 §6.2",
            [Frame::headers(1, []).flagged(flag::PADDED)],
            FRAME_SIZE,
        ),
        case("padding is not content", "RFC 9113 §6.1")
            .sends([whole(1, &get()).padded(10, 10)])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .sends([
                head(3, &post()).padded(255, 255),
                Frame::data(3, *b"h").padded(9, 9),
                Frame::data(3, *b"i").padded(0, 0),
                Frame::data(3, []).padded(255, 255).ending(),
            ])
            .origin_sees(
                b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                Step::answer(OK),
            )
            .gets(3, ok()),
    ]
}

fn unknown() -> Vec<Case> {
    vec![
        ignored("a frame of an unknown type on the connection", "RFC 9113 §5.5", [Frame::new(0xfa, 0xff, 0, [7; 100])]),
        ignored("a frame of an unknown type on an idle stream", "RFC 9113 §5.5", [Frame::new(0xfa, 0, 9, [7; 100])]),
        case("a frame of an unknown type within a request", "RFC 9113 §5.5")
            .sends([head(1, &post()), Frame::new(0x20, 0xff, 1, *b"noise"), Frame::data(1, *b"hi").ending()])
            .origin_sees(
                b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
                Step::answer(OK),
            )
            .gets(1, ok()),
        ignored("flags that nobody defined", "RFC 9113 §4.1", [Frame::ping([2; 8]).flagged(0xf0)])
            .must(Must::Pong([2; 8])),
        ignored("PRIORITY of an idle stream", "RFC 9113 §5.3.2, §6.3", [Frame::priority(5, 3)]),
        ignored("PRIORITY_UPDATE", "RFC 9218 §7.1, RFC 9113 §5.5", [Frame::new(0x10, 0, 0, *b"\0\0\0\x01u=1, i")]),
        ignored("a PING is answered with its payload", "RFC 9113 §6.7", [Frame::ping(*b"webroute")])
            .must(Must::Pong(*b"webroute")),
        ignored("the answer to a PING that was not sent", "RFC 9113 §6.7", [Frame::ping([3; 8]).flagged(flag::ACK)]),
        ignored("ALTSVC of a client", "RFC 7838 §4", [Frame::new(0x0a, 0, 0, [0, 0])]),
        case("PRIORITY of a stream that depends on itself", "RFC 9113 §5.3.2, RFC 7540 §5.3.1")
            .sends([Frame::priority(1, 1), whole(1, &get())])
            .origin_sees_anything_or_nothing()
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::StreamError(1, PROTOCOL)])),
        case("HEADERS of a stream that depends on itself", "RFC 9113 §5.3.2, RFC 7540 §5.3.1")
            .sends([whole(1, &get()).depending(1)])
            .origin_sees_anything_or_nothing()
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::StreamError(1, PROTOCOL)])),
        case("HEADERS with a priority", "RFC 9113 §5.3.2, §6.2")
            .sends([whole(1, &get()).depending(3)])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
    ]
}
