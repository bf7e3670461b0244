//! What is remembered of an endpoint's health, and shown.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Behind the lock of an endpoint's state.
#[derive(Debug)]
pub(crate) struct Record {
    /// Good probes in a row.
    pub(crate) good: u32,
    /// Bad probes in a row.
    pub(crate) bad: u32,
    pub(crate) last_probe: Option<Probe>,
    /// How often it was ejected, one ejection soon after the other.
    pub(crate) ejections: u32,
    /// The end of the last ejection.
    pub(crate) ejected_until: Option<Instant>,
    pub(crate) last_failure: Option<Failure>,
    /// When the slow start began.
    pub(crate) warming_since: Instant,
    /// How long it takes, in milliseconds: there are many records.
    pub(crate) slow_start: u32,
    /// Since when it has the standing that it has.
    pub(crate) since: SystemTime,
}

/// The evidence of one health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// When it ended.
    pub at: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// What came of it.
    pub result: Result<u16, ProbeError>,
}

/// Why a health check got no status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// Nobody listens.
    #[error("connection refused")]
    Refused,
    /// No connection for another reason.
    #[error("no connection")]
    NoConnection,
    /// Connected, then closed or reset without an answer.
    #[error("closed without an answer")]
    Closed,
    /// The time was up.
    #[error("no answer in time")]
    TimedOut,
    /// Not HTTP.
    #[error("the answer is not HTTP")]
    NotHttp,
    /// A head that does not end.
    #[error("the head of the answer is too large")]
    HeadTooLarge,
}

/// The last request that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// When.
    pub at: SystemTime,
    /// How.
    pub cause: webrouter_telemetry::cause::Cause,
    /// The status, where the endpoint itself answered 502, 503 or 504.
    pub status: Option<u16>,
}

impl Probe {
    /// 2xx and 3xx are good.
    pub fn is_good(&self) -> bool {
        matches!(self.result, Ok(200..400))
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            good: 0,
            bad: 0,
            last_probe: None,
            ejections: 0,
            ejected_until: None,
            last_failure: None,
            warming_since: Instant::now(),
            slow_start: 0,
            since: SystemTime::now(),
        }
    }
}
