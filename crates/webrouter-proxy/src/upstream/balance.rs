//! Which endpoint is asked, and which next when it refuses: the ready ones first, then those that have yet to prove
//! themselves, then, when all are sick, the sick ones too (fail-open). Among those of one standing the upstream's way of
//! balancing decides; each way is a file.

pub(crate) mod affinity;
mod hash;
mod least;
mod turns;

use std::cell::RefCell;
use std::rc::Rc;

use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::Balance;

use super::view::{Seat, View};
use crate::fleet::endpoint::Standing;
use affinity::Affinity;

/// What a choice depends on.
pub(crate) struct Ask<'a> {
    /// Those that failed this request already.
    pub(crate) tried: &'a [Endpoint],
    pub(crate) affinity: Affinity,
    pub(crate) random: &'a RefCell<fastrand::Rng>,
}

/// Why no endpoint was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Each that could be asked is at its limit.
    Full,
    /// There is none that was not tried.
    Nobody,
}

/// How one of the candidates is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Turns,
    Weights,
    LeastRequests,
    Hash(u64),
    /// The cookie leads to this candidate.
    LedTo(usize),
}

impl View {
    /// Chooses the endpoint whose turn it is and takes what `acquire` gives for it; `None` when it is at its limit.
    pub(crate) fn choose<T>(
        &self,
        ask: &Ask<'_>,
        mut acquire: impl FnMut(&Rc<Seat>) -> Option<T>,
    ) -> Result<T, Refusal> {
        let in_turn = self.upstream.policy.balance == Balance::RoundRobin && self.weights.is_empty();
        // Taken once: whoever's turn it is keeps it when more has to be considered.
        let turn = self.turn.replace(self.turn.get().wrapping_add(1));
        if in_turn
            && ask.tried.is_empty()
            && let Some(seat) = self.seats.get(turn.checked_rem(self.seats.len()).unwrap_or(0))
            && seat.shared.is_unmarked()
            && let Some(acquired) = acquire(seat)
        {
            return Ok(acquired);
        }
        let mut refusal = Refusal::Nobody;
        for standing in [Standing::Ready, Standing::Unproven, Standing::Sick] {
            let is_meant =
                |seat: &Seat| seat.shared.standing() == standing && !ask.tried.contains(&seat.shared.endpoint);
            let places = (0..).zip(&self.seats).filter(|(_, seat)| is_meant(seat)).map(|(place, _)| place);
            // In order, without those that turned out to be full.
            let mut candidates: Vec<usize> = places.collect();
            while !candidates.is_empty() {
                let way = self.way(&candidates, ask);
                let nth = self.choose_of(&candidates, way, turn, ask).min(candidates.len() - 1);
                let Some(place) = candidates.get(nth).copied() else { break };
                if let Some(acquired) = self.seats.get(place).and_then(&mut acquire) {
                    if way == Way::Weights {
                        self.pay(&candidates, place);
                    }
                    return Ok(acquired);
                }
                refusal = Refusal::Full;
                candidates.remove(nth);
            }
            if refusal == Refusal::Full {
                // Better to wait for a ready one than to ask a sick one.
                break;
            }
        }
        Err(refusal)
    }

    /// A request that brings nothing to go by is served in turn.
    fn way(&self, candidates: &[usize], ask: &Ask<'_>) -> Way {
        match (&self.upstream.policy.balance, ask.affinity) {
            (Balance::LeastRequests, _) => return Way::LeastRequests,
            (_, Affinity::Hash(key)) => return Way::Hash(key),
            (_, Affinity::Sticky(Some(place))) => {
                if let Ok(nth) = candidates.binary_search(&place) {
                    return Way::LedTo(nth);
                }
            }
            (_, Affinity::Sticky(None) | Affinity::None) => {}
        }
        if self.weights.is_empty() { Way::Turns } else { Way::Weights }
    }

    fn choose_of(&self, candidates: &[usize], way: Way, turn: usize, ask: &Ask<'_>) -> usize {
        match way {
            _ if candidates.len() == 1 => 0,
            Way::Turns => self.in_turn(candidates, turn, ask.random),
            Way::Weights => self.richest(candidates),
            Way::LeastRequests => self.less_loaded(candidates, ask.random),
            Way::Hash(key) => self.highest_bidder(candidates, key),
            Way::LedTo(nth) => nth,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
