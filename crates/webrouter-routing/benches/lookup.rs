//! One decision of the route table, at several sizes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::snapshot::Snapshot;
use webrouter_routing::table::Outcome;

mod cluster;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

/// A thousand requests that do not stay in the cache, as a busy router's do not.
const REQUESTS: usize = 1_000;

fn lookup(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("lookup");
    for apps in SIZES {
        let snapshot =
            merge(&Snapshot::empty(&Defaults::default()), &[cluster::contribution(apps)], &Defaults::default());
        let table = snapshot.table();
        let mut bench = |name: &str, host: fn(usize) -> String, path: fn(usize) -> String, found: bool| {
            let requests: Vec<(String, String)> =
                (0..REQUESTS).map(|n| n * 7919 % apps).map(|app| (host(app), path(app))).collect();
            for (host, path) in &requests {
                assert_eq!(matches!(table.lookup(host, path.as_bytes()), Outcome::Route(_)), found, "{host}{path}");
            }
            let mut next = requests.iter().cycle();
            group.bench_function(BenchmarkId::new(name, apps), |bencher| {
                bencher.iter(|| {
                    let (host, path) = next.next().expect("a cycle has no end");
                    black_box(table.lookup(black_box(host), black_box(path.as_bytes())))
                });
            });
        };
        let root = |_| "/static/css/site.css".to_owned();
        bench("exact host", cluster::host, root, true);
        bench("subdomain", |app| format!("www.eu.{}", cluster::host(app)), root, true);
        bench("unknown host", |app| format!("app-{app}.elsewhere.example"), root, false);
        bench("path of a host of its own", cluster::host, |_| "/api/v1/users/17".to_owned(), true);
        bench("path of the shared host", |_| cluster::SHARED_HOST.to_owned(), |app| format!("/app-{app}/x/y"), true);
    }
    group.finish();
}

criterion_group!(benches, lookup);
criterion_main!(benches);
