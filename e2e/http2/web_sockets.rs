//! WebSockets over HTTP/2 (RFC 8441): extended CONNECT here, an upgrade of HTTP/1.1 at the app, bytes both ways.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Answer, Code, Fields, Frame};

use crate::case::{Case, Must, OK, SEEN_GET, answer, answer_and_close, case, get, head, malformed, ok, whole};

const GRANTS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: chat\r\n\r\n";

fn connect() -> Fields {
    let fields = Fields::request("CONNECT", "demo.test", "/ws").with(":protocol", "websocket");
    fields.with("sec-websocket-version", "13").with("sec-websocket-protocol", "chat").with("origin", "http://demo.test")
}

/// What the app sees: the key is the router's own.
fn seen(tunnel: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: demo.test\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: chat\r\n\
         origin: http://demo.test\r\n{{ours}}Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: {{any}}\r\n\r\n{tunnel}"
    )
}

fn grants(then: Vec<Step>) -> Vec<Step> {
    let mut script = vec![Step::ReadHead, Step::AcceptWebSocket(GRANTS.to_vec())];
    script.extend(then);
    script
}

/// Neither key nor accept nor upgrade reach a client of HTTP/2 (RFC 8441 §5).
fn granted() -> Answer {
    answer(200, &[("sec-websocket-protocol", "chat")], "")
}

fn refused(name: &'static str, cites: &'static str, bytes: &[u8], expected: Answer) -> Case {
    case(name, cites).sends([head(1, &connect())]).origin_sees(seen(""), answer_and_close(bytes)).gets(1, expected)
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a WebSocket over HTTP/2, both ways", "RFC 8441 §4, §5")
            .sends([head(1, &connect())])
            .origin_sees(seen("pingpong"), grants(vec![Step::Echo]))
            .must(Must::Head(1, granted()))
            .sends([Frame::data(1, *b"ping")])
            .must(Must::Content(1, b"ping".to_vec()))
            .sends([Frame::data(1, *b"pong")])
            .must(Must::Content(1, b"pingpong".to_vec()))
            .sends([Frame::data(1, []).ending()])
            .must(Must::Ended(1)),
        case("content sent before the WebSocket was granted", "RFC 8441 §5")
            .sends([head(1, &connect()), Frame::data(1, *b"early")])
            .origin_sees(seen("early"), grants(vec![Step::Echo]))
            .must(Must::Head(1, granted()))
            .must(Must::Content(1, b"early".to_vec()))
            .sends([Frame::data(1, []).ending()])
            .must(Must::Ended(1)),
        case("an app that ends its WebSocket first", "RFC 8441 §5, RFC 9113 §8.5")
            .sends([head(1, &connect())])
            .origin_sees(
                seen("late"),
                grants(vec![Step::Write(b"bye".to_vec()), Step::HalfClose, Step::ReadToEnd, Step::Close]),
            )
            .must(Must::Ended(1))
            .sends([Frame::data(1, *b"late").ending()]),
        case("an app that resets its WebSocket", "RFC 8441 §5, RFC 9113 §8.5")
            .sends([head(1, &connect())])
            .origin_sees(seen(""), grants(vec![Step::Write(b"by".to_vec()), Step::Reset]))
            .must(Must::StreamError(1, &[Code::CONNECT_ERROR, Code::CANCEL, Code::INTERNAL_ERROR])),
        case("a client that resets its WebSocket", "RFC 8441 §5, RFC 9113 §8.5")
            .sends([head(1, &connect())])
            .origin_sees_anything(grants(vec![Step::ReadToEnd, Step::Close]))
            .must(Must::Head(1, granted()))
            .sends([Frame::rst_stream(1, Code::CANCEL)]),
        case("a WebSocket beside a request", "RFC 8441 §5")
            .sends([head(1, &connect())])
            .origin_sees(seen("x"), grants(vec![Step::Echo]))
            .must(Must::Head(1, granted()))
            .sends([whole(3, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(3, ok())
            .sends([Frame::data(1, *b"x").ending()])
            .must(Must::Ended(1)),
        refused(
            "a WebSocket that the app refuses",
            "RFC 8441 §5, RFC 9110 §15.5.4",
            b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno",
            answer(403, &[("content-length", "2")], "no"),
        ),
        refused(
            "a WebSocket that the app answers like a page",
            "RFC 8441 §5",
            b"HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n",
            answer(426, &[("content-length", "0")], ""),
        ),
        case("an app that grants another WebSocket than was asked for", "RFC 6455 §4.1, RFC 8441 §5")
            .sends([head(1, &connect())])
            .origin_sees(
                seen(""),
                answer_and_close(
                    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                      Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n",
                ),
            )
            .gets_page(1, 502),
        case("a :protocol that nobody knows", "RFC 8441 §4, RFC 9220 §3")
            .sends([head(1, &connect().but(":protocol", "connect-udp"))])
            .must(Must::Refused(1)),
        case("an empty :protocol", "RFC 8441 §4")
            .sends([head(1, &connect().but(":protocol", ""))])
            .must(Must::Refused(1)),
        malformed("extended CONNECT without :path", "RFC 8441 §4", &connect().without(":path")),
        malformed("extended CONNECT without :scheme", "RFC 8441 §4", &connect().without(":scheme")),
        malformed("extended CONNECT without :authority", "RFC 8441 §4", &connect().without(":authority")),
        malformed("two :protocol", "RFC 9113 §8.3", &connect().with(":protocol", "websocket")),
        case("upgrade beside :protocol", "RFC 9113 §8.2.2, RFC 8441 §4")
            .sends([head(1, &connect().with("upgrade", "websocket"))])
            .must(Must::Refused(1)),
        case("a WebSocket that ends before it was granted", "RFC 8441 §5")
            .sends([head(1, &connect()).ending()])
            .origin_sees_anything_or_nothing()
            .must(Must::Either(vec![
                Must::Ended(1),
                Must::StreamError(1, &[Code::PROTOCOL_ERROR, Code::CANCEL, Code::CONNECT_ERROR]),
            ])),
        case("CR LF in :protocol", "RFC 9113 §8.2.1, §10.3")
            .sends([head(1, &connect().but(":protocol", "websocket\r\nx: y"))])
            .must(Must::Refused(1)),
    ]
}
