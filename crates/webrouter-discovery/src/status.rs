//! What discovery tells about itself: plain data, taken at one moment.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::Generation;

/// The state of discovery as a whole.
#[derive(Debug, Clone, PartialEq)]
pub struct DiscoveryStatus {
    /// The snapshot in force.
    pub generation: Generation,
    /// When it came in force.
    pub applied_at: SystemTime,
    /// How long its merge and publication took.
    pub last_apply: Duration,
    /// Where the table in force comes from.
    pub table_from: TableFrom,
    /// Whether a full table is in force.
    pub ready: bool,
    /// Why not, when it is not ready.
    pub not_ready_because: Option<String>,
    /// The configured sources.
    pub sources: Vec<SourceStatus>,
    /// The oldest loss that the guard keeps back, one that was refused last; others may wait behind it.
    pub hold: Option<HoldStatus>,
    /// What operators keep at a version, whatever the sources say.
    pub pins: Arc<Pins>,
    /// Generations that the history tells together with the one behind them, since they could not be written in time.
    pub generations_lost: u64,
    /// What keeps the last good table from being stored.
    pub store_error: Option<ErrorStatus>,
}

/// Where the table in force comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFrom {
    /// Every configured source has delivered in this run.
    Source,
    /// At least one source has not, or was not believed: (some of) its part is what an earlier run stored.
    LastGood {
        /// When it was stored.
        saved_at: SystemTime,
    },
}

/// Which kind of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A lainlet daemon.
    Lainlet,
    /// A followed apps.toml.
    File,
}

impl SourceKind {
    /// A closed, stable word for metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lainlet => "lainlet",
            Self::File => "file",
        }
    }
}

/// How a source is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceState {
    /// Nothing was heard yet, nothing has failed yet.
    Connecting,
    /// It is heard.
    Following,
    /// Its last word, or the way to it, is broken; what it said before stays in force.
    Failing,
}

impl SourceState {
    /// A closed, stable word for metrics and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Following => "following",
            Self::Failing => "failing",
        }
    }
}

/// One source.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceStatus {
    /// Its configured name.
    pub name: String,
    /// What it is.
    pub kind: SourceKind,
    /// The address or path it is followed at.
    pub target: String,
    /// How it is doing.
    pub state: SourceState,
    /// Since when it is doing so.
    pub since: SystemTime,
    /// When it last said its whole view (a confirmation of the known one counts).
    pub last_news_at: Option<SystemTime>,
    /// The last thing that went wrong, also after it is over.
    pub last_error: Option<ErrorStatus>,
    /// Everything that went wrong, counted by kind.
    pub errors: BTreeMap<&'static str, u64>,
    /// Views that were received.
    pub events: u64,
    /// Connections made again after the first.
    pub reconnects: u64,
    /// Watches that were found deaf and replaced.
    pub deaf_watches: u64,
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorStatus {
    /// A closed, stable word.
    pub kind: &'static str,
    /// What happened; foreign text in it is escaped and shortened.
    pub message: String,
    /// When, the last time.
    pub at: SystemTime,
    /// How often in a row.
    pub count: u64,
}

/// What the guard keeps back of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldStatus {
    /// Its number, for accept and refuse.
    pub id: u64,
    /// Whose update.
    pub source: String,
    /// Why it is kept back.
    pub reason: String,
    /// Since when.
    pub since: SystemTime,
    /// When it is applied unless somebody decides or the source says better; `None` once it was refused, and when
    /// nothing would be left.
    pub applies_at: Option<SystemTime>,
    /// Routes of the source in force.
    pub routes_before: usize,
    /// Routes of the source if it were applied.
    pub routes_after: usize,
    /// Endpoints of the source in force.
    pub endpoints_before: usize,
    /// Endpoints of the source if it were applied.
    pub endpoints_after: usize,
    /// The procs that are kept at their last version, the first hundred.
    pub procs: Vec<String>,
}

/// What an operator decides about a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldDecision {
    /// Apply it now.
    Accept,
    /// Keep what is in force for as long as the source takes away no more than this.
    Refuse,
}

/// Why a decision about a hold could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HoldError {
    /// Nothing is held.
    #[error("nothing is held")]
    NothingHeld,
    /// Another hold has taken its place, or it is over.
    #[error("there is no hold number {0} (any more)")]
    NoSuchHold(u64),
    /// A number is needed.
    #[error("more than one is held, say which: {}", .0.iter().map(u64::to_string).collect::<Vec<_>>().join(", "))]
    SeveralHolds(Vec<u64>),
    /// Discovery has been stopped.
    #[error("discovery has been stopped")]
    Stopped,
}
