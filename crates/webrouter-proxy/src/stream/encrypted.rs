//! A client's connection under TLS. Reading and writing share one state, so each borrows it for as long as a call takes.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{End, set_end};

/// A TLS connection whose handshake is over.
pub(crate) type TlsStream = tokio_rustls::server::TlsStream<TcpStream>;

/// One that two directions are used of.
#[derive(Debug)]
pub(crate) struct Encrypted {
    stream: RefCell<Box<TlsStream>>,
    end: Cell<End>,
}

impl Encrypted {
    pub(crate) fn new(stream: Box<TlsStream>) -> Self {
        Self { stream: RefCell::new(stream), end: Cell::new(End::Proper) }
    }

    /// Ready when something was decrypted, or may be.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let stream = self.stream.borrow();
        let (socket, session) = stream.get_ref();
        if session.wants_read() { socket.poll_read_ready(context) } else { Poll::Ready(Ok(())) }
    }

    /// An error once the peer has reset; `Ok` when it sent anything, or ended its side.
    pub(super) fn poll_peek(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.borrow().get_ref().0.poll_peek(context, &mut ReadBuf::new(&mut [0])).map_ok(drop)
    }

    pub(super) fn set_end(&self, end: End) {
        self.end.set(end);
        set_end(self.stream.borrow().get_ref().0, end);
    }

    /// Says that nothing follows (RFC 8446 §6.1), unless the end is to look like a cut.
    pub(crate) async fn close(&self) {
        if self.end.get() == End::Proper {
            let _ = poll_fn(|context| self.poll_shutdown(context)).await;
        }
    }

    pub(super) fn poll_read(&self, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.stream.borrow_mut()).poll_read(context, buffer)
    }

    /// What is written leaves at once, as far as the socket takes it.
    pub(super) fn poll_write(&self, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut **self.stream.borrow_mut()).poll_write(context, bytes)
    }

    pub(super) fn poll_flush(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut **self.stream.borrow_mut()).poll_flush(context)
    }

    pub(super) fn poll_shutdown(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stream = self.stream.borrow_mut();
        ready!(Pin::new(&mut **stream).poll_flush(context))?;
        Pin::new(&mut **stream).poll_shutdown(context)
    }
}
