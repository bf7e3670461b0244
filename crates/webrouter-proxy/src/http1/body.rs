//! The chunked coding (RFC 9112 §7.1), decoded in place and encoded anew, so that no two readers can disagree.

use super::encode::field;
use super::field::{Known, Span};

/// Decodes a chunked body as its bytes arrive.
///
/// ```text
/// Size ─digits─► Padding ─;─► Extension ─CRLF─► Data ─CRLF─► Size
///   └─ 0 ──────────────────CRLF─► Trailers ─empty line─► Done
/// ```
#[derive(Debug)]
pub struct ChunkDecoder {
    state: State,
    /// Digits of the current size, or bytes of its extension.
    line_bytes: u32,
    extension_bytes: u32,
    trailers: Vec<u8>,
    trailer_line_start: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size(u64),
    /// White space that an extension must follow (RFC 9112 §7.1.1, RFC 9110 §5.6.3).
    Padding(u64),
    Extension(u64),
    SizeLf(u64),
    Data(u64),
    DataCr,
    DataLf,
    Trailers,
    Done,
}

/// Why a body is not chunked coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Not a hexadecimal number that fits.
    #[error("a chunk size is malformed")]
    Size,
    /// A control character, or too long.
    #[error("a chunk extension is malformed or too long")]
    Extension,
    /// A line that does not end in CRLF.
    #[error("a chunk does not end in CRLF")]
    LineEnd,
    /// Not header fields, or too long.
    #[error("the trailers are malformed or too long")]
    Trailers,
}

/// What a call of [`ChunkDecoder::decode`] achieved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decoded {
    /// This many bytes of body stand at the beginning of the buffer now.
    pub data: usize,
    /// This many bytes of the buffer were used up.
    pub consumed: usize,
    /// Whether the body has ended; what was not consumed belongs to the next message.
    pub done: bool,
}

impl Default for ChunkDecoder {
    fn default() -> Self {
        Self { state: State::Size(0), line_bytes: 0, extension_bytes: 0, trailers: Vec::new(), trailer_line_start: 0 }
    }
}

impl ChunkDecoder {
    /// Decodes as much as there is, moving the body's bytes to the front of the buffer.
    pub fn decode(&mut self, buffer: &mut [u8]) -> Result<Decoded, ChunkError> {
        let (mut data, mut at) = (0, 0);
        while let Some(&byte) = buffer.get(at).filter(|_| self.state != State::Done) {
            if let State::Data(left) = self.state {
                let here = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len() - at);
                if data != at {
                    buffer.copy_within(at..at + here, data);
                }
                data += here;
                at += here;
                self.state = match left - here as u64 {
                    0 => State::DataCr,
                    left => State::Data(left),
                };
            } else {
                at += 1;
                self.state = self.step(byte)?;
            }
        }
        Ok(Decoded { data, consumed: at, done: self.state == State::Done })
    }

    /// Whether the body has ended.
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The trailer section as received, once the body is done; empty for none.
    pub fn trailers(&self) -> &[u8] {
        &self.trailers
    }

    fn step(&mut self, byte: u8) -> Result<State, ChunkError> {
        match (self.state, byte) {
            (State::Size(size), byte) if byte.is_ascii_hexdigit() => {
                self.line_bytes += 1;
                let digit = char::from(byte).to_digit(16).map(u64::from).ok_or(ChunkError::Size)?;
                if self.line_bytes > MAX_SIZE_DIGITS {
                    return Err(ChunkError::Size);
                }
                Ok(State::Size(size << 4 | digit))
            }
            (State::Size(_), _) if self.line_bytes == 0 => Err(ChunkError::Size),
            (State::Size(size), b'\r') | (State::Extension(size), b'\r') => Ok(State::SizeLf(size)),
            (State::Size(size) | State::Padding(size), b';') => Ok(State::Extension(size)),
            (State::Size(size) | State::Padding(size), b' ' | b'\t') => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(ChunkError::Extension);
                }
                Ok(State::Padding(size))
            }
            (State::Size(_) | State::Padding(_), _) => Err(ChunkError::Size),
            (State::Extension(size), b'\t' | b' '..=0x7e | 0x80..) => {
                self.extension_bytes += 1;
                if self.extension_bytes > MAX_EXTENSION_BYTES {
                    return Err(ChunkError::Extension);
                }
                Ok(State::Extension(size))
            }
            (State::Extension(_), _) => Err(ChunkError::Extension),
            (State::SizeLf(size), b'\n') => {
                self.line_bytes = 0;
                Ok(if size == 0 { State::Trailers } else { State::Data(size) })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size(0)),
            (State::SizeLf(_) | State::DataCr | State::DataLf, _) => Err(ChunkError::LineEnd),
            (State::Trailers, byte) => self.step_trailers(byte),
            (state @ (State::Data(_) | State::Done), _) => Ok(state),
        }
    }

    fn step_trailers(&mut self, byte: u8) -> Result<State, ChunkError> {
        if self.trailers.len() >= MAX_TRAILER_BYTES {
            return Err(ChunkError::Trailers);
        }
        self.trailers.push(byte);
        if byte != b'\n' {
            return Ok(State::Trailers);
        }
        match self.trailers.get(self.trailer_line_start..) {
            Some(b"\r\n") => {
                let whole_section = self.trailer_line_start > 0;
                self.trailers.truncate(if whole_section { self.trailers.len() } else { 0 });
                Ok(State::Done)
            }
            Some([.., b'\r', b'\n']) => {
                self.trailer_line_start = self.trailers.len();
                Ok(State::Trailers)
            }
            _ => Err(ChunkError::LineEnd),
        }
    }
}

/// Appends the last chunk, with those of the received trailers that may be passed on.
pub fn encode_end(received_trailers: &[u8], out: &mut Vec<u8>) -> Result<(), ChunkError> {
    out.extend_from_slice(b"0\r\n");
    each_passable_trailer(received_trailers, |name, value| field(out, name, value))?;
    out.extend_from_slice(b"\r\n");
    Ok(())
}

/// Takes those of the received trailers that may be passed on (RFC 9110 §6.5.1), one by one.
pub(crate) fn each_passable_trailer(received: &[u8], mut take: impl FnMut(&[u8], &[u8])) -> Result<(), ChunkError> {
    if received.is_empty() {
        return Ok(());
    }
    let mut storage = [httparse::EMPTY_HEADER; MAX_TRAILERS];
    let parsed = httparse::parse_headers(received, &mut storage).map_err(|_| ChunkError::Trailers)?;
    let httparse::Status::Complete((_, trailers)) = parsed else { return Err(ChunkError::Trailers) };
    for trailer in trailers.iter().filter(|trailer| !Known::is_forbidden_in_trailers(trailer.name.as_bytes())) {
        take(trailer.name.as_bytes(), trailer.value.trim_ascii());
    }
    Ok(())
}

/// The size line of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct ChunkSize {
    bytes: [u8; 18],
    span: Span,
}

impl ChunkSize {
    /// The line that announces this many bytes.
    pub fn new(size: usize) -> Self {
        let mut bytes = [0; 18];
        let mut at = bytes.len() - 2;
        let mut left = size;
        for byte in bytes.iter_mut().rev().zip(*b"\n\r") {
            *byte.0 = byte.1;
        }
        while let Some(byte) = at.checked_sub(1).and_then(|before| bytes.get_mut(before)) {
            let nibble = u8::try_from(left & 15).unwrap_or_default();
            *byte = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            at -= 1;
            left >>= 4;
            if left == 0 {
                break;
            }
        }
        Self { bytes, span: Span::new(at..18) }
    }

    /// `<hex>\r\n`.
    pub fn as_bytes(&self) -> &[u8] {
        self.span.of_bytes(&self.bytes)
    }
}

const MAX_SIZE_DIGITS: u32 = 15;
const MAX_EXTENSION_BYTES: u32 = 4096;
const MAX_TRAILER_BYTES: usize = 16 * 1024;
const MAX_TRAILERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes whole, and byte by byte: the result must be the same.
    fn check(wire: &str, expected: Result<(&str, &str, &str), ChunkError>) {
        let mut whole = wire.as_bytes().to_vec();
        let mut decoder = ChunkDecoder::default();
        let actual = decoder.decode(&mut whole).map(|decoded| {
            let body = String::from_utf8_lossy(&whole[..decoded.data]).into_owned();
            let trailers = String::from_utf8_lossy(decoder.trailers()).into_owned();
            assert!(decoded.done, "{wire:?} is not done");
            (body, trailers, wire[decoded.consumed..].to_owned())
        });
        let expected = expected.map(|(body, trailers, rest)| (body.into(), trailers.into(), rest.into()));
        assert_eq!(actual, expected, "{wire:?}");
        let mut decoder = ChunkDecoder::default();
        let mut body = Vec::new();
        let mut end = Ok(());
        for byte in wire.bytes() {
            let mut one = [byte];
            match decoder.decode(&mut one) {
                Ok(decoded) => body.extend_from_slice(&one[..decoded.data]),
                Err(error) => {
                    end = Err(error);
                    break;
                }
            }
        }
        assert_eq!(
            end.map(|()| String::from_utf8_lossy(&body).into_owned()),
            expected.map(|e: (String, _, String)| e.0)
        );
        let _: &Vec<u8> = &decoder.trailers;
    }

    #[test]
    fn chunks_extensions_and_trailers() {
        check("5\r\nhello\r\n0\r\n\r\n", Ok(("hello", "", "")));
        check("5\r\nhello\r\nA;x=y\r\n0123456789\r\n0\r\n\r\nGET", Ok(("hello0123456789", "", "GET")));
        check("1 \t;x\r\na\r\n0\r\n\r\n", Ok(("a", "", "")));
        check("000\r\nA: b\r\n\r\n", Ok(("", "A: b\r\n\r\n", "")));
    }

    #[test]
    fn what_two_readers_could_read_differently_is_an_error() {
        for bad in [
            "\r\n",
            "x\r\n",
            "-1\r\n",
            "+1\r\n",
            "0x1\r\n",
            " 5\r\n",
            "5 \r\n",
            "5 5\r\n",
            "5\n",
            "fffffffffffffffff\r\n",
        ] {
            check(bad, Err(ChunkError::Size));
        }
        check("5;\n", Err(ChunkError::Extension));
        check("5;a\0\r\n", Err(ChunkError::Extension));
        check("5\rx", Err(ChunkError::LineEnd));
        check("1\r\nab\r\n", Err(ChunkError::LineEnd));
        check("1\r\na\n", Err(ChunkError::LineEnd));
        check("0\r\nA: b\n", Err(ChunkError::LineEnd));
        check(&format!("1;{}\r\n", "a".repeat(5000)), Err(ChunkError::Extension));
        check(&format!("0\r\nA: {}", "a".repeat(20000)), Err(ChunkError::Trailers));
    }

    #[test]
    fn size_lines_are_hexadecimal() {
        for (size, line) in [(0, "0\r\n"), (10, "a\r\n"), (65536, "10000\r\n"), (usize::MAX, "ffffffffffffffff\r\n")] {
            assert_eq!(ChunkSize::new(size).as_bytes(), line.as_bytes());
        }
    }

    #[test]
    fn forbidden_trailers_are_left_out() {
        let mut out = Vec::new();
        let received = b"Digest: x\r\nContent-Length: 5\r\nHost: a\r\nX-T:  y \r\n\r\n";
        assert_eq!(encode_end(received, &mut out), Ok(()));
        assert_eq!(out, b"0\r\nDigest: x\r\nX-T: y\r\n\r\n");
    }
}
