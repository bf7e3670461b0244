//! Request paths: the normal form is one, and what is written from it is read as it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_routing::path::{PathForm, encode, normalize};

fuzz_target!(|path: &[u8]| {
    let mut buffer = b"left over".to_vec();
    let Ok(form) = normalize(path, &mut buffer) else { return };
    let normal = match form {
        PathForm::AsReceived => path,
        PathForm::Rewritten => buffer.as_slice(),
    };
    assert!(normal.starts_with(b"/"));
    assert_eq!(form == PathForm::AsReceived, normal == path);
    let segments: Vec<&[u8]> = normal.split(|&byte| byte == b'/').skip(1).collect();
    let (last, inner) = segments.split_last().expect("a path has a segment");
    assert!(inner.iter().all(|segment| !matches!(*segment, b"" | b"." | b"..")));
    assert!(!matches!(*last, b"." | b".."));

    let mut target = Vec::new();
    encode(normal, &mut target);
    assert!(target.iter().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#' | b'"' | b'\\')));
    let mut again = Vec::new();
    let form = normalize(&target, &mut again).expect("an encoded path has a normal form");
    let again = if form == PathForm::AsReceived { &target } else { &again };
    assert_eq!(again, normal, "decoding undoes encoding");
    let mut encoded_again = Vec::new();
    encode(again, &mut encoded_again);
    assert_eq!(encoded_again, target);
});
