//! Rates and times of the last seconds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The traffic of the last seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TrafficReport {
    /// All upstreams together.
    pub total: Rates,
    /// How many upstreams had a request, of those that are asked for.
    pub active: usize,
    /// The first of them.
    pub upstreams: Vec<UpstreamTraffic>,
}

/// The traffic of one upstream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct UpstreamTraffic {
    /// `<app>__upstream__<proc>`.
    pub upstream: String,
    /// Its rates.
    #[serde(flatten)]
    pub rates: Rates,
}

/// Requests by the second, and how long they took; the times are absent without a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    /// Requests that ended, a second.
    pub requests_per_s: f64,
    /// Those answered with a status of 500 or more, a second.
    pub errors_per_s: f64,
    /// Half of the requests took at most so many seconds.
    pub p50_s: Option<f64>,
    /// Nine of ten.
    pub p90_s: Option<f64>,
    /// Ninety-nine of a hundred.
    pub p99_s: Option<f64>,
}

impl Rates {
    /// The share of errors, 0 to 1.
    pub fn error_share(&self) -> f64 {
        if self.requests_per_s > 0.0 { (self.errors_per_s / self.requests_per_s).clamp(0.0, 1.0) } else { 0.0 }
    }
}

/// Which upstreams come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrafficSort {
    /// Those with the most requests.
    #[default]
    Rate,
    /// Those with the most errors.
    Errors,
    /// The slowest, by their 99th percentile.
    P99,
    /// By name.
    Name,
}

impl TrafficSort {
    /// The word in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Errors => "errors",
            Self::P99 => "p99",
            Self::Name => "name",
        }
    }
}
