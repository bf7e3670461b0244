//! Response heads: one status, one framing, fields that cannot break out of their lines.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::http1::field::Known;
use webrouter_proxy::http1::head::{Framing, HeadScanner, ResponseHead, Version};

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(length)) = HeadScanner::default().scan(bytes) else { return };
    let bytes = &bytes[..length];
    let mut head = ResponseHead::default();
    if head.parse(bytes, 32).is_err() {
        return;
    }
    assert!((100..=599).contains(&head.status));
    let count = |known: Known| head.fields.iter().filter(|field| field.known == known).count();
    match head.framing {
        Framing::Chunked => assert!(count(Known::ContentLength) == 0 && head.version == Version::Http11),
        Framing::Length(_) => assert!(count(Known::TransferEncoding) == 0 && count(Known::ContentLength) > 0),
        Framing::UntilClose => assert_eq!(count(Known::TransferEncoding) + count(Known::ContentLength), 0),
        Framing::Stream => panic!("no head of HTTP/1.1 says so"),
        Framing::None => panic!("whether a response has a body depends on its request"),
    }
    assert!(!head.reason.of_bytes(bytes).iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    for field in &head.fields {
        assert!(!field.name.is_empty());
        assert!(!field.value.of_bytes(bytes).iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    }
    let mut again = ResponseHead::default();
    again.parse(b"HTTP/1.0 404 Left\r\nContent-Length: 9\r\nConnection: close\r\n\r\n", 32).expect("good");
    again.parse(bytes, 32).expect("it was good before");
    assert_eq!(format!("{again:?}"), format!("{head:?}"));
});
