//! Request targets: their forms, what a root mountpoint passes on untouched, what a path mountpoint makes of them.

use crate::case::{Case, case, forwarded, refused};

/// At the root mountpoint: `target` reaches the app as it is.
fn untouched(name: &'static str, cites: &'static str, target: &str) -> Case {
    let get = format!("GET {target} HTTP/1.1\r\nHost: demo.test\r\n");
    forwarded(name, cites, format!("{get}\r\n"), format!("{get}{{ours}}\r\n"))
}

/// At `path.test/demo`: what the app sees of `target`.
fn stripped(name: &'static str, cites: &'static str, target: &str, seen: &str) -> Case {
    forwarded(
        name,
        cites,
        format!("GET {target} HTTP/1.1\r\nHost: path.test\r\n\r\n"),
        format!("GET {seen} HTTP/1.1\r\nHost: path.test\r\n{{ours:{target}}}\r\n"),
    )
}

/// A target in absolute form with its `Host`.
fn absolute(name: &'static str, cites: &'static str, target: &str, seen: &str) -> Case {
    forwarded(
        name,
        cites,
        format!("GET {target} HTTP/1.1\r\nHost: demo.test\r\n\r\n"),
        format!("GET {seen} HTTP/1.1\r\nHost: demo.test\r\n{{ours:{target}}}\r\n"),
    )
}

fn bad(name: &'static str, cites: &'static str, target: &str) -> Case {
    refused(name, cites, 400, format!("GET {target} HTTP/1.1\r\nHost: demo.test\r\n\r\n"))
}

fn nowhere(name: &'static str, cites: &'static str, target: &str) -> Case {
    case(name, cites).sends(format!("GET {target} HTTP/1.1\r\nHost: path.test\r\n\r\n")).gets_page(404).stays_open()
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        untouched("dots, slashes and escapes", "SPEC §3", "/a/./b/../c//d%2fe%7E"),
        untouched("an odd query", "SPEC §3, RFC 3986 §3.4", "/a?x=%zz&y=../..&z=a/b?c"),
        untouched("an empty query", "SPEC §3", "/a?"),
        untouched("several leading slashes", "SPEC §3", "//a"),
        untouched("a path parameter", "RFC 3986 §3.3", "/a;v=1,2/b"),
        untouched("every character a path may have", "RFC 3986 §3.3", "/-._~!$&'()*+,;=:@"),
        bad("%00 in the path", "SPEC §4, CVE-2013-4547", "/a%00b"),
        bad("a path that climbs above the root", "RFC 3986 §5.2.4, CVE-2021-41773", "/../etc/passwd"),
        bad("a path that climbs in the middle", "RFC 3986 §5.2.4", "/a/../../b"),
        bad("an escaped climb", "RFC 3986 §6.2.2.3, CVE-2021-41773", "/%2e%2e/x"),
        bad("a half escaped climb", "RFC 3986 §6.2.2.3, CVE-2021-41773", "/.%2e/x"),
        bad("a climb with escaped slashes", "RFC 3986 §6.2.2.3, CVE-2021-42013", "/a/..%2f..%2fx"),
        bad("an escape that is none", "RFC 3986 §2.1", "/a%zz"),
        bad("half an escape", "RFC 3986 §2.1", "/a%4"),
        bad("a fragment in the target", "RFC 9112 §3.2, CVE-2023-45539", "/a#b"),
        bad("a target without its slash", "RFC 9112 §3.2.1", "a/b"),
        bad("a target that is only a query", "RFC 9112 §3.2.1", "?a=b"),
        bad("an asterisk without OPTIONS", "RFC 9112 §3.2.4", "*"),
        bad("an authority without CONNECT", "RFC 9112 §3.2.3", "demo.test:80"),
        forwarded(
            "OPTIONS of the whole server",
            "RFC 9112 §3.2.4",
            b"OPTIONS * HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
        ),
        forwarded(
            "OPTIONS of a whole server in absolute form",
            "RFC 9112 §3.2.4",
            b"OPTIONS http://demo.test HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            b"OPTIONS * HTTP/1.1\r\nHost: demo.test\r\n{ours:http://demo.test}\r\n",
        ),
        absolute("absolute form", "RFC 9112 §3.2.2", "http://demo.test/x?y=1", "/x?y=1"),
        absolute("absolute form in upper case", "RFC 9110 §4.2.3", "HTTP://DEMO.TEST/X", "/X"),
        absolute("absolute form with the default port", "RFC 9110 §4.2.3", "http://demo.test:80/x", "/x"),
        absolute("absolute form of https", "RFC 9112 §3.2.2", "https://demo.test/x", "/x"),
        absolute("absolute form without a path", "RFC 9110 §4.2.3", "http://demo.test", "/"),
        absolute("absolute form with a query for a path", "RFC 9110 §4.2.3", "http://demo.test?a=1", "/?a=1"),
        bad("absolute form of another host", "SPEC §4, RFC 9112 §3.2.2", "http://other.test/x"),
        bad("absolute form of another port", "SPEC §4", "http://demo.test:81/x"),
        bad("absolute form with a user", "RFC 9110 §4.2.4", "http://user@demo.test/x"),
        bad("absolute form of another scheme", "RFC 9112 §3.2.2", "ftp://demo.test/x"),
        bad("absolute form without a host", "RFC 9110 §4.2.1", "http:///x"),
        refused("absolute form without Host", "RFC 9112 §3.2", 400, b"GET http://demo.test/x HTTP/1.1\r\n\r\n"),
        stripped("the prefix is stripped", "SPEC §3", "/demo/x", "/x"),
        stripped("the prefix alone", "SPEC §3", "/demo/", "/"),
        stripped("the query byte for byte", "SPEC §3", "/demo/x?y=%zz&z=../%61//", "/x?y=%zz&z=../%61//"),
        stripped("escapes that need none", "RFC 3986 §6.2.2.2", "/demo/%7euser", "/~user"),
        stripped("an escaped prefix", "RFC 3986 §6.2.2.2", "/%64emo/x", "/x"),
        stripped("merged slashes", "SPEC §3", "//demo///x//y", "/x/y"),
        stripped("resolved dots", "RFC 3986 §5.2.4", "/demo/a/../b/./c", "/b/c"),
        stripped("dots that lead into the prefix", "RFC 3986 §5.2.4", "/x/../demo/y", "/y"),
        stripped("dots at the end", "RFC 3986 §5.2.4", "/demo/a/b/..", "/a/"),
        stripped("a space stays escaped", "RFC 3986 §2.1", "/demo/a%20b", "/a%20b"),
        stripped("an escaped question mark stays in the path", "RFC 3986 §2.2", "/demo/a%3fb?c", "/a%3Fb?c"),
        stripped("an escaped number sign stays in the path", "RFC 3986 §2.2", "/demo/a%23b", "/a%23b"),
        stripped("an escaped percent sign is not unescaped twice", "RFC 3986 §2.4", "/demo/a%252fb", "/a%252fb"),
        stripped("non-ASCII in upper-case escapes", "RFC 3986 §6.2.2.1", "/demo/%e4%b8%ad", "/%E4%B8%AD"),
        stripped(
            "an escaped line break is no line break",
            "RFC 9112 §11.1, CVE-2023-25690",
            "/demo/a%0d%0aX-A:1",
            "/a%0D%0AX-A:1",
        ),
        stripped("path parameters stay", "RFC 3986 §3.3", "/demo/a;v=1/b", "/a;v=1/b"),
        nowhere("paths are case-sensitive", "SPEC §3, RFC 9110 §4.2.3", "/DEMO/x"),
        nowhere("a prefix ends at a segment", "SPEC §3", "/demonstration"),
        nowhere("a path no mountpoint has", "SPEC §3", "/other"),
        nowhere("dots that lead out of the prefix", "RFC 3986 §5.2.4", "/demo/../other"),
        refused(
            "a climb out of a path mountpoint",
            "RFC 3986 §5.2.4",
            400,
            b"GET /demo/../../x HTTP/1.1\r\nHost: path.test\r\n\r\n",
        ),
        refused(
            "an escaped climb out of a path mountpoint",
            "RFC 3986 §6.2.2.3, CVE-2021-42013",
            400,
            b"GET /demo/%2e%2e/%2e%2e/x HTTP/1.1\r\nHost: path.test\r\n\r\n",
        ),
    ]
}
