//! Connections being opened beside each other: the first to come up serves. What becomes of the others is awaited in the
//! background: to be second is no failure, and a connection that comes up late is kept for a later request.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use webrouter_routing::endpoint::Endpoint;
use webrouter_telemetry::cause::Cause;

use super::pool::{Flight, Open, guard};
use super::view::Seat;
use crate::core::Core;
use crate::fleet::probe::is_want_of_ours;
use crate::fleet::upstream::Fault;

/// The connections that one request has opened.
#[derive(Default)]
pub(super) struct Race(Vec<Racer>);

/// A connection being opened.
struct Racer {
    flight: Flight,
    open: Open,
    opening: Pin<Box<dyn Future<Output = Result<TcpStream, Cause>>>>,
    /// Set once its head start is over.
    late: Option<Late>,
}

/// One that is at its goal, or out of the race.
pub(super) struct Arrival {
    pub(super) flight: Flight,
    pub(super) open: Open,
    pub(super) result: Result<TcpStream, Cause>,
}

/// Counts a connection that does not come up for as long as it lives.
struct Late(Rc<Seat>);

impl Late {
    fn new(seat: &Rc<Seat>) -> Self {
        seat.late.set(seat.late.get() + 1);
        Self(Rc::clone(seat))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.0.late.set(self.0.late.get() - 1);
    }
}

impl Race {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One more begins to be opened.
    pub(super) fn begin(&mut self, flight: Flight, open: Open, patience: Duration) {
        let opening = Box::pin(open_to(flight.seat.shared.endpoint, patience));
        self.0.push(Racer { flight, open, opening, late: None });
    }

    /// The next to arrive; `None` when the head start is over before.
    pub(super) async fn next(&mut self, head_start: Option<Duration>) -> Option<Arrival> {
        let racers = &mut self.0;
        let first = poll_fn(|context| {
            for (at, racer) in racers.iter_mut().enumerate() {
                if let Poll::Ready(result) = racer.opening.as_mut().poll(context) {
                    return Poll::Ready((at, result));
                }
            }
            Poll::Pending
        });
        let arrived = match head_start {
            Some(time) => timeout_at(Instant::now() + time, first).await.ok(),
            None => Some(first.await),
        };
        let Some((at, result)) = arrived else {
            for racer in &mut self.0 {
                racer.late.get_or_insert_with(|| Late::new(&racer.flight.seat));
            }
            return None;
        };
        let Racer { flight, open, .. } = self.0.swap_remove(at);
        Some(Arrival { flight, open, result })
    }

    /// Ends the race for this request; those that are late are awaited beside it, a few of each endpoint.
    pub(super) fn end(self, core: &Core) {
        for Racer { flight, open, opening, late } in self.0 {
            let Some(late) = late else { continue };
            if late.0.late.get() > MAX_AWAITED {
                continue;
            }
            let (fleet, metrics) = (core.fleet.clone(), core.metrics.clone());
            drop(flight);
            tokio::task::spawn_local(async move {
                let seat = &late.0;
                match opening.await {
                    Ok(stream) => seat.keep_unused(stream, open),
                    Err(cause) => {
                        metrics.upstream_connect_failures.increment();
                        if let Some(fault) = fault(cause) {
                            seat.upstream.failed(&seat.shared, fault, &fleet);
                        }
                    }
                }
            });
        }
    }
}

/// What an endpoint did wrong to which no connection came up; `None` where that was for want of ours.
pub(super) fn fault(cause: Cause) -> Option<Fault> {
    (cause != Cause::OverLimit).then_some(Fault::Unreachable(cause))
}

async fn open_to(endpoint: Endpoint, patience: Duration) -> Result<TcpStream, Cause> {
    let stream = match timeout(patience, TcpStream::connect(endpoint.address())).await {
        Err(_) => return Err(Cause::ConnectTimeout),
        Ok(Err(error)) if is_want_of_ours(&error) => return Err(Cause::OverLimit),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Cause::ConnectRefused),
        Ok(Err(_)) => return Err(Cause::ConnectFailed),
        Ok(Ok(stream)) => stream,
    };
    stream.set_nodelay(true).map_err(|_| Cause::ConnectFailed)?;
    guard(&stream, Some(patience));
    Ok(stream)
}

/// So long is waited for one endpoint alone, as for one address family (RFC 8305 §5).
pub(super) const HEAD_START: Duration = Duration::from_millis(250);
/// Connections of one endpoint whose end is awaited, on one core: evidence enough.
const MAX_AWAITED: u32 = 4;
