//! What was in force before, and going back to it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A page of the generations that were in force, the newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct History {
    /// The page.
    pub entries: Vec<HistoryEntry>,
    /// For `?before=` of the next page; absent on the last one.
    pub next: Option<u64>,
    /// Generations that are told together with the one behind them, since they could not be written in time.
    pub lost: u64,
}

/// A table that came in force, or what happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    /// Its place in the history.
    pub id: u64,
    /// The table's number; a restart, or a pin that changes nothing, has that of the table before.
    pub generation: u64,
    /// When it came in force.
    pub at: String,
    /// A stable word: `source`, `guard`, `restart`, `hold_accepted`, `hold_refused`, `rollback`, `rollback_ended`, `pin`, `unpin`.
    pub cause: String,
    /// The same in words: which source, or who and what.
    pub why: String,
    /// Procs that differ from the table before; at most 1000.
    pub changes: Vec<ProcDifference>,
    /// How many more there are.
    pub more: usize,
    /// Mountpoints that have another owner.
    pub moved: Vec<Moved>,
    /// Sources whose cluster settings (certificates, domains) differ.
    pub settings: Vec<String>,
}

/// What differs between two generations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// The one.
    pub from: u64,
    /// The other.
    pub to: u64,
    /// Procs that differ.
    pub changes: Vec<ProcDifference>,
}

/// A proc that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProcDifference {
    /// The app.
    pub app: String,
    /// The entry, as its source names it.
    pub entry: String,
    /// Who told us.
    pub source: String,
    /// How.
    pub change: ChangeKind,
    /// Mountpoints that it claims and did not.
    pub routes_added: Vec<String>,
    /// Mountpoints that it claimed and does not.
    pub routes_removed: Vec<String>,
    /// `ip:port` of each endpoint that came.
    pub endpoints_added: Vec<String>,
    /// `ip:port` of each endpoint that went.
    pub endpoints_removed: Vec<String>,
    /// What else it asks for otherwise: `key: before -> after`.
    pub policies: Vec<String>,
}

/// How a proc differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It was not there.
    Added,
    /// It is not there any more.
    Removed,
    /// It is otherwise.
    Changed,
}

/// A mountpoint that has another owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Moved {
    /// `host` or `host/path`.
    pub mountpoint: String,
    /// The entry that had it.
    pub from: Option<String>,
    /// The entry that has it.
    pub to: Option<String>,
}

/// An app that is kept at a version, whatever its sources say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pin {
    /// The app.
    pub app: String,
    /// The generation whose version it keeps, endpoints included.
    pub generation: u64,
    /// Since when.
    pub since: String,
    /// Who did it.
    pub by: String,
    /// Whether it is by a rollback, and ends with it.
    pub rollback: bool,
}

/// A pin, an unpin or a rollback is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pinned {
    /// The table in force with it.
    pub generation: u64,
    /// The apps that it is about.
    pub apps: Vec<String>,
}
