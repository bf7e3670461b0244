//! What a source says, held against the guard, until it may pass.
//!
//! ```text
//! offer ─► judge ─┬─ too large a loss ─► whole hold ─┬─ grace over, accepted, or the source says better ─► pass
//!                 │                                  └─ refused ─► stays until the source says something else
//!                 └─ suspects ─► kept at their last version while they are asked ─┬─ no answer ─► pass
//!                                                                                 └─ answer ─► hold, as above
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use tokio::time::Instant;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::snapshot::Snapshot;

use super::{Judgement, Size, Suspect, judge, size};
use crate::GuardConfig;
use crate::status::{HoldDecision, HoldStatus};

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
    whole: Option<Whole>,
    kept: BTreeMap<ProcName, Kept>,
    kept_hold: Option<Hold>,
    accepted: bool,
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

/// A whole update that is kept back.
#[derive(Debug)]
struct Whole {
    hold: Hold,
    until: Until,
    /// What was refused.
    refused: Option<Contribution>,
}

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
        let (latest, whole, kept_hold) = (None, None, None);
        Self {
            source,
            word,
            config,
            latest,
            size,
            wished: size,
            whole,
            kept: BTreeMap::new(),
            kept_hold,
            accepted: false,
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

    /// The part of the newest word that may be merged now; `None` while it is kept back as a whole.
    pub(crate) fn pass(&mut self, in_force: &Snapshot, now: Instant) -> Option<Contribution> {
        let latest = self.latest.clone()?;
        let judgement = judge(in_force, self.size, &latest, &self.config);
        self.wished = judgement.after;
        let over = self.whole.as_ref().is_some_and(|whole| whole.refused.is_none() && whole.until.instant <= now);
        let let_through = std::mem::take(&mut self.accepted) || over;
        if let Some(reason) = &judgement.loss
            && !let_through
        {
            self.hold_whole(reason, &latest, now);
            return None;
        }
        if let Some(whole) = self.whole.take() {
            self.log_end(&whole.hold, if let_through { "applied" } else { "the source says better" });
        }
        let effective = self.without_suspects(in_force, latest, &judgement, let_through, now);
        self.size = match self.kept.is_empty() {
            true => judgement.after,
            false => judge(in_force, self.size, &effective, &self.config).after,
        };
        Some(effective)
    }

    fn hold_whole(&mut self, reason: &str, latest: &Contribution, now: Instant) {
        match &mut self.whole {
            Some(whole) if whole.refused.as_ref().is_some_and(|refused| refused == latest) => {}
            Some(whole) if whole.refused.is_none() => whole.hold.reason = reason.to_owned(),
            _ => {
                let hold = self.new_hold(reason.to_owned());
                self.whole = Some(Whole { hold, until: self.until(now), refused: None });
            }
        }
    }

    /// Puts the last version of each proc that is kept into the update.
    fn without_suspects(
        &mut self,
        in_force: &Snapshot,
        mut update: Contribution,
        judgement: &Judgement,
        let_through: bool,
        now: Instant,
    ) -> Contribution {
        let until = self.until(now);
        self.kept.retain(|name, kept| !let_through && judgement.suspects.get(name) == Some(&kept.suspect));
        if !let_through && self.word == Word::Observation {
            for (name, suspect) in &judgement.suspects {
                self.kept.entry(name.clone()).or_insert_with(|| Kept {
                    suspect: suspect.clone(),
                    state: KeptState::Unknown,
                    until,
                    next_probe: now,
                });
            }
        }
        self.kept.retain(|_, kept| match kept.state {
            KeptState::Released => false,
            KeptState::Refused => true,
            KeptState::Unknown | KeptState::Answering => kept.until.instant > now,
        });
        let known = in_force.contribution(&self.source);
        for name in self.kept.keys() {
            if let Some(proc) = known.and_then(|known| known.procs.get(name)) {
                update.procs.insert(name.clone(), Arc::clone(proc));
            }
        }
        self.note_kept();
        update
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
        let mut concerned = 0;
        if let Some(whole) = &mut self.whole
            && id.is_none_or(|id| id == whole.hold.id)
        {
            concerned += 1;
            match decision {
                HoldDecision::Accept => self.accepted = true,
                HoldDecision::Refuse => whole.refused = self.latest.clone(),
            }
            tracing::info!(source = %self.source, id = whole.hold.id, decision = ?decision, "hold decided");
        }
        if let Some(hold) = &self.kept_hold
            && id.is_none_or(|id| id == hold.id)
        {
            concerned += 1;
            for kept in self.kept.values_mut().filter(|kept| kept.is_shown()) {
                kept.state = match decision {
                    HoldDecision::Accept => KeptState::Released,
                    HoldDecision::Refuse => KeptState::Refused,
                };
            }
            tracing::info!(source = %self.source, id = hold.id, decision = ?decision, "hold decided");
        }
        concerned
    }

    /// The hold to show; the one of a whole update comes first.
    pub(crate) fn status(&self) -> Option<HoldStatus> {
        let (hold, applies_at, procs) = match (&self.whole, &self.kept_hold) {
            (Some(whole), _) => (&whole.hold, whole.refused.is_none().then_some(whole.until.system), Vec::new()),
            (None, Some(hold)) => {
                let shown = || self.kept.iter().filter(|(_, kept)| kept.is_shown());
                let waiting = shown().filter(|(_, kept)| kept.state != KeptState::Refused);
                let applies_at = waiting.map(|(_, kept)| kept.until.system).min();
                (hold, applies_at, shown().take(SHOWN).map(|(name, _)| name.to_string()).collect())
            }
            (None, None) => return None,
        };
        Some(HoldStatus {
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
        })
    }

    /// When something is due here without news from outside: (the update may pass, a probe).
    pub(crate) fn deadlines(&self) -> (Option<Instant>, Option<Instant>) {
        let whole = self.whole.iter().filter(|whole| whole.refused.is_none()).map(|whole| whole.until.instant);
        if self.whole.is_some() {
            return (whole.min(), None);
        }
        let asking = || self.kept.values().filter(|kept| kept.asks());
        (asking().map(|kept| kept.until.instant).min(), asking().map(|kept| kept.next_probe).min())
    }

    /// Opens or closes the hold of single procs.
    fn note_kept(&mut self) {
        let shown = self.kept.values().filter(|kept| kept.is_shown()).count();
        match (shown, &mut self.kept_hold) {
            (0, None) => {}
            (0, Some(_)) => {
                if let Some(hold) = self.kept_hold.take() {
                    self.log_end(&hold, "no proc is kept any more");
                }
            }
            (count, Some(hold)) => hold.reason = kept_reason(count),
            (count, None) => self.kept_hold = Some(self.new_hold(kept_reason(count))),
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

fn kept_reason(count: usize) -> String {
    format!("it leaves {count} procs without endpoints that still answer")
}

/// Procs named in a status.
const SHOWN: usize = 1000;
/// How much longer than the recheck interval a round of probes may take before the next begins.
const PROBE_SLACK: std::time::Duration = std::time::Duration::from_secs(30);

#[cfg(test)]
mod tests;
