//! Endpoints: how each is, and taking one out of service.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of the endpoints: those of the table, by upstream, then those that left it and have requests still.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Endpoints {
    /// The snapshot they are of.
    pub generation: u64,
    /// How many endpoints the filter lets through.
    pub total: usize,
    /// How many of them come before this page.
    pub offset: usize,
    /// How many this page may have.
    pub limit: usize,
    /// The page; an endpoint that several upstreams hold is there for each.
    pub endpoints: Vec<EndpointView>,
    /// The upstreams of the table that this page has endpoints of.
    pub upstreams: Vec<UpstreamHealth>,
}

/// One endpoint of one upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EndpointView {
    /// `ip:port`.
    pub endpoint: String,
    /// `<app>__upstream__<proc>`.
    pub upstream: String,
    /// The entry, as its source names it; absent when the endpoint has left the table.
    pub entry: Option<String>,
    /// Who told us; absent when the endpoint has left the table.
    pub source: Option<String>,
    /// What it is good for.
    pub state: EndpointState,
    /// Since when; absent while nobody has asked it, and when it has left the table.
    pub since: Option<String>,
    /// For how many seconds.
    pub since_s: Option<f64>,
    /// Requests that it serves now, tunnels included.
    pub in_flight: u32,
    /// Connections to it, idle ones included.
    pub connections: u32,
    /// Its share of the requests, against the other endpoints' weights.
    pub weight: u32,
    /// How much of its share it gets, above 0 and at most 1; below 1 during its slow start.
    pub warmth: f64,
    /// Requests that failed in a row.
    pub failures: u32,
    /// The last health check.
    pub last_probe: Option<ProbeReport>,
    /// The last request that failed.
    pub last_failure: Option<FailureReport>,
    /// For how many more seconds it is ejected.
    pub ejected_for_s: Option<f64>,
}

/// What an endpoint is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndpointState {
    /// It gets requests.
    Up,
    /// New, with a health check that has not succeeded yet: used while nobody is up.
    Unproven,
    /// Its health check fails: used when all are sick.
    Down,
    /// Its requests failed: left out for a while, and used when all are sick.
    Ejected,
    /// An operator drains it: it gets no request.
    Draining,
    /// It left the table and has requests still.
    Leaving,
}

/// The evidence of a health check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProbeReport {
    /// When it ended.
    pub at: String,
    /// How many seconds ago that was.
    pub age_s: f64,
    /// How many seconds it took.
    pub took_s: f64,
    /// Whether the endpoint is well by it.
    pub good: bool,
    /// The status that was answered.
    pub status: Option<u16>,
    /// Why there is none.
    pub error: Option<String>,
}

/// A request that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FailureReport {
    /// When.
    pub at: String,
    /// How many seconds ago that was.
    pub age_s: f64,
    /// How, as in logs and metrics.
    pub cause: String,
    /// The status, where the endpoint itself answered 502, 503 or 504.
    pub status: Option<u16>,
}

/// How an upstream is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamHealth {
    /// `<app>__upstream__<proc>`.
    pub upstream: String,
    /// Whether every endpoint is sick, so that all are tried.
    pub fail_open: bool,
    /// What its circuit breaker does.
    pub breaker: Breaker,
    /// Requests that wait for an endpoint now.
    pub queue_length: u32,
}

/// What a circuit breaker does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Breaker {
    /// They go through.
    Closed,
    /// They are refused.
    Open,
    /// A few go through, to try.
    HalfOpen,
}

/// The upstream of a route, and its endpoints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteHealth {
    /// How it is.
    #[serde(flatten)]
    pub upstream: UpstreamHealth,
    /// Each endpoint, in the table's order.
    pub endpoints: Vec<EndpointView>,
}

/// What came of draining an endpoint, or of using it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drained {
    /// `ip:port`.
    pub endpoint: String,
    /// The upstreams that hold it, or held it until it left the table.
    pub upstreams: Vec<String>,
    /// Requests that it serves now, tunnels included; with 0 it can be stopped.
    pub in_flight: u64,
    /// Whether it is kept from new requests.
    pub draining: bool,
    /// Upstreams in which every endpoint drains: their requests are answered 503.
    pub exhausted: Vec<String>,
}
