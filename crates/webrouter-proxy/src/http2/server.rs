//! A client's HTTP/2 connection: its streams are served beside each other, each as one request.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use h2::server::{Builder, Connection};
use h2::{Reason, RecvStream};
use http::Request;
use tokio::time::{Instant, timeout};
use webrouter_telemetry::metrics::Flood;

use super::flow::Flow;
use super::meter::{Breach, Meter, Metered};
use crate::arrival::Transport;
use crate::clients::Presence;
use crate::connection::{Client, Peer};
use crate::core::Core;
use crate::deadline::Deadline;
use crate::exchange;
use crate::stream::Stream;

type Answer = h2::server::SendResponse<bytes::Bytes>;
type Http2 = Connection<Metered<Transport>, bytes::Bytes>;

#[expect(clippy::large_enum_variant, reason = "it is taken apart where it arrives")]
enum Event {
    Request(Request<RecvStream>, Answer),
    Breach(Breach),
    Stop,
    Over,
}

/// Serves a connection to its end.
pub(crate) async fn serve(core: Rc<Core>, presence: Presence, transport: Transport, peer: Rc<Peer>) {
    let meter = Meter::new();
    let handshake = builder(&core).handshake(Metered::new(transport, Rc::clone(&meter)));
    let Ok(Ok(connection)) = timeout(core.config.timeouts.request_header, handshake).await else { return };
    let serving = Serving { core, presence, peer, meter, connection, exchanges: Rc::default(), leaving: false };
    Box::pin(serving.run()).await;
}

fn builder(core: &Core) -> Builder {
    let limits = &core.config.limits;
    let mut builder = Builder::new();
    builder
        .initial_window_size(WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        // What is a little too large is answered by us, and seen in the log.
        .max_header_list_size(u32::try_from(limits.request_head_bytes.saturating_mul(2)).unwrap_or(u32::MAX))
        .max_send_buffer_size(MAX_SEND_BUFFER)
        .max_local_error_reset_streams(Some(MAX_ERRORS))
        .enable_connect_protocol();
    builder
}

struct Serving {
    core: Rc<Core>,
    presence: Presence,
    peer: Rc<Peer>,
    meter: Rc<Meter>,
    connection: Http2,
    /// Requests that are being served, counted by their clones.
    exchanges: Rc<()>,
    /// Whether the client was told that nothing new is taken (RFC 9113 §6.8).
    leaving: bool,
}

impl Serving {
    async fn run(mut self) {
        let mut deadline = Deadline::new();
        let mut idle_since = Some(Instant::now());
        let mut written = 0;
        loop {
            let keep_alive = if self.leaving { FAREWELL } else { self.core.config.timeouts.keep_alive };
            let at = idle_since.unwrap_or_else(Instant::now) + keep_alive;
            match deadline.until(at, self.next(&mut idle_since)).await {
                Ok(Event::Request(request, answer)) => self.spawn(request, answer),
                Ok(Event::Stop) => self.leave(),
                Ok(Event::Breach(breach)) => return self.end(breach).await,
                Ok(Event::Over) => return,
                Err(_) if idle_since.is_none_or(|since| since.elapsed() < keep_alive) => {}
                // Answers that are made are still being read.
                Err(_) if self.connection.has_streams() && self.meter.written() > written => {
                    written = self.meter.written();
                    idle_since = Some(Instant::now());
                }
                Err(_) if self.leaving => return,
                Err(_) => {
                    self.leave();
                    idle_since = Some(Instant::now());
                }
            }
        }
    }

    /// Drives the connection until something is to be done; notes since when no request is being served. Streams may be
    /// left: of answers that nobody reads.
    async fn next(&mut self, idle_since: &mut Option<Instant>) -> Event {
        poll_fn(|context| {
            let accepted = self.connection.poll_accept(context);
            if let Some(breach) = self.meter.breach() {
                return Poll::Ready(Event::Breach(breach));
            }
            match accepted {
                Poll::Ready(Some(Ok((request, answer)))) => return Poll::Ready(Event::Request(request, answer)),
                Poll::Ready(Some(Err(error))) => {
                    tracing::debug!(%error, "HTTP/2 connection ended");
                    if error.reason() == Some(Reason::ENHANCE_YOUR_CALM) && !error.is_remote() {
                        self.core.metrics.http2_flood(Flood::Other);
                    }
                    return Poll::Ready(Event::Over);
                }
                Poll::Ready(None) => return Poll::Ready(Event::Over),
                Poll::Pending => {}
            }
            match Rc::strong_count(&self.exchanges) {
                1 => drop(idle_since.get_or_insert_with(Instant::now)),
                _ => *idle_since = None,
            }
            match self.leaving {
                true => Poll::Pending,
                false => self.presence.poll_stop(context).map(|()| Event::Stop),
            }
        })
        .await
    }

    fn spawn(&self, request: Request<RecvStream>, answer: Answer) {
        let (core, meter, served) = (Rc::clone(&self.core), Rc::clone(&self.meter), Rc::clone(&self.exchanges));
        let stream = Stream::Http2(Box::new(Flow::of_client(request, answer)));
        let mut client = Client { stream, peer: Rc::clone(&self.peer), deadline: Deadline::new() };
        tokio::task::spawn_local(async move {
            let mut scratch = core.take_scratch();
            if exchange::run(&core, &mut client, &mut scratch).await != exchange::Next::Close {
                meter.answered();
            }
            core.put_scratch(scratch);
            drop(served);
        });
    }

    fn leave(&mut self) {
        self.leaving = true;
        self.connection.graceful_shutdown();
    }

    async fn end(mut self, breach: Breach) {
        let reason = match breach {
            Breach::Flood(flood) => {
                self.core.metrics.http2_flood(flood);
                Reason::ENHANCE_YOUR_CALM
            }
            Breach::NoSettings => Reason::PROTOCOL_ERROR,
        };
        self.connection.abrupt_shutdown(reason);
        let _ = timeout(FAREWELL, poll_fn(|context| self.connection.poll_closed(context))).await;
    }
}

/// What a client may send ahead of the endpoint, of one body and of all on a connection; that much is kept in memory.
const WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 2 * 1024 * 1024;
/// What waits to be sent on one stream.
const MAX_SEND_BUFFER: usize = 64 * 1024;
const MAX_STREAMS: u32 = 128;
/// Streams that were reset for what the client did wrong (CVE-2025-8671).
const MAX_ERRORS: usize = 64;
const FAREWELL: Duration = Duration::from_secs(2);
