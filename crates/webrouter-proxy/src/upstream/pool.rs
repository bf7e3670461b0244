//! Connections to an endpoint: counted while open, kept when idle, one pool per core and endpoint.

use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU32;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;
use webrouter_telemetry::metrics::CoreMetrics;

use super::view::Seat;
use crate::fleet::endpoint::EndpointState;
use crate::fleet::upstream::SharedUpstream;
use crate::http2::flow::Flow;
use crate::http2::origin::Shared;
use crate::stream::Stream;

/// A connection that serves a request.
#[derive(Debug)]
pub(crate) struct UpstreamConnection {
    pub(crate) stream: Stream,
    pub(crate) flight: Flight,
    /// Whether it served a request before; then its peer may have closed it unnoticed.
    pub(crate) reused: bool,
    /// When its last request began, or ended.
    pub(crate) last: Instant,
    /// Where it is not a part of one that is counted as a whole.
    pub(crate) open: Option<Open>,
    /// Whether it breaks when what is sent is not acknowledged for a while: also for want of room in a reader that pauses,
    /// so only while requests are sent that are whole at hand.
    guarded: bool,
}

/// Counts a request in flight for as long as it lives.
#[derive(Debug)]
pub(crate) struct Flight {
    pub(crate) seat: Rc<Seat>,
    /// Whether there may be no more than so many: only then somebody may wait for its end.
    limited: bool,
}

/// Counts an open connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Open {
    metrics: Arc<CoreMetrics>,
    // Not the seat: idle connections are in it, and a circle would never be freed.
    shared: Arc<EndpointState>,
    upstream: Arc<SharedUpstream>,
    /// Whether there may be no more than so many.
    limited: bool,
}

/// A connection that waits for its next request.
#[derive(Debug)]
pub(crate) struct Idle {
    stream: TcpStream,
    since: Instant,
    /// For how long the endpoint keeps it, by its own word.
    kept_for: Duration,
    open: Open,
}

impl Flight {
    /// Counts a request in, if the endpoint's limit allows.
    pub(super) fn begin(seat: &Rc<Seat>, limit: Option<NonZeroU32>) -> Option<Self> {
        let limited = limit.is_some();
        seat.shared.try_enter(or_any(limit)).then(|| Self { seat: Rc::clone(seat), limited })
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.seat.shared.leave();
        if self.limited {
            self.seat.upstream.queue.room();
        }
    }
}

impl Open {
    /// Counts a connection in, if the endpoint's limit allows.
    pub(super) fn begin(seat: &Rc<Seat>, limit: Option<NonZeroU32>, metrics: &Arc<CoreMetrics>) -> Option<Self> {
        if !seat.shared.try_connect(or_any(limit)) {
            // An idle connection of another core may be in the way.
            seat.upstream.queue.ask_for_room();
            return None;
        }
        metrics.upstream_open.increment();
        let (shared, upstream) = (Arc::clone(&seat.shared), Arc::clone(&seat.upstream));
        Some(Self { metrics: Arc::clone(metrics), shared, upstream, limited: limit.is_some() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.metrics.upstream_open.decrement();
        self.shared.disconnect();
        if self.limited {
            self.upstream.queue.room();
        }
    }
}

impl UpstreamConnection {
    /// One that was just opened.
    pub(super) fn new(stream: TcpStream, flight: Flight, open: Open) -> Self {
        Self {
            stream: Stream::Tcp(stream),
            flight,
            open: Some(open),
            reused: false,
            last: Instant::now(),
            guarded: true,
        }
    }

    /// A part of one that requests share.
    pub(super) fn part(flow: Flow, flight: Flight, reused: bool) -> Self {
        Self { stream: Stream::Http2(flow), flight, open: None, reused, last: Instant::now(), guarded: false }
    }

    /// One that was kept until now.
    pub(super) fn kept((stream, open, now): (TcpStream, Open, Instant), flight: Flight) -> Self {
        Self { stream: Stream::Tcp(stream), flight, open: Some(open), reused: true, last: now, guarded: true }
    }

    /// Lets its peer pause for as long as other time-outs allow.
    pub(crate) fn unguard(&mut self) {
        if let Stream::Tcp(stream) = &self.stream {
            guard(stream, None);
            self.guarded = false;
        }
    }

    /// Ends the request and keeps the connection for a later one; the oldest goes when there are too many. Where the
    /// endpoint has left the table, its seat goes with the last request, and what is kept in it.
    /// `kept_for` is for how long the endpoint says it keeps it, `connect` the connect time-out.
    pub(crate) fn keep(self, kept_for: Option<Duration>, connect: Duration) {
        let Self { stream: Stream::Tcp(stream), flight, open: Some(open), last, guarded, .. } = self else { return };
        if !guarded {
            guard(&stream, Some(connect));
        }
        let seat = Rc::clone(&flight.seat);
        if open.limited && seat.upstream.queue.waiting() > 0 {
            // Whoever waits may be on another core, which cannot use this one.
            return;
        }
        let kept_for = kept_for.map_or(MAX_IDLE, |told| told.saturating_sub(MARGIN).min(MAX_IDLE));
        seat.push(Idle { stream, since: last, kept_for, open });
    }
}

impl Seat {
    /// Whether there is a connection that is idle for no longer than `max_idle`, or room for one; an older one of this
    /// core's makes room. Asked before a request is counted in: one that is counted out again lets the next in the
    /// queue try, which may be the same, without end.
    pub(super) fn may_connect(&self, limit: NonZeroU32, max_idle: Option<Duration>) -> bool {
        let is_full = || self.shared.connections() >= limit.get();
        if !is_full() {
            return true;
        }
        let mut idle = self.idle.borrow_mut();
        if max_idle.is_some_and(|max_idle| idle.last().is_some_and(|youngest| youngest.since.elapsed() <= max_idle)) {
            return true;
        }
        if !idle.is_empty() {
            idle.remove(0);
        }
        let is_full = is_full();
        if is_full {
            // An idle connection of another core may be in the way.
            self.upstream.queue.ask_for_room();
        }
        !is_full
    }

    /// Keeps a connection that came too late for its request.
    pub(super) fn keep_unused(&self, stream: TcpStream, open: Open) {
        if !(open.limited && self.upstream.queue.waiting() > 0) {
            self.push(Idle { stream, since: Instant::now(), kept_for: MAX_IDLE, open });
        }
    }

    /// Whether a request can have a part in a connection that is there.
    pub(super) fn has_part(&self) -> bool {
        let mut shared = self.shared_connections.borrow_mut();
        shared.retain_mut(Shared::is_alive);
        shared.iter_mut().any(Shared::has_room)
    }

    /// A part in a connection that is there.
    pub(super) fn take_part(&self) -> Option<Flow> {
        let mut shared = self.shared_connections.borrow_mut();
        shared.iter_mut().find_map(|connection| connection.has_room().then(|| connection.lease()))
    }

    /// A part in a new connection, which others may have, too.
    pub(super) async fn begin_to_share(&self, stream: TcpStream, open: Open) -> Result<Flow, h2::Error> {
        // Its peer may pause: what is sent is bounded by windows.
        guard(&stream, None);
        let connection = Shared::begin(stream, open).await?;
        let flow = connection.lease();
        self.shared_connections.borrow_mut().push(connection);
        Ok(flow)
    }

    fn push(&self, connection: Idle) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() >= MAX_IDLE_PER_ENDPOINT {
            idle.remove(0);
        }
        idle.push(connection);
    }

    pub(super) fn has_idle(&self) -> bool {
        !self.idle.borrow().is_empty() || self.has_part()
    }

    /// A quiet connection that has not been idle for longer than `max_idle`, if there is one, and the present time.
    pub(super) fn take(&self, max_idle: Duration) -> Option<(TcpStream, Open, Instant)> {
        let mut idle = self.idle.borrow_mut();
        let now = Instant::now();
        let age = |connection: &Idle| now.saturating_duration_since(connection.since);
        // The last is the youngest; what is too old for this request may do for another.
        while let Some(connection) = idle.pop_if(|youngest| age(youngest) <= max_idle) {
            if age(&connection) <= connection.kept_for && connection.is_quiet() {
                return Some((connection.stream, connection.open, now));
            }
        }
        None
    }

    /// Closes what is too old, was closed by its peer, or leads to an endpoint that leaves; says how many are left.
    pub(super) fn sweep(&self) -> usize {
        if self.shared.is_leaving() {
            self.give_way();
        }
        let mut idle = self.idle.borrow_mut();
        idle.retain(|connection| connection.since.elapsed() < connection.kept_for && connection.is_quiet());
        let mut shared = self.shared_connections.borrow_mut();
        shared.retain_mut(|connection| connection.is_alive() && !connection.is_idle_for(MAX_IDLE));
        idle.len() + shared.iter().filter(|connection| connection.is_idle_for(Duration::ZERO)).count()
    }

    /// Closes what is kept.
    pub(super) fn give_way(&self) {
        drop(self.idle.take());
        self.shared_connections.borrow_mut().retain(|connection| !connection.is_idle_for(Duration::ZERO));
    }
}

impl Idle {
    /// Whether nothing has happened to it: no close, no bytes that nobody asked for. The kernel is asked, not the
    /// runtime, which learns of bytes only when it next polls: they would be the next client's answer.
    fn is_quiet(&self) -> bool {
        let peeked = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A host that falls silent is noticed in this time (RFC 5482): what is sent to it is not acknowledged.
pub(super) fn guard(stream: &TcpStream, patience: Option<Duration>) {
    // Where it cannot be set, the other time-outs are left.
    let _ = SockRef::from(stream)
        .set_tcp_user_timeout(patience.map(|patience| patience.saturating_sub(FIRST_RESEND).max(SHORTEST_GUARD)));
}

fn or_any(limit: Option<NonZeroU32>) -> u32 {
    limit.map_or(u32::MAX, NonZeroU32::get)
}

/// The kernel's patience begins when it sends for the second time, about so long after the first.
const FIRST_RESEND: Duration = Duration::from_millis(500);
/// Time for a packet to be sent again.
const SHORTEST_GUARD: Duration = Duration::from_secs(1);
const MAX_IDLE_PER_ENDPOINT: usize = 256;
pub(super) const MAX_IDLE: Duration = Duration::from_secs(30);
/// A request must not be under way when the endpoint's time is up.
const MARGIN: Duration = Duration::from_secs(1);
