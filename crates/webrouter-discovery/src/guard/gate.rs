//! What a source says, held against the guard, until it may pass.
//!
//! ```text
//! offer ─► judge ─┬─ too large a loss ─► what is lost is put in again, the rest passes ─┬─ grace over, or accepted ─► pass
//!                 │                       (all of it lost: there is no grace)           ├─ the source says better ─► over
//!                 │                                                                     ├─ it takes more ─► a new hold
//!                 │                                                                     └─ refused ─► kept while lost
//!                 └─ suspects ─► kept at their last version while they are asked ─┬─ no answer ─► pass
//!                                                                                 └─ answer ─► hold, as above
//! ```

mod whole;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::snapshot::Snapshot;

use super::loss::Loss;
use super::peak::Peak;
use super::{Excess, Judgement, Size, Suspect, excess, judge, size, too_much};
use crate::GuardConfig;
use crate::status::{HoldDecision, HoldStatus};
use whole::{Whole, Wholes};

/// One source's way to the merge.
#[derive(Debug)]
pub(crate) struct Gate {
    source: SourceName,
    word: Word,
    config: GuardConfig,
    /// The newest word of the source, passed or not.
    latest: Option<Contribution>,
    /// What it has in force.
    size: Size,
    /// What it would have if its newest word were in force.
    wished: Size,
    /// The largest it was within the grace.
    peak: Peak,
    wholes: Wholes,
    kept: BTreeMap<ProcName, Kept>,
    kept_hold: Option<KeptHold>,
    /// Whether a loss of single procs was accepted, or its time is over: it is no longer measured against.
    is_settled: bool,
    /// Whether a word of it was ever in force without a loss held back.
    is_believed: bool,
    /// The last number given to a hold, of any source.
    ids: Arc<AtomicU64>,
}

/// What a source's word is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// It says what it sees, and may see wrong: endpoints are asked before they are given up.
    Observation,
    /// It says what an operator wrote: that is in force at once, unless most of it is gone.
    Intention,
}

#[derive(Debug, Clone)]
struct Hold {
    id: u64,
    reason: String,
    since: SystemTime,
}

/// The hold of procs that still answer, and which they are.
#[derive(Debug)]
struct KeptHold {
    hold: Hold,
    procs: BTreeSet<ProcName>,
}

/// Whether an operator wants a loss to stay away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Refused(pub(crate) bool);

/// A proc that is kept at its last version.
#[derive(Debug)]
struct Kept {
    suspect: Suspect,
    state: KeptState,
    until: Until,
    next_probe: Instant,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeptState {
    /// It is not known whether it answers.
    Unknown,
    Answering,
    Refused,
    /// It may go.
    Released,
}

/// The end of a hold, for timers and for people.
#[derive(Debug, Clone, Copy)]
struct Until {
    instant: Instant,
    system: SystemTime,
}

impl Gate {
    pub(crate) fn new(
        source: SourceName,
        word: Word,
        config: GuardConfig,
        in_force: &Snapshot,
        ids: Arc<AtomicU64>,
    ) -> Self {
        let size = size(in_force, &source);
        Self {
            source,
            word,
            config,
            latest: None,
            size,
            wished: size,
            peak: Peak::default(),
            wholes: Wholes::default(),
            kept: BTreeMap::new(),
            kept_hold: None,
            is_settled: false,
            is_believed: false,
            ids,
        }
    }

    /// Takes the source's newest word.
    pub(crate) fn offer(&mut self, contribution: Contribution) {
        self.latest = Some(contribution);
    }

    /// Whether the source has said anything yet.
    pub(crate) fn has_news(&self) -> bool {
        self.latest.is_some()
    }

    /// Whether part of what it has in force is only there because its words of this run were not believed.
    pub(crate) fn leans_on_the_past(&self) -> bool {
        !self.is_believed
    }

    /// What may be merged now: the newest word, with what is kept back of its losses put in again.
    pub(crate) fn pass(&mut self, in_force: &Snapshot, now: Instant) -> Option<Contribution> {
        let mut update = self.latest.clone()?;
        let before = size(in_force, &self.source);
        let highest = self.peak.note(before, now, self.config.grace);
        let Judgement { after, mut losses, mut suspects } = judge(in_force, before, &update, &self.wholes.bases());
        (self.size, self.wished) = (before, after);

        let released = self.wholes.release(&mut losses, now);
        suspects.retain(|name, _| !released.contains(name));
        let is_decided = |kept: &Kept| matches!(kept.state, KeptState::Refused | KeptState::Released);
        losses.retain(|name, _| !self.kept.get(name).is_some_and(is_decided));
        let reference = match released.is_empty() {
            true => highest,
            // Measured without what was let through.
            false => Size {
                routes: after.routes + losses.values().map(|loss| loss.routes.len()).sum::<usize>(),
                endpoints: after.endpoints + losses.values().map(Loss::endpoints_lost).sum::<usize>(),
            },
        };
        self.hold_whole(losses, after, reference, now);

        suspects.retain(|name, _| !self.wholes.holds(name));
        self.keep_suspects(suspects, &released, now);
        self.wholes.put_back(&mut update);
        let known = in_force.contribution(&self.source);
        for name in self.kept.keys() {
            if let Some(proc) = known.and_then(|known| known.procs.get(name)) {
                update.procs.insert(name.clone(), Arc::clone(proc));
            }
        }
        self.size = match self.kept.is_empty() && self.wholes.is_empty() {
            true => after,
            false => judge(in_force, before, &update, &BTreeMap::new()).after,
        };
        if std::mem::take(&mut self.is_settled) || !released.is_empty() {
            self.peak = Peak::default();
        }
        self.peak.note(self.size, now, self.config.grace);
        self.is_believed |= self.wholes.is_empty();
        Some(update)
    }

    /// Opens, keeps, replaces or ends the hold of what is lost too much of.
    fn hold_whole(&mut self, mut losses: BTreeMap<ProcName, Loss>, after: Size, reference: Size, now: Instant) {
        // A refused loss is out of the clock's reach, but it counts: whoever lies once is believed less.
        let routes_lost = losses.values().map(|loss| loss.routes.len()).sum();
        let refused = self.wholes.take_refused(&mut losses);
        let kept = Size { endpoints: after.endpoints + refused, ..after };
        let waiting = self.wholes.waiting().map(|whole| whole.before);
        let verdict = [Some(reference), waiting].into_iter().flatten().find_map(|of| {
            let excess = excess(routes_lost, after, of, &self.config)?;
            Some((excess, of))
        });
        let held = verdict.as_ref().map(|(_, of)| select(losses, kept, *of, &self.config)).unwrap_or_default();
        let (Some((excess, before)), false) = (verdict, held.is_empty()) else {
            if let Some(over) = self.wholes.end_waiting() {
                self.log_end(&over, "the source says better");
            }
            return;
        };
        self.kept.retain(|name, _| !held.contains_key(name));
        let until = (!matches!(excess, Excess::Everything(_))).then(|| self.until(now));
        let reason = match until {
            Some(_) => excess.to_string(),
            None => format!("{excess}; that is applied only when somebody accepts it"),
        };
        if self.wholes.goes_on(&held, &reason, until) {
            return;
        }
        if let Some(replaced) = self.wholes.end_waiting() {
            self.log_end(&replaced, "the source takes away more");
        }
        let hold = self.new_hold(reason);
        self.wholes.open(Whole::new(hold, until, before, held));
    }

    /// Brings the procs that are asked before they go in line with the newest word.
    fn keep_suspects(&mut self, suspects: BTreeMap<ProcName, Suspect>, released: &BTreeSet<ProcName>, now: Instant) {
        let until = self.until(now);
        self.kept.retain(|name, kept| !released.contains(name) && suspects.get(name) == Some(&kept.suspect));
        if self.word == Word::Observation {
            for (name, suspect) in suspects {
                self.kept.entry(name).or_insert(Kept { suspect, state: KeptState::Unknown, until, next_probe: now });
            }
        }
        self.kept.retain(|_, kept| match kept.state {
            KeptState::Released => false,
            KeptState::Refused => true,
            KeptState::Unknown | KeptState::Answering => {
                let is_over = kept.until.instant <= now;
                self.is_settled |= is_over;
                !is_over
            }
        });
        self.note_kept();
    }

    /// The procs that are to be asked now whether they answer.
    pub(crate) fn take_due_probes(&mut self, now: Instant) -> Vec<(ProcName, Arc<[Endpoint]>)> {
        let recheck = self.config.recheck;
        let due = self.kept.iter_mut().filter(|(_, kept)| kept.asks() && kept.next_probe <= now);
        due.map(|(name, kept)| {
            // Again when this answer is in, or lost.
            kept.next_probe = now + recheck + PROBE_SLACK;
            (name.clone(), Arc::clone(&kept.suspect.endpoints))
        })
        .collect()
    }

    /// Takes the answers; says whether something may pass now.
    pub(crate) fn probed(&mut self, asked: &[ProcName], answering: &BTreeSet<ProcName>, now: Instant) -> bool {
        let mut released = false;
        for name in asked {
            let Some(kept) = self.kept.get_mut(name).filter(|kept| kept.asks()) else { continue };
            if answering.contains(name) {
                kept.state = KeptState::Answering;
                kept.next_probe = now + self.config.recheck;
            } else {
                kept.state = KeptState::Released;
                released = true;
            }
        }
        self.note_kept();
        released
    }

    /// Carries out a decision on the holds of this source; says how many it concerned.
    pub(crate) fn resolve(&mut self, decision: HoldDecision, id: Option<u64>) -> usize {
        let is_meant = |hold: &Hold| id.is_none_or(|id| id == hold.id);
        let mut decided = self.wholes.resolve(decision, is_meant);
        if let Some(hold) = self.kept_hold.as_ref().map(|shown| &shown.hold).filter(|hold| is_meant(hold)) {
            decided.push(hold.id);
            self.is_settled |= decision == HoldDecision::Accept;
            for kept in self.kept.values_mut().filter(|kept| kept.is_shown()) {
                kept.state = match decision {
                    HoldDecision::Accept => KeptState::Released,
                    HoldDecision::Refuse => KeptState::Refused,
                };
            }
        }
        for id in &decided {
            tracing::info!(source = %self.source, id, decision = ?decision, "hold decided");
        }
        decided.len()
    }

    /// The holds to show, and of each whether somebody has refused it.
    pub(crate) fn status(&self) -> Vec<(Refused, HoldStatus)> {
        let wholes = self.wholes.iter().map(|whole| {
            let procs = whole.held.keys().take(SHOWN).map(ToString::to_string).collect();
            let applies_at = whole.until.filter(|_| !whole.is_refused).map(|until| until.system);
            (Refused(whole.is_refused), self.describe(&whole.hold, applies_at, procs))
        });
        let kept = self.kept_hold.iter().map(|KeptHold { hold, .. }| {
            let shown = || self.kept.iter().filter(|(_, kept)| kept.is_shown());
            let waiting = shown().filter(|(_, kept)| kept.state != KeptState::Refused);
            let applies_at = waiting.map(|(_, kept)| kept.until.system).min();
            let procs = shown().take(SHOWN).map(|(name, _)| name.to_string()).collect();
            (Refused(applies_at.is_none()), self.describe(hold, applies_at, procs))
        });
        wholes.chain(kept).collect()
    }

    fn describe(&self, hold: &Hold, applies_at: Option<SystemTime>, procs: Vec<String>) -> HoldStatus {
        HoldStatus {
            id: hold.id,
            source: self.source.to_string(),
            reason: hold.reason.clone(),
            since: hold.since,
            applies_at,
            routes_before: self.size.routes,
            routes_after: self.wished.routes,
            endpoints_before: self.size.endpoints,
            endpoints_after: self.wished.endpoints,
            procs,
        }
    }

    /// When something is due here without news from outside: (the update may pass, a probe).
    pub(crate) fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        let asking = || self.kept.values().filter(|kept| kept.asks());
        let over = asking().map(|kept| kept.until.instant).chain(self.wholes.deadline()).min();
        (over, asking().map(|kept| kept.next_probe).min())
    }

    /// Opens or closes the hold of single procs; one that keeps more than it did is another.
    fn note_kept(&mut self) {
        let shown = self.kept.iter().filter(|(_, kept)| kept.is_shown());
        let shown: BTreeSet<ProcName> = shown.map(|(name, _)| name.clone()).collect();
        let reason = format!("it leaves {} procs without endpoints that still answer", shown.len());
        if let Some(known) = &mut self.kept_hold
            && !shown.is_empty()
            && shown.is_subset(&known.procs)
        {
            known.hold.reason = reason;
            known.procs = shown;
            return;
        }
        if let Some(over) = self.kept_hold.take() {
            let outcome = if shown.is_empty() { "no proc is kept any more" } else { "more procs are kept" };
            self.log_end(&over.hold, outcome);
        }
        if !shown.is_empty() {
            self.kept_hold = Some(KeptHold { hold: self.new_hold(reason), procs: shown });
        }
    }

    fn new_hold(&mut self, reason: String) -> Hold {
        let id = self.ids.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::warn!(
            source = %self.source, id, reason,
            routes_before = self.size.routes, routes_after = self.wished.routes,
            endpoints_before = self.size.endpoints, endpoints_after = self.wished.endpoints,
            grace_seconds = self.config.grace.as_secs_f64(),
            "update held"
        );
        Hold { id, reason, since: SystemTime::now() }
    }

    fn log_end(&self, hold: &Hold, outcome: &str) {
        tracing::info!(source = %self.source, id = hold.id, outcome, "hold is over");
    }

    fn until(&self, now: Instant) -> Until {
        Until { instant: now + self.config.grace, system: SystemTime::now() + self.config.grace }
    }
}

impl Kept {
    fn asks(&self) -> bool {
        matches!(self.state, KeptState::Unknown | KeptState::Answering)
    }

    fn is_shown(&self) -> bool {
        matches!(self.state, KeptState::Answering | KeptState::Refused)
    }
}

/// What is kept of too large a loss: whatever loses routes or all of its endpoints; what only has fewer endpoints, when
/// too many would still be missing.
fn select(losses: BTreeMap<ProcName, Loss>, after: Size, of: Size, config: &GuardConfig) -> BTreeMap<ProcName, Loss> {
    let (shrinking, mut held): (BTreeMap<_, _>, BTreeMap<_, _>) =
        losses.into_iter().partition(|(_, loss)| loss.is_shrinking());
    let kept: usize = held.values().map(Loss::endpoints_kept).sum();
    if too_much(of.endpoints.saturating_sub(after.endpoints + kept), of.endpoints, config) {
        held.extend(shrinking);
        held.values_mut().for_each(|loss| loss.keeps_endpoints = true);
    }
    held
}

/// Procs named in a status.
const SHOWN: usize = 100;
/// How much longer than the recheck interval a round of probes may take before the next begins.
const PROBE_SLACK: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod tests;
