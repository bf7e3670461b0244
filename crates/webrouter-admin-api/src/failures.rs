//! Requests that failed.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The last requests that failed, the newest first; some are kept for each route.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Failures {
    /// At most as many as were asked for.
    pub failures: Vec<FailedRequest>,
}

/// One request that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FailedRequest {
    /// Its `X-Request-Id`, as the error page and the JSON access log have it.
    pub id: String,
    /// When it began.
    pub at: String,
    /// How many seconds ago.
    pub age_s: f64,
    /// The client's address.
    pub client: String,
    /// Its method.
    pub method: String,
    /// The host it asked for.
    pub host: String,
    /// The path it asked for, without the query.
    pub path: String,
    /// The status it got, or would have got.
    pub status: u16,
    /// The cause's word; absent where the app itself answered so.
    pub cause: Option<String>,
    /// What that means.
    pub meaning: String,
    /// What to do next.
    pub advice: String,
    /// The mountpoint that won; empty where none did.
    pub route: String,
    /// The upstream; empty where none was chosen.
    pub upstream: String,
    /// The endpoint that was asked last.
    pub endpoint: Option<String>,
    /// How many seconds it took.
    pub took_s: f64,
    /// How many of them endpoints had it.
    pub upstream_s: Option<f64>,
    /// The endpoints that failed it, in order.
    pub attempts: Vec<FailedAttempt>,
}

/// An endpoint that was asked and failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FailedAttempt {
    /// `ip:port`.
    pub endpoint: String,
    /// The cause's word.
    pub cause: String,
    /// How many seconds it had the request; absent where it could not be reached.
    pub took_s: Option<f64>,
}
