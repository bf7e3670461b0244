//! Headers of the PROXY protocol: found the same however little is there at first, and never longer than what is there.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::proxy_protocol::parse;

fuzz_target!(|bytes: &[u8]| {
    let Ok(Some(header)) = parse(bytes) else { return };
    assert!(header.len <= bytes.len());
    let whole = &bytes[..header.len];
    assert_eq!(parse(whole).ok().flatten(), Some(header), "what follows changes nothing");
    for cut in 0..whole.len() {
        assert!(!matches!(parse(&whole[..cut]), Ok(Some(_))), "a part of it is none");
    }
});
