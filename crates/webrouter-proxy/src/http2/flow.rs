//! One stream of an HTTP/2 connection, of a client's or to an endpoint: its bodies are read and written like a
//! connection's, and an endpoint's answer begins with its head, as HTTP/1.1 writes it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::HeaderMap;
use http::request::Parts;
use tokio::io::ReadBuf;

use super::gone::{Gone, io_error};
use super::head::{Unsayable, read_request, read_response, read_trailers, write_response, write_trailers};
use super::origin::Lease;
use crate::deadline::at_once;
use crate::http1::head::content_length;

/// One request and its answer.
pub(crate) struct Flow {
    /// A client's request, until it is taken.
    request: Cell<Option<Box<Parts>>>,
    incoming: RefCell<Incoming>,
    outgoing: RefCell<Outgoing>,
    /// The part of an endpoint's connection that it has.
    _lease: Option<Lease>,
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flow").finish_non_exhaustive()
    }
}

/// Why a head was not sent.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error(transparent)]
    Unsayable(#[from] Unsayable),
    #[error(transparent)]
    Io(#[from] io::Error),
}

#[derive(Debug)]
struct Incoming {
    source: Source,
    /// A head that was not read yet.
    head: Vec<u8>,
    /// Of a DATA frame.
    rest: Bytes,
    /// What is missing of a client's body whose length was told. Its last bytes are given out when its end has come: a
    /// body that turns out longer is none that may have been forwarded whole (RFC 9113 §8.1.1).
    left: Option<u64>,
    trailers: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    /// Nothing was asked yet.
    Nothing,
    Answer(ResponseFuture),
    Body(RecvStream),
    Ended,
}

#[derive(Debug)]
enum Outgoing {
    Answer(SendResponse<Bytes>),
    Request(SendRequest<Bytes>),
    Body {
        stream: SendStream<Bytes>,
        /// What is missing of a body whose length was told; the stream ends with its last byte.
        left: Option<u64>,
        ended: bool,
    },
}

impl Flow {
    /// A client's request.
    pub(crate) fn of_client(request: http::Request<RecvStream>, answer: SendResponse<Bytes>) -> Self {
        let (parts, body) = request.into_parts();
        Self {
            incoming: RefCell::new(Incoming { left: told_length(&parts.headers), ..Incoming::new(Source::Body(body)) }),
            request: Cell::new(Some(Box::new(parts))),
            outgoing: RefCell::new(Outgoing::Answer(answer)),
            _lease: None,
        }
    }

    /// One to be asked of an endpoint.
    pub(crate) fn to_endpoint(connection: SendRequest<Bytes>, lease: Lease) -> Self {
        Self {
            request: Cell::default(),
            incoming: RefCell::new(Incoming::new(Source::Nothing)),
            outgoing: RefCell::new(Outgoing::Request(connection)),
            _lease: Some(lease),
        }
    }

    /// The head of a client's request; only once.
    pub(crate) fn take_request(&self) -> Option<Box<Parts>> {
        self.request.take()
    }

    /// Appends what has arrived of the body, up to so many bytes; says whether that is all of it, without trailers.
    pub(crate) fn take_arrived(&self, room: usize, out: &mut Vec<u8>) -> bool {
        let incoming = &mut *self.incoming.borrow_mut();
        let mut left = room;
        while let Some(Ok(())) = at_once(poll_fn(|context| incoming.poll_fill(context))) {
            if incoming.rest.is_empty() {
                return incoming.trailers.is_empty();
            }
            let Ok(taken) = incoming.take(left) else { return false };
            left -= taken.len();
            out.extend_from_slice(&taken);
            if left == 0 {
                break;
            }
        }
        false
    }

    /// Sends a head that is written as HTTP/1.1 writes it: an interim one, or the one before the body.
    pub(crate) fn open(&self, head: &[u8], ends: bool) -> Result<(), OpenError> {
        let outgoing = &mut *self.outgoing.borrow_mut();
        match outgoing {
            Outgoing::Answer(answer) => {
                let (response, left) = read_response(head)?;
                if response.status().is_informational() {
                    return Ok(answer.send_informational(response).map_err(io_error)?);
                }
                let stream = answer.send_response(response, ends).map_err(io_error)?;
                *outgoing = Outgoing::Body { stream, left, ended: ends };
            }
            Outgoing::Request(connection) => {
                let (request, left) = read_request(head)?;
                let (answer, stream) = connection.send_request(request, ends).map_err(io_error)?;
                self.incoming.borrow_mut().source = Source::Answer(answer);
                *outgoing = Outgoing::Body { stream, left, ended: ends };
            }
            Outgoing::Body { .. } => return Err(OpenError::Io(io::ErrorKind::InvalidInput.into())),
        }
        Ok(())
    }

    pub(crate) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let incoming = &mut *self.incoming.borrow_mut();
        ready!(incoming.poll_fill(context))?;
        if !incoming.head.is_empty() {
            let taken = incoming.head.len().min(buffer.remaining());
            buffer.put_slice(incoming.head.get(..taken).unwrap_or_default());
            incoming.head.drain(..taken);
        } else {
            buffer.put_slice(&incoming.take(buffer.remaining())?);
        }
        Poll::Ready(Ok(()))
    }

    pub(crate) fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let Outgoing::Body { stream, left, ended } = &mut *self.outgoing.borrow_mut() else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        if *ended || bytes.is_empty() {
            // Nothing can follow the end: more than was announced is not sent.
            return Poll::Ready(if *ended { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(0) });
        }
        stream.reserve_capacity(bytes.len());
        let mut room = stream.capacity();
        while room == 0 {
            room = match ready!(stream.poll_capacity(context)) {
                Some(room) => room.map_err(io_error)?,
                None => return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            };
        }
        let part = bytes.get(..room).unwrap_or(bytes);
        let after = left.map(|left| left.saturating_sub(part.len() as u64));
        stream.send_data(Bytes::copy_from_slice(part), after == Some(0)).map_err(io_error)?;
        (*left, *ended) = (after, after == Some(0));
        Poll::Ready(Ok(part.len()))
    }

    /// Ends what is sent, with the trailers that may be passed on. A body that is shorter than was told is cut.
    pub(crate) fn finish(&self, trailers: &[u8]) -> io::Result<()> {
        let Outgoing::Body { stream, left, ended } = &mut *self.outgoing.borrow_mut() else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        if *ended {
            return Ok(());
        }
        *ended = true;
        if left.is_some_and(|left| left > 0) {
            stream.send_reset(Reason::INTERNAL_ERROR);
            return Ok(());
        }
        match read_trailers(trailers).map_err(io::Error::other)? {
            Some(trailers) => stream.send_trailers(trailers).map_err(io_error),
            None => stream.send_data(Bytes::new(), true).map_err(io_error),
        }
    }

    /// Ends it at once, unfinished.
    pub(crate) fn cut(&self) {
        match &mut *self.outgoing.borrow_mut() {
            Outgoing::Answer(answer) => answer.send_reset(Reason::INTERNAL_ERROR),
            Outgoing::Body { stream, ended: false, .. } => stream.send_reset(Reason::INTERNAL_ERROR),
            Outgoing::Body { .. } | Outgoing::Request(_) => {}
        }
    }

    /// An error once the peer has given it up.
    pub(crate) fn poll_reset(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reset = match &mut *self.outgoing.borrow_mut() {
            Outgoing::Answer(answer) => ready!(answer.poll_reset(context)),
            Outgoing::Body { stream, .. } => ready!(stream.poll_reset(context)),
            Outgoing::Request(_) => return Poll::Pending,
        };
        match reset {
            // The rest of a request is not needed (RFC 9113 §8.1).
            Ok(Reason::NO_ERROR) => Poll::Ready(Ok(())),
            Ok(_) => Poll::Ready(Err(io::Error::other(Gone::Reset))),
            Err(error) => Poll::Ready(Err(io_error(error))),
        }
    }

    /// What followed the body, as HTTP/1.1 writes it.
    pub(crate) fn take_trailers(&self) -> Vec<u8> {
        std::mem::take(&mut self.incoming.borrow_mut().trailers)
    }
}

impl Incoming {
    fn new(source: Source) -> Self {
        Self { source, head: Vec::new(), rest: Bytes::new(), left: None, trailers: Vec::new() }
    }

    /// Ready when there is a part of a head, or of a body, or the end is reached.
    fn poll_fill(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.head.is_empty() && (self.rest.is_empty() || self.is_last()) {
            match &mut self.source {
                Source::Nothing | Source::Ended => break,
                Source::Answer(answer) => {
                    if let Poll::Ready(Some(interim)) = answer.poll_informational(context) {
                        write_response(&interim.map_err(io_error)?, &mut self.head);
                        continue;
                    }
                    let response = ready!(Pin::new(answer).poll(context)).map_err(io_error)?;
                    write_response(&response, &mut self.head);
                    self.source = Source::Body(response.into_body());
                }
                Source::Body(body) => match ready!(body.poll_data(context)) {
                    Some(data) => {
                        let data = data.map_err(io_error)?;
                        // Only an empty frame can follow the last bytes, or it is an error already.
                        if self.rest.is_empty() {
                            self.rest = data;
                        }
                    }
                    None => {
                        if let Some(trailers) = ready!(body.poll_trailers(context)).map_err(io_error)? {
                            write_trailers(&trailers, &mut self.trailers);
                        }
                        self.source = Source::Ended;
                    }
                },
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Whether the end of the body has to follow what is there.
    fn is_last(&self) -> bool {
        self.left == Some(self.rest.len() as u64)
    }

    /// Some of what is there. The window opens again as fast as the other side takes what came through it.
    fn take(&mut self, room: usize) -> io::Result<Bytes> {
        let taken = self.rest.split_to(self.rest.len().min(room));
        self.left = self.left.map(|left| left.saturating_sub(taken.len() as u64));
        if let Source::Body(body) = &mut self.source {
            body.flow_control().release_capacity(taken.len()).map_err(io_error)?;
        }
        Ok(taken)
    }
}

/// What a head says of its body's length; `h2` holds the body to it.
fn told_length(headers: &HeaderMap) -> Option<u64> {
    content_length(headers.get(http::header::CONTENT_LENGTH)?.as_bytes()).ok()
}
