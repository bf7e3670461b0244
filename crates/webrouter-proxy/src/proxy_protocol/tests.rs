use super::*;

/// What a beginning says, however little of it there is at first.
fn check(bytes: &[u8], expected: Option<(Option<&str>, usize)>) {
    let expected = expected.map(|(client, len)| Header { client: client.map(|ip| ip.parse().expect("good")), len });
    let actual = parse(bytes).ok().flatten();
    assert_eq!(actual, expected, "{}", bytes.escape_ascii());
    for cut in 0..expected.map_or(0, |header| header.len) {
        let part = parse(&bytes[..cut]);
        assert!(matches!(part, Ok(None)), "{} {part:?}", bytes[..cut].escape_ascii());
    }
}

fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short").to_be_bytes();
    [SIGNATURE, &[0x20 | command, family], &length, rest].concat()
}

#[test]
fn version_1() {
    check(b"PROXY TCP4 192.0.2.7 192.0.2.1 56324 443\r\nGET / HTTP/1.1\r\n", Some((Some("192.0.2.7"), 42)));
    check(b"PROXY TCP6 2001:db8::7 2001:db8::1 56324 443\r\n", Some((Some("2001:db8::7"), 46)));
    check(b"PROXY TCP6 ::ffff:192.0.2.7 ::1 56324 443\r\n", Some((Some("192.0.2.7"), 43)));
    check(b"PROXY UNKNOWN\r\n", Some((None, 15)));
    check(b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n", Some((None, 35)));
}

#[test]
fn version_2() {
    let v4 = [192, 0, 2, 7, 192, 0, 2, 1, 0xdc, 4, 1, 0xbb];
    check(&v2(1, 0x11, &v4), Some((Some("192.0.2.7"), 28)));
    let with_tlv = [&v4[..], &[4, 0, 1, b'x']].concat();
    check(&[v2(1, 0x11, &with_tlv), b"GET".to_vec()].concat(), Some((Some("192.0.2.7"), 32)));
    check(&v2(0, 0x11, &v4), Some((None, 28)));
    check(&v2(0, 0, b""), Some((None, 16)));
    let mut v6 = [0; 36];
    v6[..16].copy_from_slice(&"2001:db8::7".parse::<std::net::Ipv6Addr>().expect("good").octets());
    check(&v2(1, 0x21, &v6), Some((Some("2001:db8::7"), 52)));
}

#[test]
fn anything_else_is_no_header() {
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        b"PROXY TCP4 192.0.2.7 192.0.2.1 56324\r\n",
        b"PROXY TCP4 192.0.2.777 192.0.2.1 56324 443\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 563244 443\r\n",
        b"PROXY SCTP 192.0.2.7 192.0.2.1 56324 443\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00\x00",
        &v2(7, 0x11, &[0; 12]),
        &v2(1, 0x11, &[0; 3]),
    ] {
        assert!(matches!(parse(bytes), Err(HeaderError::Malformed)), "{}", bytes.escape_ascii());
    }
}

#[test]
fn no_more_is_read_than_the_header() {
    for (bytes, expected) in [
        (b"".to_vec(), 15),
        (b"PROXY TCP4 192.".to_vec(), 1),
        (v2(1, 0x11, &[0; 12])[..15].to_vec(), 1),
        (v2(1, 0x11, &[0; 12])[..16].to_vec(), 12),
    ] {
        assert_eq!(missing(&bytes).ok(), Some(expected), "{}", bytes.escape_ascii());
    }
    assert!(matches!(missing(&v2(1, 0x11, &[0; 2040])[..16]), Err(HeaderError::TooLong)));
    assert!(matches!(parse(&[b'P'; 107]), Err(HeaderError::Malformed)));
}
