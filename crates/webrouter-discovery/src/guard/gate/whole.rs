//! The holds of too large losses: at most one that waits, and those that were refused.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use webrouter_routing::contribution::Contribution;
use webrouter_routing::name::ProcName;

use super::{Hold, Loss, Size, Until};
use crate::guard::loss::Base;
use crate::status::HoldDecision;

/// A loss that is kept back.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) hold: Hold,
    /// `None` when time alone does not end it.
    pub(super) until: Option<Until>,
    /// What the loss is measured against.
    pub(super) before: Size,
    pub(super) held: BTreeMap<ProcName, Loss>,
    pub(super) is_refused: bool,
    is_accepted: bool,
}

impl Whole {
    pub(super) fn new(hold: Hold, until: Option<Until>, before: Size, held: BTreeMap<ProcName, Loss>) -> Self {
        Self { hold, until, before, held, is_refused: false, is_accepted: false }
    }

    fn covers(&self, name: &ProcName, loss: &Loss) -> bool {
        self.held.get(name).is_some_and(|held| {
            let keeps_endpoints = held.keeps_endpoints || loss.keeps_endpoints;
            held.covers(&Loss { keeps_endpoints, ..loss.clone() })
        })
    }

    fn is_over(&self, now: Instant) -> bool {
        self.is_accepted || (!self.is_refused && self.until.is_some_and(|until| until.instant <= now))
    }
}

/// All of one source.
#[derive(Debug, Default)]
pub(super) struct Wholes(Vec<Whole>);

impl Wholes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Whole> {
        self.0.iter()
    }

    /// What the held procs were.
    pub(super) fn bases(&self) -> BTreeMap<ProcName, Base> {
        let held = self.0.iter().flat_map(|whole| &whole.held);
        held.map(|(name, loss)| (name.clone(), loss.base.clone())).collect()
    }

    pub(super) fn holds(&self, name: &ProcName) -> bool {
        self.0.iter().any(|whole| whole.held.contains_key(name))
    }

    pub(super) fn waiting(&self) -> Option<&Whole> {
        self.0.iter().find(|whole| !whole.is_refused)
    }

    /// Ends the holds that are accepted or whose time is over, and takes their losses out of these; what has become
    /// worse since they were shown is not let through. Says which procs go.
    pub(super) fn release(&mut self, losses: &mut BTreeMap<ProcName, Loss>, now: Instant) -> BTreeSet<ProcName> {
        let mut released = BTreeSet::new();
        for whole in self.0.extract_if(.., |whole| whole.is_over(now)) {
            tracing::info!(id = whole.hold.id, outcome = "applied", "hold is over");
            for name in whole.held.keys() {
                if losses.get(name).is_some_and(|loss| whole.covers(name, loss)) {
                    losses.remove(name);
                    released.insert(name.clone());
                }
            }
        }
        released
    }

    /// Takes out of these losses what was refused; what is not lost any more, or more than was refused, leaves the
    /// refusal. Says how many endpoints the refusals keep.
    pub(super) fn take_refused(&mut self, losses: &mut BTreeMap<ProcName, Loss>) -> usize {
        let mut endpoints_kept = 0;
        for whole in self.0.iter_mut().filter(|whole| whole.is_refused) {
            let covered: Vec<ProcName> = whole.held.keys().cloned().collect();
            for name in covered {
                match losses.get(&name) {
                    Some(loss) if whole.covers(&name, loss) => {
                        let keeps = whole.held.get(&name).is_some_and(|held| held.keeps_endpoints);
                        endpoints_kept += if keeps { loss.endpoints_lost() } else { 0 };
                        losses.remove(&name);
                    }
                    Some(_) | None => {
                        whole.held.remove(&name);
                    }
                }
            }
        }
        self.0.retain(|whole| {
            let stays = !whole.is_refused || !whole.held.is_empty();
            if !stays {
                tracing::info!(id = whole.hold.id, outcome = "nothing of it is lost any more", "hold is over");
            }
            stays
        });
        endpoints_kept
    }

    /// Whether the hold that waits takes in all of this; it then shows this from now on.
    pub(super) fn goes_on(&mut self, held: &BTreeMap<ProcName, Loss>, reason: &str, until: Option<Until>) -> bool {
        let waiting = self.0.iter_mut().find(|whole| !whole.is_refused);
        let Some(whole) = waiting.filter(|whole| {
            held.iter().all(|(name, loss)| whole.held.get(name).is_some_and(|known| known.covers(loss)))
        }) else {
            return false;
        };
        whole.held.clone_from(held);
        reason.clone_into(&mut whole.hold.reason);
        whole.until = match (whole.until, until) {
            (Some(running), Some(_)) => Some(running),
            // A source that says nothing at all, and then something, is given the grace from here.
            (_, until) => until,
        };
        true
    }

    pub(super) fn end_waiting(&mut self) -> Option<Hold> {
        let at = self.0.iter().position(|whole| !whole.is_refused)?;
        Some(self.0.remove(at).hold)
    }

    pub(super) fn open(&mut self, whole: Whole) {
        self.0.push(whole);
    }

    /// Puts what is held back into an update.
    pub(super) fn put_back(&self, update: &mut Contribution) {
        for (name, loss) in self.0.iter().flat_map(|whole| &whole.held) {
            let kept = loss.undone(update.procs.get(name));
            update.procs.insert(name.clone(), kept);
        }
    }

    /// Notes a decision on the holds that are meant, and names them.
    pub(super) fn resolve(&mut self, decision: HoldDecision, is_meant: impl Fn(&Hold) -> bool) -> Vec<u64> {
        let meant = self.0.iter_mut().filter(|whole| is_meant(&whole.hold));
        meant
            .map(|whole| {
                match decision {
                    HoldDecision::Accept => whole.is_accepted = true,
                    HoldDecision::Refuse => whole.is_refused = true,
                }
                whole.hold.id
            })
            .collect()
    }

    /// When time ends a hold.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waiting = self.0.iter().filter(|whole| !whole.is_refused);
        waiting.filter_map(|whole| whole.until).map(|until| until.instant).min()
    }
}
