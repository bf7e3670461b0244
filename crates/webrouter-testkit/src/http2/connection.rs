//! One HTTP/2 connection, as its client: what is sent is the test's, what arrives is read, sorted and acknowledged.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::fields::Fields;
use super::frame::{Code, Frame, flag, kind, setting};
use super::inbox::{Answer, Ended, Inbox};
use super::{MAX_FRAME_SIZE, PREFACE};
use crate::client::Client;
use crate::transport::End;

/// The connection.
pub struct Http2 {
    client: Client,
    inbox: Inbox,
    windows: Windows,
    next: u32,
}

/// Who gives the server leave to send more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Windows {
    /// Each DATA is given back at once.
    Refilled,
    /// The test, or nobody.
    ByHand,
}

impl Http2 {
    /// A connection on which nothing was said yet.
    pub fn silent(client: Client) -> Http2 {
        Http2 { client, inbox: Inbox::new(), windows: Windows::Refilled, next: 1 }
    }

    /// A connection by prior knowledge, with preface and empty settings sent.
    pub fn connect(addr: SocketAddr) -> Http2 {
        Http2::begun(Client::connect(addr), &[])
    }

    /// A connection with preface and these settings sent.
    pub fn begun(client: Client, settings: &[(u16, u32)]) -> Http2 {
        let mut connection = Http2::silent(client);
        let table = settings.iter().find(|(name, _)| *name == setting::HEADER_TABLE_SIZE);
        if let Some(&(_, size)) = table {
            connection.inbox.allow_table(size);
        }
        connection.send(&[PREFACE, &Frame::settings(settings).encode()].concat());
        connection
    }

    /// Chooses who opens windows; [`Windows::Refilled`] before.
    pub fn set_windows(&mut self, windows: Windows) {
        self.windows = windows;
    }

    /// Sends bytes; false when the server no longer takes them.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.client.send(bytes)
    }

    /// Sends frames in one write; false when the server no longer takes them.
    pub fn send_frames(&mut self, frames: &[Frame]) -> bool {
        self.client.send(&frames.iter().flat_map(Frame::encode).collect::<Vec<u8>>())
    }

    /// Sends a request with a body, whatever the windows say, on the next stream; its number.
    pub fn ask(&mut self, fields: &Fields, body: &[u8]) -> u32 {
        let stream = self.begin(fields, body.is_empty());
        let pieces = body.chunks(MAX_FRAME_SIZE);
        let last = pieces.len().saturating_sub(1);
        for (number, piece) in pieces.enumerate() {
            let data = Frame::data(stream, piece);
            self.send_frames(&[if number == last { data.ending() } else { data }]);
        }
        stream
    }

    /// Sends the head of a request on the next stream, whole or with a body to follow; the stream's number.
    pub fn begin(&mut self, fields: &Fields, whole: bool) -> u32 {
        let stream = self.next;
        self.next += 2;
        let head = Frame::headers(stream, fields.block());
        self.send_frames(&[if whole { head.ending() } else { head }]);
        stream
    }

    /// The number that the next stream will have.
    pub fn set_next(&mut self, stream: u32) {
        self.next = stream;
    }

    /// GET on the next stream.
    pub fn get(&mut self, authority: &str, path: &str) -> Result<Answer, String> {
        let stream = self.ask(&Fields::request("GET", authority, path), b"");
        self.answer(stream, Duration::from_secs(10))
    }

    /// The whole answer on `stream`, or why there will be none.
    pub fn answer(&mut self, stream: u32, deadline: Duration) -> Result<Answer, String> {
        let ended = self.until(deadline, |inbox| inbox.end_of(stream) != Ended::Open);
        let received = self.inbox.stream(stream);
        match (received.end(), received.answer()) {
            (Ended::Whole, Some(answer)) => Ok(answer),
            _ => Err(format!("stream {stream}: {ended:?}, {:?}, {:?}", received, self.inbox.goaway)),
        }
    }

    /// Reads until `condition` holds; the end that came first is the error.
    pub fn until(&mut self, deadline: Duration, mut condition: impl FnMut(&Inbox) -> bool) -> Result<(), End> {
        let until = Instant::now() + deadline;
        while !condition(&self.inbox) {
            self.turn(until.saturating_duration_since(Instant::now()))?;
        }
        Ok(())
    }

    /// Reads whatever comes until the server ends the connection or the deadline passes.
    pub fn read_to_end(&mut self, deadline: Duration) -> End {
        self.until(deadline, |_| false).err().unwrap_or(End::Deadline)
    }

    /// Reads one frame, notes it and reacts to it as a client must.
    pub fn turn(&mut self, deadline: Duration) -> Result<Frame, End> {
        let frame = self.frame(deadline)?;
        self.inbox.take(&frame);
        match frame.kind {
            kind::SETTINGS if !frame.has(flag::ACK) => _ = self.send_frames(&[Frame::settings_ack()]),
            kind::PING if !frame.has(flag::ACK) => _ = self.send_frames(&[frame.clone().flagged(flag::ACK)]),
            kind::DATA if self.windows == Windows::Refilled => self.refill(&frame),
            _ => {}
        }
        Ok(frame)
    }

    /// What was received so far.
    pub fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    /// The same, to be forgotten in parts.
    pub fn inbox_mut(&mut self) -> &mut Inbox {
        &mut self.inbox
    }

    /// Reads what is there without waiting.
    pub fn drain(&mut self) {
        while self.turn(Duration::from_millis(1)).is_ok() {}
    }

    /// The connection below.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Breaks the stream off.
    pub fn cancel(&mut self, stream: u32) -> bool {
        self.send_frames(&[Frame::rst_stream(stream, Code::CANCEL)])
    }

    fn frame(&mut self, deadline: Duration) -> Result<Frame, End> {
        let until = Instant::now() + deadline;
        let header = self.client.peek(HEADER, until)?;
        let (length, mut frame) = Frame::parse_header(header).expect("a header has nine bytes");
        let bytes = self.client.peek(HEADER + length, until)?;
        frame.payload = bytes.get(HEADER..).unwrap_or_default().to_vec();
        self.client.consume(HEADER + length);
        Ok(frame)
    }

    fn refill(&mut self, frame: &Frame) {
        let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        if length == 0 {
            return;
        }
        let connection = Frame::window_update(0, length);
        if frame.has(flag::END_STREAM) {
            self.send_frames(&[connection]);
        } else {
            self.send_frames(&[connection, Frame::window_update(frame.stream, length)]);
        }
    }
}

/// How long the header of a frame is (RFC 9113 §4.1).
const HEADER: usize = 9;
