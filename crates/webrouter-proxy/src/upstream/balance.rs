//! Which endpoint is asked, and which next when it refuses: the ready ones first, then those that have yet to prove
//! themselves, then, when all are sick, the sick ones too (fail-open).

use std::cell::RefCell;
use std::rc::Rc;

use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::Balance;

use super::view::{Seat, View};
use crate::fleet::endpoint::Standing;

/// What a choice depends on.
pub(crate) struct Ask<'a> {
    /// Those that failed this request already.
    pub(crate) tried: &'a [Endpoint],
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
            let mut candidates: Vec<usize> = places.collect();
            while !candidates.is_empty() {
                let nth = self.choose_of(&candidates, turn, ask).min(candidates.len() - 1);
                if let Some(seat) = self.seats.get(candidates.remove(nth)) {
                    match acquire(seat) {
                        Some(acquired) => return Ok(acquired),
                        None => refusal = Refusal::Full,
                    }
                }
            }
            if refusal == Refusal::Full {
                // Better to wait for a ready one than to ask a sick one.
                break;
            }
        }
        Err(refusal)
    }

    /// Which of the candidates, by the upstream's way of balancing.
    fn choose_of(&self, candidates: &[usize], turn: usize, ask: &Ask<'_>) -> usize {
        match &self.upstream.policy.balance {
            _ if candidates.len() == 1 => 0,
            Balance::RoundRobin if self.weights.is_empty() => self.in_turn(candidates, turn, ask),
            _ => self.by_weight(candidates),
        }
    }

    /// Whoever's turn it is; one that is warming up may be passed over.
    fn in_turn(&self, candidates: &[usize], turn: usize, ask: &Ask<'_>) -> usize {
        let now = Instant::now();
        let accepts = |nth: usize| {
            let warmth = candidates.get(nth).map_or(1.0, |place| self.warmth(*place, now));
            warmth >= 1.0 || ask.random.borrow_mut().f32() < warmth
        };
        let whose = turn.checked_rem(candidates.len()).unwrap_or(0);
        if accepts(whose) {
            return whose;
        }
        // Not the next in turn: it would get all that the cold one does not.
        let start = ask.random.borrow_mut().usize(..candidates.len().max(1));
        (start..candidates.len()).chain(0..start).find(|nth| accepts(*nth)).unwrap_or(whose)
    }

    /// Smooth weighted round robin: each gains its weight, the richest is chosen and pays what all gained.
    fn by_weight(&self, candidates: &[usize]) -> usize {
        let now = Instant::now();
        let mut credits = self.credits.borrow_mut();
        credits.resize(self.seats.len(), 0.0);
        let (mut gained, mut richest, mut most) = (0.0, 0, f32::MIN);
        for (nth, place) in candidates.iter().enumerate() {
            let gain = self.weight(*place) as f32 * self.warmth(*place, now);
            let Some(credit) = credits.get_mut(*place) else { continue };
            gained += gain;
            *credit += gain;
            if *credit > most {
                (richest, most) = (nth, *credit);
            }
        }
        if let Some(credit) = candidates.get(richest).and_then(|place| credits.get_mut(*place)) {
            *credit -= gained;
        }
        richest
    }

    fn warmth(&self, place: usize, now: Instant) -> f32 {
        self.seats.get(place).map_or(1.0, |seat| seat.shared.warmth(now))
    }
}
