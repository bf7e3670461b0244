//! What is told by others than the cores: the table, the sources, the access log, the process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::number::Counter;
use crate::access_log::Losses;

/// The table in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TableInForce {
    /// The snapshot's number.
    pub generation: u64,
    /// Its routes.
    pub routes: u64,
    /// Its procs.
    pub procs: u64,
    /// How long its merge and publication took.
    pub last_apply: Duration,
    /// Whether requests should be sent here.
    pub ready: bool,
}

/// The endpoints' health.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FleetHealth {
    /// How many endpoints are in each state.
    pub endpoints: Vec<(&'static str, u64)>,
    /// Upstreams whose endpoints are all sick.
    pub fail_open: Vec<String>,
    /// Upstreams whose circuit breaker is not closed.
    pub circuit_open: Vec<String>,
    /// Ejections since the start.
    pub ejections: u64,
    /// Requests that wait for an endpoint.
    pub queued: u64,
}

/// How a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceHealth {
    /// Whether it is connected, or its file readable.
    pub connected: bool,
    /// When it last said something.
    pub last_news: Option<SystemTime>,
}

impl SourceHealth {
    pub(super) fn news_age(&self) -> Option<Duration> {
        self.last_news.map(|at| at.elapsed().unwrap_or_default())
    }
}

/// Gauges that are set when something changes.
#[derive(Debug)]
pub struct NodeMetrics {
    /// Health checks that found an endpoint well; written by the thread that makes them, like the next two.
    pub probes_good: Counter,
    /// Health checks that did not.
    pub probes_bad: Counter,
    /// Attempts to write the endpoints' health to disk that failed.
    pub health_save_failures: Counter,
    /// Deliveries that a Graphite did not take.
    pub graphite_failures: Counter,
    started: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    table: TableInForce,
    fleet: FleetHealth,
    rejections: BTreeMap<&'static str, u64>,
    sources: BTreeMap<String, SourceHealth>,
    certificates: Vec<(String, u64)>,
    hold: bool,
    losses: Option<Arc<Losses>>,
}

impl Default for NodeMetrics {
    fn default() -> Self {
        Self {
            probes_good: Counter::default(),
            probes_bad: Counter::default(),
            health_save_failures: Counter::default(),
            graphite_failures: Counter::default(),
            started: SystemTime::now(),
            state: Mutex::default(),
        }
    }
}

impl NodeMetrics {
    /// The table in force changed.
    pub fn set_table(&self, table: TableInForce) {
        self.with(|state| state.table = table);
    }

    /// The endpoints' health changed.
    pub fn set_fleet(&self, fleet: FleetHealth) {
        self.with(|state| state.fleet = fleet);
    }

    /// The rejections in force, by kind; a kind that is no longer there becomes 0.
    pub fn set_rejections(&self, kinds: impl IntoIterator<Item = (&'static str, u64)>) {
        self.with(|state| {
            state.rejections.values_mut().for_each(|count| *count = 0);
            state.rejections.extend(kinds);
        });
    }

    /// A source, by its configured name, changed.
    pub fn set_source(&self, name: &str, health: SourceHealth) {
        self.with(|state| match state.sources.get_mut(name) {
            Some(known) => *known = health,
            None => drop(state.sources.insert(name.to_owned(), health)),
        });
    }

    /// When each certificate in force ends, by its stem, in seconds since 1970.
    pub fn set_certificates(&self, ends: Vec<(String, u64)>) {
        self.with(|state| state.certificates = ends);
    }

    /// The guard holds an update back, or no longer.
    pub fn set_hold(&self, hold: bool) {
        self.with(|state| state.hold = hold);
    }

    /// The access log whose losses are shown.
    pub fn set_access_log(&self, losses: Arc<Losses>) {
        self.with(|state| state.losses = Some(losses));
    }

    /// When the process started.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    pub(super) fn start_time_seconds(&self) -> u64 {
        self.started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
    }

    pub(super) fn table(&self) -> TableInForce {
        self.with(|state| state.table)
    }

    pub(super) fn fleet(&self) -> FleetHealth {
        self.with(|state| state.fleet.clone())
    }

    pub(super) fn rejections(&self) -> BTreeMap<&'static str, u64> {
        self.with(|state| state.rejections.clone())
    }

    pub(super) fn sources(&self) -> Vec<(String, SourceHealth)> {
        self.with(|state| state.sources.iter().map(|(name, health)| (name.clone(), *health)).collect())
    }

    pub(super) fn certificates(&self) -> Vec<(String, u64)> {
        self.with(|state| state.certificates.clone())
    }

    pub(super) fn hold(&self) -> bool {
        self.with(|state| state.hold)
    }

    pub(super) fn losses(&self) -> Option<Arc<Losses>> {
        self.with(|state| state.losses.clone())
    }

    fn with<T>(&self, use_state: impl FnOnce(&mut State) -> T) -> T {
        use_state(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Resident memory, from `/proc/self/status` (proc_pid_status(5)); `None` where there is none.
pub(super) fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
