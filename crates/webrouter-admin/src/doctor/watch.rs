//! Whether a source is followed, and how old its news is.

use std::time::Duration;

use webrouter_admin_api::{Hop, HopKind};
use webrouter_discovery::status::{DiscoveryStatus, SourceKind, SourceState, SourceStatus};

use super::Surroundings;
use super::gather::Patient;
use super::hop::{broken, ok, skipped, unknown};

/// Of the source of a proc.
pub(super) fn hop(patient: &Patient, status: Option<&DiscoveryStatus>, patience: Duration) -> Hop {
    let Some(status) = status else { return skipped(HopKind::Watch, NOT_RUNNING) };
    match status.sources.iter().find(|source| source.name == patient.key.source.as_str()) {
        Some(source) => of_source(source, patience),
        None => skipped(HopKind::Watch, format!("{} is not configured any more", patient.key.source)),
    }
}

/// Of every source.
pub(super) fn of_all(status: Option<&DiscoveryStatus>, patience: Duration) -> Vec<Hop> {
    let Some(status) = status else { return vec![skipped(HopKind::Watch, NOT_RUNNING)] };
    let hop = |source: &SourceStatus| Hop { source: Some(source.name.clone()), ..of_source(source, patience) };
    status.sources.iter().map(hop).collect()
}

/// How old the news of a lainlet may be: it is asked for all it knows several times in that time.
pub(super) fn patience(surroundings: &Surroundings) -> Duration {
    let refresh = surroundings.lainlet.as_ref().map_or(Duration::ZERO, |lainlet| lainlet.refresh);
    refresh.saturating_mul(3).max(LEAST_PATIENCE)
}

fn of_source(source: &SourceStatus, patience: Duration) -> Hop {
    let SourceStatus { name, target, state, .. } = source;
    let age = source.last_news_at.map(|at| at.elapsed().unwrap_or_default());
    let since = source.since.elapsed().unwrap_or_default().as_secs();
    let mut evidence = vec![format!("{name} at {target}: {} for {since} s", state.as_str())];
    evidence.push(match age {
        Some(age) => format!("its last news is {} s old", age.as_secs()),
        None => "nothing was heard of it yet".to_owned(),
    });
    if source.deaf_watches > 0 {
        evidence.push(format!("{} watches were found deaf and replaced", source.deaf_watches));
    }
    let failing = source.last_error.as_ref().filter(|_| *state != SourceState::Following);
    if let Some(error) = failing {
        evidence.push(format!("{}: {} ({} in a row)", error.kind, error.message, error.count));
    }
    let is_stale = age.is_some_and(|age| age > patience) && source.kind == SourceKind::Lainlet;
    match (state, source.kind) {
        (SourceState::Connecting, _) => unknown(HopKind::Watch, evidence, "ask again in a few seconds"),
        (SourceState::Failing, SourceKind::Lainlet) => broken(
            HopKind::Watch,
            evidence,
            format!("see that lainlet runs at {target} and is well; until then the last good table stays in force"),
        ),
        (SourceState::Failing, SourceKind::File) => broken(
            HopKind::Watch,
            evidence,
            format!("correct {target}; until then its last good version stays in force"),
        ),
        (SourceState::Following, _) if is_stale => {
            broken(HopKind::Watch, evidence, format!("see whether lainlet at {target} hangs, and restart it"))
        }
        (SourceState::Following, _) => ok(HopKind::Watch, evidence),
    }
}

const NOT_RUNNING: &str = "no instance runs that could follow its sources";
const LEAST_PATIENCE: Duration = Duration::from_secs(60);
