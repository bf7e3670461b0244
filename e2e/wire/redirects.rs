//! `/p` becomes `/p/` at a path mountpoint: path-absolute, query kept, never another host.

use crate::case::{Case, case};

fn redirected(name: &'static str, cites: &'static str, line: &str, status: u16, location: &'static str) -> Case {
    case(name, cites)
        .sends(format!("{line} HTTP/1.1\r\nHost: path.test:8080\r\n\r\n"))
        .gets_redirect(status, location)
        .stays_open()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        redirected("the prefix without its slash", "SPEC §3, RFC 9110 §15.4.2", "GET /demo", 301, "/demo/"),
        redirected("the query is kept", "SPEC §3", "GET /demo?x=1&y=%2f?", 301, "/demo/?x=1&y=%2f?"),
        redirected("an empty query is kept", "SPEC §3", "GET /demo?", 301, "/demo/?"),
        redirected("two slashes do not name a host", "RFC 3986 §4.2", "GET //demo", 301, "/demo/"),
        redirected(
            "a line break in the query stays escaped",
            "RFC 9112 §11.1",
            "GET /demo?%0d%0aSet-Cookie:a=b",
            301,
            "/demo/?%0d%0aSet-Cookie:a=b",
        ),
        redirected("dots before the redirect", "RFC 3986 §5.2.4", "GET /x/../demo", 301, "/demo/"),
        redirected("another method keeps its method", "RFC 9110 §15.4.9", "DELETE /demo", 308, "/demo/"),
        case("a POST is redirected with 308", "RFC 9110 §15.4.9")
            .sends(b"POST /demo HTTP/1.1\r\nHost: path.test\r\nContent-Length: 0\r\n\r\n")
            .gets_redirect(308, "/demo/")
            .stays_open(),
    ]
}
