//! How many requests may be tried again: a share of those that came, and a floor. Costs nothing until something fails:
//! what came is read from the cores' own counters then.

use std::time::Duration;

use tokio::time::Instant;

/// How many requests may be tried again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Retries {
    /// Retries as a share of the requests.
    pub share: f64,
    /// Retries per second that are always allowed.
    pub floor: f64,
}

impl Default for Retries {
    fn default() -> Self {
        Self { share: 0.2, floor: 3.0 }
    }
}

/// The retries one upstream has left.
#[derive(Debug)]
pub(crate) struct Budget {
    left: f64,
    /// When `left` was counted, and the requests until then.
    counted: (Instant, u64),
}

impl Budget {
    pub(crate) fn new(now: Instant, retries: Retries) -> Self {
        Self { left: retries.floor, counted: (now, 0) }
    }

    /// Takes one retry if there is one; `requests` is how many there ever were.
    pub(crate) fn withdraw(&mut self, now: Instant, requests: u64, retries: Retries) -> bool {
        let (then, before) = std::mem::replace(&mut self.counted, (now, requests));
        let passed = now.saturating_duration_since(then);
        // Only the last seconds count: a quiet hour saves up nothing for a storm.
        let recent = passed.min(WINDOW);
        let share_of_time = recent.as_secs_f64() / passed.as_secs_f64().max(f64::MIN_POSITIVE);
        let came = requests.saturating_sub(before) as f64 * share_of_time.min(1.0);
        let earned = came * retries.share + recent.as_secs_f64() * retries.floor;
        // What is not used fades, at the pace at which the window passes.
        let kept = self.left * (1.0 - recent.as_secs_f64() / WINDOW.as_secs_f64());
        self.left = kept + earned;
        let granted = self.left >= 1.0;
        if granted {
            self.left -= 1.0;
        }
        granted
    }
}

const WINDOW: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds of so many requests each, all of which want a retry: how many get one.
    fn check(seconds: &[u64], granted: std::ops::RangeInclusive<u64>) {
        check_with(Retries::default(), seconds, granted);
    }

    fn check_with(retries: Retries, seconds: &[u64], granted: std::ops::RangeInclusive<u64>) {
        let start = Instant::now();
        let mut budget = Budget::new(start, retries);
        let (mut requests, mut got) = (0, 0);
        for (second, count) in (0..).zip(seconds) {
            for nth in 0..*count {
                requests += 1;
                let now = start + Duration::from_secs(second) + Duration::from_secs(1) * nth as u32 / *count as u32;
                got += u64::from(budget.withdraw(now, requests, retries));
            }
        }
        assert!(granted.contains(&got), "{seconds:?}: {got}");
    }

    #[test]
    fn a_share_of_the_requests_and_a_floor() {
        check(&[1000, 1000, 1000], 600..=612);
        check(&[1, 1, 1, 1], 4..=4);
        check(&[10, 10, 10], 12..=18);
    }

    #[test]
    fn a_quiet_hour_saves_nothing_up() {
        let retries = Retries::default();
        let start = Instant::now();
        let mut budget = Budget::new(start, retries);
        let now = start + Duration::from_secs(3600);
        let granted = (0..1000).filter(|_| budget.withdraw(now, 36_000, retries)).count();
        assert_eq!(granted, 50, "of 10 requests a second, in ten seconds");
    }

    #[test]
    fn a_share_without_a_floor_is_granted_too() {
        check_with(Retries { share: 0.2, floor: 0.0 }, &[1000, 1000, 1000], 598..=600);
        check_with(Retries { share: 0.2, floor: 0.0 }, &[1, 1, 1, 1], 0..=0);
    }

    #[test]
    fn none_where_none_are_wanted() {
        let retries = Retries { share: 0.0, floor: 0.0 };
        let mut budget = Budget::new(Instant::now(), retries);
        assert!(!budget.withdraw(Instant::now() + Duration::from_secs(9), 1_000_000, retries));
    }
}
