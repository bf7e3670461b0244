//! `Content-Length`: one field, digits only, believed by both sides or by none.

use crate::case::{Case, case, forwarded, refused};

fn bad(name: &'static str, cites: &'static str, fields: &[u8]) -> Case {
    refused(name, cites, 400, [b"POST /x HTTP/1.1\r\nHost: demo.test\r\n", fields, b"\r\n\r\nhello"].concat())
}

fn good(name: &'static str, cites: &'static str, field: &[u8]) -> Case {
    forwarded(
        name,
        cites,
        [b"POST /x HTTP/1.1\r\nHost: demo.test\r\n", field, b"\r\n\r\nhello"].concat(),
        b"POST /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 5\r\n\r\nhello",
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        good("a body of known length", "RFC 9112 §6.2", b"Content-Length: 5"),
        good("a lower-case content-length", "RFC 9110 §5.1", b"content-length: 5"),
        good("white space around the length", "RFC 9112 §5.1", b"Content-Length: \t5  "),
        good("leading zeros become the canonical length", "RFC 9110 §8.6", b"Content-Length: 005"),
        forwarded(
            "a length of zero",
            "RFC 9110 §8.6",
            b"POST /x HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 0\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 0\r\n\r\n",
        ),
        forwarded(
            "a GET with a body",
            "RFC 9110 §9.3.1",
            b"GET /x HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 5\r\n\r\nhello",
            b"GET /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 5\r\n\r\nhello",
        ),
        forwarded(
            "a body that looks like a request",
            "RFC 9112 §6.3",
            b"POST /x HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 36\r\n\r\nGET /e HTTP/1.1\r\nHost: demo.test\r\n\r\n",
            b"POST /x HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 36\r\n\r\nGET /e HTTP/1.1\r\nHost: demo.test\r\n\r\n",
        ),
        bad("two different lengths", "RFC 9112 §6.3, CVE-2020-10108", b"Content-Length: 5\r\nContent-Length: 0"),
        bad("two equal lengths", "RFC 9112 §6.3", b"Content-Length: 5\r\nContent-Length: 5"),
        bad("a list of equal lengths", "RFC 9112 §6.3", b"Content-Length: 5, 5"),
        bad("a list of different lengths", "RFC 9112 §6.3", b"Content-Length: 5,0"),
        bad("a plus sign", "RFC 9110 §8.6, CVE-2021-32715", b"Content-Length: +5"),
        bad("a minus sign", "RFC 9110 §8.6", b"Content-Length: -5"),
        bad("minus zero", "RFC 9110 §8.6", b"Content-Length: -0"),
        bad("a hexadecimal length", "RFC 9110 §8.6, CVE-2022-24801", b"Content-Length: 0x5"),
        bad("a letter after the digits", "RFC 9110 §8.6", b"Content-Length: 5a"),
        bad("a decimal point", "RFC 9110 §8.6", b"Content-Length: 5.0"),
        bad("an exponent", "RFC 9110 §8.6", b"Content-Length: 5e0"),
        bad("an underscore among digits", "RFC 9110 §8.6", b"Content-Length: 0_5"),
        bad("a space among digits", "RFC 9110 §8.6", b"Content-Length: 0 5"),
        bad("a vertical tab before the digits", "RFC 9110 §5.6.3", b"Content-Length: \x0b5"),
        bad("an empty length", "RFC 9110 §8.6, CVE-2023-40225", b"Content-Length:"),
        bad("a trailing comma", "RFC 9112 §6.3", b"Content-Length: 5,"),
        bad("2^64", "RFC 9110 §8.6", b"Content-Length: 18446744073709551616"),
        bad("2^64 + 5, which wraps to 5", "RFC 9110 §8.6, CVE-2021-40346", b"Content-Length: 18446744073709551621"),
        bad("a length of forty digits", "RFC 9110 §8.6", &[b"Content-Length: ".as_slice(), &[b'9'; 40]].concat()),
        bad("a space before the colon of Content-Length", "RFC 9112 §5.1", b"Content-Length : 5"),
        bad("a folded length", "RFC 9112 §5.2", b"Content-Length:\r\n 5"),
        bad("full-width digits", "RFC 9110 §8.6", b"Content-Length: \xef\xbc\x95"),
        case("a client that leaves in the middle of its body", "RFC 9112 §8")
            .sends(b"POST /x HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 500\r\n\r\nhello")
            .half_closes()
            .origin_cut()
            .gets_nothing_but_perhaps_a_page(400),
        case("a client that leaves before its body", "RFC 9112 §8")
            .sends(b"POST /x HTTP/1.1\r\nHost: demo.test\r\nContent-Length: 9223372036854775807\r\n\r\n")
            .half_closes()
            .origin_cut()
            .gets_nothing_but_perhaps_a_page(400),
    ]
}
