//! Request heads: found the same wherever the bytes are cut, and never two readings of one head.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::http1::field::Known;
use webrouter_proxy::http1::head::{Framing, HeadScanner, RequestHead, Version};

const MAX_FIELDS: usize = 32;

fuzz_target!(|bytes: &[u8]| {
    let whole = HeadScanner::default().scan(bytes);
    let mut scanner = HeadScanner::default();
    let mut piecewise = Ok(None);
    for end in 1..=bytes.len() {
        piecewise = scanner.scan(&bytes[..end]);
        if !matches!(piecewise, Ok(None)) {
            break;
        }
    }
    assert_eq!(whole, piecewise);
    let Ok(Some(length)) = whole else { return };
    let bytes = &bytes[..length];
    let mut head = RequestHead::default();
    if head.parse(bytes, MAX_FIELDS).is_err() {
        return;
    }
    let texts =
        |known: Known| head.fields.iter().filter(move |field| field.known == known).map(|f| f.value.of_bytes(bytes));
    assert_eq!(texts(Known::Host).count(), 1);
    assert_eq!(texts(Known::Host).next(), Some(head.host.of_bytes(bytes)));
    assert!(head.fields.len() <= MAX_FIELDS);
    for part in [head.method, head.target] {
        assert!(!part.is_empty() && part.of_bytes(bytes).iter().all(|byte| *byte > b' ' && *byte != 0x7f));
    }
    for field in &head.fields {
        let (name, value) = (field.name.of_bytes(bytes), field.value.of_bytes(bytes));
        assert!(
            !name.is_empty()
                && name.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b':' | b'"' | b'(' | b','))
        );
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let (lengths, codings) = (texts(Known::ContentLength).count(), texts(Known::TransferEncoding).count());
    match head.framing {
        Framing::Chunked => assert!(lengths == 0 && codings == 1 && head.version == Version::Http11),
        Framing::Length(length) => {
            let digits = texts(Known::ContentLength).next().and_then(|value| std::str::from_utf8(value).ok());
            assert!(codings == 0 && length > 0 && digits.and_then(|digits| digits.parse().ok()) == Some(length));
        }
        Framing::None => assert_eq!(codings, 0),
        Framing::Stream => panic!("no head of HTTP/1.1 says so"),
        Framing::UntilClose => panic!("a request cannot be delimited by its connection"),
    }
    // What was left of an earlier request does not show.
    let mut again = RequestHead::default();
    again
        .parse(b"POST /left HTTP/1.0\r\nHost: over\r\nContent-Length: 9\r\nConnection: close\r\n\r\n", MAX_FIELDS)
        .expect("good");
    again.parse(bytes, MAX_FIELDS).expect("it was good before");
    assert_eq!(format!("{again:?}"), format!("{head:?}"));
});
