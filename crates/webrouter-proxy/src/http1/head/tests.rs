use super::*;

fn check(wire: &str, expected: Result<Framing, HeadError>) {
    let mut head = RequestHead::default();
    let actual = HeadScanner::default().scan(wire.as_bytes()).and_then(|end| {
        let end = end.expect("the case holds a whole head");
        head.parse(&wire.as_bytes()[..end], 10).map(|()| head.framing)
    });
    assert_eq!(actual, expected, "{wire:?}");
}

fn with(fields: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
}

#[test]
fn framing_is_one_thing_or_an_error() {
    check(&with(""), Ok(Framing::None));
    check(&with("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
    check(&with("Content-Length: 0\r\n"), Ok(Framing::None));
    check(&with("Transfer-Encoding: Chunked\r\n"), Ok(Framing::Chunked));
    check(&with("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"), Err(HeadError::BothFramings));
    check(&with("Transfer-Encoding: gzip, chunked\r\n"), Err(HeadError::TransferEncoding));
    check(&with("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"), Err(HeadError::TransferEncoding));
    for bad in ["+5", "-5", "5, 5", "5 5", "0x5", "", "9999999999999999999"] {
        check(&with(&format!("Content-Length: {bad}\r\n")), Err(HeadError::ContentLength));
    }
    check(&with("Content-Length: 5\r\nContent-Length: 5\r\n"), Err(HeadError::ContentLength));
}

#[test]
fn lines_are_strict() {
    check("GET / HTTP/1.1\nHost: a\r\n\r\n", Err(HeadError::BareLf));
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Framing::None));
    check("\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadError::LeadingLines));
    check("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Err(HeadError::FirstLine));
    check("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Err(HeadError::Version));
    check("GET / http/1.1\r\nHost: a\r\n\r\n", Err(HeadError::FirstLine));
    check("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Err(HeadError::Field));
    check("GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", Err(HeadError::Field));
    check("GET / HTTP/1.1\r\nHost: a\r\nX: a\0\r\n\r\n", Err(HeadError::Field));
    check("GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", Err(HeadError::Field));
    check("GET / HTTP/1.1\r\n\r\n", Err(HeadError::Host));
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Err(HeadError::Host));
    check("GET / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", Err(HeadError::ChunkedHttp10));
    check(&with(&"X: y\r\n".repeat(10)), Err(HeadError::TooManyFields));
}

#[test]
fn the_end_is_found_however_the_bytes_arrive() {
    let wire = with("A: b\r\n");
    let mut scanner = HeadScanner::default();
    for end in 0..wire.len() {
        assert_eq!(scanner.scan(&wire.as_bytes()[..end]), Ok(None));
    }
    assert_eq!(scanner.scan(wire.as_bytes()), Ok(Some(wire.len())));
}
