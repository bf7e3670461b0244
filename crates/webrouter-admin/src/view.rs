//! What the instance knows, as the types of the admin API.

pub(crate) mod certificates;
pub(crate) mod endpoints;
pub(crate) mod failures;
pub(crate) mod history;
pub(crate) mod rejections;
pub(crate) mod routes;
pub(crate) mod snapshot;
pub(crate) mod status;
pub(crate) mod traffic;

use std::time::{Duration, SystemTime};

use jiff::{Timestamp, Unit};

/// RFC 3339, in UTC, with milliseconds.
pub(crate) fn time(at: SystemTime) -> String {
    let timestamp = Timestamp::try_from(at).and_then(|at| at.round(Unit::Millisecond)).unwrap_or_default();
    format!("{timestamp:.3}")
}

/// Seconds since then, in whole milliseconds; 0 when the clock was set back.
fn age(at: SystemTime) -> f64 {
    (at.elapsed().unwrap_or_default().as_secs_f64() * 1000.0).round() / 1000.0
}

/// A length of time in seconds, in whole milliseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_795_368_180_000_400);
        assert_eq!(time(at), "2026-11-22T17:23:00.000Z");
    }
}
