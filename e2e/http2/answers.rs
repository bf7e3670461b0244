//! Answers of an app that speaks HTTP/1.1, as its client of HTTP/2 gets them.

use webrouter_testkit::Step;
use webrouter_testkit::http2::Answer;

use crate::case::{Case, Must, OK, SEEN_GET, answer, answer_and_close, answered, case, get, ok, whole, with_trailers};

/// A field that the client must not see.
fn dropped(name: &'static str, cites: &'static str, lines: &str) -> Case {
    answered(name, cites, format!("HTTP/1.1 200 OK\r\n{lines}Content-Length: 2\r\n\r\nok"), ok())
}

fn head_request(name: &'static str, cites: &'static str, bytes: &[u8], expected: Answer) -> Case {
    case(name, cites)
        .sends([whole(1, &get().but(":method", "HEAD"))])
        .origin_sees(b"HEAD / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n", Step::answer(bytes))
        .gets(1, expected)
}

fn bad(name: &'static str, cites: &'static str, bytes: &[u8]) -> Case {
    case(name, cites).sends([whole(1, &get())]).origin_sees(SEEN_GET, answer_and_close(bytes)).gets_page(1, 502)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = whole_answers();
    cases.extend(dropped_fields());
    cases.extend(interim());
    cases
}

fn whole_answers() -> Vec<Case> {
    let chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n";
    vec![
        answered(
            "an answer in chunks",
            "RFC 9113 §8.2.2, §8.1",
            [&chunks[..], b"\r\n"].concat(),
            answer(200, &[], "okay!"),
        ),
        answered(
            "an answer with trailers",
            "RFC 9113 §8.1",
            [&chunks[..], b"X-Sum: 1\r\nX-More: 2\r\n\r\n"].concat(),
            with_trailers(answer(200, &[], "okay!"), &[("x-sum", "1"), ("x-more", "2")]),
        ),
        answered(
            "framing in the trailers of an answer is not passed on",
            "RFC 9110 §6.5.1, RFC 9113 §8.2.2",
            [&chunks[..], b"Content-Length: 9\r\nX-Sum: 1\r\n\r\n"].concat(),
            with_trailers(answer(200, &[], "okay!"), &[("x-sum", "1")]),
        ),
        case("an answer that ends with its connection", "RFC 9112 §6.3, RFC 9113 §8.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, answer_and_close(b"HTTP/1.1 200 OK\r\n\r\nokay"))
            .gets(1, answer(200, &[], "okay")),
        answered(
            "an answer without content",
            "RFC 9113 §8.1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
            answer(200, &[("content-length", "0")], ""),
        ),
        answered(
            "204",
            "RFC 9110 §15.3.5",
            b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
            answer(204, &[("x-a", "1")], ""),
        ),
        answered(
            "304 with a length",
            "RFC 9110 §15.4.5, RFC 9113 §8.1.1",
            b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n",
            answer(304, &[("etag", "\"a\""), ("content-length", "5")], ""),
        ),
        head_request(
            "HEAD with the length that GET would have",
            "RFC 9110 §9.3.2, RFC 9113 §8.1.1",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
            answer(200, &[("content-length", "5000")], ""),
        ),
        head_request(
            "HEAD without a length at all",
            "RFC 9110 §9.3.2",
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n",
            answer(200, &[("x-a", "1")], ""),
        ),
        head_request(
            "HEAD with the chunks that GET would have",
            "RFC 9110 §9.3.2, RFC 9113 §8.2.2",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            answer(200, &[], ""),
        ),
        answered(
            "a status that nobody knows",
            "RFC 9110 §15",
            b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok",
            answer(299, &[("content-length", "2")], "ok"),
        ),
        answered(
            "names of an answer in lower case",
            "RFC 9113 §8.2",
            b"HTTP/1.1 200 OK\r\nX-Mixed-CASE: Value\r\nContent-Length: 2\r\n\r\nok",
            answer(200, &[("x-mixed-case", "Value"), ("content-length", "2")], "ok"),
        ),
        answered(
            "two Set-Cookie stay two",
            "RFC 9110 §5.3, RFC 6265 §3",
            b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-A: 1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok",
            answer(200, &[("set-cookie", "a=1"), ("x-a", "1"), ("set-cookie", "b=2"), ("content-length", "2")], "ok"),
        ),
        answered(
            "white space around a value of an answer",
            "RFC 9113 §8.2.1",
            b"HTTP/1.1 200 OK\r\nX-A: \t 1 2 \t \r\nContent-Length: 2\r\n\r\nok",
            answer(200, &[("x-a", "1 2"), ("content-length", "2")], "ok"),
        ),
        answered(
            "bytes above ASCII in a value of an answer",
            "RFC 9110 §5.5",
            b"HTTP/1.1 200 OK\r\nX-A: \xe4\xb8\xad\r\nContent-Length: 2\r\n\r\nok",
            answer(200, &[("x-a", "\u{e4}\u{b8}\u{ad}"), ("content-length", "2")], "ok"),
        ),
        answered(
            "bytes after an answer are for no stream",
            "RFC 9112 §9.3",
            [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"].concat(),
            ok(),
        ),
    ]
}

fn dropped_fields() -> Vec<Case> {
    vec![
        dropped(
            "connection and what it names, of an answer",
            "RFC 9113 §8.2.2, RFC 9110 §7.6.1",
            "Connection: X-Mine\r\nX-Mine: 1\r\n",
        ),
        dropped("keep-alive of an answer", "RFC 9113 §8.2.2", "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n"),
        dropped("proxy-connection of an answer", "RFC 9113 §8.2.2", "Proxy-Connection: keep-alive\r\n"),
        dropped("upgrade of an answer", "RFC 9113 §8.2.2", "Connection: upgrade\r\nUpgrade: h2c\r\n"),
        case("an app that closes does not close the client's connection", "RFC 9113 §9.1, RFC 9112 §9.6")
            .sends([whole(1, &get())])
            .origin_sees(
                SEEN_GET,
                answer_and_close(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"),
            )
            .gets(1, ok()),
        bad("an answer that is not HTTP", "RFC 9112 §4, SPEC §12", b"hello\r\n\r\n"),
        bad(
            "a bare CR in a value of an answer",
            "RFC 9112 §2.2, RFC 9113 §8.2.1",
            b"HTTP/1.1 200 OK\r\nX-A: 1\r2\r\nContent-Length: 2\r\n\r\nok",
        ),
        bad(
            "NUL in a value of an answer",
            "RFC 9110 §5.5, RFC 9113 §8.2.1",
            b"HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 2\r\n\r\nok",
        ),
        bad("an app that closes without an answer", "RFC 9110 §15.6.3", b""),
        bad(
            "a switch of protocols that nobody asked for",
            "RFC 9113 §8.6",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
    ]
}

fn interim() -> Vec<Case> {
    const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
    vec![
        case("103 is passed on", "RFC 8297 §2, RFC 9113 §8.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(&[HINTS, OK].concat()))
            .must(Must::Interim(1, answer(103, &[("link", "</a.css>")], "")))
            .gets(1, ok()),
        case("103 twice", "RFC 9110 §15.2, RFC 9113 §8.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(&[HINTS, HINTS, OK].concat()))
            .must(Must::Interim(1, answer(103, &[("link", "</a.css>")], "")))
            .gets(1, ok()),
        case("103, then the app goes", "RFC 9110 §15.6.3")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, answer_and_close(HINTS))
            .must(Must::Interim(1, answer(103, &[("link", "</a.css>")], "")))
            .gets_page(1, 502),
    ]
}
