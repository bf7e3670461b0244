//! When which endpoint is checked: one heap for all of them, no task and no timer each. Pure: it is told the time.
//!
//! What is new is due at once, what is unproven soon again, all else every interval, a little sooner or later each time. Many
//! that become due together (a start, a whole cluster that comes back) are spread over their interval.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use webrouter_routing::route::{Upstream, UpstreamId};

use super::endpoint::{EndpointState, Mark};
use super::upstream::SharedUpstream;

/// Every endpoint that is checked, and when next.
#[derive(Debug)]
pub(super) struct Schedule {
    checked: HashMap<UpstreamId, Checked>,
    due: BinaryHeap<Reverse<Due>>,
    /// Endpoints that are checked; in the heap are more, those that were rescheduled or left.
    live: usize,
    random: fastrand::Rng,
}

/// An upstream whose endpoints are checked.
#[derive(Debug)]
struct Checked {
    upstream: Arc<Upstream>,
    shared: Arc<SharedUpstream>,
    targets: Vec<Target>,
}

#[derive(Debug)]
struct Target {
    state: Arc<EndpointState>,
    /// An entry of the heap for another time does not count.
    due: Instant,
}

#[derive(Debug)]
struct Due {
    at: Instant,
    upstream: UpstreamId,
    state: Arc<EndpointState>,
}

/// One check that is to be made now.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) upstream: Arc<Upstream>,
    pub(super) state: Arc<EndpointState>,
}

/// When what begins to be checked is checked first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First {
    /// New ones at once.
    AtOnce,
    /// There are many: all at random within their interval.
    Spread,
}

impl Schedule {
    pub(super) fn new(random: fastrand::Rng) -> Self {
        Self { checked: HashMap::new(), due: BinaryHeap::new(), live: 0, random }
    }

    /// Checks an upstream as it is now: endpoints that stay keep their turn, unless the check itself is another.
    pub(super) fn put(
        &mut self,
        upstream: &Arc<Upstream>,
        shared: Arc<SharedUpstream>,
        states: Vec<Arc<EndpointState>>,
        first: First,
        now: Instant,
    ) {
        let before = self.checked.remove(&upstream.id);
        self.live -= before.as_ref().map_or(0, |before| before.targets.len());
        let same_check = before.as_ref().is_some_and(|before| {
            let interval = |upstream: &Upstream| upstream.policy.health.interval;
            path(&before.upstream) == path(upstream) && interval(&before.upstream) == interval(upstream)
        });
        let turns: HashMap<*const EndpointState, Instant> =
            before.iter().flat_map(|before| &before.targets).map(|t| (Arc::as_ptr(&t.state), t.due)).collect();
        let interval = interval(upstream);
        let targets = states.into_iter().map(|state| {
            let turn = turns.get(&Arc::as_ptr(&state)).filter(|_| same_check);
            let due = turn.copied().unwrap_or_else(|| {
                let within = match (first, state.is_marked(Mark::UNPROVEN)) {
                    (First::AtOnce, true) => Duration::ZERO,
                    _ => interval,
                };
                let due = now + within.mul_f64(self.random.f64());
                self.due.push(Reverse(Due { at: due, upstream: upstream.id, state: Arc::clone(&state) }));
                due
            });
            Target { state, due }
        });
        let targets: Vec<Target> = targets.collect();
        self.live += targets.len();
        self.checked.insert(upstream.id, Checked { upstream: Arc::clone(upstream), shared, targets });
        self.clear_out();
    }

    /// Ends the checks of an upstream; says whether there were any.
    pub(super) fn remove(&mut self, upstream: UpstreamId) -> bool {
        let Some(removed) = self.checked.remove(&upstream) else { return false };
        self.live -= removed.targets.len();
        self.clear_out();
        true
    }

    /// When the next check is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.peek().map(|Reverse(due)| due.at)
    }

    /// A check that is due, if one is; it is due again after its interval, but not before this one can have ended.
    pub(super) fn take(&mut self, now: Instant) -> Option<Job> {
        while self.next().is_some_and(|at| at <= now) {
            let Some(Reverse(Due { at, upstream, state })) = self.due.pop() else { break };
            let Some(checked) = self.checked.get_mut(&upstream) else { continue };
            let Some(target) = checked.targets.iter_mut().find(|t| Arc::ptr_eq(&t.state, &state) && t.due == at) else {
                continue;
            };
            let jitter = 1.0 + JITTER * (2.0 * self.random.f64() - 1.0);
            let interval = match state.is_marked(Mark::UNPROVEN) {
                true => interval(&checked.upstream).min(UNPROVEN_INTERVAL),
                false => interval(&checked.upstream),
            };
            let shortest = checked.upstream.policy.health.timeout.saturating_add(AFTER_TIMEOUT);
            target.due = now + interval.mul_f64(jitter).max(shortest);
            self.due.push(Reverse(Due { at: target.due, upstream, state: Arc::clone(&state) }));
            return Some(Job { upstream: Arc::clone(&checked.upstream), state });
        }
        None
    }

    /// The upstream as it is checked now, if what a check found still counts for it: the endpoint is still there, and
    /// the same question is asked.
    pub(super) fn counts(&self, job: &Job) -> Option<(&SharedUpstream, &Upstream)> {
        let checked = self.checked.get(&job.upstream.id)?;
        let is_there = checked.targets.iter().any(|target| Arc::ptr_eq(&target.state, &job.state));
        (is_there && path(&checked.upstream) == path(&job.upstream)).then_some((&checked.shared, &checked.upstream))
    }

    /// Entries that do not count any more go when there are many: they keep endpoints in memory.
    fn clear_out(&mut self) {
        if self.due.len() <= 2 * self.live + FEW {
            return;
        }
        let live = self.checked.iter().flat_map(|(id, checked)| {
            let entry = |target: &Target| Due { at: target.due, upstream: *id, state: Arc::clone(&target.state) };
            checked.targets.iter().map(entry).map(Reverse)
        });
        self.due = live.collect();
    }
}

fn path(upstream: &Upstream) -> Option<&str> {
    upstream.annotation.healthcheck.as_deref()
}

fn interval(upstream: &Upstream) -> Duration {
    upstream.policy.health.interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL)
}

impl Ord for Due {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Due {}

/// How far a check may be from its time, as a share of the interval.
const JITTER: f64 = 0.1;
/// How often one is asked that has not proved itself, if not more often anyway.
const UNPROVEN_INTERVAL: Duration = Duration::from_secs(1);
/// From the end of a check to the next of the same endpoint, at least.
const AFTER_TIMEOUT: Duration = Duration::from_millis(100);
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);
const LONGEST_INTERVAL: Duration = Duration::from_secs(24 * 3600);
const FEW: usize = 256;

#[cfg(test)]
mod tests;
