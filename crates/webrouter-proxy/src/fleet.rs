//! Everything that is known of endpoints, shared by all cores, the health checks and the operators, and kept over
//! snapshots. A core that forwards a request reads a few marks of it and waits for nobody.

pub(crate) mod breaker;
pub(crate) mod budget;
pub(crate) mod endpoint;
pub(crate) mod queue;
pub(crate) mod record;
pub(crate) mod remembered;
pub(crate) mod upstream;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use webrouter_routing::diff::diff;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_routing::snapshot::Snapshot;

use budget::Retries;
use endpoint::EndpointState;
use remembered::Remembered;
use upstream::SharedUpstream;

/// What the fleet is told at start.
#[derive(Debug, Clone, Default)]
pub struct FleetConfig {
    /// How many requests may be tried again.
    pub retries: Retries,
    /// When endpoints are ejected.
    pub ejection: Ejection,
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
    remembered: Mutex<HashMap<(ProcKey, Endpoint), Remembered>>,
    ejections: AtomicU64,
}

/// An endpoint that left the table, until its last request has ended.
#[derive(Debug, Clone)]
pub(crate) struct Departed {
    pub(crate) upstream: String,
    pub(crate) state: Arc<EndpointState>,
}

impl Fleet {
    /// A fleet of which no more is known than is remembered.
    pub fn new(config: FleetConfig, remembered: Vec<Remembered>) -> Self {
        let keyed = remembered.into_iter().map(|known| ((known.proc.clone(), known.endpoint), known));
        Self {
            config,
            upstreams: Mutex::default(),
            ejecting: Mutex::default(),
            departed: Mutex::default(),
            remembered: Mutex::new(keyed.collect()),
            ejections: AtomicU64::new(0),
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

    /// Takes note of what left the table. The cost grows with the change.
    pub(crate) fn follow(&self, old: &Snapshot, new: &Snapshot) {
        for change in diff(old, new) {
            let Some(was) = old.proc(&change.key) else { continue };
            let now = new.proc(&change.key).filter(|now| now.upstream.id == was.upstream.id);
            let shared = match now {
                Some(_) => self.known(was.upstream.id),
                None => locked(&self.upstreams).remove(&was.upstream.id),
            };
            if let Some(shared) = shared {
                shared.retain(now.map_or(&[], |now| &now.upstream.endpoints), self);
            }
            if !change.endpoints_removed.is_empty() {
                let mut remembered = locked(&self.remembered);
                for endpoint in change.endpoints_removed {
                    remembered.remove(&(change.key.clone(), endpoint));
                }
            }
        }
    }

    /// Ends the ejections whose time is over.
    pub(crate) fn readmit(&self, snapshot: &Snapshot) {
        let ejecting: Vec<UpstreamId> = locked(&self.ejecting).iter().copied().collect();
        for id in ejecting {
            let over = self.known(id).is_none_or(|shared| {
                let slow_start = snapshot.proc(&shared.proc).map(|proc| proc.upstream.policy.slow_start);
                shared.readmit_due(slow_start.unwrap_or_default(), &self.config.ejection)
            });
            if over {
                locked(&self.ejecting).remove(&id);
            }
        }
    }

    /// Forgets departed endpoints that serve nobody any more.
    pub(crate) fn sweep(&self) {
        locked(&self.departed).retain(|departed| departed.state.in_flight() > 0);
    }

    /// Endpoints that left the table and still serve.
    pub(crate) fn departed(&self) -> Vec<Departed> {
        locked(&self.departed).clone()
    }

    fn depart(&self, upstream: &str, state: &Arc<EndpointState>) {
        locked(&self.departed).push(Departed { upstream: upstream.to_owned(), state: Arc::clone(state) });
    }

    fn ejected(&self, id: UpstreamId) {
        self.ejections.fetch_add(1, Ordering::Relaxed);
        locked(&self.ejecting).insert(id);
    }

    /// Gives an endpoint what an earlier run knew of it; says whether it knew it.
    fn recall(&self, id: UpstreamId, proc: &ProcKey, state: &EndpointState) -> bool {
        let Some(known) = locked(&self.remembered).remove(&(proc.clone(), state.endpoint)) else { return false };
        if known.give_to(state) {
            locked(&self.ejecting).insert(id);
        }
        true
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
