//! Idle connections to endpoints, one pool per core and upstream; the last one put back is the first taken.

use std::cell::RefCell;
use std::io;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_telemetry::metrics::CoreMetrics;

/// A connection to an endpoint.
#[derive(Debug)]
pub(crate) struct UpstreamConnection {
    pub(crate) stream: TcpStream,
    pub(crate) endpoint: Endpoint,
    /// Whether it served a request before; then its peer may have closed it unnoticed.
    pub(crate) reused: bool,
    pub(crate) counted: Counted,
}

/// Counts an open connection for as long as it lives.
#[derive(Debug)]
pub(crate) struct Counted(Arc<CoreMetrics>);

impl Counted {
    pub(crate) fn new(metrics: &Arc<CoreMetrics>) -> Self {
        metrics.upstream_open.increment();
        Self(Arc::clone(metrics))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.upstream_open.decrement();
    }
}

#[derive(Debug)]
struct Idle {
    stream: TcpStream,
    since: Instant,
    counted: Counted,
}

impl Idle {
    /// Whether nothing has happened to it: no close, no bytes that nobody asked for. The kernel is asked, not the
    /// runtime, which learns of bytes only when it next polls: they would be the next client's answer.
    fn is_quiet(&self) -> bool {
        let peeked = SockRef::from(&self.stream).peek(&mut [MaybeUninit::uninit()]);
        peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// The idle connections of one upstream.
#[derive(Debug, Default)]
pub(crate) struct Pool(RefCell<Vec<(Endpoint, Vec<Idle>)>>);

impl Pool {
    /// A quiet connection to the endpoint that has not been idle for longer, if there is one.
    pub(crate) fn take(&self, endpoint: Endpoint, max_idle: Duration) -> Option<UpstreamConnection> {
        let mut pools = self.0.borrow_mut();
        let (_, idle) = pools.iter_mut().find(|(pooled, _)| *pooled == endpoint)?;
        while let Some(connection) = idle.pop() {
            if connection.since.elapsed() <= max_idle && connection.is_quiet() {
                let Idle { stream, counted, .. } = connection;
                return Some(UpstreamConnection { stream, endpoint, reused: true, counted });
            }
        }
        None
    }

    /// Keeps a connection for a later request; the oldest goes when there are too many.
    pub(crate) fn put(&self, connection: UpstreamConnection) {
        let mut pools = self.0.borrow_mut();
        let idle = Idle { stream: connection.stream, since: Instant::now(), counted: connection.counted };
        match pools.iter_mut().find(|(pooled, _)| *pooled == connection.endpoint) {
            Some((_, kept)) => {
                if kept.len() >= MAX_IDLE_PER_ENDPOINT {
                    kept.remove(0);
                }
                kept.push(idle);
            }
            None => pools.push((connection.endpoint, vec![idle])),
        }
    }

    /// Closes what is too old, was closed by its peer, or leads to an endpoint that is gone; says how many are left.
    pub(crate) fn sweep(&self, endpoints: &[Endpoint]) -> usize {
        let mut pools = self.0.borrow_mut();
        pools.retain_mut(|(endpoint, idle)| {
            idle.retain(|connection| connection.since.elapsed() < MAX_IDLE && connection.is_quiet());
            !idle.is_empty() && endpoints.contains(endpoint)
        });
        pools.iter().map(|(_, idle)| idle.len()).sum()
    }
}

const MAX_IDLE_PER_ENDPOINT: usize = 256;
pub(crate) const MAX_IDLE: Duration = Duration::from_secs(30);
