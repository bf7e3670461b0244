//! Connections to endpoints that speak HTTP/2 without TLS (RFC 9113 §3.3): requests share them.

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::flow::Flow;
use crate::deadline::at_once;
use crate::upstream::pool::Open;

/// A connection that is used by as many requests at one time as the endpoint lets us have.
#[derive(Debug)]
pub(crate) struct Shared {
    connection: SendRequest<Bytes>,
    usage: Rc<Usage>,
}

#[derive(Debug)]
struct Usage {
    streams: Cell<usize>,
    since: Cell<Instant>,
}

/// A request's part in a connection, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Lease(Rc<Usage>);

impl Shared {
    /// Begins to speak HTTP/2; what the endpoint says to it is seen by the first request.
    pub(crate) async fn begin(stream: TcpStream, open: Open) -> Result<Self, h2::Error> {
        let (connection, driver) = Builder::new()
            .enable_push(false)
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(MAX_HEAD_BYTES)
            .max_send_buffer_size(MAX_SEND_BUFFER)
            .handshake(stream)
            .await?;
        tokio::task::spawn_local(async move {
            // It ends when the endpoint ends it, or nobody has a handle to it any more.
            let _ = driver.await;
            drop(open);
        });
        let usage = Usage { streams: Cell::new(0), since: Cell::new(Instant::now()) };
        Ok(Self { connection, usage: Rc::new(usage) })
    }

    /// Whether it lives, and one more request may have a part in it.
    pub(crate) fn has_room(&mut self) -> bool {
        self.usage.streams.get() < self.connection.current_max_send_streams().min(MAX_STREAMS)
            && matches!(at_once(poll_fn(|context| self.connection.poll_ready(context))), Some(Ok(())))
    }

    /// Whether the endpoint has not ended it.
    pub(crate) fn is_alive(&mut self) -> bool {
        !matches!(at_once(poll_fn(|context| self.connection.poll_ready(context))), Some(Err(_)))
    }

    /// Whether nobody has needed it for so long.
    pub(crate) fn is_idle_for(&self, time: Duration) -> bool {
        self.usage.streams.get() == 0 && self.usage.since.get().elapsed() >= time
    }

    /// A request's part.
    pub(crate) fn lease(&self) -> Flow {
        self.usage.streams.set(self.usage.streams.get() + 1);
        Flow::to_endpoint(self.connection.clone(), Lease(Rc::clone(&self.usage)))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.streams.set(self.0.streams.get() - 1);
        self.0.since.set(Instant::now());
    }
}

/// What an endpoint may send ahead of its reader, of one answer and of all on a connection: clients that do not read take
/// nothing from the others.
const WINDOW: u32 = 128 * 1024;
const CONNECTION_WINDOW: u32 = WINDOW * MAX_STREAMS as u32;
const MAX_SEND_BUFFER: usize = 128 * 1024;
const MAX_HEAD_BYTES: u32 = 64 * 1024;
const MAX_STREAMS: usize = 128;
