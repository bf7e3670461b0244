//! Rates of the last seconds and minutes, from what the cores count: sampled once a second, in bounded memory.
//!
//! All together have a point each second; an upstream has one in five seconds, and only while it has traffic.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use webrouter_admin_api::Rates;
use webrouter_telemetry::metrics::Traffic;

/// What was served lately.
#[derive(Debug, Default)]
pub(crate) struct Recent(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    total: VecDeque<Point>,
    tracks: HashMap<Arc<str>, Track>,
    taken: Option<Instant>,
}

/// What was served in a span of time: its real one, as a sample may be late.
#[derive(Debug, Clone, Copy, Default)]
struct Point {
    traffic: Traffic,
    span: Duration,
}

/// One upstream's way through time.
#[derive(Debug, Default)]
struct Track {
    /// Up to the last sample.
    last: Traffic,
    /// Since the last point.
    open: Point,
    previous: Point,
    points: VecDeque<Point>,
}

/// A row of points in time, the newest last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Series {
    /// From one to the next.
    pub(crate) step: Duration,
    pub(crate) points: Vec<Rates>,
}

impl Recent {
    /// Takes what was counted up to now.
    pub(crate) fn sample(&self, counted: BTreeMap<Arc<str>, Traffic>, now: Instant) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { total, tracks, taken } = &mut *state;
        // What was served before the first look has no time.
        let span = taken.map(|before| now.saturating_duration_since(before));
        *taken = Some(now);
        tracks.retain(|name, _| counted.contains_key(name));
        let mut all = Point { traffic: Traffic::default(), span: span.unwrap_or_default() };
        let mut charts = tracks.values().filter(|track| !track.points.is_empty()).count();
        for (name, traffic) in counted {
            let track = tracks.entry(name).or_default();
            if let Some(span) = span {
                let more = Point { traffic: traffic.since(&track.last), span };
                all.traffic.add(&more.traffic);
                let had_points = !track.points.is_empty();
                track.take(more, had_points || charts < CHARTS);
                charts += usize::from(!had_points && !track.points.is_empty());
            }
            track.last = traffic;
        }
        if span.is_some() {
            push(total, all, SECONDS);
        }
    }

    /// All upstreams together in the last ten seconds.
    pub(crate) fn total(&self) -> Rates {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Point::sum(state.total.iter().rev().take(WINDOW)).rates()
    }

    /// The wanted upstreams with a request in the last seconds.
    pub(crate) fn upstreams(&self, wanted: impl Fn(&str) -> bool) -> Vec<(Arc<str>, Rates)> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let tracks = state.tracks.iter().filter(|(name, _)| wanted(name));
        let recent = tracks.map(|(name, track)| (Arc::clone(name), track.recent()));
        recent.filter(|(_, rates)| rates.requests_per_s > 0.0).collect()
    }

    /// One upstream in the last seconds.
    pub(crate) fn upstream(&self, name: &str) -> Rates {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.tracks.get(name).map(Track::recent).unwrap_or_default()
    }

    /// All together in the last minutes.
    pub(crate) fn total_series(&self) -> Series {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let seconds: Vec<Point> = state.total.iter().copied().collect();
        // As many as a chart has room for; the newest is not whole at first, which its span says.
        let points = seconds.chunks(TOTAL_STEP).map(|chunk| Point::sum(chunk).rates());
        Series { step: Duration::from_secs(TOTAL_STEP as u64), points: points.collect() }
    }

    /// These upstreams together in the last minutes.
    pub(crate) fn series(&self, names: &[&str]) -> Series {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sums: Vec<Point> = Vec::new();
        for track in names.iter().filter_map(|name| state.tracks.get(*name)) {
            for (age, point) in track.points.iter().rev().enumerate() {
                match sums.get_mut(age) {
                    // Beside each other in time: the span is that of one.
                    Some(sum) => sum.traffic.add(&point.traffic),
                    None => sums.push(*point),
                }
            }
        }
        Series { step: POINT, points: sums.iter().rev().map(Point::rates).collect() }
    }
}

impl Track {
    fn take(&mut self, more: Point, may_have_points: bool) {
        self.open.add(&more);
        if self.open.span + HALF_A_SECOND < POINT {
            return;
        }
        self.previous = std::mem::take(&mut self.open);
        if may_have_points && (!self.points.is_empty() || self.previous.traffic.requests > 0) {
            push(&mut self.points, self.previous, POINTS);
        }
        if self.points.iter().all(|point| point.traffic.requests == 0) {
            self.points = VecDeque::new();
        }
    }

    /// The last whole point and what came since.
    fn recent(&self) -> Rates {
        Point::sum([&self.previous, &self.open]).rates()
    }
}

impl Point {
    fn sum<'a>(points: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut sum = Self::default();
        points.into_iter().for_each(|point| sum.add(point));
        sum
    }

    /// Adds what came after it.
    fn add(&mut self, next: &Self) {
        self.traffic.add(&next.traffic);
        self.span += next.span;
    }

    fn rates(&self) -> Rates {
        let seconds = self.span.as_secs_f64();
        let per_second = |count: u64| if seconds > 0.0 { rounded(count as f64 / seconds) } else { 0.0 };
        let percentile = |share| self.traffic.percentile(share).map(|time| rounded(time.as_secs_f64()));
        Rates {
            requests_per_s: per_second(self.traffic.requests),
            errors_per_s: per_second(self.traffic.errors),
            p50_s: percentile(0.5),
            p90_s: percentile(0.9),
            p99_s: percentile(0.99),
        }
    }
}

fn push(points: &mut VecDeque<Point>, point: Point, limit: usize) {
    if points.len() >= limit {
        points.pop_front();
    }
    points.push_back(point);
}

/// To microseconds, or to millionths of a request.
fn rounded(number: f64) -> f64 {
    (number * 1e6).round() / 1e6
}

/// Points of all together: five minutes of seconds.
const SECONDS: usize = 300;
/// Points that the rate of now is taken over.
const WINDOW: usize = 10;
const TOTAL_STEP: usize = 5;
/// The span of one point of an upstream, and how many it has: five minutes.
const POINT: Duration = Duration::from_secs(5);
const POINTS: usize = 60;
const HALF_A_SECOND: Duration = Duration::from_millis(500);
/// Upstreams that have points at most; the others have their rate of now only.
const CHARTS: usize = 2_000;

#[cfg(test)]
mod tests;
