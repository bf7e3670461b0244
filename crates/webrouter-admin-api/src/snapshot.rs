//! The snapshot in force, whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// All sources merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SnapshotView {
    /// Its number.
    pub generation: u64,
    /// The procs in force.
    pub procs: Vec<ProcView>,
    /// Domains whose hosts are internal.
    pub domains: Vec<String>,
    /// Host patterns and the stem of their certificate.
    pub certificates: BTreeMap<String, String>,
}

/// One proc in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcView {
    /// The entry, as its source names it.
    pub entry: String,
    /// Who told us.
    pub source: String,
    /// `<app>__upstream__<proc>`.
    pub upstream: String,
    /// `ip:port` of each endpoint.
    pub endpoints: Vec<String>,
    /// What it claims, and whether it has it.
    pub claims: Vec<Claim>,
    /// Whether plain requests shall be sent to https.
    pub https_only: bool,
    /// The path of the health check.
    pub healthcheck: Option<String>,
    /// Why it is quarantined, when it is.
    pub quarantined: Option<String>,
    /// The parts of its entry that were not taken.
    pub reasons: Vec<String>,
}

/// A claimed mountpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Claim {
    /// `host` or `host/path`.
    pub mountpoint: String,
    /// Whether the claimant owns it.
    pub owned: bool,
}
