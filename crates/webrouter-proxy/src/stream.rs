//! What a request and its answer flow through: a connection, plain or encrypted, or one stream of an HTTP/2 connection.
//! Its two directions are used beside each other, in one task.

mod encrypted;

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::body::{BodyError, write_all};
use crate::deadline::Deadline;
use crate::http2::flow::Flow;

pub(crate) use encrypted::{Encrypted, TlsStream};

/// A client's side of a request, or an endpoint's.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Encrypted),
    /// Boxed: it is the largest, and every connection to an endpoint would be as large.
    Http2(Box<Flow>),
}

/// What comes in.
#[derive(Debug)]
pub(crate) enum Reader<'a> {
    Tcp(ReadHalf<'a>),
    Tls(&'a Encrypted),
    Http2(&'a Flow),
}

/// What goes out.
#[derive(Debug)]
pub(crate) enum Writer<'a> {
    Tcp(WriteHalf<'a>),
    Tls(&'a Encrypted),
    Http2(&'a Flow),
}

/// The beginning of a message: its head as HTTP/1.1 writes it, and what there is of its body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opening<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) head_len: usize,
    /// Whether nothing follows.
    pub(crate) ends: bool,
}

/// How the end of an answer that is its connection's end will look to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Proper,
    /// Only a reset says that it was cut, whatever cuts it.
    Reset,
}

impl Stream {
    pub(crate) fn split(&mut self) -> (Reader<'_>, Writer<'_>) {
        match self {
            Self::Tcp(stream) => {
                let (reader, writer) = stream.split();
                (Reader::Tcp(reader), Writer::Tcp(writer))
            }
            Self::Tls(stream) => (Reader::Tls(stream), Writer::Tls(stream)),
            Self::Http2(flow) => (Reader::Http2(flow), Writer::Http2(flow)),
        }
    }

    /// What a request's head is read from, in HTTP/1.
    pub(crate) fn reader(&mut self) -> Reader<'_> {
        self.split().0
    }

    /// Ready when there may be something to read; holds no buffer meanwhile.
    pub(crate) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(stream) => stream.poll_read_ready(context),
            Self::Tls(stream) => stream.poll_readable(context),
            // A stream of HTTP/2 carries one request, which is there.
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    /// Waits until the peer resets; one that only ends its own side still waits for its answer.
    pub(crate) async fn reset(&self) {
        let gone = match self {
            Self::Tcp(stream) => stream.peek(&mut [0]).await.is_err(),
            Self::Tls(stream) => poll_fn(|context| stream.poll_peek(context)).await.is_err(),
            Self::Http2(flow) => poll_fn(|context| flow.poll_reset(context)).await.is_err(),
        };
        if !gone {
            std::future::pending().await
        }
    }

    /// Sets how the connection's end will look.
    pub(crate) fn set_end(&self, end: End) {
        match self {
            Self::Tcp(stream) => set_end(stream, end),
            Self::Tls(stream) => stream.set_end(end),
            Self::Http2(_) => {}
        }
    }

    /// Says that the answer ends here though it is not whole; where that cannot be said, the connection's end does.
    pub(crate) fn cut(&self) {
        if let Self::Http2(flow) = self {
            flow.cut();
        }
    }
}

pub(super) fn set_end(stream: &TcpStream, end: End) {
    let linger = match end {
        End::Proper => None,
        End::Reset => Some(Duration::ZERO),
    };
    // On a socket that is broken already it makes no difference.
    let _ = SockRef::from(stream).set_linger(linger);
}

impl Reader<'_> {
    /// The socket, where its bytes are the message's.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(half) => Some(half.as_ref()),
            Self::Tls(_) | Self::Http2(_) => None,
        }
    }

    /// What followed a body that has ended, as HTTP/1.1 writes it; nothing where the body's own bytes hold it.
    pub(crate) fn take_trailers(&self) -> Vec<u8> {
        match self {
            Self::Tcp(_) | Self::Tls(_) => Vec::new(),
            Self::Http2(flow) => flow.take_trailers(),
        }
    }

    /// An error once the peer has reset; `Ok` when there is nothing more to be learned.
    pub(crate) fn poll_reset(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(half) => half.as_ref().poll_peek(context, &mut ReadBuf::new(&mut [0])).map_ok(drop),
            Self::Tls(stream) => stream.poll_peek(context),
            Self::Http2(flow) => flow.poll_reset(context),
        }
    }

    /// Reads into a buffer that is there only when there is something to put into it; empty at the end.
    pub(crate) fn poll_bytes(&mut self, room: usize, context: &mut Context<'_>) -> Poll<io::Result<Vec<u8>>> {
        let Self::Tcp(half) = self else {
            let mut bytes = vec![0; room.min(PIECE)];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(self).poll_read(context, &mut buffer))?;
            let read = buffer.filled().len();
            bytes.truncate(read);
            return Poll::Ready(Ok(bytes));
        };
        loop {
            ready!(half.as_ref().poll_read_ready(context))?;
            let mut buffer = Vec::with_capacity(room);
            match half.try_read_buf(&mut buffer) {
                Ok(_) => return Poll::Ready(Ok(buffer)),
                // Readiness is a guess until it was tried.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Writer<'_> {
    /// The socket, where its bytes are the message's.
    pub(crate) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Tcp(half) => Some(half.as_ref()),
            Self::Tls(_) | Self::Http2(_) => None,
        }
    }

    /// Sends the beginning of a message.
    pub(crate) async fn open(
        &mut self,
        opening: Opening<'_>,
        patience: Duration,
        deadline: &mut Deadline,
    ) -> Result<(), BodyError> {
        let Opening { bytes, head_len, ends } = opening;
        let Self::Http2(flow) = self else {
            return write_all(self, bytes, patience, deadline).await;
        };
        let (head, body) = bytes.split_at_checked(head_len).ok_or(BodyError::WriteFailed)?;
        flow.open(head, ends && body.is_empty())?;
        write_all(self, body, patience, deadline).await?;
        if ends { self.finish(b"") } else { Ok(()) }
    }

    /// Ends a message whose body does not end by itself, with the trailers that may be passed on.
    pub(crate) fn finish(&mut self, trailers: &[u8]) -> Result<(), BodyError> {
        match self {
            Self::Tcp(_) | Self::Tls(_) => Ok(()),
            Self::Http2(flow) => flow.finish(trailers).map_err(|_| BodyError::WriteFailed),
        }
    }

    /// Sets how the connection's end will look.
    pub(crate) fn set_end(&self, end: End) {
        match self {
            Self::Tcp(half) => set_end(half.as_ref(), end),
            Self::Tls(stream) => stream.set_end(end),
            Self::Http2(_) => {}
        }
    }
}

impl AsyncRead for Reader<'_> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_read(context, buffer),
            Self::Tls(stream) => stream.poll_read(context, buffer),
            Self::Http2(flow) => flow.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Writer<'_> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_write(context, bytes),
            Self::Tls(stream) => stream.poll_write(context, bytes),
            Self::Http2(flow) => flow.poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_flush(context),
            Self::Tls(stream) => stream.poll_flush(context),
            Self::Http2(_) => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(half) => Pin::new(half).poll_shutdown(context),
            Self::Tls(stream) => stream.poll_shutdown(context),
            Self::Http2(flow) => Poll::Ready(flow.finish(b"")),
        }
    }
}

/// What is read at once where a buffer has to be there before the bytes are.
const PIECE: usize = 16 * 1024;
