//! The last requests that failed, so that a client's "mine failed" has an answer: some for each route, in memory, in a
//! ring of each core's own. Only a failure costs anything; what is kept is bounded by the numbers below.
//!
//! Of a target only the path is kept: a query may hold a secret.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::cause::Cause;

/// The failures of all cores; clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct FlightRecorder(Arc<Mutex<Vec<CoreRecorder>>>);

/// What one core writes to; nobody else does.
#[derive(Debug, Clone, Default)]
pub struct CoreRecorder(Arc<Mutex<Rings>>);

/// A request that failed. Texts are ASCII without controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedRequest {
    /// Its `X-Request-Id`, the client's or ours.
    pub id: String,
    /// When it began.
    pub at: SystemTime,
    /// Whose it was.
    pub client: IpAddr,
    /// Its method, empty where it could not be read.
    pub method: String,
    /// The host it asked for.
    pub host: String,
    /// The path it asked for.
    pub path: String,
    /// The status it was answered with, or that stands in the log.
    pub status: u16,
    /// Why, where webrouter says so; absent where the app itself answered 500 or more.
    pub cause: Option<Cause>,
    /// The mountpoint that won; empty where none did.
    pub route: String,
    /// The upstream of that; empty where none did.
    pub upstream: String,
    /// The endpoint that was asked last.
    pub endpoint: Option<SocketAddr>,
    /// How long it took in all.
    pub took: Duration,
    /// How long of that an endpoint had it.
    pub upstream_time: Option<Duration>,
    /// The endpoints that failed it, in order.
    pub attempts: Vec<FailedAttempt>,
}

/// One endpoint that was asked and failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FailedAttempt {
    /// Who was asked.
    pub endpoint: SocketAddr,
    /// What came of it.
    pub cause: Cause,
    /// How long it took; absent where no connection came up.
    pub took: Option<Duration>,
}

#[derive(Debug, Default)]
struct Rings(HashMap<String, VecDeque<FailedRequest>>);

impl FlightRecorder {
    /// A part for one more core.
    pub fn core(&self) -> CoreRecorder {
        let core = CoreRecorder::default();
        locked(&self.0).push(core.clone());
        core
    }

    /// The failures that `wanted` lets through, the newest first, at most so many.
    pub fn failures(&self, limit: usize, wanted: impl Fn(&FailedRequest) -> bool) -> Vec<FailedRequest> {
        let cores = locked(&self.0).clone();
        let mut found = Vec::new();
        for core in &cores {
            let rings = locked(&core.0);
            found.extend(rings.0.values().flatten().filter(|failure| wanted(failure)).cloned());
        }
        found.sort_by_key(|failure| std::cmp::Reverse(failure.at));
        found.truncate(limit);
        found
    }
}

impl CoreRecorder {
    /// Keeps a failure; the oldest of its route goes when there are too many.
    pub fn record(&self, failure: FailedRequest) {
        let rings = &mut locked(&self.0).0;
        if rings.len() >= MAX_ROUTES && !rings.contains_key(&failure.route) {
            let newest = |ring: &VecDeque<FailedRequest>| ring.back().map(|failure| failure.at);
            if let Some(quietest) = rings.iter().min_by_key(|(_, ring)| newest(ring)).map(|(route, _)| route.clone()) {
                rings.remove(&quietest);
            }
        }
        let ring = rings.entry(failure.route.clone()).or_default();
        if ring.len() >= PER_ROUTE {
            ring.pop_front();
        }
        ring.push_back(failure);
    }
}

/// Foreign bytes as a short text that can be shown anywhere.
pub fn shown(bytes: &[u8]) -> String {
    bytes.get(..LONGEST_TEXT.min(bytes.len())).unwrap_or_default().escape_ascii().to_string()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Of each core.
const PER_ROUTE: usize = 16;
/// Of each core; beyond them, the route that has been well for longest is forgotten.
const MAX_ROUTES: usize = 256;
const LONGEST_TEXT: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(route: &str, id: usize) -> FailedRequest {
        FailedRequest {
            id: id.to_string(),
            at: SystemTime::UNIX_EPOCH + Duration::from_secs(id as u64),
            client: IpAddr::from([192, 0, 2, 1]),
            method: "GET".to_owned(),
            host: "a.test".to_owned(),
            path: "/".to_owned(),
            status: 502,
            cause: Some(Cause::UpstreamReset),
            route: route.to_owned(),
            upstream: "a__upstream__web".to_owned(),
            endpoint: None,
            took: Duration::ZERO,
            upstream_time: None,
            attempts: Vec::new(),
        }
    }

    #[test]
    fn the_newest_of_each_route_are_kept() {
        let recorder = FlightRecorder::default();
        let (one, other) = (recorder.core(), recorder.core());
        (0..100).for_each(|id| one.record(failure("busy", id)));
        other.record(failure("quiet", 7));
        let ids = |wanted: &str| -> Vec<String> {
            recorder.failures(1000, |failure| failure.route == wanted).into_iter().map(|failure| failure.id).collect()
        };
        assert_eq!(ids("busy"), (84..100).rev().map(|id| id.to_string()).collect::<Vec<_>>());
        assert_eq!(ids("quiet"), ["7"]);
        assert_eq!(recorder.failures(3, |_| true).len(), 3);
    }

    #[test]
    fn routes_are_bounded() {
        let recorder = FlightRecorder::default();
        let core = recorder.core();
        (0..10 * MAX_ROUTES).for_each(|id| core.record(failure(&format!("r{id}"), id)));
        let kept = recorder.failures(usize::MAX, |_| true);
        assert_eq!(kept.len(), MAX_ROUTES);
        assert_eq!(kept.last().map(|failure| failure.id.clone()), Some((9 * MAX_ROUTES).to_string()));
    }

    #[test]
    fn foreign_bytes_are_shown_harmless_and_short() {
        assert_eq!(shown(b"/a\r\n\x1b[31m\xff"), r"/a\r\n\x1b[31m\xff");
        assert_eq!(shown(&[b'x'; 10_000]).len(), LONGEST_TEXT);
    }
}
