use super::*;

/// What a request becomes, and how its head parses: (framing, the head as HTTP/1.1 writes it).
fn request(method: &str, uri: &str, fields: &[(&str, &str)], ends: bool) -> Result<(Framing, String), BadRequest> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in fields {
        // As frames bring names: not everything that this takes is a token.
        let name = HeaderName::from_lowercase(name.as_bytes()).expect("a name");
        request = request.header(name, *value);
    }
    let mut parts = request.body(()).expect("a request").into_parts().0;
    if method == "CONNECT" {
        parts.extensions.insert(h2::ext::Protocol::from_static("websocket"));
    }
    let (mut head, mut out) = (RequestHead::default(), Vec::new());
    write_request(&parts, ends, 7, 8, &mut head, &mut out)?;
    // Every span has to point at what was written.
    let written = String::from_utf8(out).expect("text");
    let of = |span: Span| String::from_utf8_lossy(span.of_bytes(written.as_bytes())).into_owned();
    let mut again = format!("{} {} HTTP/2.0\r\n", of(head.method), of(head.target));
    assert_eq!(again.trim_end(), of(head.line));
    for field in &head.fields {
        again += &format!("{}: {}\r\n", of(field.name), of(field.value));
        assert_eq!(field.known, Known::classify(of(field.name).as_bytes()));
    }
    assert_eq!(again + "\r\n", written);
    Ok((head.framing, written))
}

fn check(method: &str, uri: &str, fields: &[(&str, &str)], expected: &str) {
    let written = request(method, uri, fields, true).expect("it is taken").1;
    assert_eq!(written, expected.replace('\n', "\r\n"), "{method} {uri} {fields:?}");
}

fn refused(method: &str, uri: &str, fields: &[(&str, &str)], expected: BadRequest) {
    assert_eq!(request(method, uri, fields, true), Err(expected), "{method} {uri} {fields:?}");
}

#[test]
fn a_request_is_written_as_http_1_writes_it() {
    check("GET", "http://a.test/x?y=1", &[("accept", "*/*")], "GET /x?y=1 HTTP/2.0\nhost: a.test\naccept: */*\n\n");
    check("GET", "/", &[("host", "a.test:8080")], "GET / HTTP/2.0\nhost: a.test:8080\n\n");
    check("GET", "http://a.test/", &[("host", "A.test")], "GET / HTTP/2.0\nhost: a.test\n\n");
    let crumbs = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c")];
    check("GET", "http://a.test/", &crumbs, "GET / HTTP/2.0\nhost: a.test\nx: y\ncookie: a=1; b=2; c\n\n");
    check(
        "CONNECT",
        "http://a.test/chat",
        &[("sec-websocket-version", "13")],
        "GET /chat HTTP/2.0\nhost: a.test\nsec-websocket-version: 13\nconnection: upgrade\nupgrade: websocket\n\
         sec-websocket-key: AAAAAAAAAAAAAAAAAAAABw==\n\n",
    );
}

#[test]
fn a_body_has_the_length_it_says_or_ends_with_its_stream() {
    let framing = |fields: &[(&str, &str)], ends| request("POST", "http://a.test/", fields, ends).map(|taken| taken.0);
    assert_eq!(framing(&[], true), Ok(Framing::None));
    assert_eq!(framing(&[], false), Ok(Framing::Stream));
    assert_eq!(framing(&[("content-length", "5")], false), Ok(Framing::Length(5)));
    assert_eq!(framing(&[("content-length", "0")], false), Ok(Framing::Stream));
    assert_eq!(framing(&[("content-length", "0")], true), Ok(Framing::None));
    let bad = Err(HeadError::ContentLength.into());
    for value in ["", "+5", "5,5", "0x5", "9999999999999999999"] {
        assert_eq!(framing(&[("content-length", value)], false), bad, "{value}");
    }
    assert_eq!(framing(&[("content-length", "5"), ("content-length", "5")], false), bad);
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    refused("GET", "http://a.test/", &[("host", "b.test")], BadRequest::AuthorityDisagrees);
    refused("GET", "/", &[], HeadError::Host.into());
    refused("GET", "/", &[("host", "")], HeadError::Host.into());
    refused("GET", "http://a.test/", &[("host", "a.test"), ("host", "a.test")], HeadError::Host.into());
    refused("GET", "http://a.test/", &[("x", " y")], HeadError::Field.into());
    refused("GET", "http://a.test/", &[("x", "y\t")], HeadError::Field.into());
    refused("GET", "http://a.test/", &[("x\"", "y")], HeadError::Field.into());
    refused("GET", "ftp://a.test/", &[], BadRequest::Target);
    refused("GET", "*", &[("host", "a.test")], BadRequest::Target);
    let many: Vec<(String, String)> = (0..8).map(|nth| (format!("x{nth}"), "y".into())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    refused("GET", "http://a.test/", &many, HeadError::TooManyFields.into());
}

#[test]
fn an_answer_leaves_what_is_of_one_connection_behind() {
    let written = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\nConnection: close\r\nKeep-Alive: timeout=5\r\n\
        Transfer-Encoding: chunked\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\nbody";
    let (response, length) = read_response(written).expect("it can be said");
    let fields: Vec<_> = response.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert_eq!(fields, ["content-length: \"5\"", "x-a: \"b\"", "set-cookie: \"a\"", "set-cookie: \"b\""]);
    assert_eq!((response.status().as_u16(), length), (200, Some(5)));
    let switched = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: p\r\n\
        Upgrade: websocket\r\nConnection: upgrade\r\n\r\n";
    let (response, _) = read_response(switched).expect("it can be said");
    assert_eq!((response.status().as_u16(), response.headers().len()), (200, 1));
}

#[test]
fn a_request_for_an_endpoint_has_an_authority_and_takes_trailers() {
    let written = b"POST /a%20b?c HTTP/1.1\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n";
    let (request, length) = read_request(written).expect("it can be said");
    assert_eq!(request.uri().to_string(), "http://a.test/a%20b?c");
    let fields: Vec<_> = request.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
    assert_eq!((fields, length), (vec!["x-a: \"b\"".to_owned(), "te: \"trailers\"".to_owned()], None));
    assert!(read_request(b"GET /a\x01b HTTP/1.1\r\nHost: a.test\r\n\r\n").is_err());
}

#[test]
fn trailers_go_both_ways() {
    let written = b"grpc-status: 0\r\nContent-Length: 5\r\nX-A: b\r\n\r\n";
    let trailers = read_trailers(written).expect("they can be said").expect("there are some");
    let mut again = Vec::new();
    write_trailers(&trailers, &mut again);
    assert_eq!(again, b"grpc-status: 0\r\nx-a: b\r\n\r\n");
    assert_eq!(read_trailers(b""), Ok(None));
}
