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
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::snapshot::{Generation, Snapshot};

use crate::GuardConfig;
use crate::guard::gate::{Gate, Word};
use crate::guard::probe;
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
    /// Sources that have said nothing in this run.
    pub(crate) silent: Vec<SourceName>,
}

/// An operator's decision, and who waits to hear how it went.
pub(crate) struct Decision {
    pub(crate) decision: HoldDecision,
    pub(crate) id: Option<u64>,
    pub(crate) done: oneshot::Sender<Result<(), HoldError>>,
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
    pub(crate) decisions: mpsc::Receiver<Decision>,
}

pub(crate) struct Assembler {
    setup: Setup,
    gates: BTreeMap<SourceName, Gate>,
    dirty: BTreeSet<SourceName>,
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
        let in_force = setup.snapshots.load();
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
        drop(in_force);
        let now = Instant::now();
        Self { setup, gates, dirty: BTreeSet::new(), started: now, next_apply: now, probes: JoinSet::new() }
    }

    /// Works until the task is aborted.
    pub(crate) async fn run(mut self) {
        self.note_status();
        loop {
            let inbox = Arc::clone(&self.setup.inbox);
            let deadline = self.deadline();
            tokio::select! {
                () = inbox.news() => {}
                Some(decision) = self.setup.decisions.recv() => self.decide(decision),
                Some(Ok(probed)) = self.probes.join_next(), if !self.probes.is_empty() => self.take_answers(&probed),
                () = until(deadline) => {}
            }
            for contribution in self.setup.inbox.take() {
                if let Some(gate) = self.gates.get_mut(&contribution.source) {
                    self.dirty.insert(contribution.source.clone());
                    gate.offer(contribution);
                }
            }
            self.apply_due(Instant::now());
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

    fn apply_due(&mut self, now: Instant) {
        let expired = self.gates.iter().filter(|(_, gate)| gate.deadlines().0.is_some_and(|at| at <= now));
        self.dirty.extend(expired.map(|(source, _)| source.clone()).collect::<Vec<_>>());
        if self.dirty.is_empty() || now < self.next_apply {
            return;
        }
        let began = std::time::Instant::now();
        let in_force = self.setup.snapshots.load_full();
        let dirty = std::mem::take(&mut self.dirty);
        let gates = self.gates.iter_mut().filter(|(source, _)| dirty.contains(*source));
        let passed: Vec<_> = gates.filter_map(|(_, gate)| gate.pass(&in_force, now)).collect();
        let next = merge(&in_force, &passed, &self.setup.defaults);
        if next.generation() > in_force.generation() {
            let next = Arc::new(next);
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
            self.setup.to_store.send_replace(next);
        }
        self.next_apply = now + self.setup.coalesce;
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
        self.apply_due(Instant::now());
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
