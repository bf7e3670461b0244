//! Bodies in flight: from one connection to another, in constant memory, framed anew.

use bytes::BufMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::deadline::{Deadline, Expired, at_once};
use crate::http1::body::{ChunkDecoder, ChunkError, ChunkSize, encode_end};
use crate::http1::head::Framing;
use crate::http2::flow::OpenError;
use crate::http2::gone::Gone;
use crate::splice::{self, Pipe};
use crate::stream::{Reader, Writer};

/// What is left of a body, and how it is written on.
#[derive(Debug)]
pub(crate) struct Body {
    source: Source,
    sink: Sink,
    /// Bytes of body so far, codings aside.
    pub(crate) moved: u64,
    limit: Option<u64>,
    /// What followed it, as HTTP/1.1 writes it, where it is not written with the body.
    trailers: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    Done,
    Length(u64),
    Chunked(ChunkDecoder),
    UntilClose,
    /// Until the stream of HTTP/2 ends.
    Stream,
}

/// How a body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sink {
    /// As it is: its length was told, or the connection's end is the body's.
    Plain,
    Chunked,
    /// As it is, and its end is told with the trailers.
    Stream,
}

/// Why a body did not go through.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The sender stopped before the end, or its connection broke.
    ReadCut,
    ReadTimeout,
    /// The receiver closed its connection.
    WriteFailed,
    /// The receiver takes nothing on this connection any more, and has taken nothing of this.
    WriteLeft,
    WriteTimeout,
    /// The head before it has no form in the receiver's version of HTTP.
    Unsayable,
    Malformed(ChunkError),
    OverLimit,
}

impl From<OpenError> for BodyError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unsayable(_) => Self::Unsayable,
            OpenError::Io(error) if Gone::of(&error) == Some(Gone::Left) => Self::WriteLeft,
            OpenError::Io(_) => Self::WriteFailed,
        }
    }
}

impl From<ChunkError> for BodyError {
    fn from(error: ChunkError) -> Self {
        Self::Malformed(error)
    }
}

/// How long each side may stand still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    pub(crate) read: std::time::Duration,
    pub(crate) write: std::time::Duration,
}

impl Body {
    pub(crate) fn new(framing: Framing, sink: Sink, limit: Option<u64>) -> Self {
        let source = match framing {
            Framing::None | Framing::Length(0) => Source::Done,
            Framing::Length(length) => Source::Length(length),
            Framing::Chunked => Source::Chunked(ChunkDecoder::default()),
            Framing::UntilClose => Source::UntilClose,
            Framing::Stream => Source::Stream,
        };
        Self { source, sink, moved: 0, limit, trailers: Vec::new() }
    }

    /// Whether the whole body has been taken in.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.source, Source::Done)
    }

    /// Takes the body's bytes that are at hand already and writes them to `out`; says how many were the body's.
    pub(crate) fn absorb(&mut self, raw: &mut [u8], out: &mut Vec<u8>) -> Result<usize, BodyError> {
        let (data, consumed) = self.decode(raw)?;
        let body = raw.get(..data).unwrap_or_default();
        match self.sink {
            Sink::Plain | Sink::Stream => out.extend_from_slice(body),
            Sink::Chunked if data > 0 => {
                out.extend_from_slice(ChunkSize::new(data).as_bytes());
                out.extend_from_slice(body);
                out.extend_from_slice(b"\r\n");
            }
            Sink::Chunked => {}
        }
        self.write_end(out)?;
        Ok(consumed)
    }

    /// Moves the rest of the body; bytes after its end are left in `buffer`.
    pub(crate) async fn relay(
        &mut self,
        reader: &mut Reader<'_>,
        writer: &mut Writer<'_>,
        buffer: &mut Vec<u8>,
        patience: Patience,
        deadline: &mut Deadline,
    ) -> Result<(), BodyError> {
        self.splice(reader, writer, patience, deadline).await?;
        let largest = if writer.socket().is_some() { LARGEST_READ } else { LARGEST_PIECE };
        let (mut room, mut turn) = (self.first_room().min(largest), 0);
        while !self.is_done() {
            buffer.clear();
            buffer.resize(GAP, 0);
            buffer.reserve(room + LINE_END);
            let at = Instant::now() + patience.read;
            let mut window = (&mut *buffer).limit(room);
            match deadline.until(at, reader.read_buf(&mut window)).await {
                Err(Expired) => return Err(BodyError::ReadTimeout),
                Ok(Ok(0)) if matches!(self.source, Source::UntilClose) => self.source = Source::Done,
                Ok(Ok(0)) if matches!(self.source, Source::Stream) => {
                    self.trailers = reader.take_trailers();
                    self.source = Source::Done;
                }
                Ok(Ok(0)) | Ok(Err(_)) => return Err(BodyError::ReadCut),
                Ok(Ok(read)) if read == room => room = (room * 2).min(largest),
                Ok(Ok(_)) => {}
            }
            let raw = buffer.get_mut(GAP..).unwrap_or_default();
            let (data, consumed) = self.decode(raw)?;
            let leftover = buffer.get(GAP + consumed..).unwrap_or_default().to_vec();
            buffer.truncate(GAP + data);
            let start = self.frame(data, buffer)?;
            let framed = buffer.get(start..).unwrap_or_default();
            write_all(writer, framed, patience.write, deadline).await?;
            turn += data;
            if turn >= BYTES_PER_TURN {
                turn = 0;
                tokio::task::yield_now().await;
            }
            if self.is_done() {
                buffer.clear();
                buffer.extend_from_slice(&leftover);
            }
        }
        self.finish(writer)
    }

    /// Tells the end of a body that is whole, where the body does not do so itself.
    pub(crate) fn finish(&mut self, writer: &mut Writer<'_>) -> Result<(), BodyError> {
        match self.sink {
            Sink::Stream if self.is_done() => writer.finish(&std::mem::take(&mut self.trailers)),
            _ => Ok(()),
        }
    }

    /// A body whose length is known is read in as few pieces as may be; another one shows by and by how fast it comes.
    fn first_room(&self) -> usize {
        match self.source {
            Source::Length(left) => usize::try_from(left).unwrap_or(usize::MAX).clamp(FIRST_READ, LARGEST_READ),
            _ => FIRST_READ,
        }
    }

    /// Moves what is long and goes through unchanged without copying it.
    async fn splice(
        &mut self,
        reader: &Reader<'_>,
        writer: &Writer<'_>,
        patience: Patience,
        deadline: &mut Deadline,
    ) -> Result<(), BodyError> {
        let (Some(reader), Some(writer)) = (reader.socket(), writer.socket()) else { return Ok(()) };
        let left = match self.source {
            Source::Length(left) if left >= WORTH_A_PIPE && self.sink == Sink::Plain && self.limit.is_none() => left,
            _ => return Ok(()),
        };
        let Ok(pipe) = Pipe::new() else { return Ok(()) };
        let (moved, ended) = splice::relay(&pipe, left, reader, writer, patience, deadline).await;
        self.moved += moved;
        self.source = if moved == left { Source::Done } else { Source::Length(left - moved) };
        ended
    }

    /// Turns the data after the gap into what is written, and says where that begins.
    fn frame(&mut self, data: usize, buffer: &mut Vec<u8>) -> Result<usize, BodyError> {
        let mut start = GAP;
        if self.sink == Sink::Chunked && data > 0 {
            let size = ChunkSize::new(data);
            start = GAP - size.as_bytes().len();
            buffer.get_mut(start..GAP).unwrap_or_default().copy_from_slice(size.as_bytes());
            buffer.extend_from_slice(b"\r\n");
        }
        self.write_end(buffer)?;
        Ok(start)
    }

    fn write_end(&mut self, out: &mut Vec<u8>) -> Result<(), BodyError> {
        if self.sink != Sink::Chunked {
            return Ok(());
        }
        match &self.source {
            Source::Done => encode_end(&self.trailers, out)?,
            Source::Chunked(decoder) if decoder.is_done() => encode_end(decoder.trailers(), out)?,
            _ => return Ok(()),
        }
        self.source = Source::Done;
        self.sink = Sink::Plain;
        Ok(())
    }

    /// Takes body bytes to the front of `raw`: (how many, how many bytes were used up).
    fn decode(&mut self, raw: &mut [u8]) -> Result<(usize, usize), BodyError> {
        let (data, consumed) = match &mut self.source {
            Source::Done => (0, 0),
            Source::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(raw.len());
                *left -= here as u64;
                if *left == 0 {
                    self.source = Source::Done;
                }
                (here, here)
            }
            Source::Chunked(decoder) => {
                let decoded = decoder.decode(raw)?;
                if decoded.done && self.sink != Sink::Chunked {
                    self.trailers = decoder.trailers().to_vec();
                    self.source = Source::Done;
                }
                (decoded.data, decoded.consumed)
            }
            Source::UntilClose | Source::Stream => (raw.len(), raw.len()),
        };
        self.moved += data as u64;
        match self.limit {
            Some(limit) if self.moved > limit => Err(BodyError::OverLimit),
            _ => Ok((data, consumed)),
        }
    }
}

/// Writes everything; each write that moves bytes starts the patience anew.
pub(crate) async fn write_all(
    writer: &mut Writer<'_>,
    mut bytes: &[u8],
    patience: std::time::Duration,
    deadline: &mut Deadline,
) -> Result<(), BodyError> {
    while !bytes.is_empty() {
        // A write that need not wait needs no clock.
        let written = match at_once(writer.write(bytes)) {
            Some(written) => Ok(written),
            None => deadline.until(Instant::now() + patience, writer.write(bytes)).await,
        };
        match written {
            Err(Expired) => return Err(BodyError::WriteTimeout),
            Ok(Ok(0)) | Ok(Err(_)) => return Err(BodyError::WriteFailed),
            Ok(Ok(written)) => bytes = bytes.get(written..).unwrap_or_default(),
        }
    }
    if let Writer::Tls(_) = writer {
        // What the socket did not take at once waits in the session.
        return match deadline.until(Instant::now() + patience, writer.flush()).await {
            Err(Expired) => Err(BodyError::WriteTimeout),
            Ok(flushed) => flushed.map_err(|_| BodyError::WriteFailed),
        };
    }
    Ok(())
}

/// Room before the data for a chunk's size line.
const GAP: usize = 18;
const LINE_END: usize = 2;
const FIRST_READ: usize = 16 * 1024;
/// Below this a copy costs less than the calls it saves.
const WORTH_A_PIPE: u64 = 256 * 1024;
/// What a client that never reads may hold.
const LARGEST_READ: usize = 128 * 1024;
/// The same, where many answers share a connection, or what is read is copied once more.
const LARGEST_PIECE: usize = 32 * 1024;
/// After so much, other connections of the core have their turn.
pub(crate) const BYTES_PER_TURN: usize = 1024 * 1024;
