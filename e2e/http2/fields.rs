//! Fields of a request: names, values, what HTTP/1.1 would read into them, what belongs to one connection only.

use webrouter_testkit::Step;
use webrouter_testkit::http2::{Fields, Frame};

use crate::case::{
    Case, Must, OK, PROTOCOL, SEEN_GET, case, forwarded, get, head, malformed, ok, post, stream_error, whole,
};

fn bad_name(name: &'static str, cites: &'static str, field: &[u8]) -> Case {
    malformed(name, cites, &get().with(field, "1"))
}

fn bad_value(name: &'static str, cites: &'static str, value: &[u8]) -> Case {
    malformed(name, cites, &get().with("x-a", value))
}

fn hop(name: &'static str, cites: &'static str, field: &str, value: &str) -> Case {
    malformed(name, cites, &get().with(field, value))
}

/// What these lines look like at the origin.
fn seen(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: demo.test\r\n{lines}{{ours}}\r\n")
}

fn dropped(name: &'static str, cites: &'static str, field: &str, value: &str) -> Case {
    forwarded(name, cites, &get().with(field, value), SEEN_GET)
}

fn cookies(name: &'static str, crumbs: &[&str], cookie: &str) -> Case {
    let fields = crumbs.iter().fold(get(), |fields, crumb| fields.with("cookie", crumb));
    forwarded(name, "RFC 9113 §8.2.3", &fields, seen(&format!("Cookie: {cookie}\r\n")))
}

fn bad_trailer(name: &'static str, cites: &'static str, field: &[u8], value: &[u8]) -> Case {
    let trailers = Fields::default().with(field, value);
    stream_error(name, cites, [head(1, &post()), Frame::data(1, *b"hi"), whole(1, &trailers)], PROTOCOL)
}

pub(crate) fn cases() -> Vec<Case> {
    let mut cases = names();
    cases.extend(values());
    cases.extend(connection_fields());
    cases.extend(passed_on());
    cases
}

fn names() -> Vec<Case> {
    vec![
        bad_name("a name in upper case", "RFC 9113 §8.2, §8.2.1", b"X-Upper"),
        bad_name("a name with one letter in upper case", "RFC 9113 §8.2.1", b"x-uppEr"),
        bad_name("an empty name in a block", "RFC 9110 §5.1", b""),
        bad_name("a space in a name of a block", "RFC 9113 §8.2.1", b"x a"),
        bad_name("a space at the end of a name", "RFC 9113 §8.2.1, CVE-2019-16869", b"x-a "),
        bad_name("a colon in a name", "RFC 9113 §8.2.1", b"x-a: 1\r\nx-b"),
        bad_name("a colon at the end of a name", "RFC 9113 §8.2.1", b"transfer-encoding:"),
        bad_name("CR LF in a name", "RFC 9113 §8.2.1, §10.3, CVE-2021-36740", b"x-a\r\nx-b"),
        bad_name("LF in a name", "RFC 9113 §8.2.1, §10.3", b"x-a\nx-b"),
        bad_name("CR in a name", "RFC 9113 §8.2.1", b"x-a\rx-b"),
        bad_name("NUL in a name of a block", "RFC 9113 §8.2.1", b"x\0a"),
        bad_name("DEL in a name", "RFC 9113 §8.2.1", b"x\x7fa"),
        bad_name("bytes above ASCII in a name", "RFC 9113 §8.2.1", b"x-\xc3\xa9"),
        bad_name("a quote in a name of a block", "RFC 9110 §5.6.2", b"x\"a"),
        forwarded(
            "every character of a token in a name of a block",
            "RFC 9110 §5.6.2",
            &get().with("!#$%&'*+-.^`|~09az", "1").with("my_field", "2"),
            seen("!#$%&'*+-.^`|~09az: 1\r\nmy_field: 2\r\n"),
        ),
    ]
}

fn values() -> Vec<Case> {
    vec![
        bad_value("CR LF in a value", "RFC 9113 §8.2.1, §10.3, CVE-2021-36740", b"1\r\nx-b: 2"),
        bad_value(
            "a whole request in a value",
            "RFC 9113 §10.3, CVE-2021-21295",
            b"1\r\n\r\nGET /admin HTTP/1.1\r\nHost: demo.test\r\n\r\n",
        ),
        bad_value("LF in a value", "RFC 9113 §8.2.1, §10.3", b"1\nx-b: 2"),
        bad_value("CR in a value", "RFC 9113 §8.2.1", b"1\rx-b: 2"),
        bad_value("CR at the end of a value", "RFC 9113 §8.2.1", b"1\r"),
        bad_value("NUL in a value of a block", "RFC 9113 §8.2.1", b"1\x002"),
        bad_value("a space in front of a value", "RFC 9113 §8.2.1", b" 1"),
        bad_value("a space behind a value", "RFC 9113 §8.2.1", b"1 "),
        bad_value("a tab in front of a value", "RFC 9113 §8.2.1", b"\t1"),
        bad_value("a tab behind a value", "RFC 9113 §8.2.1", b"1\t"),
        bad_value("a control byte in a value of a block", "RFC 9110 §5.5", b"1\x012"),
        bad_value("DEL in a value of a block", "RFC 9110 §5.5", b"1\x7f2"),
        forwarded("a tab within a value", "RFC 9110 §5.5", &get().with("x-a", "1\t2"), seen("x-a: 1\t2\r\n")),
        forwarded("a value of no bytes", "RFC 9110 §5.5", &get().with("x-a", ""), seen("x-a:\r\n")),
        forwarded(
            "bytes above ASCII in a value of a block",
            "RFC 9110 §5.5",
            &get().with("x-a", b"\xe4\xb8\xad\xff"),
            [b"GET / HTTP/1.1\r\nHost: demo.test\r\nx-a: \xe4\xb8\xad\xff\r\n{ours}\r\n".as_slice()].concat(),
        ),
    ]
}

fn connection_fields() -> Vec<Case> {
    vec![
        hop("connection", "RFC 9113 §8.2.2", "connection", "close"),
        hop("connection that names a field", "RFC 9113 §8.2.2, CVE-2022-31813", "connection", "x-forwarded-for"),
        hop("keep-alive in a request", "RFC 9113 §8.2.2", "keep-alive", "timeout=5"),
        hop("proxy-connection", "RFC 9113 §8.2.2", "proxy-connection", "keep-alive"),
        hop("upgrade", "RFC 9113 §8.2.2, CVE-2021-21295", "upgrade", "h2c"),
        hop("transfer-encoding", "RFC 9113 §8.2.2, CVE-2021-33193", "transfer-encoding", "chunked"),
        hop("transfer-encoding: identity", "RFC 9113 §8.2.2", "transfer-encoding", "identity"),
        hop("te other than trailers", "RFC 9113 §8.2.2", "te", "gzip"),
        hop("te with trailers and more", "RFC 9113 §8.2.2", "te", "trailers, gzip"),
        case("transfer-encoding with a body of its own", "RFC 9113 §8.2.2, §10.3, CVE-2021-21295")
            .sends([
                head(1, &post().with("transfer-encoding", "chunked")),
                Frame::data(1, *b"0\r\n\r\nGET /admin HTTP/1.1\r\nHost: demo.test\r\n\r\n").ending(),
            ])
            .must(Must::Refused(1)),
        bad_trailer("transfer-encoding in trailers", "RFC 9113 §8.2.2", b"transfer-encoding", b"chunked"),
        bad_trailer("connection in trailers", "RFC 9113 §8.2.2", b"connection", b"close"),
        bad_trailer("upper case in trailers", "RFC 9113 §8.2.1", b"X-Sum", b"1"),
        bad_trailer("CR LF in trailers", "RFC 9113 §8.2.1, §10.3", b"x-sum", b"1\r\n\r\nGET /admin HTTP/1.1"),
        dropped("te: trailers", "RFC 9110 §10.1.4, RFC 9113 §8.2.2", "te", "trailers"),
        dropped("X-Real-IP of a client", "SPEC §4", "x-real-ip", "6.6.6.6"),
        dropped("x_forwarded_for of a client", "SPEC §4, RFC 3875 §4.1.18", "x_forwarded_for", "6.6.6.6"),
        dropped("ssl-client-verify of a client", "SPEC §4", "ssl-client-verify", "SUCCESS"),
        dropped("ssl-client-subject-dn of a client", "SPEC §4", "ssl-client-subject-dn", "CN=root"),
        dropped("ssl_client_verify collides in CGI", "SPEC §4, RFC 3875 §4.1.18", "ssl_client_verify", "SUCCESS"),
    ]
}

fn passed_on() -> Vec<Case> {
    vec![
        cookies("crumbs of cookies are one field", &["a=1", "b=2", "c=3"], "a=1; b=2; c=3"),
        cookies("a cookie that is whole stays as it is", &["a=1; b=2"], "a=1; b=2"),
        cookies("an empty crumb", &["a=1", "", "b=2"], "a=1; ; b=2"),
        forwarded(
            "fields of one name stay apart and in order",
            "RFC 9110 §5.3",
            &get().with("x-a", "1").with("x-b", "2").with("x-a", "3"),
            seen("x-a: 1\r\nx-b: 2\r\nx-a: 3\r\n"),
        ),
        case("trailers reach the origin as trailers", "RFC 9113 §8.1, RFC 9112 §7.1.2")
            .sends([head(1, &post()), Frame::data(1, *b"hi"), whole(1, &Fields::default().with("x-sum", "1"))])
            .origin_sees(
                b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n",
                Step::answer(OK),
            )
            .gets(1, ok()),
        case("what no trailer may say is not passed on", "RFC 9110 §6.5.1, CVE-2023-46589")
            .sends([
                head(1, &post()),
                Frame::data(1, *b"hi"),
                whole(1, &Fields::default().with("x-sum", "1").with("content-length", "9").with("host", "evil.test")),
            ])
            .origin_sees_unless_given_up(
                b"POST / HTTP/1.1\r\nHost: demo.test\r\n{ours}Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n",
            )
            .must(Must::Either(vec![Must::Answer(1, ok()), Must::StreamError(1, PROTOCOL)])),
    ]
}
