//! Bodies of requests, with an app that reads them, waits for them, or does not want them.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Code, Fields, Frame};

use crate::case::{Case, Must, OK, answer, case, get, head, ok, post, whole};

fn chunked(method: &str, body: &str) -> String {
    let chunk = if body.is_empty() { String::new() } else { format!("{:x}\r\n{body}\r\n", body.len()) };
    format!("{method} / HTTP/1.1\r\nHost: demo.test\r\n{{ours}}Transfer-Encoding: chunked\r\n\r\n{chunk}0\r\n\r\n")
}

/// A body in these pieces.
fn uploaded(name: &'static str, cites: &'static str, fields: &Fields, pieces: &[&str], seen: &str) -> Case {
    let mut frames = vec![head(1, fields)];
    frames.extend(pieces.iter().map(|piece| Frame::data(1, *piece)));
    frames.push(Frame::data(1, []).ending());
    case(name, cites).sends(frames).origin_sees(seen, Step::answer(OK)).gets(1, ok())
}

fn no() -> Vec<u8> {
    b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_vec()
}

/// The answer comes before the body has; the rest of the body is either taken or refused without an error (RFC 9113 §8.1).
fn refused_early(name: &'static str, cites: &'static str, fields: &Fields) -> Case {
    case(name, cites)
        .sends([head(1, fields), Frame::data(1, *b"the beginning")])
        .origin_sees_anything(vec![Step::ReadHead, Step::Write(no()), Step::Hang])
        .gets(1, answer(403, &[("content-length", "2")], "no"))
        .must(Must::EndsKindly(1))
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        uploaded(
            "POST in three pieces",
            "RFC 9113 §8.1",
            &post(),
            &["one", "two", "three"],
            &chunked("POST", "onetwothree"),
        ),
        uploaded("GET with a body", "RFC 9110 §9.3.1", &get(), &["hi"], &chunked("GET", "hi")),
        uploaded(
            "DELETE with a body",
            "RFC 9110 §9.3.5",
            &get().but(":method", "DELETE"),
            &["hi"],
            &chunked("DELETE", "hi"),
        ),
        uploaded("pieces without a byte", "RFC 9113 §6.1", &post(), &["", "hi", ""], &chunked("POST", "hi")),
        uploaded(
            "what looks like chunks is content",
            "RFC 9113 §8.1, §10.3",
            &post(),
            &["0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"],
            &chunked("POST", "0\r\n\r\nGET /admin HTTP/1.1\r\n\r\n"),
        ),
        case("POST without a body", "RFC 9110 §8.6")
            .sends([whole(1, &post())])
            .origin_sees_anything(Step::answer(OK))
            .gets(1, ok()),
        case("a body that is cancelled", "RFC 9113 §5.4.2, §8.1")
            .sends([head(1, &post()), Frame::data(1, *b"half"), Frame::rst_stream(1, Code::CANCEL)])
            .origin_cut(),
        case("a body whose connection is cancelled with it", "RFC 9113 §8.1")
            .sends([
                head(1, &post().with("content-length", "100")),
                Frame::data(1, *b"half"),
                Frame::rst_stream(1, Code::NO_ERROR),
            ])
            .origin_cut(),
        case("the app's 100 lets the client send the body", "RFC 9110 §10.1.1, RFC 9113 §8.1")
            .sends([head(1, &post().with("expect", "100-continue").with("content-length", "2"))])
            .origin_sees(
                b"POST / HTTP/1.1\r\nHost: demo.test\r\nexpect: 100-continue\r\n{ours}Content-Length: 2\r\n\r\nhi",
                vec![
                    Step::ReadHead,
                    Step::Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
                    Step::ReadBody,
                    Step::Write(OK.to_vec()),
                ],
            )
            .must(Must::Interim(1, answer(100, &[], "")))
            .sends([Frame::data(1, *b"hi").ending()])
            .gets(1, ok()),
        case("an app that refuses instead of saying 100", "RFC 9110 §10.1.1, RFC 9113 §8.1")
            .sends([head(1, &post().with("expect", "100-continue").with("content-length", "2"))])
            .origin_sees_anything(vec![Step::ReadHead, Step::Write(no()), Step::Hang])
            .gets(1, answer(403, &[("content-length", "2")], "no"))
            .must(Must::EndsKindly(1)),
        case("an expectation that is not 100-continue", "RFC 9110 §10.1.1")
            .sends([whole(1, &post().with("expect", "200-ok"))])
            .gets_page(1, 417),
        refused_early("an answer before a body in chunks", "RFC 9113 §8.1", &post()),
        refused_early(
            "an answer before a body with a length",
            "RFC 9113 §8.1, RFC 9110 §9.3",
            &post().with("content-length", "100000"),
        ),
        case("two bodies at the same time", "RFC 9113 §5")
            .sends([head(1, &post()), Frame::data(1, *b"first")])
            .origin_sees_anything(Step::answer(OK))
            .once_origin_has(1)
            .sends([head(3, &post()), Frame::data(3, *b"second").ending()])
            .origin_sees_anything(Step::answer(OK))
            .gets(3, ok())
            .sends([Frame::data(1, *b"!").ending()])
            .gets(1, ok()),
    ]
}
