//! How requests are spread over an upstream's endpoints, bounded, waited for and checked: chosen per proc, by its owner or
//! the operator, and resolved here into a value without holes.

mod kind;
mod overrides;
pub mod raw;
pub mod wishes;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::endpoint::Endpoint;

pub use overrides::{InForce, Overrides, SetBy};
pub use wishes::Wishes;

/// The policy of one upstream, complete.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Which endpoint a request goes to.
    pub balance: Balance,
    /// Shares of the requests, above 0; an endpoint that is not named has 1.
    pub weights: BTreeMap<Endpoint, u32>,
    /// How long an endpoint that is new, or back after it was out, takes to get its full share; 0 for at once.
    pub slow_start: Duration,
    /// Requests in flight on one endpoint, `None` for any number.
    pub max_requests: Option<NonZeroU32>,
    /// Connections to one endpoint, idle ones included, `None` for any number.
    pub max_connections: Option<NonZeroU32>,
    /// How many requests may wait while every endpoint is at its limit; 503 past it.
    pub queue: u32,
    /// How long they wait; 503 past it.
    pub queue_timeout: Duration,
    /// How long an idempotent request waits when there is no endpoint at all; 0 for a 503 at once.
    pub endpoint_wait: Duration,
    /// The share of failing requests, above 0 and at most 1, that stops requests to the upstream; `None` for never.
    pub circuit_breaker: Option<f64>,
    /// For how long browsers shall ask for the hosts by https only (RFC 6797), told with answers over https; `None` for
    /// no word of it, 0 to have them forget what they were told.
    pub hsts: Option<Duration>,
    /// How long each step may take.
    pub timeouts: Timeouts,
    /// How long a tunnel (WebSocket) lives on when its endpoint leaves.
    pub drain_timeout: Duration,
    /// How the health check is made, where the proc has one.
    pub health: HealthCheck,
    /// What is spoken with the endpoints.
    pub protocol: Protocol,
}

/// What is spoken with endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, known to be spoken there (RFC 9113 §3.3).
    H2c,
}

/// Which endpoint a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// In turn, by weight.
    RoundRobin,
    /// Of two at random, the one with fewer requests in flight, by weight.
    LeastRequests,
    /// The same key goes to the same endpoint; few keys move when endpoints come or go.
    Hash(HashKey),
    /// A cookie of this name leads a client back to its endpoint.
    Sticky(String),
}

/// What is hashed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HashKey {
    /// The value of a request header field, its name in lower case.
    Header(String),
    /// The value of a cookie.
    Cookie(String),
    /// The client's address.
    Client,
}

/// How long each step of a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Opening a connection to an endpoint.
    pub connect: Duration,
    /// From the request's last byte to the answer's first.
    pub first_byte: Duration,
    /// Between two reads from, or writes to, an endpoint.
    pub upstream: Duration,
    /// The whole request, `None` for any time; tunnels are exempt.
    pub request: Option<Duration>,
}

/// How an active health check is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheck {
    /// From one probe to the next.
    pub interval: Duration,
    /// For the whole probe.
    pub timeout: Duration,
    /// So many good probes in a row bring a sick endpoint back.
    pub rise: u32,
    /// So many bad probes in a row make an endpoint sick.
    pub fall: u32,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            balance: Balance::RoundRobin,
            weights: BTreeMap::new(),
            slow_start: Duration::from_secs(10),
            max_requests: None,
            max_connections: None,
            queue: 128,
            queue_timeout: Duration::from_secs(1),
            endpoint_wait: Duration::ZERO,
            circuit_breaker: None,
            hsts: None,
            timeouts: Timeouts::default(),
            drain_timeout: Duration::from_secs(30),
            health: HealthCheck::default(),
            protocol: Protocol::default(),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            first_byte: Duration::from_secs(900),
            upstream: Duration::from_secs(900),
            request: None,
        }
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self { interval: Duration::from_secs(3), timeout: Duration::from_secs(1), rise: 2, fall: 5 }
    }
}
