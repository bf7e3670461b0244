//! The life of a stream: which numbers there are, what may come in which state.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Fields, Frame};

use crate::case::{
    Case, Must, OK, PROTOCOL, SEEN_GET, STREAM_CLOSED, case, connection_error, get, head, ok, post, stream_error, whole,
};

/// A whole request whose answer has come, then these frames.
fn after_the_answer(name: &'static str, cites: &'static str, frames: impl Into<Vec<Frame>>) -> Case {
    case(name, cites)
        .sends([whole(1, &get())])
        .origin_sees(SEEN_GET, Step::answer(OK))
        .gets(1, ok())
        .sends(frames)
        .must(Must::StreamError(1, STREAM_CLOSED))
}

/// A request that the app holds back, then these frames.
fn half_closed(name: &'static str, cites: &'static str, frames: impl Into<Vec<Frame>>) -> Case {
    let hold = vec![Step::ReadHead, Step::Hang];
    case(name, cites)
        .sends([whole(1, &get())])
        .origin_sees_anything(hold)
        .once_origin_has(1)
        .sends(frames)
        .must(Must::StreamError(1, STREAM_CLOSED))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        connection_error("DATA on an idle stream", "RFC 9113 §5.1, §6.1", [Frame::data(1, *b"x")], STREAM_CLOSED),
        connection_error(
            "RST_STREAM on an idle stream",
            "RFC 9113 §6.4",
            [Frame::rst_stream(1, Code::CANCEL)],
            PROTOCOL,
        ),
        connection_error("CONTINUATION on an idle stream", "RFC 9113 §6.10", [Frame::continuation(1, [])], PROTOCOL),
        connection_error("a request on an even stream", "RFC 9113 §5.1.1", [whole(2, &get())], PROTOCOL),
        connection_error(
            "RST_STREAM on an even stream",
            "RFC 9113 §5.1, §6.4",
            [Frame::rst_stream(2, Code::CANCEL)],
            PROTOCOL,
        ),
        case("a request on a stream below the last one", "RFC 9113 §5.1.1")
            .sends([whole(5, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(5, ok())
            .sends([whole(3, &get())])
            .must(Must::StreamError(3, STREAM_CLOSED)),
        after_the_answer("a second request on a stream", "RFC 9113 §5.1.1", [whole(1, &get())]),
        half_closed("DATA after the end of the request", "RFC 9113 §5.1", [Frame::data(1, *b"x")]),
        half_closed("a head after the end of the request", "RFC 9113 §5.1", [whole(1, &get())]),
        case("DATA after a reset of the client's own", "RFC 9113 §5.1, §5.4.2")
            .sends([head(1, &post()), Frame::rst_stream(1, Code::CANCEL), Frame::data(1, *b"x")])
            .origin_cut()
            .must(Must::StreamError(1, STREAM_CLOSED)),
        case("RST_STREAM twice", "RFC 9113 §5.1, §5.4.2")
            .sends([
                head(1, &post()),
                Frame::rst_stream(1, Code::CANCEL),
                Frame::rst_stream(1, Code::CANCEL),
                Frame::ping([1; 8]),
            ])
            .origin_cut()
            .must(Must::Either(vec![Must::Pong([1; 8]), Must::ConnectionError(STREAM_CLOSED)])),
        case("PRIORITY after the end of a stream", "RFC 9113 §5.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .sends([Frame::priority(1, 0)]),
        case("streams that leave numbers out", "RFC 9113 §5.1.1")
            .sends([whole(7, &get()), whole(99, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(7, ok())
            .gets(99, ok()),
        case("the highest number of a stream", "RFC 9113 §5.1.1")
            .sends([whole((1 << 31) - 1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets((1 << 31) - 1, ok())
            .has_no_next_request(),
        stream_error(
            "a second head that does not end the request",
            "RFC 9113 §8.1",
            [head(1, &post()), Frame::data(1, *b"x"), head(1, &Fields::default().with("x-sum", "1"))],
            PROTOCOL,
        ),
        stream_error(
            "DATA after the trailers",
            "RFC 9113 §8.1, §5.1",
            [head(1, &post()), whole(1, &Fields::default().with("x-sum", "1")), Frame::data(1, *b"x").ending()],
            STREAM_CLOSED,
        ),
    ]
}
