//! Opening a connection: the endpoint whose turn it is, else the next. An endpoint that cannot be reached costs a request
//! next to nothing while another can: when one lets us wait, the next is asked beside it, and the first to answer serves.

use std::rc::Rc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::Protocol;
use webrouter_telemetry::cause::Cause;
use webrouter_telemetry::flight_recorder::FailedAttempt;

use super::UpstreamState;
use super::balance::affinity::Affinity;
use super::balance::{Ask, Refusal};
use super::pool::{Flight, MAX_IDLE, Open, UpstreamConnection};
use super::race::{Arrival, HEAD_START, Race, fault};
use super::view::{Seat, View};
use crate::core::Core;
use crate::error::ProxyError;
use crate::fleet::endpoint::Standing;
use crate::fleet::queue::NoRoom;
use crate::stream::Stream;

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
    /// What came of those that could not be reached.
    pub(crate) unreachable: Vec<FailedAttempt>,
    /// How many were asked.
    pub(crate) attempts: u8,
}

/// What an endpoint that has room gives.
enum Acquired {
    Kept(UpstreamConnection),
    ToOpen(Flight, Open),
}

/// Whether endpoints are asked to which another connection does not come up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LateOnes {
    Spared,
    Asked,
}

impl Connector<'_> {
    /// A connection to an endpoint that has not failed this request yet.
    pub(crate) async fn connect(
        &mut self,
        freshness: Freshness,
        client: &Stream,
    ) -> Result<UpstreamConnection, ProxyError> {
        match self.acquire(freshness) {
            Ok(Acquired::Kept(connection)) => Ok(self.kept(connection)),
            // Boxed: what is rarer takes no room in every request's future.
            first => Box::pin(self.open(first, freshness, client)).await,
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
        client: &Stream,
    ) -> Result<UpstreamConnection, ProxyError> {
        let patience = self.view.upstream.policy.timeouts.connect;
        let mut race = Race::default();
        let mut failure = None;
        let mut failed = self.tried.clone();
        let mut first = Some(first);
        loop {
            let next = match first.take().unwrap_or_else(|| self.acquire(freshness)) {
                Err(Refusal::Full) if race.is_empty() => Some(self.wait_for_room(freshness, client).await?),
                Err(_) => None,
                Ok(acquired) => Some(acquired),
            };
            let head_start = match next {
                Some(Acquired::Kept(connection)) => {
                    race.end(self.core);
                    return Ok(self.kept(connection));
                }
                Some(Acquired::ToOpen(flight, open)) => {
                    self.attempts = self.attempts.saturating_add(1);
                    self.tried.push(flight.seat.shared.endpoint);
                    race.begin(flight, open, patience);
                    Some(HEAD_START)
                }
                None if race.is_empty() => return Err(self.unreachable(failure)),
                None => None,
            };
            match race.next(head_start).await {
                None => {}
                Some(Arrival { flight, open, result: Ok(stream) }) => {
                    self.core.metrics.upstream_connects.increment();
                    if self.view.upstream.policy.max_connections.is_some() {
                        self.state.give_way();
                    }
                    race.end(self.core);
                    // Who serves, or was only slower, may be asked again.
                    self.tried = failed;
                    return self.begin(stream, flight, open).await;
                }
                Some(Arrival { flight, result: Err(cause), .. }) => {
                    self.note_unreachable(&flight, cause);
                    failed.push(flight.seat.shared.endpoint);
                    failure = Some(cause);
                }
            }
        }
    }

    async fn begin(&self, stream: TcpStream, flight: Flight, open: Open) -> Result<UpstreamConnection, ProxyError> {
        if self.view.upstream.policy.protocol == Protocol::Http1 {
            return Ok(UpstreamConnection::new(stream, flight, open));
        }
        let part = flight.seat.begin_to_share(stream, open).await.map_err(|_| ProxyError::UpstreamReset)?;
        Ok(UpstreamConnection::part(part, flight, false))
    }

    /// The next endpoint that has room, with a kept connection where there is one.
    fn acquire(&self, freshness: Freshness) -> Result<Acquired, Refusal> {
        let ask = Ask { tried: &self.tried, affinity: self.affinity, random: &self.core.random };
        match self.view.choose(&ask, |seat| self.acquire_of(seat, freshness, LateOnes::Spared)) {
            Err(_) if self.view.seats.iter().any(|seat| seat.late.get() > 0) => {
                self.view.choose(&ask, |seat| self.acquire_of(seat, freshness, LateOnes::Asked))
            }
            chosen => chosen,
        }
    }

    fn acquire_of(&self, seat: &Rc<Seat>, freshness: Freshness, late_ones: LateOnes) -> Option<Acquired> {
        let policy = &self.view.upstream.policy;
        if late_ones == LateOnes::Spared && seat.late.get() > 0 && !seat.has_idle() {
            return None;
        }
        let shares = policy.protocol == Protocol::H2c;
        if shares && freshness != Freshness::New && seat.has_part() {
            let flight = Flight::begin(seat, policy.max_requests)?;
            let part = seat.take_part()?;
            return Some(Acquired::Kept(UpstreamConnection::part(part, flight, true)));
        }
        if let Some(limit) = policy.max_connections
            && !seat.may_connect(limit, freshness.max_idle())
        {
            return None;
        }
        let flight = Flight::begin(seat, policy.max_requests)?;
        if let Some(max_idle) = freshness.max_idle()
            && let Some(kept) = seat.take(max_idle)
        {
            return Some(Acquired::Kept(UpstreamConnection::kept(kept, flight)));
        }
        let open = Open::begin(seat, policy.max_connections, &self.core.metrics)?;
        Some(Acquired::ToOpen(flight, open))
    }

    async fn wait_for_room(&self, freshness: Freshness, client: &Stream) -> Result<Acquired, ProxyError> {
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
        tokio::select! {
            acquired = place.wait(until, || self.acquire(freshness).ok()) => acquired.map_err(refused),
            () = client.reset() => Err(ProxyError::ClientClosed),
        }
    }

    fn note_unreachable(&mut self, flight: &Flight, cause: Cause) {
        let endpoint = flight.seat.shared.endpoint;
        self.unreachable.push(FailedAttempt { endpoint: endpoint.address(), cause, took: None });
        let upstream = &self.view.upstream.name;
        self.core.metrics.upstream_connect_failures.increment();
        tracing::debug!(%endpoint, %upstream, cause = cause.as_str(), "endpoint not reached");
        if let Some(fault) = fault(cause) {
            self.state.shared.failed(&flight.seat.shared, fault, &self.core.fleet);
        }
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

#[cfg(test)]
mod tests;
