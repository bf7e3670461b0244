//! As much of WebSocket (RFC 6455) as an echo needs, apart from I/O: the opening handshake, and messages of one length.

/// Ends a request head: asks for an upgrade with the RFC's own sample key.
pub(crate) const ASKS: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The sample key, as it stands in a head.
pub(crate) const KEY: &[u8] = b"dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to it (RFC 6455 §1.3).
pub(crate) const ACCEPTS: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
/// What the answer must hold.
pub(crate) const ACCEPTED: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What a message says.
pub(crate) type Payload = [u8; 128];

/// The frame of a client's message.
pub(crate) fn masked(payload: &Payload, mask: [u8; 4]) -> Vec<u8> {
    [&FROM_CLIENT[..], &mask, &flip(payload, mask)].concat()
}

/// The frame of a server's message.
pub(crate) fn unmasked(payload: &Payload) -> Vec<u8> {
    [&FROM_SERVER[..], payload].concat()
}

/// What the bytes of a client begin with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Message {
    /// The frame is not complete.
    Partial,
    /// A message, [`MASKED_LENGTH`] bytes of frame.
    Whole(Payload),
    /// Another length, closing, a fragment, a frame without a mask: nothing that an echo answers.
    Other,
}

/// Reads one message of a client as far as it is there.
pub(crate) fn parse(bytes: &[u8]) -> Message {
    if !bytes.iter().zip(FROM_CLIENT).all(|(byte, expected)| *byte == expected) {
        return Message::Other;
    }
    let rest = bytes.get(FROM_CLIENT.len()..).unwrap_or_default();
    match rest.split_first_chunk().and_then(|(mask, rest)| Some((mask, rest.first_chunk()?))) {
        Some((mask, payload)) => Message::Whole(flip(payload, *mask)),
        None => Message::Partial,
    }
}

/// Puts the mask on, or takes it off (RFC 6455 §5.3).
fn flip(payload: &Payload, mask: [u8; 4]) -> Payload {
    let mut flipped = *payload;
    flipped.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    flipped
}

/// A whole binary message, masked, 128 bytes in two bytes of length (RFC 6455 §5.2).
const FROM_CLIENT: [u8; 4] = [0x82, 0x80 | 126, 0, 128];
/// The same without a mask.
const FROM_SERVER: [u8; 4] = [0x82, 126, 0, 128];
/// Bytes of a client's frame.
pub(crate) const MASKED_LENGTH: usize = FROM_CLIENT.len() + 4 + size_of::<Payload>();

#[cfg(test)]
mod tests {
    use super::{MASKED_LENGTH, Message, masked, parse, unmasked};

    #[test]
    fn messages() {
        let check = |bytes: &[u8], expected| assert_eq!(parse(bytes), expected);
        let frame = masked(&[7; 128], [1, 2, 3, 4]);
        assert_eq!((frame.len(), &frame[..10]), (MASKED_LENGTH, &[0x82, 0xfe, 0, 128, 1, 2, 3, 4, 6, 5][..]));
        check(&frame, Message::Whole([7; 128]));
        check(&[&frame[..], &frame[..]].concat(), Message::Whole([7; 128]));
        for length in 0..MASKED_LENGTH {
            check(&frame[..length], Message::Partial);
        }
        check(&unmasked(&[7; 128]), Message::Other);
        check(&[0x88, 0x80, 0, 0, 0, 0], Message::Other);
    }
}
