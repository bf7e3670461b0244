//! What operators are shown of the fleet, and the one thing they tell it: to drain an endpoint.
//!
//! It asks for upstreams and records one by one: however large the table, no core waits for a report for longer than it
//! takes to copy one upstream's pointers, or one record.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_routing::snapshot::Snapshot;

pub use super::breaker::BreakerState;
use super::endpoint::{EndpointState, Mark, Standing};
use super::record::Record;
pub use super::record::{Failure, Probe, ProbeError};
use super::upstream::SharedUpstream;
use super::{Departed, Fleet, locked};

/// What an endpoint is good for, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It gets requests.
    Up,
    /// New, with a health check that has not succeeded yet: used while nobody is up.
    Unproven,
    /// Its health check fails: used when all are sick.
    Down,
    /// Its requests failed: left out for a while, and used when all are sick.
    Ejected,
    /// An operator drains it: it gets no request.
    Draining,
    /// It left the table and has requests still.
    Leaving,
}

/// One upstream of the table.
#[derive(Debug, Clone)]
pub struct UpstreamReport {
    /// As the snapshot has it.
    pub upstream: Arc<Upstream>,
    /// Whether every endpoint is sick, so that all are tried.
    pub fail_open: bool,
    /// What its circuit breaker does.
    pub breaker: BreakerState,
    /// Requests that wait for an endpoint now.
    pub queued: u32,
    /// In the table's order.
    pub endpoints: Vec<EndpointReport>,
}

/// One endpoint of one upstream.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointReport {
    /// Its address.
    pub endpoint: Endpoint,
    /// What it is good for.
    pub state: State,
    /// Since when; `None` where nobody has asked it yet, or it has left the table.
    pub since: Option<SystemTime>,
    /// Requests that it serves now, tunnels included.
    pub in_flight: u32,
    /// Connections to it, idle ones included.
    pub connections: u32,
    /// Its share of the requests, against the other endpoints' weights; 0 where it has left the table.
    pub weight: u32,
    /// How much of its share it gets: below 1 during its slow start.
    pub warmth: f32,
    /// Requests that failed in a row.
    pub failures: u32,
    /// The last health check.
    pub last_probe: Option<Probe>,
    /// The last request that failed.
    pub last_failure: Option<Failure>,
    /// For how much longer it is ejected.
    pub ejected_for: Option<Duration>,
}

/// An endpoint that left the table and has requests still.
#[derive(Debug, Clone, PartialEq)]
pub struct LeavingReport {
    /// The name of the upstream it was of.
    pub upstream: String,
    /// How it is.
    pub endpoint: EndpointReport,
}

/// The fleet in a few numbers and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many endpoints are in each state; every state is there.
    pub by_state: BTreeMap<State, usize>,
    /// Upstreams whose endpoints are all sick, so that all are tried.
    pub fail_open: Vec<String>,
    /// Upstreams whose circuit breaker is not closed.
    pub breakers_open: Vec<String>,
    /// Endpoints of the table that an operator drains.
    pub draining: BTreeSet<Endpoint>,
    /// Requests that wait for an endpoint now.
    pub queued: u64,
    /// How often an endpoint was ejected since the start.
    pub ejections: u64,
}

/// An operator's word about an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draining {
    /// It gets no new request.
    On,
    /// It gets requests again.
    Off,
}

/// What came of an operator's word about an endpoint.
#[derive(Debug, Clone, Default)]
pub struct Drained {
    /// The names of the upstreams that hold it, or held it until it left the table.
    pub upstreams: Vec<String>,
    /// Those of them in which every endpoint drains: their requests are refused.
    pub exhausted: Vec<String>,
    /// Whether anything changed.
    pub news: bool,
    states: Vec<Arc<EndpointState>>,
}

impl State {
    /// Every state, best first.
    pub const ALL: [Self; 6] = [Self::Up, Self::Unproven, Self::Down, Self::Ejected, Self::Draining, Self::Leaving];

    /// The word for it everywhere.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Unproven => "unproven",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::Draining => "draining",
            Self::Leaving => "leaving",
        }
    }

    /// Of an endpoint that is in the table.
    fn of(state: &EndpointState) -> Self {
        match state.standing() {
            Standing::Leaving => Self::Draining,
            Standing::Sick if state.is_marked(Mark::DOWN) => Self::Down,
            Standing::Sick => Self::Ejected,
            Standing::Unproven => Self::Unproven,
            Standing::Ready => Self::Up,
        }
    }
}

impl Drained {
    fn add(&mut self, upstream: &str, state: Arc<EndpointState>) {
        if !self.states.iter().any(|known| Arc::ptr_eq(known, &state)) {
            self.upstreams.push(upstream.to_owned());
            self.states.push(state);
        }
    }

    /// Requests that the endpoint serves now, tunnels included, on behalf of all its upstreams.
    pub fn in_flight(&self) -> u64 {
        self.states.iter().map(|state| u64::from(state.in_flight())).sum()
    }
}

impl Fleet {
    /// The wanted upstreams of the table with their endpoints, in the table's order.
    pub fn report(&self, snapshot: &Snapshot, wanted: impl Fn(&Upstream) -> bool) -> Vec<UpstreamReport> {
        let upstreams = snapshot.procs().map(|(_, proc)| &proc.upstream);
        upstreams.filter(|upstream| wanted(upstream)).map(|upstream| self.report_one(upstream)).collect()
    }

    /// One upstream with its endpoints.
    pub fn report_one(&self, upstream: &Arc<Upstream>) -> UpstreamReport {
        let now = Instant::now();
        let shared = self.known(upstream.id);
        let weights = &upstream.policy.weights;
        let endpoints = self.sights(upstream, shared.as_deref()).map(|sight| {
            let weight = weights.get(&sight.state().endpoint).copied().unwrap_or(1).max(1);
            let state = State::of(sight.state());
            let report = describe(sight.state(), state, weight, now);
            EndpointReport { since: report.since.filter(|_| sight.is_seen()), ..report }
        });
        UpstreamReport {
            upstream: Arc::clone(upstream),
            fail_open: shared.as_ref().is_some_and(|shared| shared.is_fail_open()),
            breaker: shared.as_ref().map(|shared| shared.breaker()).unwrap_or_default(),
            queued: shared.as_ref().map(|shared| shared.queue.waiting()).unwrap_or_default(),
            endpoints: endpoints.collect(),
        }
    }

    /// Endpoints that left the table and have requests still.
    pub fn leaving(&self) -> Vec<LeavingReport> {
        let now = Instant::now();
        let report = |departed: Departed| LeavingReport {
            upstream: departed.upstream,
            // What is remembered is since when it was as it was before.
            endpoint: EndpointReport { since: None, ..describe(&departed.state, State::Leaving, 0, now) },
        };
        self.departed().into_iter().map(report).collect()
    }

    /// The fleet in a few numbers and names.
    pub fn summary(&self, snapshot: &Snapshot) -> Summary {
        let mut summary = Summary {
            by_state: State::ALL.into_iter().map(|state| (state, 0)).collect(),
            fail_open: Vec::new(),
            breakers_open: Vec::new(),
            draining: BTreeSet::new(),
            queued: 0,
            ejections: self.ejections.load(Ordering::Relaxed),
        };
        for (_, proc) in snapshot.procs() {
            let upstream = &proc.upstream;
            let shared = self.known(upstream.id);
            for sight in self.sights(upstream, shared.as_deref()) {
                let state = State::of(sight.state());
                *summary.by_state.entry(state).or_default() += 1;
                if state == State::Draining {
                    summary.draining.insert(sight.state().endpoint);
                }
            }
            let Some(shared) = shared else { continue };
            if shared.is_fail_open() {
                summary.fail_open.push(upstream.name.clone());
            }
            if shared.breaker() != BreakerState::Closed {
                summary.breakers_open.push(upstream.name.clone());
            }
            summary.queued += u64::from(shared.queue.waiting());
        }
        *summary.by_state.entry(State::Leaving).or_default() += self.departed().len();
        for names in [&mut summary.fail_open, &mut summary.breakers_open] {
            // Two sources may know a proc by the same name.
            names.sort_unstable();
            names.dedup();
        }
        summary
    }

    /// Tells every upstream that holds an endpoint not to use it, or to use it again; `None` when none holds it, or held
    /// it and serves with it still. The word counts until it is taken back or the endpoint leaves the table.
    pub fn drain(&self, snapshot: &Snapshot, endpoint: Endpoint, draining: Draining) -> Option<Drained> {
        let mut drained = Drained::default();
        let is_it = |state: &Arc<EndpointState>| state.endpoint == endpoint;
        let upstreams = snapshot.procs().map(|(_, proc)| &proc.upstream);
        for upstream in upstreams.filter(|upstream| upstream.endpoints.contains(&endpoint)) {
            let shared = self.upstream(upstream);
            let known = shared.endpoints().into_iter().find(is_it);
            let state = known.or_else(|| shared.states(upstream, self).into_iter().find(is_it));
            let Some(state) = state else { continue };
            drained.news |= shared.drain(&state, draining == Draining::On);
            drained.add(&upstream.name, state);
            if self.sights(upstream, Some(&shared)).all(|sight| State::of(sight.state()) == State::Draining) {
                drained.exhausted.push(upstream.name.clone());
            }
        }
        if draining == Draining::On {
            self.drain_gone(endpoint, &mut drained);
        }
        drained.upstreams.sort();
        drained.upstreams.dedup();
        (!drained.states.is_empty()).then_some(drained)
    }

    /// Finds what is no longer in the table. Who left it a moment ago is not among the departed yet, and a core whose
    /// table is an old one may use it still.
    fn drain_gone(&self, endpoint: Endpoint, drained: &mut Drained) {
        // In this order: who departs meanwhile is met twice, not missed.
        let ids: Vec<UpstreamId> = locked(&self.upstreams).keys().copied().collect();
        for shared in ids.into_iter().filter_map(|id| self.known(id)) {
            for state in shared.endpoints().into_iter().filter(|state| state.endpoint == endpoint) {
                drained.news |= shared.drain(&state, true);
                drained.add(&shared.name, state);
            }
        }
        for departed in self.departed().into_iter().filter(|departed| departed.state.endpoint == endpoint) {
            drained.add(&departed.upstream, departed.state);
        }
    }

    /// The endpoints of an upstream in the table's order, as they are, or as they would be at their first use.
    fn sights<'a>(
        &'a self,
        upstream: &'a Upstream,
        shared: Option<&SharedUpstream>,
    ) -> impl Iterator<Item = Sight> + 'a {
        let mut known = shared.map(SharedUpstream::endpoints).unwrap_or_default();
        known.sort_unstable_by_key(|state| state.endpoint);
        upstream.endpoints.iter().map(move |endpoint| {
            let place = known.binary_search_by_key(endpoint, |state| state.endpoint).ok();
            match place.and_then(|place| known.get(place)) {
                Some(state) => Sight::Seen(Arc::clone(state)),
                None => Sight::Unseen(self.at_first_use(upstream, *endpoint)),
            }
        })
    }

    fn at_first_use(&self, upstream: &Upstream, endpoint: Endpoint) -> EndpointState {
        let checked = upstream.annotation.healthcheck.is_some();
        let state = EndpointState::new(endpoint, Record::default());
        let remembered = locked(&self.remembered).get(&(upstream.proc.clone(), endpoint)).cloned();
        if let Some(known) = remembered {
            known.give_to(&state, checked);
        } else if checked {
            state.mark(Mark::UNPROVEN);
        }
        state
    }
}

/// An endpoint of the table.
enum Sight {
    Seen(Arc<EndpointState>),
    /// Nobody has asked it yet: what it would be.
    Unseen(EndpointState),
}

impl Sight {
    fn state(&self) -> &EndpointState {
        match self {
            Self::Seen(state) => state,
            Self::Unseen(state) => state,
        }
    }

    fn is_seen(&self) -> bool {
        matches!(self, Self::Seen(_))
    }
}

fn describe(state: &EndpointState, word: State, weight: u32, now: Instant) -> EndpointReport {
    let warmth = state.warmth(now);
    let (in_flight, connections, failures) = (state.in_flight(), state.connections(), state.failures());
    let record = state.record();
    let ejected_until = record.ejected_until.filter(|_| state.is_marked(Mark::EJECTED));
    EndpointReport {
        endpoint: state.endpoint,
        state: word,
        since: Some(record.since),
        in_flight,
        connections,
        weight,
        warmth,
        failures,
        last_probe: record.last_probe.clone(),
        last_failure: record.last_failure,
        ejected_for: ejected_until.map(|until| until.saturating_duration_since(now)),
    }
}

#[cfg(test)]
mod tests;
