//! Cookies: those of a name, wherever they stand; what stands around them changes nothing.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::http1::cookie::values;

const NAME: &[u8] = b"sid";

fuzz_target!(|field: &[u8]| {
    let found: Vec<&[u8]> = values(field, NAME).collect();
    for value in &found {
        assert!(!value.contains(&b';') && *value == value.trim_ascii());
        // As it was found it is found again.
        let alone = [NAME, b"=", value].concat();
        assert_eq!(values(&alone, NAME).collect::<Vec<_>>(), [*value]);
    }
    // In one field or in two, cut where a pair ends.
    for (at, _) in field.iter().enumerate().filter(|(_, byte)| **byte == b';') {
        let (head, tail) = (&field[..at], &field[at + 1..]);
        assert_eq!(values(head, NAME).chain(values(tail, NAME)).collect::<Vec<_>>(), found);
    }
    let longer = [b"a=b; sid=first;", field, b"; sid=last"].concat();
    let all: Vec<&[u8]> = values(&longer, NAME).collect();
    assert_eq!(all.first(), Some(&b"first".as_slice()));
    assert_eq!(all.last(), Some(&b"last".as_slice()));
    assert_eq!(all[1..all.len() - 1], found[..]);
});
