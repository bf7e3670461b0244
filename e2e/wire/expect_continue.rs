//! `Expect: 100-continue` is between the client and the app; anything else expected is refused.

use webrouter_testkit::Step;

use crate::case::{Case, OK, case, refused};

const ASKS: &[u8] = b"POST / HTTP/1.1\r\nHost: demo.test\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n";
const SEEN: &[u8] = b"POST / HTTP/1.1\r\nHost: demo.test\r\nExpect: 100-continue\r\n{ours}Content-Length: 2\r\n\r\nhi";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn continues() -> Vec<Step> {
    vec![Step::ReadHead, Step::Write(CONTINUE.to_vec()), Step::ReadBody, Step::Write(OK.to_vec())]
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("the app's 100 lets the client send", "RFC 9110 §10.1.1")
            .sends(ASKS)
            .gets(CONTINUE)
            .sends(b"hi")
            .origin_sees(SEEN, continues())
            .gets(OK)
            .stays_open(),
        case("a client that does not wait", "RFC 9110 §10.1.1")
            .sends([ASKS, b"hi"].concat())
            .origin_sees(SEEN, continues())
            .gets(CONTINUE)
            .gets(OK)
            .stays_open(),
        case("an app that does not say 100", "RFC 9110 §10.1.1")
            .sends([ASKS, b"hi"].concat())
            .origin_sees(SEEN, Step::answer(OK))
            .gets(OK)
            .stays_open(),
        case("an app that refuses at once", "RFC 9110 §10.1.1")
            .sends(ASKS)
            .origin_sees_anything(vec![
                Step::ReadHead,
                Step::Write(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno".to_vec()),
                Step::Hang,
            ])
            .gets(b"HTTP/1.1 401 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            .closes(),
        case("a chunked body that waits", "RFC 9110 §10.1.1")
            .sends(b"POST / HTTP/1.1\r\nHost: demo.test\r\nexpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n")
            .gets(CONTINUE)
            .sends(b"2\r\nhi\r\n0\r\n\r\n")
            .origin_sees_anything(continues())
            .gets(OK)
            .stays_open(),
        refused(
            "another expectation",
            "RFC 9110 §10.1.1",
            417,
            b"POST / HTTP/1.1\r\nHost: demo.test\r\nExpect: 200-ok\r\nContent-Length: 2\r\n\r\n",
        ),
        refused(
            "another expectation beside 100-continue",
            "RFC 9110 §10.1.1",
            417,
            b"POST / HTTP/1.1\r\nHost: demo.test\r\nExpect: 100-continue, more\r\nContent-Length: 2\r\n\r\n",
        ),
    ]
}
