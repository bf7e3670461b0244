//! WebSocket frames as they pass (RFC 6455 §5.2), apart from any I/O: where one ends and the next may begin, so that a Close of
//! ours can stand between two of theirs. Headers are looked at, payload is only counted.
//!
//! ```text
//! Boundary ─► header, byte by byte ─► Skip: masking key and payload ─► Boundary, after a Close frame: Closed
//!                      └── no valid header ──► Unknown, for good
//! ```

/// Follows one direction of a WebSocket, fed with the bytes as they pass, cut anywhere.
#[derive(Debug, Clone)]
pub struct FrameScanner {
    sender: Sender,
    state: State,
}

/// Whose frames they are: a client masks each, an endpoint none (RFC 6455 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Who asked for the WebSocket.
    Client,
    /// Who granted it.
    Endpoint,
}

/// Where the bytes so far end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Position {
    /// Between two frames: a control frame may stand here, within a fragmented message too (RFC 6455 §5.4).
    Boundary,
    /// Within a frame.
    Inside,
    /// Behind a Close frame, which nothing may follow (RFC 6455 §5.5.1).
    Closed,
    /// These are no WebSocket frames.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Boundary,
    /// The first byte was this kind's.
    Length(Kind),
    /// `left` bytes of an extended length are still to come.
    LongLength {
        kind: Kind,
        left: u8,
        length: u64,
    },
    /// Until the frame's end.
    Skip {
        kind: Kind,
        left: u64,
    },
    Closed,
    Unknown,
}

/// What an opcode means for the boundaries (RFC 6455 §11.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Data,
    /// Ping, Pong.
    Control,
    Close,
}

impl FrameScanner {
    /// Stands before the first frame of a sender.
    pub fn new(sender: Sender) -> Self {
        Self { sender, state: State::Boundary }
    }

    /// Where the bytes so far end.
    pub fn position(&self) -> Position {
        match self.state {
            State::Boundary => Position::Boundary,
            State::Length(_) | State::LongLength { .. } | State::Skip { .. } => Position::Inside,
            State::Closed => Position::Closed,
            State::Unknown => Position::Unknown,
        }
    }

    /// Looks at the next bytes that pass; the work is in their frames, not in their length.
    pub fn scan(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            (self.state, bytes) = match self.state {
                State::Boundary => (first_byte(byte), rest),
                State::Length(kind) => (self.second_byte(kind, byte), rest),
                State::LongLength { kind, left, length } => (self.long_length(kind, left, length, byte), rest),
                State::Skip { kind, left } => skip(kind, left, bytes),
                State::Closed | State::Unknown => return,
            };
        }
    }

    fn second_byte(&self, kind: Kind, byte: u8) -> State {
        let masked = byte & MASKED != 0;
        if masked != (self.sender == Sender::Client) {
            return State::Unknown;
        }
        match byte & !MASKED {
            // A control frame has no extended length (RFC 6455 §5.5).
            126 | 127 if kind != Kind::Data => State::Unknown,
            126 => State::LongLength { kind, left: 2, length: 0 },
            127 => State::LongLength { kind, left: 8, length: 0 },
            length => self.payload(kind, u64::from(length)),
        }
    }

    fn long_length(&self, kind: Kind, left: u8, length: u64, byte: u8) -> State {
        let length = length << 8 | u64::from(byte);
        match left {
            0 | 1 if length > LONGEST => State::Unknown,
            0 | 1 => self.payload(kind, length),
            left => State::LongLength { kind, left: left - 1, length },
        }
    }

    fn payload(&self, kind: Kind, length: u64) -> State {
        let key = if self.sender == Sender::Client { MASKING_KEY_LEN } else { 0 };
        match key + length {
            0 => frame_end(kind),
            left => State::Skip { kind, left },
        }
    }
}

/// FIN, three bits that extensions use as they like, the opcode.
fn first_byte(byte: u8) -> State {
    match (byte & OPCODE, byte & FIN != 0) {
        (0..=2, _) => State::Length(Kind::Data),
        (8, true) => State::Length(Kind::Close),
        (9 | 10, true) => State::Length(Kind::Control),
        // A reserved opcode, or a control frame in pieces (RFC 6455 §5.5).
        _ => State::Unknown,
    }
}

fn skip(kind: Kind, left: u64, bytes: &[u8]) -> (State, &[u8]) {
    match usize::try_from(left).ok().and_then(|left| bytes.split_at_checked(left)) {
        Some((_, rest)) => (frame_end(kind), rest),
        None => (State::Skip { kind, left: left - bytes.len() as u64 }, &[]),
    }
}

fn frame_end(kind: Kind) -> State {
    match kind {
        Kind::Data | Kind::Control => State::Boundary,
        Kind::Close => State::Closed,
    }
}

/// A Close frame with status 1001, "going away" (RFC 6455 §7.4.1), for a client.
pub const GOING_AWAY: [u8; 4] = [FIN | 8, 2, 0x03, 0xe9];

/// The same for an endpoint: masked, as what a client sends must be; the key is not to be guessed (RFC 6455 §5.3).
pub fn masked_going_away(key: [u8; 4]) -> [u8; 8] {
    let [opcode, length, high, low] = GOING_AWAY;
    let [a, b, c, d] = key;
    [opcode, MASKED | length, a, b, c, d, high ^ a, low ^ b]
}

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const MASKING_KEY_LEN: u64 = 4;
/// The top bit of a 64-bit length must be 0.
const LONGEST: u64 = u64::MAX >> 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// The position behind every byte is the same wherever the stream is cut in two, and byte by byte.
    #[track_caller]
    fn check(sender: Sender, stream: &[u8], expected: Position) {
        let scanned = |pieces: &[&[u8]]| {
            let mut scanner = FrameScanner::new(sender);
            pieces.iter().for_each(|piece| scanner.scan(piece));
            scanner.position()
        };
        assert_eq!(scanned(&[stream]), expected, "{stream:02x?}");
        for at in 0..=stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(scanned(&[head, tail]), expected, "{stream:02x?} cut at {at}");
            let bytewise: Vec<&[u8]> = head.chunks(1).collect();
            assert_eq!(scanned(&bytewise), scanned(&[head]), "{head:02x?} byte by byte");
        }
    }

    fn from_endpoint(stream: &[u8], expected: Position) {
        check(Sender::Endpoint, stream, expected);
    }

    fn from_client(stream: &[u8], expected: Position) {
        check(Sender::Client, stream, expected);
    }

    #[test]
    fn frames_end_where_their_length_says() {
        use Position::{Boundary, Inside};
        from_endpoint(b"", Boundary);
        from_endpoint(b"\x81\x05Hello", Boundary);
        from_endpoint(b"\x81\x05Hell", Inside);
        from_endpoint(b"\x81\x00", Boundary);
        from_endpoint(b"\x81", Inside);
        from_endpoint(b"\x01\x03Hel\x80\x02lo", Boundary);
        from_endpoint(b"\x01\x03Hel", Boundary);
        from_endpoint(b"\x89\x05Hello\x8a\x00", Boundary);
        from_endpoint(&[b"\x82\x7e\x01\x00".as_slice(), &[0x88; 256]].concat(), Boundary);
        from_endpoint(&[b"\x82\x7e\x01\x00".as_slice(), &[0x88; 255]].concat(), Inside);
        from_endpoint(&[b"\x82\x7f\0\0\0\0\0\0\x01\x01".as_slice(), &[0; 257]].concat(), Boundary);
        from_client(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", Boundary);
        from_client(b"\x81\x80\x37\xfa\x21", Inside);
        from_client(b"\x81\x80\x37\xfa\x21\x3d", Boundary);
    }

    #[test]
    fn extensions_may_use_their_bits() {
        from_endpoint(b"\xc1\x07\xf2\x48\xcd\xc9\xc9\x07\x00", Position::Boundary);
        from_endpoint(b"\xf1\x00", Position::Boundary);
    }

    #[test]
    fn the_longest_length_is_counted_to_its_end() {
        let mut scanner = FrameScanner::new(Sender::Client);
        scanner.scan(b"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff");
        assert!(matches!(scanner.state, State::Skip { left, .. } if left == LONGEST + 4), "{scanner:?}");
        scanner.scan(&[0; 4096]);
        assert!(matches!(scanner.state, State::Skip { left, .. } if left == LONGEST + 4 - 4096), "{scanner:?}");
        scanner.state = State::Skip { kind: Kind::Data, left: 4096 };
        scanner.scan(&[0; 4096]);
        assert_eq!(scanner.position(), Position::Boundary);
    }

    #[test]
    fn behind_a_close_nothing_counts() {
        use Position::{Closed, Inside};
        from_endpoint(b"\x88\x00", Closed);
        from_endpoint(b"\x88\x02\x03\xe8", Closed);
        from_endpoint(b"\x88\x02\x03", Inside);
        from_endpoint(b"\x01\x01a\x88\x00\x81", Closed);
        from_endpoint(b"\x88\x00\x83\xff", Closed);
        from_client(b"\x88\x80\x01\x02\x03\x04", Closed);
    }

    #[test]
    fn what_is_no_frame_is_unknown_for_good() {
        for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
            from_endpoint(&[0x80 | opcode, 0, 0x81, 0x00], Position::Unknown);
        }
        for control in [8, 9, 10] {
            from_endpoint(&[control, 0], Position::Unknown);
            from_endpoint(&[0x80 | control, 126, 0, 126], Position::Unknown);
            from_endpoint(&[0x80 | control, 127], Position::Unknown);
        }
        from_endpoint(b"\x82\x7f\x80\0\0\0\0\0\0\0\x81\x00", Position::Unknown);
        from_endpoint(b"\x81\x80", Position::Unknown);
        from_client(b"\x81\x00", Position::Unknown);
        from_client(b"SSH-2.0-OpenSSH\r\n", Position::Unknown);
    }

    #[test]
    fn our_close_is_what_the_other_side_expects() {
        from_endpoint(&GOING_AWAY, Position::Closed);
        from_client(&masked_going_away([1, 2, 3, 4]), Position::Closed);
        let [.., a, b, _, _, high, low] = masked_going_away([0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(u16::from_be_bytes([high ^ a, low ^ b]), 1001);
    }
}
