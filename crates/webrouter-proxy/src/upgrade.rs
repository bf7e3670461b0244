//! A switched protocol (RFC 9110 §7.8): the 101 goes to the client, then bytes go both ways until both sides are done.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;
use webrouter_routing::policy::Policy;

use crate::connection::Client;
use crate::error::ProxyError;
use crate::exchange::{Next, Record, Scratch};
use crate::headers;
use crate::http1::encode::{field, status_line};
use crate::http1::field::Known;
use crate::upstream::pool::UpstreamConnection;

/// Passes the endpoint's 101 on and becomes a tunnel.
pub(crate) async fn run(
    policy: &Policy,
    client: &mut Client,
    mut connection: UpstreamConnection,
    scratch: &mut Scratch,
    record: &mut Record,
    head_len: usize,
) -> Result<Next, ProxyError> {
    let Scratch { inbound, response, response_head, reply, .. } = scratch;
    record.status = 101;
    record.answered = true;
    reply.clear();
    status_line(reply, 101, b"Switching Protocols");
    headers::write_response_fields(response_head, response, reply);
    reply.extend_from_slice(b"Connection: upgrade\r\n");
    if let Some(protocol) = response_head.fields.iter().find(|received| received.known == Known::Upgrade) {
        field(reply, b"Upgrade", protocol.value.of_bytes(response));
    }
    reply.extend_from_slice(b"\r\n");
    reply.extend_from_slice(response.get(head_len..).unwrap_or_default());
    let early = inbound.get(record.consumed..).unwrap_or_default();

    let Client { stream, deadline, .. } = client;
    let (client_reader, client_writer) = stream.split();
    let (reader, writer) = connection.stream.split();
    let activity = Cell::new(Instant::now());
    let (up_bytes, down_bytes) = (Cell::new(0), Cell::new(0));
    let up = Lane { reader: client_reader, writer, activity: &activity, moved: &up_bytes };
    let down = Lane { reader, writer: client_writer, activity: &activity, moved: &down_bytes };
    record.table = None;
    let mut both = pin!(both(up.run(early), down.run(reply)));
    let patience = policy.timeouts.upstream;
    while deadline.until(activity.get() + patience, both.as_mut()).await.is_err() {
        if activity.get().elapsed() >= patience {
            break;
        }
    }
    record.bytes_received = up_bytes.get();
    record.bytes_sent = down_bytes.get();
    Ok(Next::Close)
}

/// One direction of the tunnel.
struct Lane<'a> {
    reader: ReadHalf<'a>,
    writer: WriteHalf<'a>,
    activity: &'a Cell<Instant>,
    moved: &'a Cell<u64>,
}

impl Lane<'_> {
    /// Moves bytes until the sender is done, then says so to the receiver; holds no buffer while nothing comes.
    async fn run(mut self, first: &[u8]) -> io::Result<()> {
        self.writer.write_all(first).await?;
        let mut room = SMALLEST_READ;
        loop {
            poll_fn(|context| self.reader.as_ref().poll_read_ready(context)).await?;
            let mut buffer = Vec::with_capacity(room);
            let read = self.reader.read_buf(&mut buffer).await?;
            self.activity.set(Instant::now());
            if read == 0 {
                return self.writer.shutdown().await;
            }
            self.writer.write_all(&buffer).await?;
            self.activity.set(Instant::now());
            self.moved.set(self.moved.get() + read as u64);
            room = if read == buffer.capacity() { (room * 2).min(LARGEST_READ) } else { room };
        }
    }
}

/// Ends when both lanes have, or one breaks.
async fn both(up: impl Future<Output = io::Result<()>>, down: impl Future<Output = io::Result<()>>) {
    let (mut up, mut down) = (pin!(up), pin!(down));
    let (mut up_over, mut down_over) = (false, false);
    poll_fn(|context| {
        if !up_over && let Poll::Ready(ended) = up.as_mut().poll(context) {
            up_over = true;
            if ended.is_err() {
                return Poll::Ready(());
            }
        }
        if !down_over && let Poll::Ready(ended) = down.as_mut().poll(context) {
            down_over = true;
            if ended.is_err() {
                return Poll::Ready(());
            }
        }
        if up_over && down_over { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

const SMALLEST_READ: usize = 4 * 1024;
const LARGEST_READ: usize = 256 * 1024;
