//! A circuit breaker: when too large a share of an app's requests fail, it gets none for a while, then a few to try.
//!
//! ```text
//! CLOSED ── the share is reached ──► OPEN ── 5 s ──► HALF-OPEN ── all trials succeed ──► CLOSED
//!                                     ▲                  │
//!                                     └── one fails ─────┘
//! ```

use std::time::Duration;

use tokio::time::Instant;

/// What a breaker does with requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BreakerState {
    /// They go through.
    #[default]
    Closed,
    /// They are refused.
    Open,
    /// A few go through, to try.
    HalfOpen,
}

/// The breaker of one upstream.
#[derive(Debug)]
pub(crate) struct Breaker {
    phase: Phase,
    /// (requests, failures) of the seconds that ended last, and of the present one.
    slots: [(u32, u32); SLOTS],
    /// The second that the present slot stands for.
    second: u64,
    epoch: Instant,
}

#[derive(Debug)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    /// Trials that began long ago count no more: some requests go on for hours.
    HalfOpen {
        since: Instant,
        under_way: u32,
        succeeded: u32,
    },
}

/// A request that may go through; it must be given back with what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    Normal,
    Trial,
}

/// What changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Opened,
    Closed,
}

impl Breaker {
    pub(crate) fn new(now: Instant) -> Self {
        Self { phase: Phase::Closed, slots: [(0, 0); SLOTS], second: 0, epoch: now }
    }

    pub(crate) fn state(&self) -> BreakerState {
        match self.phase {
            Phase::Closed => BreakerState::Closed,
            Phase::Open { .. } => BreakerState::Open,
            Phase::HalfOpen { .. } => BreakerState::HalfOpen,
        }
    }

    /// Lets a request through, or says how long to wait.
    pub(crate) fn ask(&mut self, now: Instant) -> Result<Pass, Duration> {
        if let Phase::Open { until } = self.phase {
            if now < until {
                return Err(until - now);
            }
            self.phase = Phase::HalfOpen { since: now, under_way: 0, succeeded: 0 };
        }
        if let Phase::HalfOpen { since, under_way, .. } = &mut self.phase
            && now >= *since + OPEN_FOR
        {
            (*since, *under_way) = (now, 0);
        }
        match &mut self.phase {
            Phase::HalfOpen { under_way, succeeded, .. } if *under_way + *succeeded < TRIALS => {
                *under_way += 1;
                Ok(Pass::Trial)
            }
            Phase::HalfOpen { .. } => Err(Duration::from_secs(1)),
            _ => Ok(Pass::Normal),
        }
    }

    /// Takes note of what came of a request; `None` when nothing can be said, as when the client left.
    pub(crate) fn note(&mut self, pass: Pass, failed: Option<bool>, share: f64, now: Instant) -> Option<Turn> {
        match (&mut self.phase, pass) {
            (Phase::HalfOpen { under_way, succeeded, .. }, Pass::Trial) => {
                *under_way = under_way.saturating_sub(1);
                match failed? {
                    true => Some(self.open(now)),
                    false => {
                        *succeeded += 1;
                        (*succeeded >= TRIALS).then(|| self.close(now))
                    }
                }
            }
            (Phase::Closed, _) => {
                let failed = failed?;
                self.advance(now);
                if let Some((requests, failures)) = self.slots.first_mut() {
                    *requests += 1;
                    *failures += u32::from(failed);
                }
                let sum = |pick: fn(&(u32, u32)) -> u32| self.slots.iter().map(pick).sum::<u32>();
                let (requests, failures) = (sum(|slot| slot.0), sum(|slot| slot.1));
                let reached = f64::from(failures) >= f64::from(requests) * share;
                (failed && requests >= FEWEST && reached).then(|| self.open(now))
            }
            _ => None,
        }
    }

    fn open(&mut self, now: Instant) -> Turn {
        self.phase = Phase::Open { until: now + OPEN_FOR };
        Turn::Opened
    }

    fn close(&mut self, now: Instant) -> Turn {
        *self = Self::new(now);
        Turn::Closed
    }

    /// Moves the slots on to the present second.
    fn advance(&mut self, now: Instant) {
        let second = now.saturating_duration_since(self.epoch).as_secs();
        let passed = usize::try_from(second.saturating_sub(self.second)).unwrap_or(SLOTS).min(SLOTS);
        self.slots.rotate_right(passed % SLOTS);
        for slot in self.slots.iter_mut().take(passed) {
            *slot = (0, 0);
        }
        self.second = second;
    }
}

/// Seconds that are looked at.
const SLOTS: usize = 10;
/// Below so many requests within them, a share says nothing.
const FEWEST: u32 = 20;
const OPEN_FOR: Duration = Duration::from_secs(5);
const TRIALS: u32 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    struct Scene {
        breaker: Breaker,
        now: Instant,
    }

    impl Scene {
        fn new() -> Self {
            let now = Instant::now();
            Self { breaker: Breaker::new(now), now }
        }

        fn wait(&mut self, seconds: u64) {
            self.now += Duration::from_secs(seconds);
        }

        fn request(&mut self, failed: bool) -> Option<Turn> {
            let pass = self.breaker.ask(self.now).expect("it goes through");
            self.breaker.note(pass, Some(failed), 0.5, self.now)
        }

        fn requests(&mut self, count: u32, failed: bool) -> Vec<Turn> {
            (0..count).filter_map(|_| self.request(failed)).collect()
        }
    }

    #[test]
    fn opens_at_its_share_of_enough_requests_within_ten_seconds() {
        let mut scene = Scene::new();
        assert_eq!(scene.requests(10, false), []);
        assert_eq!(scene.requests(9, true), []);
        assert_eq!(scene.request(true), Some(Turn::Opened));
        assert_eq!(scene.breaker.ask(scene.now), Err(OPEN_FOR));

        let mut scene = Scene::new();
        assert_eq!(scene.requests(19, true), []);
        scene.wait(11);
        assert_eq!(scene.requests(10, false), [], "what failed is long ago");
        assert_eq!(scene.requests(9, true), []);
        assert_eq!(scene.breaker.state(), BreakerState::Closed);
    }

    #[test]
    fn closes_when_all_trials_succeed_and_opens_again_when_one_fails() {
        let mut scene = Scene::new();
        scene.requests(20, true);
        scene.wait(5);
        assert_eq!(scene.request(true), Some(Turn::Opened));
        scene.wait(5);
        let trials: Vec<Pass> = (0..TRIALS).filter_map(|_| scene.breaker.ask(scene.now).ok()).collect();
        assert_eq!(trials, [Pass::Trial; 3]);
        assert!(scene.breaker.ask(scene.now).is_err(), "three are under way");
        let turns: Vec<Option<Turn>> =
            trials.iter().map(|pass| scene.breaker.note(*pass, Some(false), 0.5, scene.now)).collect();
        assert_eq!(turns, [None, None, Some(Turn::Closed)]);
        assert_eq!(scene.breaker.ask(scene.now), Ok(Pass::Normal));
    }

    #[test]
    fn a_trial_that_does_not_end_is_not_waited_for() {
        let mut scene = Scene::new();
        scene.requests(20, true);
        scene.wait(5);
        for _ in 0..TRIALS {
            assert_eq!(scene.breaker.ask(scene.now), Ok(Pass::Trial));
        }
        assert!(scene.breaker.ask(scene.now).is_err());
        scene.wait(5);
        assert_eq!(scene.requests(3, false), [Turn::Closed]);
    }

    #[test]
    fn a_trial_whose_client_left_makes_room_for_another() {
        let mut scene = Scene::new();
        scene.requests(20, true);
        scene.wait(5);
        for _ in 0..9 {
            let pass = scene.breaker.ask(scene.now).expect("there is room");
            assert_eq!(scene.breaker.note(pass, None, 0.5, scene.now), None);
        }
        assert_eq!(scene.requests(3, false), [Turn::Closed]);
    }
}
