//! HTTP/1.0 clients: one request a connection unless they ask for more, no chunks, no interim responses.

use webrouter_testkit::Step;

use crate::case::{Case, OK, OK_CLOSE, answer_and_close, case, refused};

const ASKS: &[u8] = b"GET / HTTP/1.0\r\nHost: demo.test\r\n\r\n";
const ASKS_MORE: &[u8] = b"GET / HTTP/1.0\r\nHost: demo.test\r\nConnection: keep-alive\r\n\r\n";
const SEEN: &[u8] = b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n";
const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n";
const UNFRAMED: &[u8] = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nok";

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("one request, then the end", "RFC 9112 §9.3")
            .sends(ASKS)
            .origin_sees(SEEN, Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        case("keep-alive is granted when asked for", "RFC 9112 §9.3, appendix C.2.2")
            .sends(ASKS_MORE)
            .origin_sees(SEEN, Step::answer(OK))
            .gets(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok")
            .stays_open(),
        case("chunks become a body that ends with the connection", "RFC 9112 §6.1")
            .sends(ASKS)
            .origin_sees(SEEN, Step::answer(CHUNKED))
            .gets(UNFRAMED)
            .closes(),
        case("chunks end a keep-alive connection", "RFC 9112 §9.3")
            .sends(ASKS_MORE)
            .origin_sees(SEEN, Step::answer(CHUNKED))
            .gets(UNFRAMED)
            .closes(),
        case("a body that ends with the connection stays one", "RFC 9112 §6.3")
            .sends(ASKS)
            .origin_sees(SEEN, answer_and_close(b"HTTP/1.1 200 OK\r\n\r\nok"))
            .gets(UNFRAMED)
            .closes(),
        case("interim responses are not for HTTP/1.0", "RFC 9110 §15.2")
            .sends(ASKS)
            .origin_sees(SEEN, Step::answer(&[b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\n", OK].concat()))
            .gets(OK_CLOSE)
            .closes(),
        case("an HTTP/1.0 POST", "RFC 9112 §6.3")
            .sends(b"POST / HTTP/1.0\r\nHost: demo.test\r\nContent-Length: 2\r\n\r\nhi")
            .origin_sees(b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 2\r\n\r\nhi", Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        case("an upgrade in HTTP/1.0 is ignored", "RFC 9110 §7.8")
            .sends(b"GET / HTTP/1.0\r\nHost: demo.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
            .origin_sees(SEEN, Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        case("an expectation in HTTP/1.0 is ignored", "RFC 9110 §10.1.1")
            .sends(b"POST / HTTP/1.0\r\nHost: demo.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi")
            .origin_sees(b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 2\r\n\r\nhi", Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        refused("HTTP/1.0 without Host", "SPEC §4", 400, b"GET / HTTP/1.0\r\n\r\n"),
        refused(
            "HTTP/1.0 with Transfer-Encoding",
            "RFC 9112 §6.1",
            400,
            b"POST / HTTP/1.0\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        refused(
            "HTTP/1.0 with Transfer-Encoding and a length",
            "RFC 9112 §6.1",
            400,
            b"POST / HTTP/1.0\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n",
        ),
    ]
}
