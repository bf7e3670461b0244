//! How much memory a snapshot takes: `cargo run --release -p webrouter-routing --example memory [APPS]`.

use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::snapshot::Snapshot;

#[path = "../benches/cluster.rs"]
mod cluster;

fn main() {
    let apps = std::env::args().nth(1).and_then(|apps| apps.parse().ok()).unwrap_or(10_000);
    let at_start = resident_kib();
    let contribution = cluster::contribution(apps);
    let with_contribution = resident_kib();
    let snapshot = merge(&Snapshot::empty(&Defaults::default()), &[contribution], &Defaults::default());
    let with_snapshot = resident_kib();
    println!(
        "{apps} apps, {} routes, {} endpoints, {} rejections",
        snapshot.route_count(),
        snapshot.endpoint_count(),
        snapshot.rejection_count()
    );
    println!("contribution: {} KiB", with_contribution.saturating_sub(at_start));
    println!("snapshot beside it: {} KiB", with_snapshot.saturating_sub(with_contribution));
}

/// The resident memory of this process, by Linux.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse().ok()).unwrap_or(0)
}
