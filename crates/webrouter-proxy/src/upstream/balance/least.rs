//! Least requests by two choices: of two endpoints taken at random, the one with less to do. Nearly as even as asking all of
//! them, and many routers that know only their own requests do not all run to the same one.

use std::cell::RefCell;

use tokio::time::Instant;

use crate::upstream::view::View;

impl View {
    /// The less loaded of two candidates. They are drawn by weight and warmth, so that endpoints with nothing to do share as they
    /// should, and compared by requests in flight per weight and warmth.
    pub(super) fn less_loaded(&self, candidates: &[usize], random: &RefCell<fastrand::Rng>) -> usize {
        let now = Instant::now();
        let share = |nth: usize| candidates.get(nth).map_or(0.0, |place| self.share(*place, now));
        let load = |nth: usize| {
            let seat = candidates.get(nth).and_then(|place| self.seats.get(*place));
            seat.map_or(0, |seat| seat.shared.in_flight()) as f32 / share(nth)
        };
        let mut random = random.borrow_mut();
        let first = draw((0..candidates.len()).map(|nth| (nth, share(nth))), &mut random).unwrap_or(0);
        let others = (0..candidates.len()).filter(|nth| *nth != first);
        let Some(second) = draw(others.map(|nth| (nth, share(nth))), &mut random) else { return first };
        if load(second) < load(first) { second } else { first }
    }
}

/// One of them, as likely as its share.
fn draw(shares: impl Iterator<Item = (usize, f32)> + Clone, random: &mut fastrand::Rng) -> Option<usize> {
    let total: f32 = shares.clone().map(|(_, share)| share).sum();
    let mut left = random.f32() * total;
    let mut last = None;
    for (nth, share) in shares {
        last = Some(nth);
        left -= share;
        if left < 0.0 {
            break;
        }
    }
    last
}
