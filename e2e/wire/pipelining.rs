//! Several requests at once: answered in order, none swallowed, none invented.

use webrouter_testkit::Step;

use crate::case::{Case, OK, OK_CLOSE, case};

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: demo.test\r\n\r\n")
}

fn seen(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: demo.test\r\n{{ours}}\r\n")
}

fn named(name: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{name}", name.len())
}

fn serves(name: &str) -> Vec<Step> {
    Step::answer(named(name).as_bytes())
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("two requests in one segment", "RFC 9112 §9.3.2")
            .sends(get("/1") + &get("/2"))
            .origin_sees(seen("/1"), serves("one"))
            .origin_sees(seen("/2"), serves("two"))
            .gets(named("one"))
            .gets(named("two"))
            .stays_open(),
        case("three requests in pieces of ten bytes", "RFC 9112 §9.3.2")
            .sends_in_pieces(get("/1") + &get("/2") + &get("/3"), 10)
            .origin_sees(seen("/1"), serves("one"))
            .origin_sees(seen("/2"), serves("two"))
            .origin_sees(seen("/3"), serves("three"))
            .gets(named("one"))
            .gets(named("two"))
            .gets(named("three"))
            .stays_open(),
        case("a body with a length, then a request", "RFC 9112 §6.3")
            .sends("POST /1 HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 3\r\n\r\nabc".to_owned() + &get("/2"))
            .origin_sees("POST /1 HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 3\r\n\r\nabc", serves("one"))
            .origin_sees(seen("/2"), serves("two"))
            .gets(named("one"))
            .gets(named("two"))
            .stays_open(),
        case("a chunked body, then a request", "RFC 9112 §7.1")
            .sends(
                "POST /1 HTTP/1.1\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
                    .to_owned()
                    + &get("/2"),
            )
            .origin_sees(
                "POST /1 HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
                serves("one"),
            )
            .origin_sees(seen("/2"), serves("two"))
            .gets(named("one"))
            .gets(named("two"))
            .stays_open(),
        case("a CRLF between two requests", "RFC 9112 §2.2")
            .sends(get("/1") + "\r\n" + &get("/2"))
            .origin_sees(seen("/1"), serves("one"))
            .origin_sees(seen("/2"), serves("two"))
            .gets(named("one"))
            .gets(named("two"))
            .stays_open(),
        case("a HEAD, then a GET", "RFC 9110 §9.3.2")
            .sends("HEAD /1 HTTP/1.1\r\nHost: demo.test\r\n\r\n".to_owned() + &get("/2"))
            .origin_sees(
                "HEAD /1 HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
                Step::answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"),
            )
            .origin_sees(seen("/2"), serves("two"))
            .gets_head(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
            .gets(named("two"))
            .stays_open(),
        case("a good request, then a bad one", "RFC 9112 §9.3.2")
            .sends(get("/1") + "GET /2 HTTP/1.1\r\n\r\n")
            .origin_sees(seen("/1"), serves("one"))
            .gets(named("one"))
            .gets_page(400)
            .closes(),
        case("nothing after a bad request is read", "RFC 9112 §9.6, §11.2")
            .sends("GET /1 HTTP/1.1\r\nHost: demo.test\r\nContent-Length: x\r\n\r\n".to_owned() + &get("/2"))
            .gets_page(400)
            .closes(),
        case("nothing after Connection: close is read", "RFC 9112 §9.6")
            .sends("GET /1 HTTP/1.1\r\nHost: demo.test\r\nConnection: close\r\n\r\n".to_owned() + &get("/2"))
            .origin_sees(seen("/1"), Step::answer(OK))
            .gets(OK_CLOSE)
            .closes(),
        case("a 404, then a good request", "RFC 9112 §9.3.2")
            .sends("GET /1 HTTP/1.1\r\nHost: nobody.invalid\r\n\r\n".to_owned() + &get("/2"))
            .origin_sees(seen("/2"), serves("two"))
            .gets_page(404)
            .gets(named("two"))
            .stays_open(),
        case("a client that ends its side after its requests", "RFC 9112 §9.6")
            .sends(get("/1") + &get("/2"))
            .half_closes()
            .origin_sees(seen("/1"), serves("one"))
            .origin_sees(seen("/2"), serves("two"))
            .gets(named("one"))
            .gets(named("two"))
            .closes(),
        case("half a request after a good one", "RFC 9112 §8")
            .sends(get("/1") + "GET /2 HT")
            .half_closes()
            .origin_sees(seen("/1"), serves("one"))
            .gets(named("one"))
            .gets_nothing_but_perhaps_a_page(400)
            .closes(),
    ]
}
