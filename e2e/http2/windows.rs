//! Flow control: who may open a window, how far, and what is sent into it.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Frame, setting};

use crate::case::{
    Case, FLOW_CONTROL, Must, OK, PROTOCOL, SEEN_GET, answer, case, connection_error, get, head, ok, post,
    stream_error, whole,
};

/// As large as a window can be.
const MOST: u32 = (1 << 31) - 1;

fn hundred() -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", &[b'x'; 100][..]].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        connection_error(
            "the connection's window opened by 0",
            "RFC 9113 §6.9",
            [Frame::window_update(0, 0)],
            PROTOCOL,
        ),
        stream_error(
            "a stream's window opened by 0",
            "RFC 9113 §6.9",
            [head(1, &post()), Frame::window_update(1, 0)],
            PROTOCOL,
        ),
        connection_error(
            "the connection's window opened too far",
            "RFC 9113 §6.9.1",
            [Frame::window_update(0, MOST)],
            FLOW_CONTROL,
        ),
        stream_error(
            "a stream's window opened too far",
            "RFC 9113 §6.9.1",
            [head(1, &post()), Frame::window_update(1, MOST)],
            FLOW_CONTROL,
        ),
        connection_error(
            "the connection's window opened too far in steps",
            "RFC 9113 §6.9.1",
            [Frame::window_update(0, MOST - 65_535), Frame::window_update(0, 1)],
            FLOW_CONTROL,
        ),
        connection_error("the window of an idle stream", "RFC 9113 §5.1", [Frame::window_update(7, 1)], PROTOCOL),
        case("windows opened as far as they go", "RFC 9113 §6.9.1")
            .sends([
                Frame::window_update(0, MOST - 65_535),
                head(1, &post()),
                Frame::window_update(1, MOST - 65_535),
                Frame::data(1, *b"hi").ending(),
            ])
            .origin_sees_anything(Step::answer(OK))
            .gets(1, ok()),
        case("the reserved bit of an increment", "RFC 9113 §6.9")
            .sends([Frame::window_update(0, (1 << 31) | 10), whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok()),
        case("a window opened after its stream has ended", "RFC 9113 §5.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .sends([Frame::window_update(1, 10), Frame::rst_stream(1, Code::CANCEL)]),
        case("content is sent as far as the window goes", "RFC 9113 §5.2.1, §6.9.1")
            .with_settings(&[(setting::INITIAL_WINDOW_SIZE, 60)])
            .with_windows_by_hand()
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(&hundred()))
            .must(Must::Content(1, vec![b'x'; 60]))
            .sends([Frame::window_update(1, 39)])
            .must(Must::Content(1, vec![b'x'; 99]))
            .sends([Frame::window_update(1, 1)])
            .gets(1, answer(200, &[("content-length", "100")], [b'x'; 100])),
        case("a window that shrinks below nothing", "RFC 9113 §6.9.2")
            .with_settings(&[(setting::INITIAL_WINDOW_SIZE, 60)])
            .with_windows_by_hand()
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(&hundred()))
            .must(Must::Content(1, vec![b'x'; 60]))
            // 60 were sent, so that 10 leaves a window of -50.
            .sends([Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]), Frame::window_update(1, 50)])
            .must(Must::Acknowledged(2))
            .must(Must::Content(1, vec![b'x'; 60]))
            .sends([Frame::window_update(1, 40)])
            .gets(1, answer(200, &[("content-length", "100")], [b'x'; 100])),
        case("one stream without a window does not hold another", "RFC 9113 §5.2.1")
            .with_settings(&[(setting::INITIAL_WINDOW_SIZE, 0)])
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .must(Must::Head(1, answer(200, &[("content-length", "2")], "")))
            .sends([whole(3, &get()), Frame::window_update(3, 100)])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(3, ok())
            .sends([Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_535)])])
            .gets(1, ok()),
    ]
}
