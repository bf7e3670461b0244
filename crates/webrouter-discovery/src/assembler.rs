//! The one writer: contributions in, a published snapshot out.
//!
//! An update that comes alone is applied at once, of a burst every `coalesce` the latest of each source. Storing the
//! table and asking endpoints happen elsewhere; nothing here waits for them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::merge::{Defaults, merge, merge_in_order};
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::{Generation, Snapshot};

use crate::GuardConfig;
use crate::guard::gate::{Gate, Word};
use crate::guard::probe;
use crate::history::{Cause, History};
use crate::pinning::Pinning;
use crate::source::{Inbox, SourceHealth, lock};
use crate::status::{HoldDecision, HoldError, HoldStatus, SourceKind, SourceState, TableFrom};

/// What the assembler tells about itself.
#[derive(Debug, Clone)]
pub(crate) struct AssemblerStatus {
    pub(crate) generation: Generation,
    pub(crate) applied_at: SystemTime,
    pub(crate) last_apply: Duration,
    pub(crate) table_from: TableFrom,
    pub(crate) hold: Option<HoldStatus>,
    pub(crate) pins: Arc<Pins>,
    /// Sources that have said nothing in this run.
    pub(crate) silent: Vec<SourceName>,
}

/// An operator's decision, and who waits to hear how it went.
pub(crate) struct Decision {
    pub(crate) decision: HoldDecision,
    pub(crate) id: Option<u64>,
    pub(crate) done: oneshot::Sender<Result<(), HoldError>>,
}

/// What an operator wants.
pub(crate) enum Order {
    Hold(Decision),
    /// And who waits for the generation that is in force then.
    Pin(Pinning, oneshot::Sender<Generation>),
}

/// The table an earlier run stored.
#[derive(Debug)]
pub(crate) struct Restored {
    pub(crate) sources: BTreeSet<SourceName>,
    pub(crate) saved_at: SystemTime,
}

/// What the assembler works with.
pub(crate) struct Setup {
    pub(crate) defaults: Defaults,
    pub(crate) guard: GuardConfig,
    pub(crate) coalesce: Duration,
    pub(crate) sources: Vec<(SourceName, Arc<SourceHealth>)>,
    pub(crate) restored: Option<Restored>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) snapshots: Arc<ArcSwap<Snapshot>>,
    pub(crate) status: Arc<Mutex<AssemblerStatus>>,
    pub(crate) ready: watch::Sender<bool>,
    /// Hears of every snapshot that is to be stored.
    pub(crate) to_store: watch::Sender<Arc<Snapshot>>,
    pub(crate) history: Arc<History>,
    pub(crate) orders: mpsc::Receiver<Order>,
}

pub(crate) struct Assembler {
    setup: Setup,
    gates: BTreeMap<SourceName, Gate>,
    /// What the sources say, as far as the guard believes it; the table in force while nothing is pinned.
    believed: Arc<Snapshot>,
    pins: Arc<Pins>,
    dirty: BTreeSet<SourceName>,
    /// Those of `dirty` that said something.
    heard: BTreeSet<SourceName>,
    started: Instant,
    /// The earliest time of the next merge.
    next_apply: Instant,
    probes: JoinSet<Probed>,
}

struct Probed {
    source: SourceName,
    asked: Vec<ProcName>,
    answering: BTreeSet<ProcName>,
}

impl Assembler {
    pub(crate) fn new(setup: Setup) -> Self {
        let in_force = setup.snapshots.load_full();
        let ids = Arc::new(AtomicU64::new(0));
        let gate = |(source, health): &(SourceName, Arc<SourceHealth>)| {
            let word = match health.kind() {
                SourceKind::File => Word::Intention,
                SourceKind::Lainlet => Word::Observation,
            };
            let gate = Gate::new(source.clone(), word, setup.guard.clone(), &in_force, Arc::clone(&ids));
            (source.clone(), gate)
        };
        let gates = setup.sources.iter().map(gate).collect();
        let now = Instant::now();
        let pins = Arc::clone(&lock(&setup.status).pins);
        Self {
            setup,
            gates,
            believed: in_force,
            pins,
            dirty: BTreeSet::new(),
            heard: BTreeSet::new(),
            started: now,
            next_apply: now,
            probes: JoinSet::new(),
        }
    }

    /// Works until the task is aborted.
    pub(crate) async fn run(mut self) {
        self.note_status();
        loop {
            let inbox = Arc::clone(&self.setup.inbox);
            let deadline = self.deadline();
            tokio::select! {
                () = inbox.news() => {}
                Some(order) = self.setup.orders.recv() => self.carry_out(order),
                Some(Ok(probed)) = self.probes.join_next(), if !self.probes.is_empty() => self.take_answers(&probed),
                () = until(deadline) => {}
            }
            for contribution in self.setup.inbox.take() {
                if let Some(gate) = self.gates.get_mut(&contribution.source) {
                    self.dirty.insert(contribution.source.clone());
                    self.heard.insert(contribution.source.clone());
                    gate.offer(contribution);
                }
            }
            self.apply_due(Instant::now(), None);
            self.probe_due(Instant::now());
            self.note_status();
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let apply = (!self.dirty.is_empty()).then_some(self.next_apply);
        let gates = self.gates.values().flat_map(|gate| <[_; 2]>::from(gate.deadlines())).flatten();
        let readiness = [READY_WHEN_FAILING, READY_WHEN_SILENT].map(|after| self.started + after);
        let readiness = readiness.into_iter().filter(|&at| !*self.setup.ready.borrow() && at > Instant::now());
        apply.into_iter().chain(gates).chain(readiness).min()
    }

    /// `decided` is the cause, where it is not a source's word.
    fn apply_due(&mut self, now: Instant, decided: Option<Cause>) {
        let expired = self.gates.iter().filter(|(_, gate)| gate.deadlines().0.is_some_and(|at| at <= now));
        self.dirty.extend(expired.map(|(source, _)| source.clone()).collect::<Vec<_>>());
        if self.dirty.is_empty() || now < self.next_apply {
            return;
        }
        let began = std::time::Instant::now();
        let dirty = std::mem::take(&mut self.dirty);
        let heard = std::mem::take(&mut self.heard);
        let gates = self.gates.iter_mut().filter(|(source, _)| dirty.contains(*source));
        let passed: Vec<_> = gates.filter_map(|(_, gate)| gate.pass(&self.believed, now)).collect();
        let next = self.merged(&passed);
        if next.generation() > self.setup.snapshots.load().generation() {
            self.publish(next, began, decided.unwrap_or_else(|| cause(&passed, &heard)));
        }
        self.next_apply = now + self.setup.coalesce;
    }

    /// What passed the guard, merged; what is pinned stays as it is in force.
    fn merged(&mut self, passed: &[Contribution]) -> Arc<Snapshot> {
        let believed = Arc::new(merge(&self.believed, passed, &self.setup.defaults));
        let before = std::mem::replace(&mut self.believed, Arc::clone(&believed));
        if self.pins.is_empty() {
            return believed;
        }
        let in_force = self.setup.snapshots.load_full();
        let lay = |now: &Contribution| match (in_force.contribution(&now.source), before.contribution(&now.source)) {
            (Some(laid), Some(before)) => self.pins.followed(laid, before, now),
            _ => self.pins.laid_over(now),
        };
        let laid: Vec<Contribution> = passed.iter().map(lay).collect();
        Arc::new(merge(&in_force, &laid, &self.setup.defaults))
    }

    fn publish(&self, next: Arc<Snapshot>, began: std::time::Instant, cause: Cause) {
        self.setup.snapshots.store(Arc::clone(&next));
        let took = began.elapsed();
        tracing::info!(
            generation = next.generation().0,
            routes = next.route_count(),
            endpoints = next.endpoint_count(),
            rejections = next.rejection_count(),
            took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            "snapshot published"
        );
        let mut status = lock(&self.setup.status);
        status.generation = next.generation();
        status.applied_at = SystemTime::now();
        status.last_apply = took;
        drop(status);
        self.setup.history.note(Arc::clone(&next), cause, &self.pins);
        self.setup.to_store.send_replace(next);
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Hold(decision) => self.decide(decision),
            Order::Pin(pinning, done) => {
                let generation = self.pin(pinning);
                // Whoever asked may have gone away.
                let _ = done.send(generation);
            }
        }
    }

    /// Brings pins in force at once: they are an operator's word, not the guard's business.
    fn pin(&mut self, pinning: Pinning) -> Generation {
        let began = std::time::Instant::now();
        let in_force = self.setup.snapshots.load_full();
        self.pins = Arc::new(pinning.pins);
        lock(&self.setup.status).pins = Arc::clone(&self.pins);
        let mut said: Vec<Contribution> = self.believed.contributions().cloned().collect();
        let unheard = self.setup.sources.iter().filter(|(source, _)| self.believed.contribution(source).is_none());
        said.extend(unheard.map(|(source, _)| Contribution::empty(source.clone())));
        let laid: Vec<Contribution> = said.iter().map(|said| self.pins.laid_over(said)).collect();
        let next = merge_in_order(&in_force, &laid, &pinning.ownership, &self.setup.defaults);
        let next = if next.generation() > in_force.generation() { Arc::new(next) } else { in_force };
        let generation = next.generation();
        if self.pins.is_empty() {
            self.believed = Arc::clone(&next);
        }
        self.publish(next, began, pinning.cause);
        generation
    }

    fn probe_due(&mut self, now: Instant) {
        for (source, gate) in &mut self.gates {
            let due = gate.take_due_probes(now);
            if due.is_empty() {
                continue;
            }
            let (source, timeout) = (source.clone(), self.setup.guard.probe_timeout);
            self.probes.spawn(async move {
                let asked = due.iter().map(|(name, _)| name.clone()).collect();
                let answering = probe::answering(due, timeout).await;
                Probed { source, asked, answering }
            });
        }
    }

    fn take_answers(&mut self, probed: &Probed) {
        let Some(gate) = self.gates.get_mut(&probed.source) else { return };
        if gate.probed(&probed.asked, &probed.answering, Instant::now()) {
            self.dirty.insert(probed.source.clone());
        }
    }

    fn decide(&mut self, decision: Decision) {
        let held: Vec<u64> = self.holds().into_iter().map(|hold| hold.id).collect();
        let several = decision.id.is_none() && held.len() > 1;
        let mut resolved = Vec::new();
        for (source, gate) in self.gates.iter_mut().filter(|_| !several) {
            if gate.resolve(decision.decision, decision.id) > 0 {
                resolved.push(source.clone());
            }
        }
        let outcome = match (resolved.is_empty(), decision.id) {
            (false, _) => Ok(()),
            (true, Some(id)) => Err(HoldError::NoSuchHold(id)),
            (true, None) if several => Err(HoldError::SeveralHolds(held)),
            (true, None) => Err(HoldError::NothingHeld),
        };
        self.dirty.extend(resolved);
        self.next_apply = Instant::now();
        let cause = match decision.decision {
            HoldDecision::Accept => Cause::HoldAccepted,
            HoldDecision::Refuse => Cause::HoldRefused,
        };
        self.apply_due(Instant::now(), Some(cause));
        self.note_status();
        // Whoever asked may have gone away.
        let _ = decision.done.send(outcome);
    }

    /// All that is held: what waits before what was refused, then by age.
    fn holds(&self) -> Vec<HoldStatus> {
        let mut holds: Vec<_> = self.gates.values().flat_map(Gate::status).collect();
        holds.sort_by_key(|(refused, hold)| (*refused, hold.since, hold.id));
        holds.into_iter().map(|(_, hold)| hold).collect()
    }

    /// Brings the status and the readiness in line with the gates and sources.
    fn note_status(&self) {
        let unheard = self.setup.sources.iter().filter(|(source, _)| {
            let unapplied = self.dirty.contains(source);
            self.gates.get(source).is_none_or(|gate| !gate.has_news() || unapplied)
        });
        let unheard: Vec<_> = unheard.collect();
        let restored = self.setup.restored.as_ref();
        let stands_in = |source: &SourceName| restored.is_some_and(|restored| restored.sources.contains(source));
        let age = self.started.elapsed();
        let stays_silent = |health: &SourceHealth| {
            age >= READY_WHEN_SILENT || (age >= READY_WHEN_FAILING && health.state() == SourceState::Failing)
        };
        // A file that was never there must not keep a cluster waiting whose discovery was heard.
        let others_were_heard = unheard.len() < self.setup.sources.len();
        let is_missed = |health: &SourceHealth| {
            !(others_were_heard && age >= READY_WHEN_SILENT && health.state() == SourceState::Failing)
        };
        let is_full = !self.setup.sources.is_empty();
        let may_go_without = |(source, health): &&(SourceName, Arc<SourceHealth>)| {
            !is_missed(health) || (stands_in(source) && stays_silent(health))
        };
        if is_full && unheard.iter().all(may_go_without) {
            let told = self.setup.ready.send_if_modified(|ready| !std::mem::replace(ready, true));
            if told {
                let from_last_good = !unheard.is_empty();
                tracing::info!(generation = self.setup.snapshots.load().generation().0, from_last_good, "ready");
            }
        }
        let is_disbelieved = |(source, gate): (&SourceName, &Gate)| stands_in(source) && gate.leans_on_the_past();
        let leans_on_the_past =
            unheard.iter().any(|(source, _)| stands_in(source)) || self.gates.iter().any(is_disbelieved);
        let saved_at = restored.filter(|_| leans_on_the_past).map(|restored| restored.saved_at);
        let first = self.holds().into_iter().next();
        let mut status = lock(&self.setup.status);
        status.table_from = saved_at.map_or(TableFrom::Source, |saved_at| TableFrom::LastGood { saved_at });
        status.hold = first;
        status.silent = unheard.iter().map(|(source, _)| source.clone()).collect();
    }
}

/// What a source said, or what the guard lets through of what it said before.
fn cause(passed: &[Contribution], heard: &BTreeSet<SourceName>) -> Cause {
    let names = |is_meant: &dyn Fn(&SourceName) -> bool| -> Vec<String> {
        let sources = passed.iter().map(|contribution| &contribution.source).filter(|source| is_meant(source));
        sources.map(ToString::to_string).collect()
    };
    match names(&|source| heard.contains(source)) {
        sources if sources.is_empty() => Cause::Guard { sources: names(&|_| true) },
        sources => Cause::Source { sources },
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// How long a last good table waits for its source to be heard before it counts as the table: when the source fails...
const READY_WHEN_FAILING: Duration = Duration::from_millis(200);
/// ... and when it says nothing at all.
const READY_WHEN_SILENT: Duration = Duration::from_secs(1);
