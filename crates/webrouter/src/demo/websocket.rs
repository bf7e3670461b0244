//! WebSocket frames (RFC 6455 §5.2), pure: bytes in, frames out. A payload is bounded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest, Sha1};

/// One frame of a client, unmasked.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) opcode: Opcode,
    pub(super) is_last: bool,
    pub(super) payload: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Decoded {
    /// A frame, and how many bytes it takes.
    Frame(Frame, usize),
    /// More bytes are needed.
    Incomplete,
    /// The connection must be closed with this code (§7.4.1).
    Violation(u16),
}

/// The answer to `Sec-WebSocket-Key` (§4.2.2).
pub(super) fn accept_key(key: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(key.trim().as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(hash.finalize())
}

/// Decodes the first frame.
pub(super) fn decode(bytes: &[u8]) -> Decoded {
    let Some((&[first, second], rest)) = bytes.split_first_chunk::<2>() else { return Decoded::Incomplete };
    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Decoded::Violation(PROTOCOL_ERROR),
    };
    let is_last = first & 0x80 != 0;
    let short_length = second & 0x7f;
    let is_control = first & 0x08 != 0;
    // No extension was agreed on, a client masks (§5.1), a control frame is whole and short (§5.5).
    if first & 0x70 != 0 || second & 0x80 == 0 || is_control && (!is_last || short_length > 125) {
        return Decoded::Violation(PROTOCOL_ERROR);
    }
    let (length, rest) = match short_length {
        126 => match rest.split_first_chunk::<2>() {
            Some((length, rest)) => (u64::from(u16::from_be_bytes(*length)), rest),
            None => return Decoded::Incomplete,
        },
        127 => match rest.split_first_chunk::<8>() {
            Some((length, rest)) => (u64::from_be_bytes(*length), rest),
            None => return Decoded::Incomplete,
        },
        short => (u64::from(short), rest),
    };
    let Some(length) = usize::try_from(length).ok().filter(|length| *length <= MAX_PAYLOAD) else {
        return Decoded::Violation(TOO_BIG);
    };
    let Some((mask, rest)) = rest.split_first_chunk::<4>() else { return Decoded::Incomplete };
    let Some(masked) = rest.get(..length) else { return Decoded::Incomplete };
    let payload = masked.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    let taken = bytes.len() - rest.len() + length;
    Decoded::Frame(Frame { opcode, is_last, payload }, taken)
}

/// A whole, unmasked frame, as a server sends it.
pub(super) fn encode(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    encode_piece(opcode, true, payload)
}

impl Frame {
    /// The same frame from the server's side; a message in pieces stays in pieces.
    pub(super) fn encode_as_it_came(&self) -> Vec<u8> {
        encode_piece(self.opcode, self.is_last, &self.payload)
    }
}

fn encode_piece(opcode: Opcode, is_last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode as u8 | if is_last { 0x80 } else { 0 }];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(length @ 0..=125), _) => frame.push(length),
        (_, Ok(length)) => {
            frame.push(126);
            frame.extend(length.to_be_bytes());
        }
        (_, Err(_)) => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    frame
}

const MAX_PAYLOAD: usize = 1 << 20;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_accept_key_is_the_one_of_rfc_6455() {
        assert_eq!(accept_key("dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn frames_of_rfc_6455_section_5_7() {
        let masked = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let hello = Frame { opcode: Opcode::Text, is_last: true, payload: b"Hello".to_vec() };
        for end in 0..masked.len() {
            assert_eq!(decode(&masked[..end]), Decoded::Incomplete, "{end} bytes");
        }
        assert_eq!(decode(&masked), Decoded::Frame(hello, masked.len()));
        assert_eq!(encode(Opcode::Text, b"Hello"), [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]);
        assert_eq!(encode(Opcode::Binary, &[0; 256])[..4], [0x82, 0x7e, 0x01, 0x00]);
        assert_eq!(encode(Opcode::Binary, &[0; 65536])[..10], [0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]);
    }

    #[test]
    fn what_a_client_must_not_send_ends_it() {
        let check = |bytes: &[u8], code| assert_eq!(decode(bytes), Decoded::Violation(code), "{bytes:?}");
        check(&[0x81, 0x05], PROTOCOL_ERROR);
        check(&[0x83, 0x80], PROTOCOL_ERROR);
        check(&[0xc1, 0x80], PROTOCOL_ERROR);
        check(&[0x09, 0x80], PROTOCOL_ERROR);
        check(&[0x89, 0xfe], PROTOCOL_ERROR);
        check(&[0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], TOO_BIG);
    }
}
