//! Pseudo fields: which there are, once each, before all others (RFC 9113 §8.3), and what stands in them.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Fields, Frame};

use crate::case::{Case, Must, OK, PROTOCOL, SEEN_GET, case, forwarded, get, head, malformed, ok, post, whole};

fn path(name: &'static str, cites: &'static str, path: &[u8]) -> Case {
    malformed(name, cites, &get().but(":path", path))
}

fn method(name: &'static str, cites: &'static str, method: &[u8]) -> Case {
    malformed(name, cites, &get().but(":method", method))
}

fn scheme(name: &'static str, cites: &'static str, scheme: &[u8]) -> Case {
    malformed(name, cites, &get().but(":scheme", scheme))
}

fn untouched(name: &'static str, cites: &'static str, target: &str) -> Case {
    let seen = format!("GET {target} HTTP/1.1\r\nHost: demo.test\r\n{{ours}}\r\n");
    forwarded(name, cites, &get().but(":path", target), seen)
}

/// Pseudo fields after the content: an error, or at least nothing that the app gets to see.
fn trailing(name: &'static str, trailers: &Fields) -> Case {
    case(name, "RFC 9113 §8.1, §8.3")
        .sends([head(1, &post()), Frame::data(1, *b"x"), whole(1, trailers)])
        .origin_sees_unless_given_up(
            b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-sum: 1\r\n\r\n",
        )
        .must(Must::Either(vec![Must::StreamError(1, PROTOCOL), Must::Answer(1, ok())]))
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = which();
    cases.extend(targets());
    cases.extend(methods_and_schemes());
    cases
}

fn which() -> Vec<Case> {
    vec![
        malformed("no :method", "RFC 9113 §8.3.1", &get().without(":method")),
        malformed("no :scheme", "RFC 9113 §8.3.1", &get().without(":scheme")),
        malformed("no :path", "RFC 9113 §8.3.1", &get().without(":path")),
        malformed("no field at all", "RFC 9113 §8.3.1", &Fields::default()),
        malformed("two :method", "RFC 9113 §8.3.1", &get().with(":method", "POST")),
        malformed("two :scheme", "RFC 9113 §8.3.1", &get().with(":scheme", "http")),
        malformed("two :path", "RFC 9113 §8.3.1", &get().with(":path", "/admin")),
        malformed("two :authority", "RFC 9113 §8.3.1", &get().with(":authority", "demo.test")),
        malformed(
            "a pseudo field after another field",
            "RFC 9113 §8.3",
            &get().without(":path").with("x-a", "1").with(":path", "/"),
        ),
        malformed("a pseudo field behind all others", "RFC 9113 §8.3", &get().after("x-a", "1")),
        malformed("a pseudo field that nobody knows", "RFC 9113 §8.3", &get().with(":user", "root")),
        malformed("the pseudo field of answers", "RFC 9113 §8.3", &get().with(":status", "200")),
        malformed("a pseudo field in upper case", "RFC 9113 §8.2, §8.3", &get().without(":path").with(":Path", "/")),
        malformed(":protocol without CONNECT", "RFC 8441 §4", &get().with(":protocol", "websocket")),
        trailing("a pseudo field in the trailers", &Fields::default().with(":path", "/admin").with("x-sum", "1")),
        trailing("a second request in the trailers", &get().with("x-sum", "1")),
        malformed(
            "CONNECT",
            "RFC 9113 §8.5, SPEC §4",
            &Fields::default().with(":method", "CONNECT").with(":authority", "demo.test:80"),
        ),
        malformed("CONNECT with :scheme and :path", "RFC 9113 §8.5", &get().but(":method", "CONNECT")),
        malformed("CONNECT without :authority", "RFC 9113 §8.5", &Fields::default().with(":method", "CONNECT")),
        forwarded(
            "pseudo fields in another order",
            "RFC 9113 §8.3",
            &Fields::default()
                .with(":path", "/")
                .with(":authority", "demo.test")
                .with(":scheme", "http")
                .with(":method", "GET"),
            SEEN_GET,
        ),
    ]
}

fn targets() -> Vec<Case> {
    vec![
        path("an empty :path", "RFC 9113 §8.3.1", b""),
        path("a :path without its slash", "RFC 9113 §8.3.1", b"admin"),
        path("a :path in absolute form", "RFC 9113 §8.3.1", b"http://demo.test/"),
        path(
            "a :path in absolute form for another host",
            "RFC 9113 §8.3.1, CVE-2021-33193",
            b"http://other.test/admin",
        ),
        path("an asterisk for GET", "RFC 9113 §8.3.1", b"*"),
        path(
            "CR LF in :path",
            "RFC 9113 §8.2.1, §10.3, CVE-2021-36740",
            b"/ HTTP/1.1\r\nHost: demo.test\r\n\r\nGET /admin",
        ),
        path("LF in :path", "RFC 9113 §8.2.1, §10.3", b"/a\nb"),
        path("a space in :path", "RFC 9113 §10.3, CVE-2021-33193", b"/a HTTP/1.1"),
        path("NUL in :path", "RFC 9113 §8.2.1", b"/a\0b"),
        path("a tab in :path", "RFC 9113 §10.3", b"/a\tb"),
        // It is gone before anything is routed by it (decision 13): route and app see the same.
        case("a fragment in :path", "RFC 9113 §8.3.1, CVE-2023-45539")
            .sends([whole(1, &get().but(":path", b"/a#b"))])
            .origin_sees_unless_given_up(b"GET /a HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n")
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::Refused(1)])),
        case("bytes above ASCII in :path", "RFC 3986 §2, RFC 9113 §8.3.1")
            .sends([whole(1, &get().but(":path", b"/\xe4\xb8\xad"))])
            .origin_sees_unless_given_up(b"GET /\xe4\xb8\xad HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n")
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::Refused(1)])),
        path("a climb above the root in :path", "SPEC §3, CVE-2021-41773", b"/../etc/passwd"),
        path("an escaped NUL in :path", "SPEC §4, CVE-2013-4547", b"/a%00b"),
        untouched("a target byte for byte", "SPEC §3", "/a/./b/../c//d%2fe%7E?x=%zz&y=../.."),
        untouched("an empty query in :path", "SPEC §3", "/a?"),
        forwarded(
            "an asterisk for OPTIONS",
            "RFC 9113 §8.3.1",
            &get().but(":method", "OPTIONS").but(":path", "*"),
            b"OPTIONS * HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
    ]
}

fn methods_and_schemes() -> Vec<Case> {
    vec![
        method("an empty :method", "RFC 9110 §9.1", b""),
        method("a space in :method", "RFC 9113 §10.3, CVE-2021-33193", b"GET /admin HTTP/1.1"),
        method("CR LF in :method", "RFC 9113 §8.2.1, §10.3", b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET"),
        method("NUL in :method", "RFC 9113 §8.2.1", b"G\0T"),
        method("a colon in :method", "RFC 9110 §9.1, §5.6.2", b"GET:"),
        forwarded(
            "a method in lower case is another method",
            "RFC 9110 §9.1",
            &get().but(":method", "get"),
            b"get / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
        forwarded(
            "a method nobody knows",
            "RFC 9110 §9.1",
            &get().but(":method", "BREW"),
            b"BREW / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
        scheme("an empty :scheme", "RFC 9113 §8.3.1, RFC 3986 §3.1", b""),
        scheme("CR LF in :scheme", "RFC 9113 §8.2.1, §10.3", b"http\r\nx: y"),
        scheme("a URL in :scheme", "RFC 3986 §3.1, CVE-2021-33193", b"http://demo.test/admin?"),
        scheme("a space in :scheme", "RFC 3986 §3.1", b"ht tp"),
        scheme("a scheme that is not HTTP's", "RFC 9110 §4.2, §7.4", b"ftp"),
        // What the client claims is not what the app is told: {ours} says http.
        case("https on a plain connection", "RFC 9113 §8.3.1, SPEC §5")
            .sends([whole(1, &get().but(":scheme", "https"))])
            .origin_sees_unless_given_up(SEEN_GET)
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::Refused(1)])),
        case("a scheme in upper case", "RFC 3986 §3.1, RFC 9110 §4.2.3")
            .sends([whole(1, &get().but(":scheme", "HTTP"))])
            .origin_sees_unless_given_up(SEEN_GET)
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::Refused(1)])),
        case("two requests that differ in their pseudo fields", "RFC 9113 §8.3.1")
            .sends([whole(1, &get())])
            .origin_sees(SEEN_GET, Step::answer(OK))
            .gets(1, ok())
            .sends([whole(3, &get().but(":path", "/b").but(":method", "DELETE"))])
            .origin_sees(b"DELETE /b HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n", Step::answer(OK))
            .gets(3, ok()),
    ]
}
