//! What one core counts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::handshake::Handshake;
use super::number::{Counter, Gauge};
use super::upstream::UpstreamMetrics;
use crate::Cause;

/// A limit that refuses connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Limit {
    /// The configured number of client connections.
    Connections,
    /// The process has no file descriptor left.
    FileDescriptors,
}

impl Limit {
    /// Every limit, in declaration order.
    pub const ALL: [Self; 2] = [Self::Connections, Self::FileDescriptors];

    /// The stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connections => "connections",
            Self::FileDescriptors => "file_descriptors",
        }
    }
}

/// What a client's HTTP/2 connection was ended for, because there was too much of it and too little of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Flood {
    /// Requests taken back (CVE-2023-44487).
    Resets,
    /// Pings (CVE-2019-9512).
    Pings,
    /// Settings (CVE-2019-9515).
    Settings,
    /// Frames without content (CVE-2019-9518), and parts of heads (CVE-2024-27316).
    Empty,
    /// Priorities (CVE-2019-9513), and frames of unknown types.
    Idle,
    /// Window updates (CVE-2019-9511).
    Windows,
    /// What the HTTP/2 library counts itself: streams in error (CVE-2025-8671), small frames that wait to be read.
    Other,
}

impl Flood {
    /// Every kind, in declaration order.
    pub const ALL: [Self; 7] =
        [Self::Resets, Self::Pings, Self::Settings, Self::Empty, Self::Idle, Self::Windows, Self::Other];

    /// The stable word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resets => "resets",
            Self::Pings => "pings",
            Self::Settings => "settings",
            Self::Empty => "empty_frames",
            Self::Idle => "idle_frames",
            Self::Windows => "window_updates",
            Self::Other => "other",
        }
    }
}

/// The numbers of one core; its thread alone writes them, so that none of them needs a locked instruction.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct CoreMetrics {
    /// Client connections accepted.
    pub connections_accepted: Counter,
    /// Client connections open.
    pub connections_open: Gauge,
    /// Bytes read from clients, heads included.
    pub client_received_bytes: Counter,
    /// Bytes written to clients, heads included.
    pub client_sent_bytes: Counter,
    /// Requests being served, tunnels included.
    pub requests_open: Gauge,
    /// Requests for a host that no mountpoint covers.
    pub requests_unknown_host: Counter,
    /// Connections opened to endpoints.
    pub upstream_connects: Counter,
    /// Connections to endpoints that could not be opened.
    pub upstream_connect_failures: Counter,
    /// Requests sent on a kept connection.
    pub upstream_reuses: Counter,
    /// Kept connections found closed when used.
    pub upstream_stale: Counter,
    /// Requests tried again on another endpoint.
    pub upstream_retries: Counter,
    /// Requests not tried again because the budget was spent.
    pub upstream_retries_denied: Counter,
    /// Requests that waited because every endpoint was at its limit.
    pub upstream_queued: Counter,
    /// Upstream connections open, idle ones included.
    pub upstream_open: Gauge,
    /// Upstream connections kept for the next request.
    pub upstream_idle: Gauge,
    refused: [Counter; Limit::ALL.len()],
    floods: [Counter; Flood::ALL.len()],
    handshakes: [Counter; Handshake::ALL.len()],
    made: PerCause,
    failed: PerCause,
    protocol_errors: PerCause,
    upstreams: Mutex<HashMap<u32, NamedUpstream>>,
}

/// An upstream's configured name and its numbers.
type NamedUpstream = (Arc<str>, Arc<UpstreamMetrics>);

#[derive(Debug)]
struct PerCause([Counter; Cause::COUNT]);

impl Default for PerCause {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl PerCause {
    fn increment(&self, cause: Cause) {
        if let Some(counter) = self.0.get(cause.index()) {
            counter.increment();
        }
    }

    fn value(&self, cause: Cause) -> u64 {
        self.0.get(cause.index()).map_or(0, Counter::value)
    }
}

impl CoreMetrics {
    /// Counts a connection that a limit refused.
    pub fn refused(&self, limit: Limit) {
        if let Some(counter) = self.refused.get(limit as usize) {
            counter.increment();
        }
    }

    /// Counts a client's HTTP/2 connection that was ended.
    pub fn http2_flood(&self, flood: Flood) {
        if let Some(counter) = self.floods.get(flood as usize) {
            counter.increment();
        }
    }

    /// Counts a TLS handshake that ended.
    pub fn tls_handshake(&self, end: Handshake) {
        if let Some(counter) = self.handshakes.get(end as usize) {
            counter.increment();
        }
    }

    /// Counts a response that webrouter made itself.
    pub fn made_response(&self, cause: Cause) {
        self.made.increment(cause);
    }

    /// Counts an exchange that ended before its response was complete.
    pub fn failed_exchange(&self, cause: Cause) {
        self.failed.increment(cause);
    }

    /// Counts a message that breaks HTTP, whoever sent it.
    pub fn protocol_error(&self, cause: Cause) {
        self.protocol_errors.increment(cause);
    }

    /// The numbers of an upstream on this core, made on first use; to be kept beside the route, not asked per request.
    pub fn upstream(&self, id: u32, name: &str) -> Arc<UpstreamMetrics> {
        let mut upstreams = self.upstreams.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, metrics) = upstreams.entry(id).or_insert_with(|| (name.into(), Arc::default()));
        Arc::clone(metrics)
    }

    /// Drops the numbers of an upstream that is gone.
    pub fn forget(&self, id: u32) {
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(super) fn refused_by(&self, limit: Limit) -> u64 {
        self.refused.get(limit as usize).map_or(0, Counter::value)
    }

    pub(super) fn floods_of(&self, flood: Flood) -> u64 {
        self.floods.get(flood as usize).map_or(0, Counter::value)
    }

    pub(super) fn handshakes_ended(&self, end: Handshake) -> u64 {
        self.handshakes.get(end as usize).map_or(0, Counter::value)
    }

    pub(super) fn made_by(&self, cause: Cause) -> u64 {
        self.made.value(cause)
    }

    pub(super) fn failed_by(&self, cause: Cause) -> u64 {
        self.failed.value(cause)
    }

    pub(super) fn protocol_errors_by(&self, cause: Cause) -> u64 {
        self.protocol_errors.value(cause)
    }

    /// The upstreams with traffic; copied, so that the core does not wait for a scrape.
    pub(super) fn upstreams(&self) -> Vec<NamedUpstream> {
        self.upstreams.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
