//! Opening a connection: the endpoint whose turn it is, else the next. An endpoint that cannot be reached costs a request
//! next to nothing while another can: when one lets us wait, the next is asked beside it, and the first to answer serves.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use webrouter_routing::endpoint::Endpoint;
use webrouter_telemetry::cause::Cause;

use super::UpstreamState;
use super::balance::affinity::Affinity;
use super::balance::{Ask, Refusal};
use super::pool::{Flight, MAX_IDLE, Open, UpstreamConnection};
use super::view::{Seat, View};
use crate::core::Core;
use crate::error::ProxyError;
use crate::fleet::endpoint::Standing;
use crate::fleet::queue::NoRoom;
use crate::fleet::upstream::Fault;

/// Which connections will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    Any,
    /// New, or idle so shortly that no endpoint's keep-alive time-out has run out: for what cannot be sent twice.
    Recent,
    New,
}

impl Freshness {
    fn max_idle(self) -> Option<Duration> {
        match self {
            Self::Any => Some(MAX_IDLE),
            Self::Recent => Some(Duration::from_millis(500)),
            Self::New => None,
        }
    }
}

/// One request's way through the endpoints of its upstream.
pub(crate) struct Connector<'a> {
    pub(crate) core: &'a Core,
    pub(crate) state: &'a Rc<UpstreamState>,
    pub(crate) view: Rc<View>,
    pub(crate) affinity: Affinity,
    /// The endpoints that failed it.
    pub(crate) tried: Vec<Endpoint>,
    /// How many were asked.
    pub(crate) attempts: u8,
}

/// What an endpoint that has room gives.
enum Acquired {
    Kept(UpstreamConnection),
    ToOpen(Flight, Open),
}

/// A connection being opened.
struct Racer {
    since: Instant,
    flight: Flight,
    open: Open,
    opening: Pin<Box<dyn Future<Output = Result<TcpStream, Cause>>>>,
}

impl Connector<'_> {
    /// A connection to an endpoint that has not failed this request yet.
    pub(crate) async fn connect(&mut self, freshness: Freshness) -> Result<UpstreamConnection, ProxyError> {
        match self.acquire(freshness) {
            Ok(Acquired::Kept(connection)) => Ok(self.kept(connection)),
            // Boxed: what is rarer takes no room in every request's future.
            first => Box::pin(self.open(first, freshness)).await,
        }
    }

    fn kept(&mut self, connection: UpstreamConnection) -> UpstreamConnection {
        self.core.metrics.upstream_reuses.increment();
        self.attempts = self.attempts.saturating_add(1);
        connection
    }

    /// Opens a connection to the first, or whoever comes next.
    async fn open(
        &mut self,
        first: Result<Acquired, Refusal>,
        freshness: Freshness,
    ) -> Result<UpstreamConnection, ProxyError> {
        let patience = self.view.upstream.policy.timeouts.connect;
        let mut racers: Vec<Racer> = Vec::new();
        let mut failure = None;
        let mut first = Some(first);
        loop {
            let next = match first.take().unwrap_or_else(|| self.acquire(freshness)) {
                Err(Refusal::Full) if racers.is_empty() => Some(self.wait_for_room(freshness).await?),
                Err(_) => None,
                Ok(acquired) => Some(acquired),
            };
            let head_start = match next {
                Some(Acquired::Kept(connection)) => {
                    self.note_losers(&racers);
                    return Ok(self.kept(connection));
                }
                Some(Acquired::ToOpen(flight, open)) => {
                    self.attempts = self.attempts.saturating_add(1);
                    let endpoint = flight.0.shared.endpoint;
                    self.tried.push(endpoint);
                    let opening = Box::pin(open_to(endpoint, patience));
                    racers.push(Racer { since: Instant::now(), flight, open, opening });
                    Some(HEAD_START)
                }
                None if racers.is_empty() => return Err(self.unreachable(failure)),
                None => None,
            };
            match race(&mut racers, head_start).await {
                None => {}
                Some((Racer { flight, open, .. }, Ok(stream))) => {
                    self.core.metrics.upstream_connects.increment();
                    if self.view.upstream.policy.max_connections.is_some() {
                        self.state.give_way();
                    }
                    self.note_losers(&racers);
                    let winner = flight.0.shared.endpoint;
                    self.tried.retain(|tried| *tried != winner);
                    return Ok(UpstreamConnection { stream, flight, reused: false, open });
                }
                Some((Racer { flight, .. }, Err(cause))) => {
                    self.note_unreachable(&flight, cause);
                    failure = Some(cause);
                }
            }
        }
    }

    /// The next endpoint that has room, with a kept connection where there is one.
    fn acquire(&self, freshness: Freshness) -> Result<Acquired, Refusal> {
        let ask = Ask { tried: &self.tried, affinity: self.affinity, random: &self.core.random };
        self.view.choose(&ask, |seat| self.acquire_of(seat, freshness))
    }

    fn acquire_of(&self, seat: &Rc<Seat>, freshness: Freshness) -> Option<Acquired> {
        let policy = &self.view.upstream.policy;
        if let Some(limit) = policy.max_connections
            && !seat.may_connect(limit, freshness.max_idle())
        {
            return None;
        }
        let flight = Flight::begin(seat, policy.max_requests)?;
        if let Some(max_idle) = freshness.max_idle()
            && let Some((stream, open)) = seat.take(max_idle)
        {
            return Some(Acquired::Kept(UpstreamConnection { stream, flight, reused: true, open }));
        }
        let open = Open::begin(seat, policy.max_connections, &self.core.metrics)?;
        Some(Acquired::ToOpen(flight, open))
    }

    async fn wait_for_room(&self, freshness: Freshness) -> Result<Acquired, ProxyError> {
        let policy = &self.view.upstream.policy;
        let queue = &self.state.shared.queue;
        let refused = |no_room| {
            let cause = match no_room {
                NoRoom::QueueFull => Cause::QueueFull,
                NoRoom::TimedOut => Cause::QueueTimeout,
            };
            ProxyError::Busy { app: self.app(), cause }
        };
        let place = queue.enter(policy.queue).map_err(refused)?;
        self.core.metrics.upstream_queued.increment();
        let until = Instant::now() + policy.queue_timeout;
        place.wait(until, || self.acquire(freshness).ok()).await.map_err(refused)
    }

    /// Those that had their head start and were overtaken.
    fn note_losers(&self, racers: &[Racer]) {
        for loser in racers.iter().filter(|racer| racer.since.elapsed() >= HEAD_START) {
            self.note_unreachable(&loser.flight, Cause::ConnectTimeout);
        }
    }

    fn note_unreachable(&self, flight: &Flight, cause: Cause) {
        let endpoint = flight.0.shared.endpoint;
        let upstream = &self.view.upstream.name;
        self.core.metrics.upstream_connect_failures.increment();
        tracing::debug!(%endpoint, %upstream, cause = cause.as_str(), "endpoint not reached");
        self.state.shared.failed(&flight.0.shared, Fault::Unreachable(cause), &self.core.fleet);
    }

    fn unreachable(&self, failure: Option<Cause>) -> ProxyError {
        match failure {
            Some(cause) => ProxyError::Unreachable { app: self.app(), cause },
            None if self.view.seats.is_empty() => ProxyError::NoEndpoint { app: self.app() },
            None => ProxyError::Drained { app: self.app() },
        }
    }

    /// Whether an endpoint is left that has not failed this request.
    pub(crate) fn has_another(&self) -> bool {
        self.view
            .seats
            .iter()
            .any(|seat| seat.shared.standing() != Standing::Leaving && !self.tried.contains(&seat.shared.endpoint))
    }

    fn app(&self) -> String {
        self.view.upstream.proc.name.app().to_owned()
    }
}

/// The first racer at its goal, or out of the race; `None` when the head start is over before.
async fn race(racers: &mut Vec<Racer>, head_start: Option<Duration>) -> Option<(Racer, Result<TcpStream, Cause>)> {
    let first = poll_fn(|context| {
        for (at, racer) in racers.iter_mut().enumerate() {
            if let Poll::Ready(result) = racer.opening.as_mut().poll(context) {
                return Poll::Ready((at, result));
            }
        }
        Poll::Pending
    });
    let (at, result) = match head_start {
        Some(time) => timeout_at(Instant::now() + time, first).await.ok()?,
        None => first.await,
    };
    Some((racers.swap_remove(at), result))
}

async fn open_to(endpoint: Endpoint, patience: Duration) -> Result<TcpStream, Cause> {
    let stream = match timeout(patience, TcpStream::connect(endpoint.address())).await {
        Err(_) => return Err(Cause::ConnectTimeout),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Cause::ConnectRefused),
        Ok(Err(_)) => return Err(Cause::ConnectFailed),
        Ok(Ok(stream)) => stream,
    };
    stream.set_nodelay(true).map_err(|_| Cause::ConnectFailed)?;
    // A host that falls silent later is noticed in the same time (RFC 5482): what is sent to it is not acknowledged.
    let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(patience));
    Ok(stream)
}

/// So long is waited for one endpoint alone, as for one address family (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests;
