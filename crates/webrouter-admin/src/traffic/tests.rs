use super::*;
use webrouter_telemetry::metrics::Metrics;

/// Samples once a second, with so many requests and errors before each.
fn sampled(seconds: &[(u64, u64)]) -> Recent {
    let (recent, metrics, start) = (Recent::default(), Metrics::new(), Instant::now());
    let upstream = metrics.core(0).upstream(1, "demo__upstream__web");
    // Before the first look: it must not count.
    upstream.record(500, Duration::from_millis(1), 0, 0);
    recent.sample(metrics.traffic(), start);
    for (second, (requests, errors)) in (1..).zip(seconds) {
        (0..*requests).for_each(|_| upstream.record(200, Duration::from_millis(1), 0, 0));
        (0..*errors).for_each(|_| upstream.record(503, Duration::from_millis(1), 0, 0));
        recent.sample(metrics.traffic(), start + Duration::from_secs(second));
    }
    recent
}

#[test]
fn a_rate_is_of_the_last_ten_seconds() {
    let check = |seconds: &[(u64, u64)], requests, errors| {
        let total = sampled(seconds).total();
        assert_eq!((total.requests_per_s, total.errors_per_s), (requests, errors), "{seconds:?}");
    };
    check(&[], 0.0, 0.0);
    check(&[(5, 0)], 5.0, 0.0);
    check(&[(4, 0), (0, 2)], 3.0, 1.0);
    check(&[&[(1_000, 0); 5][..], &[(7, 0); 10]].concat(), 7.0, 0.0);
}

#[test]
fn an_upstream_has_points_while_it_has_traffic() {
    let recent = sampled(&[(5, 0); 12]);
    let names = ["demo__upstream__web"];
    let rates: Vec<f64> = recent.series(&names).points.iter().map(|point| point.requests_per_s).collect();
    assert_eq!(rates, [5.0, 5.0]);
    assert_eq!(recent.upstream("demo__upstream__web").requests_per_s, 5.0);
    assert_eq!(recent.upstreams(|_| true).len(), 1);
    let idle = sampled(&[&[(5, 0); 5][..], &[(0, 0); 305]].concat());
    assert_eq!((idle.series(&names).points.len(), idle.upstreams(|_| true).len()), (0, 0));
}

#[test]
fn memory_is_bounded() {
    let recent = sampled(&[(1, 0); 700]);
    let state = recent.0.lock().expect("nobody panicked");
    assert_eq!((state.total.len(), state.tracks.len()), (SECONDS, 1));
    assert!(state.tracks.values().all(|track| track.points.len() == POINTS));
}

#[test]
fn an_upstream_that_left_is_forgotten() {
    let recent = sampled(&[(1, 0)]);
    recent.sample(BTreeMap::new(), Instant::now() + Duration::from_secs(3));
    assert_eq!(recent.upstream("demo__upstream__web"), Rates::default());
}
