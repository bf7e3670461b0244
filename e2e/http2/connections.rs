//! A connection as a whole: several requests on it, and a client that says goodbye.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Fields, Frame, kind};

use crate::case::{Case, OK, SEEN_GET, answer, case, get, ok, whole};

fn at(path: &str) -> Fields {
    get().but(":path", path)
}

fn slow(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

pub(crate) fn cases() -> Vec<Case> {
    let many: Vec<Frame> = (0..50).map(|number| whole(2 * number + 1, &get())).collect();
    let mut fifty = case("fifty requests at once", "RFC 9113 §5.1.2").sends(many);
    for _ in 0..50 {
        fifty = fifty.origin_sees(SEEN_GET, Step::answer(OK));
    }
    for number in 0..50 {
        fifty = fifty.gets(2 * number + 1, ok());
    }
    vec![
        fifty,
        case("a slow answer does not hold back another", "RFC 9113 §5")
            .sends([whole(1, &at("/held"))])
            .origin_sees_anything(vec![Step::ReadHead, Step::Hang])
            .once_origin_has(1)
            .sends([whole(3, &get())])
            .origin_sees_anything(Step::answer(OK))
            .gets(3, ok())
            .sends([Frame::rst_stream(1, Code::CANCEL)]),
        case("a client that says GOAWAY gets its answers", "RFC 9113 §6.8")
            .sends([whole(1, &get()), Frame::goaway(0, Code::NO_ERROR)])
            .origin_sees(SEEN_GET, Step::answer(&slow("later")))
            .gets(1, answer(200, &[("content-length", "5")], "later"))
            .has_no_next_request(),
        case("GOAWAY with words", "RFC 9113 §6.8")
            .sends([whole(1, &get()), Frame::new(kind::GOAWAY, 0, 0, *b"\0\0\0\0\0\0\0\0bye\r\nbye\0\xff")])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .has_no_next_request(),
        case("a cancelled request is cancelled at the app", "RFC 9113 §5.4.2, SPEC §4")
            .sends([whole(1, &get())])
            .origin_sees_anything(vec![Step::ReadHead, Step::Hang])
            .once_origin_has(1)
            .sends([Frame::rst_stream(1, Code::CANCEL)]),
    ]
}
