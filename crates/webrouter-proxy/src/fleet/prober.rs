//! The active health checks of every upstream that has one: a task only while a check is under way, and not too many of them.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep_until};
use webrouter_routing::diff::{ProcChange, changes};
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::metrics::Metrics;

use super::Fleet;
use super::endpoint::Mark;
use super::probe::{CannotAsk, probe};
use super::record::Probe;
use super::schedule::{First, Job, Schedule};

/// Makes the checks, and tells the fleet what they find.
pub(super) struct Prober {
    schedule: Schedule,
    running: JoinSet<Ended>,
    /// How many of each upstream.
    running_of: HashMap<UpstreamId, usize>,
    metrics: Metrics,
    /// The last check could not be made, for want of files or memory.
    starved: bool,
}

type Ended = (Job, Result<Option<Probe>, CannotAsk>);

impl Prober {
    pub(super) fn new(metrics: Metrics) -> Self {
        let schedule = Schedule::new(fastrand::Rng::new());
        Self { schedule, running: JoinSet::new(), running_of: HashMap::new(), metrics, starved: false }
    }

    /// Checks what is in the new snapshot, from the old one on. The cost grows with the change.
    pub(super) fn follow(&mut self, old: &Snapshot, new: &Snapshot, fleet: &Fleet) {
        let mut to_put: Vec<&Arc<Upstream>> = Vec::new();
        for ProcChange { old, new, .. } in changes(old, new) {
            let (was, is) = (old.map(|proc| &proc.upstream), new.map(|proc| &proc.upstream));
            if let Some(was) = was
                && is.is_none_or(|is| is.id != was.id || is.annotation.healthcheck.is_none())
            {
                self.schedule.remove(was.id);
            }
            if let Some(is) = is.filter(|is| is.annotation.healthcheck.is_some()) {
                to_put.push(is);
                let path = |upstream: &Upstream| upstream.annotation.healthcheck.clone();
                if was.is_some_and(|was| was.id == is.id && path(was) != path(is)) {
                    fleet.upstream(is).count_anew();
                }
            }
        }
        let puts: Vec<_> = to_put
            .into_iter()
            .map(|upstream| {
                let shared = fleet.upstream(upstream);
                let states = shared.states(upstream, fleet);
                (upstream, shared, states)
            })
            .collect();
        let states = puts.iter().flat_map(|(_, _, states)| states);
        let unproven = states.filter(|state| state.is_marked(Mark::UNPROVEN)).count();
        let first = if unproven <= MOST_AT_ONCE { First::AtOnce } else { First::Spread };
        let now = Instant::now();
        for (upstream, shared, states) in puts {
            self.schedule.put(upstream, shared, states, first, now);
        }
    }

    /// Goes on until something was done: a check began, or ended. Nothing is lost when it is dropped before.
    pub(super) async fn step(&mut self) {
        let next = self.schedule.next().filter(|_| self.running.len() < MOST_AT_ONCE);
        tokio::select! {
            Some(ended) = self.running.join_next() => self.take(ended),
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => self.begin(),
            else => std::future::pending().await,
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        while self.running.len() < MOST_AT_ONCE
            && let Some(job) = self.schedule.take(now)
        {
            let running = self.running_of.entry(job.upstream.id).or_default();
            if *running >= MOST_OF_ONE {
                // It has its turn again after its interval; the others' are not for it to take.
                continue;
            }
            *running += 1;
            self.running.spawn(async move {
                let ended = probe(job.state.endpoint.address(), &job.upstream).await;
                (job, ended)
            });
        }
    }

    fn take(&mut self, ended: Result<Ended, JoinError>) {
        let (job, result) = match ended {
            Ok(ended) => ended,
            Err(error) => return tracing::error!(%error, "a health check broke off: a mistake of webrouter's own"),
        };
        if let Some(running) = self.running_of.get_mut(&job.upstream.id) {
            *running -= 1;
            if *running == 0 {
                self.running_of.remove(&job.upstream.id);
            }
        }
        match result {
            Ok(None) => {}
            Ok(Some(probe)) => {
                if std::mem::take(&mut self.starved) {
                    tracing::info!("health checks can be made again");
                }
                let node = self.metrics.node();
                if probe.is_good() { &node.probes_good } else { &node.probes_bad }.increment();
                if let Some((shared, upstream)) = self.schedule.counts(&job) {
                    let policy = &upstream.policy;
                    shared.probed(&job.state, probe, &policy.health, policy.slow_start);
                }
            }
            Err(error) => {
                if !std::mem::replace(&mut self.starved, true) {
                    tracing::warn!(%error, "endpoints keep the health they have until checks can be made again");
                }
            }
        }
    }
}

/// Checks under way together; what is due beyond that waits its turn.
const MOST_AT_ONCE: usize = 512;
/// Of one upstream: whose endpoints are silent must not keep the others' from being checked.
const MOST_OF_ONE: usize = 64;

#[cfg(test)]
mod tests;
