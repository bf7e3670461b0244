//! What a server said on one connection, sorted by stream, and what it must never have said.

use std::collections::BTreeMap;

use fluke_hpack::Decoder;

use super::frame::{Code, Frame, flag, kind, setting};
use crate::message::{Field, latin1};

/// Everything received so far.
pub struct Inbox {
    decoder: Decoder<'static>,
    streams: BTreeMap<u32, Received>,
    /// The stream and the beginning of a field block that goes on.
    unfinished: Option<(Frame, Vec<u8>)>,
    /// The server's settings, the last of each.
    pub settings: BTreeMap<u16, u32>,
    /// How many SETTINGS the server acknowledged.
    pub acknowledged: usize,
    /// The payloads of the PINGs that were answered.
    pub pongs: Vec<Vec<u8>>,
    /// How far each window was opened by WINDOW_UPDATE; 0 is the connection's.
    pub opened: BTreeMap<u32, u64>,
    /// The last GOAWAY.
    pub goaway: Option<Goaway>,
    /// What no server may send.
    pub offences: Vec<String>,
}

/// A GOAWAY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goaway {
    /// The last stream that was or may be acted upon.
    pub last: u32,
    /// Why.
    pub code: Code,
    /// In words.
    pub debug: String,
}

/// What came on one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Heads with a status 1xx.
    pub interim: Vec<Vec<Field>>,
    /// The fields of the final head, `:status` first.
    pub head: Option<Vec<Field>>,
    /// All DATA so far.
    pub body: Vec<u8>,
    /// The fields after the body.
    pub trailers: Vec<Field>,
    /// Whether the server's side ended with END_STREAM.
    pub ended: bool,
    /// The RST_STREAM, wherever it came.
    pub reset: Option<Code>,
}

/// A whole answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The value of `:status`.
    pub status: u16,
    /// The fields without `:status`.
    pub fields: Vec<Field>,
    /// The content.
    pub body: Vec<u8>,
    /// The fields after it.
    pub trailers: Vec<Field>,
}

/// How a stream ended, if it did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// Not yet.
    Open,
    /// With END_STREAM.
    Whole,
    /// With RST_STREAM before END_STREAM.
    Reset(Code),
}

impl Received {
    /// How it ended.
    pub fn end(&self) -> Ended {
        match (self.ended, self.reset) {
            (true, _) => Ended::Whole,
            (false, Some(code)) => Ended::Reset(code),
            (false, None) => Ended::Open,
        }
    }

    /// The status, once a final head has come.
    pub fn status(&self) -> Option<u16> {
        status_of(self.head.as_ref()?)
    }

    /// The answer, whole or not; `None` before its head.
    pub fn answer(&self) -> Option<Answer> {
        let status = self.status()?;
        let fields = self.head.iter().flatten().filter(|(name, _)| name != ":status").cloned().collect();
        Some(Answer { status, fields, body: self.body.clone(), trailers: self.trailers.clone() })
    }
}

impl Answer {
    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn text(&self) -> String {
        latin1(&self.body)
    }
}

impl Inbox {
    pub(super) fn new() -> Inbox {
        Inbox {
            decoder: Decoder::new(),
            streams: BTreeMap::new(),
            unfinished: None,
            settings: BTreeMap::new(),
            acknowledged: 0,
            pongs: Vec::new(),
            opened: BTreeMap::new(),
            goaway: None,
            offences: Vec::new(),
        }
    }

    /// What came on `stream`, so far.
    pub fn stream(&self, stream: u32) -> Received {
        self.streams.get(&stream).cloned().unwrap_or_default()
    }

    /// How `stream` ended, without a copy of what it brought.
    pub fn end_of(&self, stream: u32) -> Ended {
        self.streams.get(&stream).map_or(Ended::Open, Received::end)
    }

    /// How many bytes of content came on `stream`.
    pub fn body_length(&self, stream: u32) -> usize {
        self.streams.get(&stream).map_or(0, |received| received.body.len())
    }

    /// Drops the content that `stream` brought so far; its length.
    pub fn discard(&mut self, stream: u32) -> usize {
        self.streams.get_mut(&stream).map_or(0, |received| std::mem::take(&mut received.body).len())
    }

    /// Whether this setting of the server's is known, and its value.
    pub fn setting(&self, name: u16) -> Option<u32> {
        self.settings.get(&name).copied()
    }

    /// The largest table that the server's encoder may use from now on.
    pub(super) fn allow_table(&mut self, size: u32) {
        self.decoder.set_max_allowed_table_size(usize::try_from(size).unwrap_or(usize::MAX));
    }

    pub(super) fn take(&mut self, frame: &Frame) {
        if frame.stream & (1 << 31) != 0 {
            self.offence(frame, "the reserved bit is set (RFC 9113 §4.1)");
        }
        if self.unfinished.is_some() && frame.kind != kind::CONTINUATION {
            self.offence(frame, "a field block is interrupted (RFC 9113 §4.3)");
        }
        match frame.kind {
            kind::DATA => self.data(frame),
            kind::HEADERS => self.begin_block(frame),
            kind::CONTINUATION => self.go_on(frame),
            kind::RST_STREAM => {
                let code = frame.word(0).map(Code);
                self.stream_mut(frame, |received| received.reset = code);
            }
            kind::SETTINGS if frame.has(flag::ACK) => self.acknowledged += 1,
            kind::SETTINGS => self.settings(frame),
            kind::PING if frame.has(flag::ACK) => self.pongs.push(frame.payload.clone()),
            kind::PING => {}
            kind::GOAWAY => {
                let (last, code) = (frame.word(0).unwrap_or_default(), Code(frame.word(4).unwrap_or_default()));
                let debug = latin1(frame.payload.get(8..).unwrap_or_default());
                self.goaway = Some(Goaway { last, code, debug });
            }
            kind::WINDOW_UPDATE => {
                let increment = frame.word(0).unwrap_or_default();
                if increment == 0 {
                    self.offence(frame, "a window is opened by 0 (RFC 9113 §6.9)");
                }
                *self.opened.entry(frame.stream).or_default() += u64::from(increment);
            }
            kind::PUSH_PROMISE => self.offence(frame, "a push that nobody allowed (RFC 9113 §8.4)"),
            _ => {}
        }
    }

    fn settings(&mut self, frame: &Frame) {
        for one in frame.payload.chunks(6) {
            let &[a, b, c, d, e, f] = one else {
                return self.offence(frame, "half a setting (RFC 9113 §6.5)");
            };
            let (name, value) = (u16::from_be_bytes([a, b]), u32::from_be_bytes([c, d, e, f]));
            if name == setting::ENABLE_PUSH && value != 0 {
                self.offence(frame, "a server offers push (RFC 9113 §6.5.2)");
            }
            self.settings.insert(name, value);
        }
    }

    fn data(&mut self, frame: &Frame) {
        let content = unpadded(frame).to_vec();
        if self.streams.get(&frame.stream).is_none_or(|received| received.head.is_none()) {
            self.offence(frame, "content before a head (RFC 9113 §8.1)");
        }
        self.stream_mut(frame, |received| {
            received.body.extend_from_slice(&content);
            received.ended |= frame.has(flag::END_STREAM);
        });
    }

    fn begin_block(&mut self, frame: &Frame) {
        let block = unpadded(frame);
        let block = if frame.has(flag::PRIORITY) { block.get(5..).unwrap_or_default() } else { block };
        self.block(frame.clone(), block.to_vec(), frame.has(flag::END_HEADERS));
    }

    fn go_on(&mut self, frame: &Frame) {
        match self.unfinished.take() {
            Some((first, block)) if first.stream == frame.stream => {
                self.block(first, [block, frame.payload.clone()].concat(), frame.has(flag::END_HEADERS));
            }
            _ => self.offence(frame, "a continuation of nothing (RFC 9113 §6.10)"),
        }
    }

    fn block(&mut self, first: Frame, block: Vec<u8>, whole: bool) {
        if !whole {
            self.unfinished = Some((first, block));
            return;
        }
        let fields = match self.decoder.decode(&block) {
            Ok(fields) => fields,
            Err(why) => return self.offence(&first, &format!("a field block that cannot be decoded: {why:?}")),
        };
        let fields: Vec<Field> = fields.iter().map(|(name, value)| (latin1(name), latin1(value))).collect();
        for (name, value) in &fields {
            if let Some(why) = offence_of(name, value) {
                self.offence(&first, &format!("`{name}: {value}`: {why}"));
            }
        }
        self.stream_mut(&first, |received| {
            let interim = status_of(&fields).is_some_and(|status| status < 200);
            match &received.head {
                None if interim => received.interim.push(fields),
                None => received.head = Some(fields),
                Some(_) => received.trailers = fields,
            }
            received.ended |= first.has(flag::END_STREAM);
        });
        let received = self.stream(first.stream);
        if received.head.is_some() && received.status().is_none() {
            self.offence(&first, "a head without a status (RFC 9113 §8.3.2)");
        }
        if received.trailers.iter().any(|(name, _)| name.starts_with(':')) {
            self.offence(&first, "a pseudo field after the head (RFC 9113 §8.1)");
        }
    }

    fn stream_mut(&mut self, frame: &Frame, change: impl FnOnce(&mut Received)) {
        if frame.stream == 0 || frame.stream.is_multiple_of(2) {
            return self.offence(frame, "on a stream that no client opens (RFC 9113 §5.1.1)");
        }
        let received = self.streams.entry(frame.stream).or_default();
        let closed = received.ended || received.reset.is_some();
        change(received);
        if closed && frame.kind != kind::RST_STREAM {
            self.offence(frame, "on a stream that the server closed (RFC 9113 §5.1)");
        }
    }

    fn offence(&mut self, frame: &Frame, why: &str) {
        self.offences.push(format!("frame of type {} on stream {}: {why}", frame.kind, frame.stream));
    }
}

/// What no field of an answer may be.
fn offence_of(name: &str, value: &str) -> Option<&'static str> {
    let hop = ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];
    let bad = |c: char| matches!(c, '\r' | '\n' | '\0');
    if name.chars().any(|c| c.is_ascii_uppercase()) {
        Some("a name in upper case (RFC 9113 §8.2)")
    } else if hop.contains(&name) {
        Some("a field of a connection (RFC 9113 §8.2.2)")
    } else if name.chars().any(bad) || value.chars().any(bad) || value != value.trim_matches([' ', '\t']) {
        Some("bytes that no field may have (RFC 9113 §8.2.1)")
    } else {
        None
    }
}

fn status_of(fields: &[Field]) -> Option<u16> {
    fields.iter().find(|(name, _)| name == ":status").and_then(|(_, value)| value.parse().ok())
}

fn unpadded(frame: &Frame) -> &[u8] {
    if !frame.has(flag::PADDED) {
        return &frame.payload;
    }
    let Some((&padding, rest)) = frame.payload.split_first() else { return &[] };
    rest.get(..rest.len().saturating_sub(usize::from(padding))).unwrap_or_default()
}
