//! What the stream of events says.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::endpoints::EndpointState;
use crate::traffic::Rates;

/// The state in a few numbers, each second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Tick {
    /// When.
    pub at: String,
    /// Whether requests should be sent here.
    pub ready: bool,
    /// The snapshot in force.
    pub generation: u64,
    /// Its routes.
    pub routes: usize,
    /// All upstreams together.
    pub total: Rates,
    /// How many endpoints are in each state.
    pub endpoints_by_state: BTreeMap<EndpointState, usize>,
    /// Upstreams whose endpoints are all sick.
    pub fail_open: usize,
    /// Upstreams whose circuit breaker is not closed.
    pub breakers_open: usize,
    /// Whether the guard holds an update back.
    pub hold: bool,
}

/// Another table is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableChange {
    /// When it was seen.
    pub at: String,
    /// Its number.
    pub generation: u64,
    /// How many procs changed.
    pub total: usize,
    /// The first of them.
    pub procs: Vec<ProcChange>,
}

/// What changed of one proc.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcChange {
    /// The entry, as its source names it.
    pub entry: String,
    /// Who told us.
    pub source: String,
    /// What happened to it.
    pub kind: ProcChangeKind,
    /// Mountpoints and endpoints that came (`+`) and went (`-`), in words; a few of each.
    pub summary: String,
}

/// What happened to a proc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProcChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is otherwise than before.
    Changed,
}
