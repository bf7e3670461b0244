//! Fields that are for this connection only, in both directions, and what `Connection` cannot take away.

use crate::case::{Case, GET, OK, OK_CLOSE, SEEN_GET, answered, case, forwarded};
use webrouter_testkit::Step;

fn dropped(name: &'static str, cites: &'static str, fields: &str) -> Case {
    forwarded(
        name,
        cites,
        format!("GET / HTTP/1.1\r\nHost: demo.test\r\n{fields}X-Kept: 1\r\n\r\n"),
        b"GET / HTTP/1.1\r\nHost: demo.test\r\nX-Kept: 1\r\n{ours}\r\n",
    )
}

fn response_dropped(name: &'static str, cites: &'static str, fields: &str) -> Case {
    answered(
        name,
        cites,
        format!("HTTP/1.1 200 OK\r\n{fields}X-Kept: 1\r\nContent-Length: 2\r\n\r\nok"),
        b"HTTP/1.1 200 OK\r\nX-Kept: 1\r\nContent-Length: 2\r\n\r\nok",
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        dropped("what Connection names", "RFC 9110 §7.6.1", "Connection: X-Mine\r\nX-Mine: 1\r\n"),
        dropped(
            "what two Connection fields name, empty elements aside",
            "RFC 9110 §7.6.1, §5.6.1",
            "Connection: x-a, ,X-B\r\nConnection: x-c\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1\r\n",
        ),
        dropped("keep-alive", "RFC 9110 §7.6.1", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
        dropped("Proxy-Connection", "RFC 9110 §7.6.1", "Proxy-Connection: keep-alive\r\n"),
        dropped("TE", "RFC 9110 §10.1.4", "Connection: TE\r\nTE: trailers\r\n"),
        dropped("TE that Connection does not name", "RFC 9110 §10.1.4", "TE: trailers\r\n"),
        dropped("Upgrade that Connection does not name", "RFC 9110 §7.8", "Upgrade: websocket\r\n"),
        dropped("Connection cannot remove Host", "RFC 9110 §7.6.1", "Connection: Host\r\n"),
        dropped(
            "Connection cannot remove what the router says",
            "RFC 9110 §7.6.1, CVE-2022-31813",
            "Connection: close-not, X-Forwarded-For, X-Real-IP, X-Forwarded-Host, X-Forwarded-Proto\r\n",
        ),
        forwarded(
            "Connection cannot remove Content-Length",
            "RFC 9110 §7.6.1",
            b"POST / HTTP/1.1\r\nHost: demo.test\r\nConnection: Content-Length\r\nContent-Length: 2\r\n\r\nhi",
            b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 2\r\n\r\nhi",
        ),
        forwarded(
            "Connection cannot remove Transfer-Encoding",
            "RFC 9110 §7.6.1",
            b"POST / HTTP/1.1\r\nHost: demo.test\r\nConnection: Transfer-Encoding\r\n\
              Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        case("a client that wants to close", "RFC 9112 §9.6")
            .sends(b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n")
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        case("a client that wants to close, among other options", "RFC 9112 §9.6")
            .sends(b"GET / HTTP/1.1\r\nHost: demo.test\r\nX-A: 1\r\nConnection: x-a, Close\r\n\r\n")
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        response_dropped(
            "what a response's Connection names",
            "RFC 9110 §7.6.1",
            "Connection: X-Mine\r\nX-Mine: 1\r\n",
        ),
        response_dropped(
            "a response's keep-alive",
            "RFC 9110 §7.6.1",
            "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n",
        ),
        response_dropped("a response's Proxy-Connection", "RFC 9110 §7.6.1", "Proxy-Connection: keep-alive\r\n"),
        response_dropped("a response's Upgrade", "RFC 9110 §7.8", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
        case("an origin that closes does not close the client", "RFC 9112 §9.6")
            .sends(GET)
            .origin_sees(SEEN_GET, crate::case::answer_and_close(OK_CLOSE))
            .gets(OK)
            .stays_open(),
    ]
}
