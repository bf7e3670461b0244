//! `Transfer-Encoding`: `chunked`, alone, or nothing at all.

use crate::case::{Case, forwarded, refused};

fn bad(name: &'static str, cites: &'static str, fields: &[u8]) -> Case {
    refused(
        name,
        cites,
        400,
        [b"POST /x HTTP/1.1\r\nHost: demo.test\r\n", fields, b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"].concat(),
    )
}

fn good(name: &'static str, cites: &'static str, field: &[u8]) -> Case {
    forwarded(
        name,
        cites,
        [b"POST /x HTTP/1.1\r\nHost: demo.test\r\n", field, b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n"].concat(),
        b"POST /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        good("a chunked body", "RFC 9112 §7.1", b"Transfer-Encoding: chunked"),
        good("codings are case-insensitive", "RFC 9112 §7", b"transfer-encoding: Chunked"),
        good("white space around the coding", "RFC 9112 §5.1", b"Transfer-Encoding: \t chunked \t"),
        forwarded(
            "a chunked GET",
            "RFC 9110 §9.3.1",
            b"GET /x HTTP/1.1\r\nHost: demo.test\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"GET /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        bad(
            "Content-Length, then Transfer-Encoding",
            "RFC 9112 §6.1, CVE-2020-10109",
            b"Content-Length: 5\r\nTransfer-Encoding: chunked",
        ),
        bad(
            "Transfer-Encoding, then Content-Length",
            "RFC 9112 §6.1",
            b"Transfer-Encoding: chunked\r\nContent-Length: 5",
        ),
        bad(
            "Content-Length of zero beside chunked",
            "RFC 9112 §6.1",
            b"Content-Length: 0\r\nTransfer-Encoding: chunked",
        ),
        bad("another coding before chunked", "SPEC §4, RFC 9112 §6.1", b"Transfer-Encoding: gzip, chunked"),
        bad("another coding after chunked", "RFC 9112 §6.3", b"Transfer-Encoding: chunked, gzip"),
        bad("only another coding", "RFC 9112 §6.3", b"Transfer-Encoding: gzip"),
        bad("identity", "RFC 9112 §7, CVE-2019-18277", b"Transfer-Encoding: identity"),
        bad("chunked, identity", "RFC 9112 §7", b"Transfer-Encoding: chunked, identity"),
        bad("identity, chunked", "RFC 9112 §7", b"Transfer-Encoding: identity, chunked"),
        bad("chunked twice in a list", "RFC 9112 §6.1", b"Transfer-Encoding: chunked, chunked"),
        bad(
            "chunked twice in two fields",
            "RFC 9112 §6.1, CVE-2020-8287",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ),
        bad(
            "chunked, then a field with nonsense",
            "RFC 9112 §6.1, CVE-2020-8287",
            b"Transfer-Encoding: chunked\r\nTransfer-encoding: cow",
        ),
        bad("an empty coding", "RFC 9112 §6.1", b"Transfer-Encoding:"),
        bad("an empty coding beside a length", "RFC 9112 §6.1", b"Transfer-Encoding:\r\nContent-Length: 5"),
        bad("a letter before chunked", "RFC 9112 §7", b"Transfer-Encoding: xchunked"),
        bad("a letter after chunked", "RFC 9112 §7", b"Transfer-Encoding: chunkedx"),
        bad("chunked in quotes", "RFC 9112 §7, CVE-2022-32213", b"Transfer-Encoding: \"chunked\""),
        bad("chunked with a parameter", "RFC 9112 §7.1", b"Transfer-Encoding: chunked;q=1"),
        bad("a comma before chunked", "SPEC §4, RFC 9110 §5.6.1", b"Transfer-Encoding: , chunked"),
        bad("a comma after chunked", "SPEC §4, RFC 9110 §5.6.1", b"Transfer-Encoding: chunked,"),
        bad("a vertical tab before chunked", "RFC 9110 §5.6.3, CVE-2019-18277", b"Transfer-Encoding: \x0bchunked"),
        bad("a form feed after chunked", "RFC 9110 §5.6.3", b"Transfer-Encoding: chunked\x0c"),
        bad("NUL after chunked", "RFC 9110 §5.5", b"Transfer-Encoding: chunked\0"),
        bad("a no-break space before chunked", "RFC 9110 §5.6.3", b"Transfer-Encoding: \xa0chunked"),
        bad(
            "a space before the colon of Transfer-Encoding",
            "RFC 9112 §5.1, CVE-2019-16869",
            b"Transfer-Encoding : chunked",
        ),
        bad("a folded coding", "RFC 9112 §5.2, CVE-2022-32215", b"Transfer-Encoding:\r\n chunked"),
        bad("a coding hidden behind a bare LF", "RFC 9112 §2.2", b"X-A: 1\nTransfer-Encoding: chunked"),
        bad("a coding hidden behind a bare CR", "RFC 9112 §2.2", b"X-A: 1\rTransfer-Encoding: chunked"),
    ]
}
