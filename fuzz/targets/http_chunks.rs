//! Chunked bodies: decoded the same wherever they are cut; what is encoded is decoded to the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use webrouter_proxy::http1::body::{ChunkDecoder, ChunkError, ChunkSize, encode_end};

#[derive(Debug, PartialEq)]
struct Outcome {
    data: Vec<u8>,
    trailers: Vec<u8>,
    consumed: usize,
    end: Result<bool, ChunkError>,
}

// The first byte says where the rest is cut.
fuzz_target!(|bytes: &[u8]| {
    let Some((&cut, wire)) = bytes.split_first() else { return };
    let whole = decode(wire, wire.len().max(1));
    let bytewise = decode(wire, 1);
    let pieces = decode(wire, usize::from(cut) + 1);
    assert_eq!(whole.end, bytewise.end);
    assert_eq!(whole.end, pieces.end);
    if whole.end.is_ok() {
        assert_eq!(whole, bytewise);
        assert_eq!(whole, pieces);
    }
    if whole.end == Ok(true) {
        assert!(whole.consumed <= wire.len());
        encoded_again(&whole);
    }
});

fn decode(wire: &[u8], piece: usize) -> Outcome {
    let mut decoder = ChunkDecoder::default();
    let mut outcome = Outcome { data: Vec::new(), trailers: Vec::new(), consumed: 0, end: Ok(false) };
    for part in wire.chunks(piece) {
        let mut buffer = part.to_vec();
        match decoder.decode(&mut buffer) {
            Ok(decoded) => {
                assert!(decoded.data <= decoded.consumed && decoded.consumed <= part.len());
                assert!(decoded.done || decoded.consumed == part.len(), "all is used up unless the body ended");
                outcome.data.extend_from_slice(&buffer[..decoded.data]);
                outcome.consumed += decoded.consumed;
                outcome.end = Ok(decoded.done);
                if decoded.done {
                    break;
                }
            }
            Err(error) => {
                outcome.end = Err(error);
                break;
            }
        }
    }
    outcome.trailers = decoder.trailers().to_vec();
    outcome
}

fn encoded_again(body: &Outcome) {
    let mut wire = Vec::new();
    for chunk in body.data.chunks(1000) {
        wire.extend_from_slice(ChunkSize::new(chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    if encode_end(&body.trailers, &mut wire).is_err() {
        return;
    }
    let again = decode(&wire, wire.len());
    assert_eq!((again.end, again.consumed, &again.data), (Ok(true), wire.len(), &body.data));
    let mut end = Vec::new();
    encode_end(&again.trailers, &mut end).expect("passed on trailers are well formed");
    assert!(wire.ends_with(&end), "trailers pass through a second hop unchanged");
}
