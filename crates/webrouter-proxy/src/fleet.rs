//! Everything that is known of endpoints, shared by all cores, the health checks and the operators, and kept over
//! snapshots. A core that forwards a request reads a few marks of it and waits for nobody.

pub(crate) mod breaker;
pub(crate) mod budget;
pub(crate) mod endpoint;
pub(crate) mod keeper;
pub(crate) mod probe;
mod prober;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod remembered;
pub mod report;
mod saved;
#[cfg(test)]
mod scene;
mod schedule;
pub(crate) mod upstream;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use webrouter_routing::diff::changes;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_routing::snapshot::{ProcInForce, Snapshot};

pub use budget::Retries;
use endpoint::EndpointState;
pub use probe::{CannotAsk, probe_once};
use remembered::Memory;
pub use remembered::Remembered;
use upstream::SharedUpstream;

/// What the fleet is told at start.
#[derive(Debug, Clone, Default)]
pub struct FleetConfig {
    /// How many requests may be tried again.
    pub retries: Retries,
    /// When endpoints are ejected.
    pub ejection: Ejection,
    /// Where health is kept for the next run; `None` for nowhere.
    pub health_file: Option<PathBuf>,
}

/// When an endpoint whose requests fail gets none for a while.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub failures: u32,
    /// For so long the first time; each time soon after doubles it.
    pub first: Duration,
    /// At most for so long.
    pub longest: Duration,
    /// The share of an upstream's endpoints that may be out for what they answer.
    pub share: f64,
}

impl Default for Ejection {
    fn default() -> Self {
        Self { failures: 3, first: Duration::from_secs(10), longest: Duration::from_secs(300), share: 0.5 }
    }
}

impl Ejection {
    fn time(&self, nth: u32) -> Duration {
        let doubled = 2_u32.checked_pow(nth.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// All upstreams that had a request, or have a health check.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) config: FleetConfig,
    upstreams: Mutex<HashMap<UpstreamId, Arc<SharedUpstream>>>,
    /// Upstreams with an ejected endpoint.
    ejecting: Mutex<HashSet<UpstreamId>>,
    /// Endpoints that left the table and still serve.
    departed: Mutex<Vec<Departed>>,
    /// What an earlier run knew of endpoints that were not seen yet.
    remembered: Mutex<Memory>,
    ejections: AtomicU64,
    /// Upstreams that got an endpoint since [`Fleet::settle`]: by a core whose table may be an old one.
    grown: Mutex<HashSet<UpstreamId>>,
    /// Whether anything changed that the next run should know.
    unsaved: Arc<AtomicBool>,
}

/// An endpoint that left the table, until its last request has ended.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) upstream: String,
    pub(crate) state: Arc<EndpointState>,
}

impl Fleet {
    /// A fleet of which as much is known as the last run wrote down. Reads a file.
    pub fn open(config: FleetConfig) -> Self {
        let remembered = config.health_file.as_deref().map(saved::read).unwrap_or_default();
        Self::new(config, remembered)
    }

    /// A fleet of which no more is known than is remembered.
    pub fn new(config: FleetConfig, remembered: Vec<Remembered>) -> Self {
        Self {
            config,
            upstreams: Mutex::default(),
            ejecting: Mutex::default(),
            departed: Mutex::default(),
            remembered: Mutex::new(Memory::new(remembered)),
            ejections: AtomicU64::new(0),
            grown: Mutex::default(),
            unsaved: Arc::default(),
        }
    }

    /// What is known of an upstream, made on first use; to be kept, not asked per request.
    pub(crate) fn upstream(&self, upstream: &Upstream) -> Arc<SharedUpstream> {
        let mut upstreams = locked(&self.upstreams);
        let shared = upstreams.entry(upstream.id).or_insert_with(|| Arc::new(SharedUpstream::new(upstream, self)));
        Arc::clone(shared)
    }

    /// What is known of an upstream, if anything is.
    pub(crate) fn known(&self, id: UpstreamId) -> Option<Arc<SharedUpstream>> {
        locked(&self.upstreams).get(&id).cloned()
    }

    /// Takes note of what left the table, and of health checks that are no more. The cost grows with the change.
    pub(crate) fn follow(&self, old: &Snapshot, new: &Snapshot) {
        for change in changes(old, new) {
            let Some(was) = change.old else { continue };
            self.settle_one(was.upstream.id, change.new.filter(|now| now.upstream.id == was.upstream.id));
            let mut remembered = locked(&self.remembered);
            if !remembered.is_empty() {
                let now: &[Endpoint] = change.new.map_or(&[], |now| &now.upstream.endpoints);
                let stays: HashSet<&Endpoint> = now.iter().collect();
                for endpoint in was.upstream.endpoints.iter().filter(|endpoint| !stays.contains(endpoint)) {
                    remembered.take(change.key, *endpoint);
                }
            }
        }
    }

    /// Upstreams that got an endpoint since the last time; to be asked for before the snapshot is loaded that
    /// [`Fleet::settle`] is given, so that no core has seen a newer one.
    pub(crate) fn grown(&self) -> HashSet<UpstreamId> {
        std::mem::take(&mut *locked(&self.grown))
    }

    /// Takes away again what a core added from a table that is no longer in force.
    pub(crate) fn settle(&self, grown: HashSet<UpstreamId>, snapshot: &Snapshot) {
        for id in grown {
            let Some(shared) = self.known(id) else { continue };
            self.settle_one(id, snapshot.proc(&shared.proc).filter(|proc| proc.upstream.id == id));
        }
    }

    fn settle_one(&self, id: UpstreamId, now: Option<&Arc<ProcInForce>>) {
        let shared = match now {
            Some(_) => self.known(id),
            None => locked(&self.upstreams).remove(&id),
        };
        let Some(shared) = shared else { return };
        shared.retain(now.map_or(&[], |now| &now.upstream.endpoints), self);
        if now.is_some_and(|now| now.upstream.annotation.healthcheck.is_none()) {
            shared.uncheck();
        }
    }

    /// Ends the ejections whose time is over.
    pub(crate) fn readmit(&self, snapshot: &Snapshot) {
        // Taken before the look: an ejection that comes meanwhile stays noted.
        let ejecting = std::mem::take(&mut *locked(&self.ejecting));
        for id in ejecting {
            let Some(shared) = self.known(id) else { continue };
            let slow_start = snapshot.proc(&shared.proc).map(|proc| proc.upstream.policy.slow_start);
            if shared.readmit_due(slow_start.unwrap_or_default(), &self.config.ejection) {
                locked(&self.ejecting).insert(id);
            }
        }
    }

    /// Forgets what an earlier run knew of endpoints that are nowhere in the table.
    pub(crate) fn forget_strangers(&self, snapshot: &Snapshot) {
        locked(&self.remembered).retain(|proc, endpoint| {
            snapshot.proc(proc).is_some_and(|proc| proc.upstream.endpoints.contains(&endpoint))
        });
    }

    /// Forgets departed endpoints that serve nobody any more.
    pub(crate) fn sweep(&self) {
        locked(&self.departed).retain(|departed| departed.state.in_flight() > 0);
    }

    /// Endpoints that left the table and still serve.
    pub(crate) fn departed(&self) -> Vec<Departed> {
        locked(&self.departed).iter().filter(|departed| departed.state.in_flight() > 0).cloned().collect()
    }

    fn depart(&self, upstream: &str, state: &Arc<EndpointState>) {
        locked(&self.departed).push(Departed { upstream: upstream.to_owned(), state: Arc::clone(state) });
    }

    fn ejected(&self, id: UpstreamId) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
        locked(&self.ejecting).insert(id);
    }

    /// An upstream got an endpoint.
    fn grew(&self, id: UpstreamId) {
        locked(&self.grown).insert(id);
    }

    /// Gives an endpoint what an earlier run knew of it; says whether it knew it.
    fn recall(&self, id: UpstreamId, proc: &ProcKey, state: &EndpointState, checked: bool) -> bool {
        let Some(known) = locked(&self.remembered).take(proc, state.endpoint) else { return false };
        if known.give_to(state, checked) {
            locked(&self.ejecting).insert(id);
        }
        true
    }

    /// Everything the next run should know; what it finds twice, it takes the later one of.
    fn to_remember(&self) -> impl Iterator<Item = Remembered> {
        // In this order: what is recalled meanwhile is in both, not in neither.
        let unseen: Vec<Remembered> = locked(&self.remembered).values().cloned().collect();
        let upstreams: Vec<Arc<SharedUpstream>> = locked(&self.upstreams).values().cloned().collect();
        let seen = upstreams.into_iter().flat_map(|shared| {
            let states = shared.endpoints().into_iter();
            states.map(move |state| Remembered::of(&shared.proc, &state))
        });
        unseen.into_iter().chain(seen)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
