//! Answers of origins, good and bad: what passes, what becomes a 502, what is cut and never completed.

use webrouter_testkit::Step;

use crate::case::{Case, GET, OK, SEEN_GET, answer_and_close, answered, bad_answer, case};

/// The same bytes arrive.
fn same(name: &'static str, cites: &'static str, answer: impl AsRef<[u8]>) -> Case {
    answered(name, cites, answer.as_ref(), answer.as_ref())
}

/// The origin answers and closes.
fn closing(name: &'static str, cites: &'static str, answer: impl AsRef<[u8]>, expected: impl AsRef<[u8]>) -> Case {
    case(name, cites).sends(GET).origin_sees(SEEN_GET, answer_and_close(answer)).gets(expected).stays_open()
}

/// The origin answers a beginning and closes; the client sees the beginning end, not complete.
fn cut(name: &'static str, cites: &'static str, answer: impl AsRef<[u8]>) -> Case {
    case(name, cites).sends(GET).origin_sees(SEEN_GET, answer_and_close(&answer)).gets_cut(answer).closes()
}

fn head(name: &'static str, cites: &'static str, answer: &[u8], expected: &[u8]) -> Case {
    case(name, cites)
        .sends(b"HEAD / HTTP/1.1\r\nHost: demo.test\r\n\r\n")
        .origin_sees(b"HEAD / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n", Step::answer(answer))
        .gets_head(expected)
        .stays_open()
}

fn silent(name: &'static str, cites: &'static str, script: Vec<Step>) -> Case {
    case(name, cites).sends(GET).origin_sees(SEEN_GET, script).gets_page(502).stays_open()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = good();
    cases.extend(interim());
    cases.extend(bad());
    cases.extend(broken_bodies());
    cases
}

fn good() -> Vec<Case> {
    vec![
        same("a length", "RFC 9112 §6.2", OK),
        same("an answer of length zero", "RFC 9112 §6.2", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        same(
            "chunks",
            "RFC 9112 §7.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3\r\nay!\r\n0\r\n\r\n",
        ),
        answered(
            "chunk extensions in an answer",
            "RFC 9112 §7.1.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=\"b\"\r\nok\r\n0;c\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        ),
        same(
            "trailers of an answer",
            "RFC 9110 §6.5",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        answered(
            "framing in the trailers of an answer",
            "RFC 9110 §6.5.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nContent-Length: 9\r\nX-Sum: 1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n",
        ),
        closing(
            "a body that ends with its connection",
            "RFC 9112 §6.3",
            b"HTTP/1.1 200 OK\r\n\r\nokay",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nokay\r\n0\r\n\r\n",
        ),
        closing(
            "an HTTP/1.0 origin",
            "RFC 9110 §2.5",
            b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
            OK,
        ),
        head(
            "HEAD with a length",
            "RFC 9110 §9.3.2",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n",
        ),
        head("HEAD without a length", "RFC 9110 §9.3.2", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n"),
        same("204 has no body", "RFC 9110 §15.3.5", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n"),
        answered(
            "a length in a 204 is dropped",
            "RFC 9110 §8.6",
            b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ),
        same("304 has a length and no body", "RFC 9110 §15.4.5", b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 5\r\n\r\n"),
        same("a status nobody knows", "RFC 9110 §15", b"HTTP/1.1 299 Odd\r\nContent-Length: 2\r\n\r\nok"),
        same("an error of the app", "RFC 9110 §15.6", b"HTTP/1.1 500 Oops\r\nContent-Length: 4\r\n\r\noops"),
        same("order, repetition and case of an answer's fields", "RFC 9110 §5.3", b"HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nx-lower: 1\r\nSet-Cookie: b=2\r\nContent-Length: 2\r\n\r\nok"),
        same("bytes above ASCII in an answer", "RFC 9110 §5.5", b"HTTP/1.1 200 OK\r\nX-A: \xe4\xb8\xad\r\nContent-Length: 2\r\n\r\nok"),
        same("the origin's own date", "RFC 9110 §6.6.1", b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\nok"),
        case("an answer in several segments", "RFC 9112 §2.2")
            .sends(GET)
            .origin_sees(SEEN_GET, vec![
                Step::ReadHead,
                Step::Write(b"HTTP/1".to_vec()),
                Step::Write(b".1 200 OK\r".to_vec()),
                Step::Write(b"\nContent-Length: 2\r\n\r".to_vec()),
                Step::Write(b"\no".to_vec()),
                Step::Write(b"k".to_vec()),
            ])
            .gets(OK)
            .stays_open(),
        answered("bytes after an answer are nobody's", "RFC 9112 §9.3, §11.1", [OK, b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"].concat(), OK),
        answered("garbage after an answer is nobody's", "RFC 9112 §9.3", [OK, b"garbage"].concat(), OK),
    ]
}

fn interim() -> Vec<Case> {
    vec![
        answered("103 Early Hints", "RFC 8297 §2", [HINTS, OK].concat(), HINTS).gets(OK),
        answered("two interim responses", "RFC 9110 §15.2", [HINTS, HINTS, OK].concat(), HINTS).gets(HINTS).gets(OK),
        answered("a 100 nobody asked for", "RFC 9110 §15.2", [CONTINUE, OK].concat(), CONTINUE).gets(OK),
        bad_answer(
            "101 without an upgrade",
            "RFC 9110 §15.2.2",
            b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
        ),
        closing_after_interim(),
    ]
}

fn closing_after_interim() -> Case {
    case("an origin that goes after an interim response", "RFC 9110 §15.6.3")
        .sends(GET)
        .origin_sees(SEEN_GET, answer_and_close(HINTS))
        .gets(HINTS)
        .gets_page(502)
        .stays_open()
}

fn bad() -> Vec<Case> {
    vec![
        bad_answer("a status line that is none", "RFC 9112 §4", b"hello\r\n\r\n"),
        bad_answer("a status of four digits", "RFC 9112 §4", b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        bad_answer("a status of two digits", "RFC 9112 §4", b"HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n"),
        bad_answer("a status that is no number", "RFC 9112 §4", b"HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n"),
        bad_answer("a misspelt version", "RFC 9112 §2.3", b"HTPP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        bad_answer("an answer of HTTP/2.0 as text", "RFC 9112 §2.3", b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
        bad_answer(
            "a length and chunks in an answer",
            "RFC 9112 §6.3",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        bad_answer(
            "different lengths in an answer",
            "RFC 9112 §6.3",
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        ),
        bad_answer(
            "a length that is no number in an answer",
            "RFC 9112 §6.3",
            b"HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\nok",
        ),
        bad_answer(
            "a negative length in an answer",
            "RFC 9112 §6.3",
            b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        ),
        bad_answer("bare LF in an answer's head", "RFC 9112 §2.2", b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok"),
        bad_answer(
            "NUL in an answer's field",
            "RFC 9110 §5.5",
            b"HTTP/1.1 200 OK\r\nX-A: 1\x002\r\nContent-Length: 2\r\n\r\nok",
        ),
        bad_answer(
            "a bare CR in an answer's field",
            "RFC 9112 §2.2",
            b"HTTP/1.1 200 OK\r\nX-A: 1\r2\r\nContent-Length: 2\r\n\r\nok",
        ),
        bad_answer(
            "a folded line in an answer",
            "SPEC §4, RFC 9112 §5.2",
            b"HTTP/1.1 200 OK\r\nX-A: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok",
        ),
        bad_answer(
            "an empty name in an answer",
            "RFC 9110 §5.1",
            b"HTTP/1.1 200 OK\r\n: 1\r\nContent-Length: 2\r\n\r\nok",
        ),
        silent("an origin that closes without a byte", "RFC 9110 §15.6.3", vec![Step::ReadHead, Step::Close]),
        silent("an origin that resets", "RFC 9110 §15.6.3", vec![Step::ReadHead, Step::Reset]),
        silent(
            "an origin that closes within its head",
            "RFC 9112 §8",
            answer_and_close(b"HTTP/1.1 200 OK\r\nContent-Le"),
        ),
    ]
}

fn broken_bodies() -> Vec<Case> {
    vec![
        cut("an answer shorter than its length", "RFC 9112 §8", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc"),
        cut(
            "chunks without the last one",
            "RFC 9112 §8",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ),
        cut("a chunk cut short", "RFC 9112 §8", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc"),
        cut(
            "trailers cut short",
            "RFC 9112 §8",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Su",
        ),
        cut(
            "a bad chunk size in an answer",
            "RFC 9112 §7.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n0\r\n\r\n",
        ),
        cut(
            "a bare LF after a chunk size of an answer",
            "RFC 9112 §7.1",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\nok\r\n0\r\n\r\n",
        ),
        case("an answer reset in its body", "RFC 9112 §8")
            .sends(GET)
            .origin_sees(
                SEEN_GET,
                vec![
                    Step::ReadHead,
                    Step::Write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc".to_vec()),
                    Step::Reset,
                ],
            )
            .gets_cut(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
            .closes(),
        case("an answer before the request body was sent", "RFC 9110 §15.5.14")
            .sends(b"POST / HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 100000\r\n\r\nabc")
            .origin_sees_anything(vec![
                Step::ReadHead,
                Step::Write(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno".to_vec()),
                Step::Hang,
            ])
            .gets(b"HTTP/1.1 403 No\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
            .closes(),
    ]
}

const HINTS: &[u8] = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n";
const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
