//! SETTINGS: which values there are, what is acknowledged, what is obeyed.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Frame, flag, setting};

use crate::case::{
    Case, FLOW_CONTROL, FRAME_SIZE, Must, OK, PROTOCOL, SEEN_GET, answer, answered, case, connection_error, get, head,
    ignored, ok, post, whole,
};

/// A value that no setting of this name may have.
fn bad(name: &'static str, cites: &'static str, setting: u16, value: u32) -> Case {
    connection_error(name, cites, [Frame::settings(&[(setting, value)])], PROTOCOL)
}

fn large_answer() -> Vec<u8> {
    [b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n", &[b'x'; 20_000][..]].concat()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        connection_error(
            "an acknowledgement with a payload",
            "RFC 9113 §6.5",
            [Frame::settings(&[(setting::MAX_CONCURRENT_STREAMS, 1)]).flagged(flag::ACK)],
            FRAME_SIZE,
        ),
        bad("ENABLE_PUSH of 2", "RFC 9113 §6.5.2", setting::ENABLE_PUSH, 2),
        connection_error(
            "INITIAL_WINDOW_SIZE of 2^31",
            "RFC 9113 §6.5.2",
            [Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)])],
            FLOW_CONTROL,
        ),
        bad("MAX_FRAME_SIZE of 16,383", "RFC 9113 §6.5.2", setting::MAX_FRAME_SIZE, 16_383),
        bad("MAX_FRAME_SIZE of 2^24", "RFC 9113 §6.5.2", setting::MAX_FRAME_SIZE, 1 << 24),
        connection_error(
            "INITIAL_WINDOW_SIZE that makes a window too large",
            "RFC 9113 §6.9.2",
            [
                head(1, &post()),
                Frame::window_update(1, (1 << 31) - 1 - 65_535),
                Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 65_536)]),
            ],
            FLOW_CONTROL,
        )
        .origin_cut(),
        ignored(
            "a setting that nobody knows",
            "RFC 9113 §6.5.2",
            [Frame::settings(&[(0xfefe, 7), (0x0a0a, u32::MAX)])],
        )
        .must(Must::Acknowledged(2)),
        ignored("ENABLE_PUSH of 1", "RFC 9113 §6.5.2", [Frame::settings(&[(setting::ENABLE_PUSH, 1)])]),
        ignored("settings without any", "RFC 9113 §6.5", [Frame::settings(&[])]).must(Must::Acknowledged(2)),
        ignored(
            "the last value of a setting said twice",
            "RFC 9113 §6.5.3",
            [Frame::settings(&[(setting::MAX_FRAME_SIZE, 20_000), (setting::MAX_FRAME_SIZE, 16_384)])],
        ),
        case("an acknowledgement too many", "RFC 9113 §6.5.3")
            .sends([Frame::settings_ack(), Frame::settings_ack(), whole(1, &get())])
            .origin_sees_anything_or_nothing()
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::ConnectionError(PROTOCOL)])),
        answered("an answer larger than a frame", "RFC 9113 §4.2", large_answer(), large_expected()),
        case("a window of nothing holds the content back, not the head", "RFC 9113 §6.9.2, §5.2")
            .with_settings(&[(setting::INITIAL_WINDOW_SIZE, 0)])
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .must(Must::Head(1, answer(200, &[("content-length", "2")], "")))
            .sends([Frame::window_update(1, 1)])
            .must(Must::Content(1, b"o".to_vec()))
            .sends([Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 10)])])
            .gets(1, ok()),
        case("a table of no size at the client", "RFC 7541 §4.2, RFC 9113 §6.5.2")
            .with_settings(&[(setting::HEADER_TABLE_SIZE, 0)])
            .sends([whole(1, &get()), whole(3, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .gets(3, ok()),
        case("a table that shrinks and grows again", "RFC 7541 §4.2")
            .sends([
                Frame::settings(&[(setting::HEADER_TABLE_SIZE, 0)]),
                whole(1, &get()),
                Frame::settings(&[(setting::HEADER_TABLE_SIZE, 4096)]),
                whole(3, &get()),
            ])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .gets(3, ok()),
        case("extended CONNECT is offered", "RFC 8441 §3").must(Must::Setting(setting::ENABLE_CONNECT_PROTOCOL, 1)),
    ]
}

fn large_expected() -> webrouter_testkit::http2::Answer {
    answer(200, &[("content-length", "20000")], [b'x'; 20_000])
}
