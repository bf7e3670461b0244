//! Merging at several sizes: everything anew, and one changed app.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::snapshot::Snapshot;

mod cluster;

const SIZES: [usize; 4] = [10, 1_000, 10_000, 100_000];

fn full_build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge/full build");
    group.sample_size(10);
    let empty = Snapshot::empty(&Defaults::default());
    for apps in SIZES {
        let contribution = [cluster::contribution(apps)];
        group.bench_function(BenchmarkId::from_parameter(apps), |bencher| {
            bencher.iter_with_large_drop(|| merge(&empty, black_box(&contribution), &Defaults::default()));
        });
    }
    group.finish();
}

/// A source that shares what did not change with its last view, and one that builds every view anew.
fn one_app_changed(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("merge/one app changed");
    group.sample_size(20);
    for apps in SIZES {
        let first = cluster::contribution(apps);
        let snapshot =
            merge(&Snapshot::empty(&Defaults::default()), std::slice::from_ref(&first), &Defaults::default());
        let changed = |port: u16, mut contribution: webrouter_routing::contribution::Contribution| {
            contribution.procs.insert(cluster::name(apps / 2), Arc::new(cluster::proc(apps / 2, port)));
            [contribution]
        };
        let mut port = 8000;
        group.bench_function(BenchmarkId::new("shared view", apps), |bencher| {
            bencher.iter_batched(
                || {
                    port = if port == 8000 { 9000 } else { 8000 };
                    changed(port + 1, first.clone())
                },
                |contribution| merge(&snapshot, &contribution, &Defaults::default()),
                BatchSize::SmallInput,
            );
        });
        let anew = changed(9001, cluster::contribution(apps));
        group.bench_function(BenchmarkId::new("view built anew", apps), |bencher| {
            bencher.iter(|| merge(&snapshot, black_box(&anew), &Defaults::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, full_build, one_app_changed);
criterion_main!(benches);
