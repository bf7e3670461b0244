//! Numbers with one writer and any number of readers: a load and a store, no locked instruction.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// A number that rises; written by one thread.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// The number.
    pub fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A number that rises and falls; written by one thread.
#[derive(Debug, Default)]
pub struct Gauge(AtomicI64);

impl Gauge {
    /// Takes a value that was counted elsewhere.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// One more.
    pub fn increment(&self) {
        self.shift(1);
    }

    /// One less.
    pub fn decrement(&self) {
        self.shift(-1);
    }

    /// The number.
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }

    fn shift(&self, by: i64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(by), Ordering::Relaxed);
    }
}

/// How long things took, in fixed buckets; written by one thread.
#[derive(Debug, Default)]
pub struct Durations {
    counts: [Counter; BUCKETS.len() + 1],
    micros: Counter,
}

/// A copy of [`Durations`] to sum up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DurationTotals {
    pub(super) counts: [u64; BUCKETS.len() + 1],
    pub(super) sum: Duration,
}

impl Durations {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let bucket = BUCKETS.partition_point(|bound| *bound < duration);
        if let Some(count) = self.counts.get(bucket) {
            count.increment();
        }
        self.micros.add(u64::try_from(duration.as_micros()).unwrap_or(u64::MAX));
    }
}

impl DurationTotals {
    pub(super) fn add(&mut self, durations: &Durations) {
        for (total, count) in self.counts.iter_mut().zip(&durations.counts) {
            *total += count.value();
        }
        self.sum += Duration::from_micros(durations.micros.value());
    }

    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Upper bounds, inclusive.
pub(super) const BUCKETS: [Duration; 14] = [
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_micros(2_500),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(250),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_millis(2_500),
    Duration::from_secs(10),
    Duration::from_secs(60),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_belongs_to_its_bucket() {
        let check = |micros: u64, bucket: usize| {
            let durations = Durations::default();
            durations.observe(Duration::from_micros(micros));
            let mut totals = DurationTotals::default();
            totals.add(&durations);
            let counts = totals.counts;
            assert_eq!(counts.iter().position(|&count| count == 1), Some(bucket), "{micros} µs");
        };
        check(0, 0);
        check(500, 0);
        check(501, 1);
        check(60_000_000, 13);
        check(60_000_001, 14);
        check(u64::MAX, 14);
    }
}
