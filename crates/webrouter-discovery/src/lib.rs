//! Who tells us: sources, assembler, guard, last good. Ends at a published snapshot; knows no proxy.
//!
//! ```text
//! lainlet ─┐ whole contributions   ┌────────── assembler ──────────┐
//!          ├───────────────────────► guard ─► merge ─► ArcSwap store ─► the data plane loads it
//! file ────┘   (latest wins)       └───────────────┬───────────────┘
//!                                                  └─► last good (redb, off this path)
//! ```

pub mod lainlet;
mod reconnect;
mod source;
pub mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use webrouter_routing::merge::Defaults;
use webrouter_routing::snapshot::Snapshot;

use status::{DiscoveryStatus, HoldDecision, HoldError};

/// What discovery follows and how.
#[derive(Debug, Clone)]
pub struct DiscoveryConfig {
    /// A lainlet to follow.
    pub lainlet: Option<LainletConfig>,
    /// An apps.toml to follow.
    pub file: Option<FileConfig>,
    /// Where the last good table is stored; `None` stores nothing.
    pub state_directory: Option<PathBuf>,
    /// What does not come from a source.
    pub defaults: Defaults,
    /// When an update is kept back.
    pub guard: GuardConfig,
    /// The least time between two applied updates; one that comes alone is applied at once.
    pub coalesce: Duration,
}

impl Default for DiscoveryConfig {
    fn default() -> Self {
        Self {
            lainlet: None,
            file: None,
            state_directory: None,
            defaults: Defaults::default(),
            guard: GuardConfig::default(),
            coalesce: Duration::from_millis(5),
        }
    }
}

/// How a lainlet is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LainletConfig {
    /// `host:port`.
    pub address: String,
    /// How often lainlet is asked to send a heartbeat; whole seconds, at least one.
    pub heartbeat: Duration,
    /// Without a byte for this long a watch is given up.
    pub read_timeout: Duration,
    /// How long a connection, and the head of its answer, may take.
    pub connect_timeout: Duration,
    /// How often the truth is asked for with a GET; jittered.
    pub refresh: Duration,
    /// How long a watch may disagree with GET before it counts as deaf.
    pub deaf_after: Duration,
    /// The longest frame, and the longest GET body, in bytes.
    pub max_bytes: usize,
    /// The first pause before a reconnect; it doubles up to `reconnect_max`, jittered.
    pub reconnect_min: Duration,
    /// The longest pause before a reconnect.
    pub reconnect_max: Duration,
}

impl LainletConfig {
    /// Follows the lainlet at `host:port` with the defaults.
    pub fn new(address: impl Into<String>) -> Self {
        Self {
            address: address.into(),
            heartbeat: Duration::from_secs(10),
            read_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            refresh: Duration::from_secs(30),
            deaf_after: Duration::from_secs(1),
            max_bytes: 64 << 20,
            reconnect_min: Duration::from_millis(200),
            reconnect_max: Duration::from_secs(5),
        }
    }
}

/// Which file is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileConfig {
    /// The apps.toml.
    pub path: PathBuf,
}

/// When an update is kept back, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardConfig {
    /// The share of a source's routes, or endpoints, that one update may take away.
    pub max_loss: f64,
    /// How long an update is kept back.
    pub grace: Duration,
    /// A source with fewer routes (endpoints) than this is guarded only against losing all of them.
    pub floor: usize,
    /// How long an endpoint that is to go is given to answer a connect.
    pub probe_timeout: Duration,
    /// How often it is looked again whether endpoints that are held still answer.
    pub recheck: Duration,
}

impl Default for GuardConfig {
    fn default() -> Self {
        Self {
            max_loss: 0.5,
            grace: Duration::from_secs(60),
            floor: 4,
            probe_timeout: Duration::from_millis(500),
            recheck: Duration::from_secs(2),
        }
    }
}

/// Why discovery cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another instance has the state directory.
    #[error("{path} is in use by another instance: give each instance a state directory of its own")]
    StateInUse {
        /// The store.
        path: PathBuf,
    },
}

/// A running discovery; clones are handles of the same one.
#[derive(Clone)]
pub struct Discovery {
    snapshots: Arc<ArcSwap<Snapshot>>,
}

impl Discovery {
    /// Loads the last good table, then follows the sources in tasks of the current runtime.
    pub async fn start(config: DiscoveryConfig) -> Result<Self, StartError> {
        unimplemented!("{config:?}")
    }

    /// The one pointer the data plane loads.
    pub fn snapshots(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshots)
    }

    /// The snapshot in force.
    pub fn table(&self) -> Arc<Snapshot> {
        self.snapshots.load_full()
    }

    /// How discovery is doing.
    pub fn status(&self) -> DiscoveryStatus {
        unimplemented!()
    }

    /// Whether a full table is in force.
    pub fn is_ready(&self) -> bool {
        unimplemented!()
    }

    /// Resolves when a full table is in force.
    pub async fn ready(&self) {
        unimplemented!()
    }

    /// Applies or refuses a held update; without a number, all that are held.
    pub async fn resolve_hold(&self, decision: HoldDecision, id: Option<u64>) -> Result<(), HoldError> {
        unimplemented!("{decision:?} {id:?}")
    }

    /// Ends all tasks after the table in force has been stored.
    pub async fn stop(&self) {
        unimplemented!()
    }
}
