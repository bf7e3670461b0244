//! Requests, errors and times as numbers to subtract: what rates and percentiles are made of.

use std::time::Duration;

use super::number::{BUCKETS, DurationTotals};
use super::upstream::UpstreamTotals;

/// What was served up to one moment, or between two.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Requests that ended.
    pub requests: u64,
    /// Those of them that were answered with a status of 500 or more.
    pub errors: u64,
    times: [u64; BUCKETS.len() + 1],
}

impl From<&UpstreamTotals> for Traffic {
    fn from(totals: &UpstreamTotals) -> Self {
        let DurationTotals { counts, .. } = totals.durations;
        Self { requests: totals.requests(), errors: totals.by_class.last().copied().unwrap_or_default(), times: counts }
    }
}

impl Traffic {
    /// What came after an earlier moment; all of it where the numbers began anew in between.
    pub fn since(&self, earlier: &Self) -> Self {
        if self.requests < earlier.requests {
            return *self;
        }
        // The cores go on counting while they are read, so each number stands for itself.
        let mut more = *self;
        more.requests = self.requests.saturating_sub(earlier.requests);
        more.errors = self.errors.saturating_sub(earlier.errors);
        for (time, before) in more.times.iter_mut().zip(earlier.times) {
            *time = time.saturating_sub(before);
        }
        more
    }

    /// Adds what others served.
    pub fn add(&mut self, other: &Self) {
        self.requests += other.requests;
        self.errors += other.errors;
        for (time, more) in self.times.iter_mut().zip(other.times) {
            *time += more;
        }
    }

    /// The time that this share of the requests did not exceed, estimated within its bucket; `None` without a request.
    /// Above the last bound, the last bound.
    pub fn percentile(&self, share: f64) -> Option<Duration> {
        let count: u64 = self.times.iter().sum();
        let rank = (share.clamp(0.0, 1.0) * count as f64).max(f64::MIN_POSITIVE);
        let (mut below, mut lower) = (0.0, Duration::ZERO);
        for (bound, in_bucket) in BUCKETS.into_iter().zip(self.times) {
            let in_bucket = in_bucket as f64;
            if in_bucket > 0.0 && below + in_bucket >= rank {
                return Some(lower + (bound - lower).mul_f64(((rank - below) / in_bucket).clamp(0.0, 1.0)));
            }
            (below, lower) = (below + in_bucket, bound);
        }
        (count > 0).then_some(lower)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    fn traffic(requests: &[(u16, u64)]) -> Traffic {
        let metrics = Metrics::new();
        for (nth, (status, micros)) in requests.iter().enumerate() {
            // Spread over two cores, which must make no difference.
            let upstream = metrics.core(nth % 2).upstream(1, "demo__upstream__web");
            upstream.record(*status, Duration::from_micros(*micros), 0, 0);
        }
        metrics.traffic().into_values().next().unwrap_or_default()
    }

    #[test]
    fn a_percentile_lies_in_the_bucket_of_its_request() {
        let check = |micros: &[u64], share: f64, expected: Option<u64>| {
            let requests: Vec<_> = micros.iter().map(|micros| (200, *micros)).collect();
            let percentile = traffic(&requests).percentile(share);
            let micros_of = |time: Duration| (time.as_secs_f64() * 1e6).round() as u64;
            assert_eq!(percentile.map(micros_of), expected, "{share} of {micros:?}");
        };
        check(&[], 0.5, None);
        check(&[700], 0.5, Some(750));
        check(&[700], 1.0, Some(1_000));
        check(&[100, 100, 100, 4_000], 0.5, Some(333));
        check(&[100, 100, 100, 4_000], 0.99, Some(4_900));
        check(&[90_000_000], 0.5, Some(60_000_000));
    }

    #[test]
    fn what_came_since_is_the_difference_or_all_where_it_began_anew() {
        let (before, after) = (traffic(&[(200, 100)]), traffic(&[(200, 100), (503, 4_000), (404, 100)]));
        let since = after.since(&before);
        assert_eq!((since.requests, since.errors), (2, 1));
        assert_eq!(since.percentile(1.0), Some(Duration::from_millis(5)));
        assert_eq!(before.since(&after), before);
    }
}
