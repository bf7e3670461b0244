//! What was in force before.

use std::collections::BTreeSet;
use std::time::{Duration, UNIX_EPOCH};

use webrouter_admin_api::{ChangeKind, HistoryEntry, Moved, Pin, ProcDifference};
use webrouter_discovery::history::{Cause, Change, Entry};
use webrouter_routing::pin::Pins;
use webrouter_routing::version::Version;

use super::time;

/// One record; `app` leaves out what is not about it.
pub(crate) fn entry(entry: &Entry, app: Option<&str>) -> HistoryEntry {
    let record = &entry.record;
    let is_asked_for = |change: &&Change| app.is_none_or(|app| app == change.key.name.app());
    let all = record.changes.iter().filter(is_asked_for).count();
    let changes: Vec<ProcDifference> =
        record.changes.iter().filter(is_asked_for).take(MAX_CHANGES).map(change).collect();
    let moved = record.queues.iter().filter(|queue| queue.old.first() != queue.new.first());
    let moved = moved.map(|queue| Moved {
        mountpoint: queue.mountpoint.to_string(),
        from: queue.old.first().map(|key| key.name.to_string()),
        to: queue.new.first().map(|key| key.name.to_string()),
    });
    let (cause, why) = cause(&record.cause);
    HistoryEntry {
        id: entry.id,
        generation: record.generation.0,
        at: time(record.at()),
        cause: cause.to_owned(),
        why,
        more: all - changes.len(),
        changes,
        moved: moved.collect(),
        settings: record.settings_of().map(ToString::to_string).collect(),
    }
}

/// One proc.
pub(crate) fn change(change: &Change) -> ProcDifference {
    let kind = match (&change.old, &change.new) {
        (None, _) => ChangeKind::Added,
        (_, None) => ChangeKind::Removed,
        _ => ChangeKind::Changed,
    };
    let nothing = Version::default();
    let (old, new) = (change.old.as_ref().unwrap_or(&nothing), change.new.as_ref().unwrap_or(&nothing));
    let routes = |version: &Version| version.annotation.mountpoints.iter().map(ToString::to_string).collect();
    let endpoints = |version: &Version| version.endpoints.iter().map(ToString::to_string).collect();
    ProcDifference {
        app: change.key.name.app().to_owned(),
        entry: change.key.name.to_string(),
        source: change.key.source.to_string(),
        change: kind,
        routes_added: only(routes(new), &routes(old)),
        routes_removed: only(routes(old), &routes(new)),
        endpoints_added: only(endpoints(new), &endpoints(old)),
        endpoints_removed: only(endpoints(old), &endpoints(new)),
        policies: policies(old, new),
    }
}

fn only(these: BTreeSet<String>, not: &BTreeSet<String>) -> Vec<String> {
    these.into_iter().filter(|this| !not.contains(this)).collect()
}

fn policies(old: &Version, new: &Version) -> Vec<String> {
    let told = |version: &Version| {
        let annotation = &version.annotation;
        let wishes = annotation.wishes.iter().flat_map(|wishes| wishes.told());
        let mut told: Vec<(String, String)> = wishes.map(|(key, value)| (key.to_owned(), value.to_string())).collect();
        told.extend(annotation.https_only.then(|| ("https_only".to_owned(), "true".to_owned())));
        told.extend(annotation.healthcheck.clone().map(|path| ("healthcheck".to_owned(), path)));
        told.extend(version.quarantine.clone().map(|why| ("quarantined".to_owned(), why)));
        told
    };
    let (old, new) = (told(old), told(new));
    let value = |of: &[(String, String)], key: &str| {
        of.iter().find(|(known, _)| known == key).map_or_else(|| "-".to_owned(), |(_, value)| value.clone())
    };
    let keys: BTreeSet<&String> = old.iter().chain(&new).map(|(key, _)| key).collect();
    let changed = keys.into_iter().filter(|key| value(&old, key) != value(&new, key));
    changed.map(|key| format!("{key}: {} -> {}", value(&old, key), value(&new, key))).collect()
}

fn cause(cause: &Cause) -> (&'static str, String) {
    match cause {
        Cause::Source { sources } => ("source", format!("{} said so", sources.join(", "))),
        Cause::Guard { sources } => {
            ("guard", format!("what the guard had kept back of {} was let through", sources.join(", ")))
        }
        Cause::Restart => ("restart", "webrouter was started and loaded the last good table".to_owned()),
        Cause::HoldAccepted => ("hold_accepted", "an operator accepted a held update".to_owned()),
        Cause::HoldRefused => ("hold_refused", "an operator refused a held update".to_owned()),
        Cause::Rollback { generation, by } => ("rollback", format!("{by} went back to generation {generation}")),
        Cause::RollbackEnded { by } => ("rollback_ended", format!("{by} ended the rollback")),
        Cause::Pin { app, generation, by } => ("pin", format!("{by} pinned {app} to generation {generation}")),
        Cause::Unpin { app, by } => ("unpin", format!("{by} unpinned {app}")),
    }
}

/// Every app that is kept at a version.
pub(crate) fn pins(pins: &Pins) -> Vec<Pin> {
    let view = |app: &str, pin: &webrouter_routing::pin::Pin, rollback| Pin {
        app: app.to_owned(),
        generation: pin.generation.0,
        since: time(UNIX_EPOCH + Duration::from_millis(pin.at)),
        by: pin.by.clone(),
        rollback,
    };
    let above = pins.rollback.iter().flat_map(|rollback| &rollback.apps).map(|(app, pin)| view(app, pin, true));
    let below = pins.apps.iter().map(|(app, pin)| view(app, pin, false));
    above.chain(below).collect()
}

const MAX_CHANGES: usize = 1_000;
