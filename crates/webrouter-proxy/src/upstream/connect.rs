//! Opening a connection: the endpoint whose turn it is, else the next; an endpoint that cannot be reached costs a
//! request nothing while another can.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::route::Upstream;
use webrouter_telemetry::cause::Cause;

use super::UpstreamState;
use super::balance::round_robin;
use super::pool::{Counted, MAX_IDLE, UpstreamConnection};
use crate::core::Core;
use crate::error::ProxyError;

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

/// A connection to one of the upstream's endpoints, and how many were tried.
pub(crate) async fn connection(
    core: &Core,
    state: &UpstreamState,
    upstream: &Upstream,
    freshness: Freshness,
) -> Result<(UpstreamConnection, u8), ProxyError> {
    let mut failure = None;
    let mut attempts: u8 = 0;
    let mut deadline = None;
    for endpoint in round_robin(state, &upstream.endpoints) {
        attempts = attempts.saturating_add(1);
        if let Some(max_idle) = freshness.max_idle()
            && let Some(connection) = state.pool.take(endpoint, max_idle)
        {
            core.metrics.upstream_reuses.increment();
            return Ok((connection, attempts));
        }
        let all = core.config.timeouts.connect * CONNECT_TIMES;
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + all);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        match connect(endpoint, core.config.timeouts.connect.min(left)).await {
            Ok(stream) => {
                core.metrics.upstream_connects.increment();
                return Ok((
                    UpstreamConnection { stream, endpoint, reused: false, counted: Counted::new(&core.metrics) },
                    attempts,
                ));
            }
            Err(cause) => {
                core.metrics.upstream_connect_failures.increment();
                tracing::debug!(%endpoint, upstream = %upstream.name, cause = cause.as_str(), "endpoint not reached");
                failure = Some(cause);
            }
        }
    }
    let app = upstream.proc.name.app().to_owned();
    Err(match failure {
        Some(cause) => ProxyError::Unreachable { app, cause },
        None => ProxyError::NoEndpoint { app },
    })
}

async fn connect(endpoint: Endpoint, patience: Duration) -> Result<TcpStream, Cause> {
    let stream = match timeout(patience, TcpStream::connect(endpoint.address())).await {
        Err(_) => return Err(Cause::ConnectTimeout),
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => return Err(Cause::ConnectRefused),
        Ok(Err(_)) => return Err(Cause::ConnectFailed),
        Ok(Ok(stream)) => stream,
    };
    stream.set_nodelay(true).map_err(|_| Cause::ConnectFailed)?;
    Ok(stream)
}

/// All endpoints together get the time of this many.
const CONNECT_TIMES: u32 = 2;
