//! Frames of a lainlet watch: bytes in, frames out, no I/O.
//!
//! A frame is `id: N`, `event: E`, `data: …` (one line, however long) and a blank line. A heartbeat has no data line, so
//! it would be dropped by a parser that follows the Server-Sent Events standard to the letter.

use bytes::Bytes;

/// One frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frame {
    /// The value of `event`; empty when there was none.
    pub event: String,
    /// The value of `data`; several lines are joined by LF; `None` without a data line.
    pub data: Option<Bytes>,
}

/// A frame that is not taken any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a frame is longer than {max} bytes")]
pub struct TooLarge {
    /// The longest frame that is taken.
    pub max: usize,
}

/// Splits a stream of bytes into frames, wherever it is cut.
#[derive(Debug)]
pub struct FrameSplitter {
    max: usize,
    line: Vec<u8>,
    /// How long the longest line was: the next state will be about as long.
    longest: usize,
    /// Bytes of the frame in its finished lines.
    taken: usize,
    frame: Option<Frame>,
    /// The data so far, once a frame has more than one line of it.
    joined: Vec<u8>,
    after_cr: bool,
}

impl FrameSplitter {
    /// Takes frames of at most `max` bytes.
    pub fn new(max: usize) -> Self {
        Self { max, line: Vec::new(), longest: 0, taken: 0, frame: None, joined: Vec::new(), after_cr: false }
    }

    /// Takes the next bytes of the stream; each whole frame goes to `deliver`, in order.
    ///
    /// After an error the stream cannot be followed any further.
    pub fn push(&mut self, mut bytes: &[u8], mut deliver: impl FnMut(Frame)) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            if std::mem::take(&mut self.after_cr)
                && let Some(rest) = bytes.strip_prefix(b"\n")
            {
                bytes = rest;
                continue;
            }
            let end = memchr::memchr2(b'\n', b'\r', bytes);
            let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
            if self.taken + self.line.len() + part.len() > self.max {
                return Err(TooLarge { max: self.max });
            }
            if self.line.is_empty() && part.len() >= LONG {
                self.line.reserve(self.longest);
            }
            self.line.extend_from_slice(part);
            let Some((&ending, rest)) = rest.split_first() else { return Ok(()) };
            self.after_cr = ending == b'\r';
            bytes = rest;
            if let Some(frame) = self.end_line() {
                deliver(frame);
            }
        }
        Ok(())
    }

    /// Whether the stream may end here without cutting a frame short.
    pub fn is_between_frames(&self) -> bool {
        self.line.is_empty() && self.frame.is_none()
    }

    fn end_line(&mut self) -> Option<Frame> {
        if self.line.is_empty() {
            self.taken = 0;
            let joined = std::mem::take(&mut self.joined);
            let mut frame = self.frame.take()?;
            if !joined.is_empty() {
                frame.data = Some(joined.into());
            }
            return Some(frame);
        }
        self.taken += self.line.len();
        self.longest = self.longest.max(self.line.len() + LONG);
        let line = Bytes::from(std::mem::take(&mut self.line));
        let (name, value) = match memchr::memchr(b':', &line) {
            // A comment.
            Some(0) => return None,
            Some(colon) => (line.slice(..colon), line.slice(colon + 1..)),
            None => (line.clone(), Bytes::new()),
        };
        let value = if value.first() == Some(&b' ') { value.slice(1..) } else { value };
        let frame = self.frame.get_or_insert_default();
        match name.as_ref() {
            b"event" => frame.event = String::from_utf8_lossy(&value).into_owned(),
            b"data" => match &frame.data {
                None => frame.data = Some(value),
                Some(first) => {
                    if self.joined.is_empty() {
                        self.joined.extend_from_slice(first);
                    }
                    self.joined.push(b'\n');
                    self.joined.extend_from_slice(&value);
                }
            },
            _ => {}
        }
        None
    }
}

/// From here on a line is expected to be as long as the longest one.
const LONG: usize = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames(pieces: &[&[u8]]) -> Vec<(String, Option<String>)> {
        let mut splitter = FrameSplitter::new(1000);
        let mut frames = Vec::new();
        for piece in pieces {
            let text = |data: Bytes| String::from_utf8_lossy(&data).into_owned();
            splitter.push(piece, |frame| frames.push((frame.event, frame.data.map(text)))).expect("small frames");
        }
        frames
    }

    fn check(stream: &str, expected: &[(&str, Option<&str>)]) {
        let expected: Vec<_> = expected.iter().map(|(e, d)| ((*e).to_owned(), d.map(str::to_owned))).collect();
        assert_eq!(frames(&[stream.as_bytes()]), expected, "whole: {stream:?}");
        let bytes: Vec<&[u8]> = stream.as_bytes().chunks(1).collect();
        assert_eq!(frames(&bytes), expected, "byte by byte: {stream:?}");
    }

    #[test]
    fn frames_of_lainlet_heartbeats_included() {
        check("id: 1\nevent: init\ndata: {\"a\":1}\n\n", &[("init", Some("{\"a\":1}"))]);
        check("id: 0\nevent: heartbeat\n\n", &[("heartbeat", None)]);
        check("id: 0\nevent: error\ndata: over half\n\n", &[("error", Some("over half"))]);
        check(
            "id: 1\nevent: init\ndata: {}\n\nid: 0\nevent: heartbeat\n\nid: 3\nevent: update\ndata: 2\n\n",
            &[("init", Some("{}")), ("heartbeat", None), ("update", Some("2"))],
        );
    }

    #[test]
    fn other_writers_of_the_same_format() {
        check("event: init\r\ndata: 1\r\n\r\n", &[("init", Some("1"))]);
        check("event: init\rdata: 1\r\r", &[("init", Some("1"))]);
        check(": hello\n\nevent:init\ndata:1\ndata: 2\n\n", &[("init", Some("1\n2"))]);
        check("\n\n\nevent\ndata\n\n", &[("", Some(""))]);
        check("data: cut short", &[]);
    }

    #[test]
    fn a_frame_that_is_too_long_is_refused_before_it_is_whole() {
        let mut splitter = FrameSplitter::new(10);
        let refused = splitter.push(b"data: 12345", |_| {});
        assert_eq!(refused, Err(TooLarge { max: 10 }));
        let mut splitter = FrameSplitter::new(10);
        let many_lines = (0..100).try_for_each(|_| splitter.push(b"a:b\n", |_| {}));
        assert_eq!(many_lines, Err(TooLarge { max: 10 }));
    }

    #[test]
    fn knows_when_a_frame_was_cut_short() {
        let mut splitter = FrameSplitter::new(100);
        assert!(splitter.is_between_frames());
        splitter.push(b"event: init\n", |_| {}).expect("small");
        assert!(!splitter.is_between_frames());
        splitter.push(b"\n", |_| {}).expect("small");
        assert!(splitter.is_between_frames());
    }

    proptest! {
        #[test]
        fn where_the_stream_is_cut_does_not_matter(
            stream in "(id: 1\n|event: init\n|event: x\r\n|data: [a-z:]{0,9}\n|\r|\n|: c\n|[a-z]{0,3}\n){0,20}",
            cuts in proptest::collection::vec(0usize..100, 0..6),
        ) {
            let bytes = stream.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().filter(|&cut| cut <= bytes.len()).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(frames(&pieces), frames(&[bytes]));
        }
    }
}
