//! What one core counts for one upstream: about 200 bytes.

use std::time::Duration;

use super::number::{Counter, DurationTotals, Durations};

/// The numbers of one upstream on one core.
#[derive(Debug, Default)]
pub struct UpstreamMetrics {
    by_class: [Counter; CLASSES.len()],
    durations: Durations,
    bytes_received: Counter,
    bytes_sent: Counter,
}

impl UpstreamMetrics {
    /// Counts a request: the status sent (0 for none), its time, and the body bytes from and to the client.
    pub fn record(&self, status: u16, request_time: Duration, bytes_received: u64, bytes_sent: u64) {
        let class = match status / 100 {
            class @ 1..=5 => usize::from(class),
            _ => 0,
        };
        if let Some(counter) = self.by_class.get(class) {
            counter.increment();
        }
        self.durations.observe(request_time);
        self.bytes_received.add(bytes_received);
        self.bytes_sent.add(bytes_sent);
    }

    /// How many requests were counted.
    pub fn requests(&self) -> u64 {
        self.by_class.iter().map(Counter::value).sum()
    }
}

/// The sum of one upstream's numbers over all cores.
#[derive(Debug, Default)]
pub(super) struct UpstreamTotals {
    pub(super) by_class: [u64; CLASSES.len()],
    pub(super) durations: DurationTotals,
    pub(super) bytes_received: u64,
    pub(super) bytes_sent: u64,
}

impl UpstreamTotals {
    pub(super) fn add(&mut self, metrics: &UpstreamMetrics) {
        for (total, count) in self.by_class.iter_mut().zip(&metrics.by_class) {
            *total += count.value();
        }
        self.durations.add(&metrics.durations);
        self.bytes_received += metrics.bytes_received.value();
        self.bytes_sent += metrics.bytes_sent.value();
    }

    pub(super) fn requests(&self) -> u64 {
        self.by_class.iter().sum()
    }
}

/// Values of the label `code`; `none`: the client was gone before a status was sent.
pub(super) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];
