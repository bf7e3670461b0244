//! What all cores know together of one upstream: its endpoints' health, and what is left of its retries.

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
        let mut known = locked(&self.endpoints);
        let first = known.is_empty();
        let states = upstream.endpoints.iter().map(|endpoint| {
            if let Some(state) = known.iter().find(|state| state.endpoint == *endpoint) {
                return Arc::clone(state);
            }
            let state = Arc::new(EndpointState::new(*endpoint, Record::default()));
            if !fleet.recall(self.id, &self.proc, &state) {
                if upstream.annotation.healthcheck.is_some() {
                    state.mark(Mark::UNPROVEN);
                }
                if !first {
                    state.warm_up(upstream.policy.slow_start);
                }
            }
            known.push(Arc::clone(&state));
            state
        });
        states.collect()
    }

    /// Forgets the endpoints that are not there any more; their tunnels will end.
    pub(super) fn retain(&self, endpoints: &[Endpoint], fleet: &Fleet) {
        let mut known = locked(&self.endpoints);
        known.retain(|state| {
            let stays = endpoints.contains(&state.endpoint);
            if !stays {
                state.mark(Mark::GONE);
                fleet.depart(&self.name, state);
            }
            stays
        });
        drop(known);
        self.judge();
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
        if failures < ejection.failures || !self.may_eject(fault, ejection) || !state.mark(Mark::EJECTED) {
            return;
        }
        let time = {
            let mut record = state.record();
            let now = Instant::now();
            let soon = record.ejected_until.is_some_and(|until| now < until + ejection.longest);
            record.ejections = if soon { record.ejections.saturating_add(1) } else { 1 };
            let time = ejection.time(record.ejections);
            record.ejected_until = Some(now + time);
            record.since = SystemTime::now();
            time
        };
        let endpoint = &state.endpoint;
        tracing::warn!(upstream = %self.name, %endpoint, failures, cause = cause.as_str(), ?time, "endpoint ejected");
        fleet.ejected(self.id);
        self.judge();
    }

    /// Who cannot be reached serves nobody: only what endpoints answer may not take away more than a share of them.
    fn may_eject(&self, fault: Fault, ejection: &Ejection) -> bool {
        let known = locked(&self.endpoints);
        if known.len() < 2 {
            return false;
        }
        let most = (known.len() as f64 * ejection.share) as usize;
        let ejected = known.iter().filter(|state| state.is_marked(Mark::EJECTED)).count();
        matches!(fault, Fault::Unreachable(_)) || ejected < most
    }

    /// Ends the ejections whose time is over; the next failure ejects again. Says whether none is left.
    pub(super) fn readmit_due(&self, slow_start: Duration, ejection: &Ejection) -> bool {
        let now = Instant::now();
        let (mut readmitted, mut left) = (false, false);
        for state in self.endpoints().iter().filter(|state| state.is_marked(Mark::EJECTED)) {
            if state.record().ejected_until.is_some_and(|until| now < until) {
                left = true;
                continue;
            }
            state.set_failures(ejection.failures.saturating_sub(1));
            state.warm_up(slow_start);
            state.unmark(Mark::EJECTED);
            state.record().since = SystemTime::now();
            readmitted = true;
            tracing::info!(upstream = %self.name, endpoint = %state.endpoint, "endpoint tried again");
        }
        if readmitted {
            self.judge();
        }
        !left
    }

    /// A health check has ended.
    pub(crate) fn probed(&self, state: &EndpointState, probe: Probe, check: &HealthCheck, slow_start: Duration) {
        let endpoint = &state.endpoint;
        let mut record = state.record();
        let proven = if probe.is_good() {
            (record.good, record.bad) = (record.good.saturating_add(1), 0);
            state.unmark(Mark::UNPROVEN)
        } else {
            (record.good, record.bad) = (0, record.bad.saturating_add(1));
            false
        };
        let (good, bad) = (record.good, record.bad);
        let changed = if good >= check.rise && state.unmark(Mark::DOWN) {
            Some(Standing::Ready)
        } else if bad >= check.fall && state.mark(Mark::DOWN) {
            state.unmark(Mark::UNPROVEN);
            Some(Standing::Sick)
        } else {
            proven.then_some(Standing::Ready)
        };
        let evidence = match &probe.result {
            Ok(status) => format!("{status}"),
            Err(error) => error.to_string(),
        };
        record.last_probe = Some(probe);
        if changed.is_some() {
            record.since = SystemTime::now();
        }
        drop(record);
        match changed {
            Some(Standing::Ready) if proven => {
                tracing::info!(upstream = %self.name, %endpoint, evidence, "endpoint proved healthy");
            }
            Some(Standing::Ready) => {
                state.warm_up(slow_start);
                tracing::info!(upstream = %self.name, %endpoint, evidence, "endpoint is healthy again");
            }
            Some(_) => tracing::warn!(upstream = %self.name, %endpoint, evidence, bad, "endpoint is down"),
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
        let standings: Vec<Standing> = locked(&self.endpoints).iter().map(|state| state.standing()).collect();
        let used = || standings.iter().filter(|standing| **standing != Standing::Leaving);
        let all_sick = used().next().is_some() && used().all(|standing| *standing == Standing::Sick);
        if self.fail_open.swap(all_sick, Ordering::AcqRel) != all_sick {
            let endpoints = standings.len();
            match all_sick {
                true => tracing::warn!(upstream = %self.name, endpoints, "every endpoint is sick: all are tried"),
                false => tracing::info!(upstream = %self.name, endpoints, "not every endpoint is sick any more"),
            }
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

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
