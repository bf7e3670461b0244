//! What all cores know together of one upstream: its endpoints' health, and what is left of its retries.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;
use webrouter_routing::policy::HealthCheck;
use webrouter_routing::route::{Upstream, UpstreamId};
use webrouter_telemetry::cause::Cause;
use webrouter_telemetry::metrics::UpstreamMetrics;

use super::breaker::{Breaker, BreakerState, Pass, Turn};
use super::budget::Budget;
use super::endpoint::{EndpointState, Mark, Standing};
use super::queue::Queue;
use super::record::{Failure, Probe, Record};
use super::{Ejection, Fleet};

/// Shared by all cores; survives every snapshot that keeps the upstream.
#[derive(Debug)]
pub(crate) struct SharedUpstream {
    pub(crate) id: UpstreamId,
    pub(crate) proc: ProcKey,
    pub(crate) name: String,
    pub(crate) queue: Queue,
    endpoints: Mutex<Vec<Arc<EndpointState>>>,
    /// Whether every endpoint is sick, so that all are tried.
    fail_open: AtomicBool,
    budget: Mutex<Budget>,
    /// Every core's counters.
    metrics: Mutex<Vec<Arc<UpstreamMetrics>>>,
    breaker: Mutex<Breaker>,
    /// The fleet's: whether anything changed that a restart should know.
    unsaved: Arc<AtomicBool>,
}

/// How a request failed, as far as its endpoint is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No connection: it cannot serve anybody.
    Unreachable(Cause),
    /// It broke the exchange off, or was silent.
    Broken(Cause),
    /// It answered 502, 503 or 504.
    Status(u16),
}

impl SharedUpstream {
    pub(super) fn new(upstream: &Upstream, fleet: &Fleet) -> Self {
        let now = Instant::now();
        Self {
            id: upstream.id,
            proc: upstream.proc.clone(),
            name: upstream.name.clone(),
            queue: Queue::default(),
            endpoints: Mutex::default(),
            fail_open: AtomicBool::new(false),
            budget: Mutex::new(Budget::new(now, fleet.config.retries)),
            metrics: Mutex::default(),
            breaker: Mutex::new(Breaker::new(now)),
            unsaved: Arc::clone(&fleet.unsaved),
        }
    }

    /// A core's counters, to know how many requests there were.
    pub(crate) fn count_by(&self, metrics: Arc<UpstreamMetrics>) {
        locked(&self.metrics).push(metrics);
    }

    /// Everybody there is, in no order.
    pub(crate) fn endpoints(&self) -> Vec<Arc<EndpointState>> {
        locked(&self.endpoints).clone()
    }

    /// The state of each endpoint of the upstream as it is now, in its order. One that is not known yet is new: it has
    /// to prove itself where there is a health check, and warms up unless all are new.
    pub(crate) fn states(&self, upstream: &Upstream, fleet: &Fleet) -> Vec<Arc<EndpointState>> {
        let checked = upstream.annotation.healthcheck.is_some();
        let mut known = locked(&self.endpoints);
        let before = known.len();
        let mut by_endpoint: HashMap<Endpoint, Arc<EndpointState>> =
            known.iter().map(|state| (state.endpoint, Arc::clone(state))).collect();
        let mut newcomers = Vec::new();
        let states = upstream.endpoints.iter().map(|endpoint| {
            let state = by_endpoint.entry(*endpoint).or_insert_with(|| {
                let state = Arc::new(EndpointState::new(*endpoint, Record::default()));
                if !fleet.recall(self.id, &self.proc, &state, checked) {
                    newcomers.push(Arc::clone(&state));
                }
                known.push(Arc::clone(&state));
                state
            });
            Arc::clone(state)
        });
        let states: Vec<Arc<EndpointState>> = states.collect();
        let all_are_new = newcomers.len() == states.len();
        for state in newcomers {
            if checked {
                state.mark(Mark::UNPROVEN);
            }
            if !all_are_new {
                state.warm_up(&mut state.record(), upstream.policy.slow_start);
            }
        }
        let grew = known.len() > before;
        drop(known);
        if grew {
            fleet.grew(self.id);
            self.judge();
        }
        states
    }

    /// Forgets the endpoints that are not there any more; their tunnels will end.
    pub(super) fn retain(&self, endpoints: &[Endpoint], fleet: &Fleet) {
        let staying: HashSet<&Endpoint> = endpoints.iter().collect();
        let mut known = locked(&self.endpoints);
        let before = known.len();
        known.retain(|state| {
            let stays = staying.contains(&state.endpoint);
            if !stays {
                state.mark(Mark::GONE);
                fleet.depart(&self.name, state);
            }
            stays
        });
        let shrank = known.len() < before;
        drop(known);
        if shrank {
            self.judge();
        }
    }

    /// There is no health check any more: what one found out does not count.
    pub(super) fn uncheck(&self) {
        let mut changed = false;
        for state in self.endpoints() {
            let mut record = state.record();
            (record.good, record.bad, record.last_probe) = (0, 0, None);
            if state.unmark(Mark::UNPROVEN) | state.unmark(Mark::DOWN) {
                record.since = SystemTime::now();
                changed = true;
            }
        }
        if changed {
            tracing::info!(upstream = %self.name, "no health check any more: what it found does not count");
            self.judge();
        }
    }

    /// Another path is checked: what was counted on the old one does not count.
    pub(super) fn count_anew(&self) {
        for state in self.endpoints() {
            let mut record = state.record();
            (record.good, record.bad) = (0, 0);
        }
    }

    /// Takes one retry from the budget, if there is one.
    pub(crate) fn may_retry(&self, fleet: &Fleet) -> bool {
        let requests = locked(&self.metrics).iter().map(|metrics| metrics.requests()).sum();
        locked(&self.budget).withdraw(Instant::now(), requests, fleet.config.retries)
    }

    /// An endpoint failed a request; after too many in a row it is ejected for a time that grows.
    pub(crate) fn failed(&self, state: &Arc<EndpointState>, fault: Fault, fleet: &Fleet) {
        let ejection = &fleet.config.ejection;
        let failures = state.failed();
        let (cause, status) = match fault {
            Fault::Unreachable(cause) | Fault::Broken(cause) => (cause, None),
            Fault::Status(status) => (Cause::BadStatus, Some(status)),
        };
        state.record().last_failure = Some(Failure { at: SystemTime::now(), cause, status });
        if failures < ejection.failures {
            return;
        }
        let Some(time) = self.eject(state, fault, ejection) else { return };
        let endpoint = &state.endpoint;
        tracing::warn!(upstream = %self.name, %endpoint, failures, cause = cause.as_str(), ?time, "endpoint ejected");
        fleet.ejected(self.id);
        self.judge();
    }

    /// Ejects an endpoint, if that may be, and says for how long. Who cannot be reached serves nobody: only what
    /// endpoints answer may not take away more than a share of them.
    fn eject(&self, state: &Arc<EndpointState>, fault: Fault, ejection: &Ejection) -> Option<Duration> {
        if state.is_marked(Mark::EJECTED) {
            return None;
        }
        // Held to the end: two cores must not take the last place of the share both.
        let known = locked(&self.endpoints);
        if known.len() < 2 || !known.iter().any(|known| Arc::ptr_eq(known, state)) {
            return None;
        }
        if !matches!(fault, Fault::Unreachable(_)) {
            let most = (known.len() as f64 * ejection.share) as usize;
            if known.iter().filter(|state| state.is_marked(Mark::EJECTED)).count() >= most {
                return None;
            }
        }
        let mut record = state.record();
        if !state.mark(Mark::EJECTED) {
            return None;
        }
        let now = Instant::now();
        let soon = record.ejected_until.is_some_and(|until| now.saturating_duration_since(until) < ejection.longest);
        record.ejections = if soon { record.ejections.saturating_add(1) } else { 1 };
        let time = ejection.time(record.ejections);
        record.ejected_until = Some(now + time);
        record.since = SystemTime::now();
        Some(time)
    }

    /// Ends the ejections whose time is over; the next failure ejects again. Says whether any is left.
    pub(super) fn readmit_due(&self, slow_start: Duration, ejection: &Ejection) -> bool {
        let now = Instant::now();
        let (mut readmitted, mut left) = (false, false);
        for state in self.endpoints().iter().filter(|state| state.is_marked(Mark::EJECTED)) {
            let mut record = state.record();
            if record.ejected_until.is_some_and(|until| now < until) {
                left = true;
                continue;
            }
            state.set_failures(ejection.failures.saturating_sub(1));
            state.warm_up(&mut record, slow_start);
            state.unmark(Mark::EJECTED);
            record.since = SystemTime::now();
            readmitted = true;
            tracing::info!(upstream = %self.name, endpoint = %state.endpoint, "endpoint tried again");
        }
        if readmitted {
            self.judge();
        }
        left
    }

    /// A health check has ended.
    pub(crate) fn probed(&self, state: &EndpointState, probe: Probe, check: &HealthCheck, slow_start: Duration) {
        let endpoint = &state.endpoint;
        let evidence = match &probe.result {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        };
        let mut record = state.record();
        let finding = if probe.is_good() {
            (record.good, record.bad) = (record.good.saturating_add(1), 0);
            found_good(state, &mut record, check.rise, slow_start)
        } else {
            (record.good, record.bad) = (0, record.bad.saturating_add(1));
            // Never sick and unproven both, nor neither in between: it would be taken for ready.
            let down = record.bad >= check.fall && state.mark(Mark::DOWN);
            state.is_marked(Mark::DOWN).then(|| state.unmark(Mark::UNPROVEN));
            down.then_some(Finding::Down)
        };
        let bad = record.bad;
        record.last_probe = Some(probe);
        if finding.is_some() {
            record.since = SystemTime::now();
        }
        drop(record);
        let upstream = &self.name;
        match finding {
            Some(Finding::Proven) => tracing::info!(%upstream, %endpoint, evidence, "endpoint proved healthy"),
            Some(Finding::Back) => tracing::info!(%upstream, %endpoint, evidence, "endpoint is healthy again"),
            Some(Finding::Down) => tracing::warn!(%upstream, %endpoint, evidence, bad, "endpoint is down"),
            None => return,
        }
        self.judge();
    }

    /// An operator's word: no new request, or requests again. Says whether that is news.
    pub(crate) fn drain(&self, state: &EndpointState, draining: bool) -> bool {
        let news = if draining { state.mark(Mark::DRAINING) } else { state.unmark(Mark::DRAINING) };
        if news {
            state.record().since = SystemTime::now();
            self.judge();
        }
        news
    }

    /// Looks whether all are sick, after one changed; says so when it begins and when it ends.
    fn judge(&self) {
        self.unsaved.store(true, Ordering::Release);
        // Held over the swap: who looked first must not have the last word.
        let known = locked(&self.endpoints);
        let used = || known.iter().map(|state| state.standing()).filter(|standing| *standing != Standing::Leaving);
        let all_sick = used().next().is_some() && used().all(|standing| standing == Standing::Sick);
        let news = self.fail_open.swap(all_sick, Ordering::AcqRel) != all_sick;
        let endpoints = known.len();
        drop(known);
        match (news, all_sick) {
            (true, true) => tracing::warn!(upstream = %self.name, endpoints, "every endpoint is sick: all are tried"),
            (true, false) => tracing::info!(upstream = %self.name, endpoints, "not every endpoint is sick any more"),
            (false, _) => {}
        }
        // Who waits for room may find some elsewhere now.
        self.queue.room();
    }

    pub(crate) fn is_fail_open(&self) -> bool {
        self.fail_open.load(Ordering::Acquire)
    }

    /// Whether the circuit breaker lets a request through; if not, for how long not.
    pub(crate) fn ask_breaker(&self) -> Result<Pass, Duration> {
        locked(&self.breaker).ask(Instant::now())
    }

    /// Tells the circuit breaker what came of it.
    pub(crate) fn tell_breaker(&self, pass: Pass, failed: Option<bool>, share: f64) {
        match locked(&self.breaker).note(pass, failed, share, Instant::now()) {
            Some(Turn::Opened) => tracing::warn!(upstream = %self.name, share, "circuit breaker open: too much fails"),
            Some(Turn::Closed) => tracing::info!(upstream = %self.name, "circuit breaker closed"),
            None => {}
        }
    }

    pub(crate) fn breaker(&self) -> BreakerState {
        locked(&self.breaker).state()
    }
}

/// What a health check changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finding {
    Proven,
    Back,
    Down,
}

/// One good probe proves a new endpoint; a sick one needs `rise` of them. Both start slowly, if others are warm.
fn found_good(state: &EndpointState, record: &mut Record, rise: u32, slow_start: Duration) -> Option<Finding> {
    if state.is_marked(Mark::DOWN) {
        if record.good < rise {
            return None;
        }
        state.warm_up(record, slow_start);
        state.unmark(Mark::UNPROVEN);
        state.unmark(Mark::DOWN);
        return Some(Finding::Back);
    }
    if !state.is_marked(Mark::UNPROVEN) {
        return None;
    }
    if state.is_marked(Mark::WARMING) {
        // Until now it got nothing to become warm by.
        state.warm_up(record, slow_start);
    }
    state.unmark(Mark::UNPROVEN).then_some(Finding::Proven)
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
