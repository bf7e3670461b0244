//! The routes in force.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of the routes, sorted by mountpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Routes {
    /// The snapshot they are of.
    pub generation: u64,
    /// How many routes the filter lets through.
    pub total: usize,
    /// How many of them come before this page.
    pub offset: usize,
    /// How many this page may have.
    pub limit: usize,
    /// The page.
    pub routes: Vec<Route>,
}

/// A mountpoint that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// `host` or `host/path`.
    pub mountpoint: String,
    /// `<app>__upstream__<proc>`.
    pub upstream: String,
    /// The app.
    pub app: String,
    /// The proc.
    pub proc: String,
    /// The entry, as its source names it.
    pub entry: String,
    /// Who told us.
    pub source: String,
    /// `ip:port` of each endpoint.
    pub endpoints: Vec<String>,
    /// Whether plain requests shall be sent to https.
    pub https_only: bool,
    /// The path of the health check.
    pub healthcheck: Option<String>,
    /// Why the proc is quarantined, when it is.
    pub quarantined: Option<String>,
    /// What an operator should know.
    pub flags: Vec<RouteFlag>,
}

/// What an operator should know of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RouteFlag {
    /// The upstream has no endpoint: its requests are answered 503.
    NoEndpoint,
    /// The entry cannot be read; its last good version is in force.
    Quarantined,
    /// https is wished, but no listener speaks TLS: a redirect would be a dead end.
    HttpsNotServed,
}
