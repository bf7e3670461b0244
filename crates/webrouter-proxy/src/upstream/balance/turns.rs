//! Round robin, plain and weighted.

use std::cell::RefCell;

use tokio::time::Instant;

use crate::upstream::view::View;

impl View {
    /// Whoever's turn it is. Turns of those that are no candidates, or that are warming up and pass, go to all the others
    /// in turn: the next in order would get more than its share.
    pub(super) fn in_turn(&self, candidates: &[usize], turn: usize, random: &RefCell<fastrand::Rng>) -> usize {
        let now = Instant::now();
        let accepts = |nth: usize| {
            let warmth = candidates.get(nth).map_or(1.0, |place| self.warmth(*place, now));
            warmth >= 1.0 || random.borrow_mut().f32() < warmth
        };
        let owner = candidates.binary_search(&turn.checked_rem(self.seats.len()).unwrap_or(0)).ok();
        if let Some(owner) = owner.filter(|owner| accepts(*owner)) {
            return owner;
        }
        let spare = self.spare_turn.replace(self.spare_turn.get().wrapping_add(1));
        let others = candidates.len() - usize::from(owner.is_some());
        let start = spare.checked_rem(others).unwrap_or(0);
        // The places of the others, around the owner's.
        let other = |at: usize| at + usize::from(owner.is_some_and(|owner| at >= owner));
        let mut order = (start..others).chain(0..start).map(other);
        order.find(|nth| accepts(*nth)).unwrap_or_else(|| owner.unwrap_or(start))
    }

    /// Smooth weighted round robin: each candidate gains its weight, the richest is chosen; see [`Self::pay`].
    pub(super) fn richest(&self, candidates: &[usize]) -> usize {
        let now = Instant::now();
        let credits = self.credits.borrow();
        let (mut richest, mut most) = (0, f32::MIN);
        for (nth, place) in candidates.iter().enumerate() {
            let credit = credits.get(*place).copied().unwrap_or(0.0) + self.share(*place, now);
            if credit > most {
                (richest, most) = (nth, credit);
            }
        }
        richest
    }

    /// The chosen one takes the request and pays what all gained. Who was chosen and had no room pays nothing, and gains
    /// nothing to be made up for later.
    pub(super) fn pay(&self, candidates: &[usize], chosen: usize) {
        let now = Instant::now();
        let mut credits = self.credits.borrow_mut();
        let mut gained = 0.0;
        for place in candidates {
            let gain = self.share(*place, now);
            gained += gain;
            if let Some(credit) = credits.get_mut(*place) {
                *credit += gain;
            }
        }
        if let Some(credit) = credits.get_mut(chosen) {
            *credit -= gained;
        }
    }

    /// What a seat is to get, as it is now.
    pub(super) fn share(&self, place: usize, now: Instant) -> f32 {
        self.weight(place) as f32 * self.warmth(place, now)
    }

    fn warmth(&self, place: usize, now: Instant) -> f32 {
        self.seats.get(place).map_or(1.0, |seat| seat.shared.warmth(now))
    }
}
