//! Frames (RFC 9113 §4, §6): a constructor for each type, and ways to get each of them wrong.

use std::fmt;

/// One frame, right or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The type; see [`kind`].
    pub kind: u8,
    /// See [`flag`].
    pub flags: u8,
    /// All 32 bits of the stream field, the reserved one too.
    pub stream: u32,
    /// What follows the nine bytes of the header.
    pub payload: Vec<u8>,
    /// What the header says of the payload's length when that is a lie.
    pub claimed: Option<u32>,
}

/// Types of frames.
#[allow(missing_docs, reason = "the names are those of RFC 9113 §6")]
pub mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

/// Flags of frames.
#[allow(missing_docs, reason = "the names are those of RFC 9113 §6")]
pub mod flag {
    pub const END_STREAM: u8 = 0x1;
    pub const ACK: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Settings.
#[allow(missing_docs, reason = "the names are those of RFC 9113 §6.5.2 and RFC 8441 §3")]
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 6;
    pub const ENABLE_CONNECT_PROTOCOL: u16 = 8;
}

/// An error code of RST_STREAM and GOAWAY.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Code(pub u32);

#[allow(missing_docs, reason = "the names are those of RFC 9113 §7")]
impl Code {
    pub const NO_ERROR: Code = Code(0);
    pub const PROTOCOL_ERROR: Code = Code(1);
    pub const INTERNAL_ERROR: Code = Code(2);
    pub const FLOW_CONTROL_ERROR: Code = Code(3);
    pub const SETTINGS_TIMEOUT: Code = Code(4);
    pub const STREAM_CLOSED: Code = Code(5);
    pub const FRAME_SIZE_ERROR: Code = Code(6);
    pub const REFUSED_STREAM: Code = Code(7);
    pub const CANCEL: Code = Code(8);
    pub const COMPRESSION_ERROR: Code = Code(9);
    pub const CONNECT_ERROR: Code = Code(10);
    pub const ENHANCE_YOUR_CALM: Code = Code(11);
    pub const INADEQUATE_SECURITY: Code = Code(12);
    pub const HTTP_1_1_REQUIRED: Code = Code(13);
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = usize::try_from(self.0).ok().and_then(|code| CODES.get(code));
        match name {
            Some(name) => f.write_str(name),
            None => write!(f, "code {}", self.0),
        }
    }
}

impl Frame {
    /// Any frame.
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Frame {
        Frame { kind, flags, stream, payload: payload.into(), claimed: None }
    }

    /// HEADERS with a whole field block; the stream stays open.
    pub fn headers(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::HEADERS, flag::END_HEADERS, stream, block)
    }

    /// The last part of a field block.
    pub fn continuation(stream: u32, block: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::CONTINUATION, flag::END_HEADERS, stream, block)
    }

    /// DATA; the stream stays open.
    pub fn data(stream: u32, bytes: impl Into<Vec<u8>>) -> Frame {
        Frame::new(kind::DATA, 0, stream, bytes)
    }

    /// SETTINGS.
    pub fn settings(settings: &[(u16, u32)]) -> Frame {
        let one = |&(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        Frame::new(kind::SETTINGS, 0, 0, settings.iter().flat_map(one).collect::<Vec<u8>>())
    }

    /// The acknowledgement of SETTINGS.
    pub fn settings_ack() -> Frame {
        Frame::new(kind::SETTINGS, flag::ACK, 0, [])
    }

    /// PING.
    pub fn ping(payload: [u8; 8]) -> Frame {
        Frame::new(kind::PING, 0, 0, payload)
    }

    /// WINDOW_UPDATE; the stream 0 is the connection.
    pub fn window_update(stream: u32, increment: u32) -> Frame {
        Frame::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    /// RST_STREAM.
    pub fn rst_stream(stream: u32, code: Code) -> Frame {
        Frame::new(kind::RST_STREAM, 0, stream, code.0.to_be_bytes())
    }

    /// GOAWAY.
    pub fn goaway(last: u32, code: Code) -> Frame {
        Frame::new(kind::GOAWAY, 0, 0, [last.to_be_bytes(), code.0.to_be_bytes()].concat())
    }

    /// PRIORITY: `stream` depends on `on`.
    pub fn priority(stream: u32, on: u32) -> Frame {
        Frame::new(kind::PRIORITY, 0, stream, [&on.to_be_bytes()[..], &[15]].concat())
    }

    /// With END_STREAM.
    #[must_use]
    pub fn ending(self) -> Frame {
        self.flagged(flag::END_STREAM)
    }

    /// Without END_HEADERS.
    #[must_use]
    pub fn unfinished(mut self) -> Frame {
        self.flags &= !flag::END_HEADERS;
        self
    }

    /// With these flags too.
    #[must_use]
    pub fn flagged(mut self, flags: u8) -> Frame {
        self.flags |= flags;
        self
    }

    /// On another stream.
    #[must_use]
    pub fn on(mut self, stream: u32) -> Frame {
        self.stream = stream;
        self
    }

    /// PADDED, with `padding` bytes and a length field that says `claimed`.
    #[must_use]
    pub fn padded(mut self, padding: usize, claimed: u8) -> Frame {
        self.payload.insert(0, claimed);
        self.payload.resize(self.payload.len() + padding, 0);
        self.flagged(flag::PADDED)
    }

    /// HEADERS with the priority fields in front: depends on `on`.
    #[must_use]
    pub fn depending(mut self, on: u32) -> Frame {
        self.payload.splice(0..0, on.to_be_bytes().into_iter().chain([15]));
        self.flagged(flag::PRIORITY)
    }

    /// With a header that claims another length.
    #[must_use]
    pub fn claiming(mut self, length: u32) -> Frame {
        self.claimed = Some(length);
        self
    }

    /// With the payload cut or filled with zeros to `length`.
    #[must_use]
    pub fn resized(mut self, length: usize) -> Frame {
        self.payload.resize(length, 0);
        self
    }

    /// The bytes of the wire.
    pub fn encode(&self) -> Vec<u8> {
        let length = self.claimed.unwrap_or(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        let [_, high, middle, low] = length.to_be_bytes();
        let mut bytes = vec![high, middle, low, self.kind, self.flags];
        bytes.extend_from_slice(&self.stream.to_be_bytes());
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// Whether this flag is set.
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Payload length, type, flags and stream from the nine bytes of a header.
    pub(super) fn parse_header(bytes: &[u8]) -> Option<(usize, Frame)> {
        let &[high, middle, low, kind, flags, a, b, c, d] = bytes else { return None };
        let length = u32::from_be_bytes([0, high, middle, low]);
        Some((usize::try_from(length).ok()?, Frame::new(kind, flags, u32::from_be_bytes([a, b, c, d]), [])))
    }

    /// The 32 bits at `at` of the payload.
    pub(super) fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        Some(u32::from_be_bytes(bytes.try_into().ok()?))
    }
}

const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(frame: &Frame, expected: &[u8]) {
        assert_eq!(frame.encode(), expected);
    }

    #[test]
    fn frames_are_the_bytes_of_the_rfc() {
        check(&Frame::settings_ack(), &[0, 0, 0, 4, 1, 0, 0, 0, 0]);
        check(&Frame::settings(&[(3, 100)]), &[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 100]);
        check(&Frame::window_update(1, 5), &[0, 0, 4, 8, 0, 0, 0, 0, 1, 0, 0, 0, 5]);
        check(&Frame::data(1, *b"hi").padded(2, 2).ending(), &[0, 0, 5, 0, 9, 0, 0, 0, 1, 2, b'h', b'i', 0, 0]);
        check(&Frame::headers(1, [0x82]).depending(3), &[0, 0, 6, 1, 0x24, 0, 0, 0, 1, 0, 0, 0, 3, 15, 0x82]);
        check(&Frame::ping([7; 8]).claiming(9), &[0, 0, 9, 6, 0, 0, 0, 0, 0, 7, 7, 7, 7, 7, 7, 7, 7]);
    }

    #[test]
    fn codes_say_their_name() {
        assert_eq!(format!("{:?} {:?}", Code::ENHANCE_YOUR_CALM, Code(99)), "ENHANCE_YOUR_CALM code 99");
    }
}
