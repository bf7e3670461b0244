//! `webrouter history`, `diff`, `rollback`, `pin`, `unpin`: what was in force, and going back to it.

use webrouter_admin_api::{ChangeKind, Difference, History, HistoryEntry, Pinned, ProcDifference, paths};

use super::{Instance, Verdict, print, print_json};

pub(super) async fn history(instance: &Instance, app: Option<&str>, limit: usize) -> anyhow::Result<Verdict> {
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(app.map(|app| ("app", app)));
    let history: History = instance.get(paths::HISTORY, &query).await?;
    if instance.json {
        return print_json(&history);
    }
    let mut out: String = history.entries.iter().map(describe).collect();
    if history.entries.is_empty() {
        out.push_str("nothing is recorded\n");
    }
    if history.lost > 0 {
        out.push_str(&format!("{} generations are told together with the one behind them\n", history.lost));
    }
    print(out.as_bytes())
}

pub(super) async fn diff(instance: &Instance, from: u64, to: u64) -> anyhow::Result<Verdict> {
    let (from, to) = (from.to_string(), to.to_string());
    let difference: Difference = instance.get(paths::DIFF, &[("from", &from), ("to", &to)]).await?;
    if instance.json {
        return print_json(&difference);
    }
    let out: String = difference.changes.iter().flat_map(lines).collect();
    print(if out.is_empty() { b"no proc differs\n" } else { out.as_bytes() })
}

pub(super) async fn rollback(instance: &Instance, generation: u64) -> anyhow::Result<Verdict> {
    let generation = generation.to_string();
    let pinned: Pinned = instance.post(paths::ROLLBACK, &[("generation", &generation)]).await?;
    told(instance, &pinned, "pinned until `webrouter rollback --end`")
}

pub(super) async fn end_rollback(instance: &Instance) -> anyhow::Result<Verdict> {
    let pinned: Pinned = instance.delete(paths::ROLLBACK).await?;
    told(instance, &pinned, "no longer held by the rollback")
}

pub(super) async fn pin(instance: &Instance, app: &str, generation: Option<u64>) -> anyhow::Result<Verdict> {
    let generation = generation.map(|generation| generation.to_string());
    let query: Vec<(&str, &str)> = generation.iter().map(|number| ("generation", number.as_str())).collect();
    let pinned: Pinned = instance.post(&paths::pin(app), &query).await?;
    told(instance, &pinned, "pinned until `webrouter unpin`")
}

pub(super) async fn unpin(instance: &Instance, app: &str) -> anyhow::Result<Verdict> {
    let pinned: Pinned = instance.delete(&paths::pin(app)).await?;
    told(instance, &pinned, "no longer pinned")
}

fn told(instance: &Instance, pinned: &Pinned, what: &str) -> anyhow::Result<Verdict> {
    match instance.json {
        true => print_json(pinned),
        false => {
            let apps = pinned.apps.join(", ");
            print(format!("{apps}: {what}; generation {} is in force\n", pinned.generation).as_bytes())
        }
    }
}

fn describe(entry: &HistoryEntry) -> String {
    let mut out = format!("{}  generation {}  {}: {}\n", entry.at, entry.generation, entry.cause, entry.why);
    out.extend(entry.changes.iter().flat_map(lines));
    if entry.more > 0 {
        out.push_str(&format!("  and {} more procs: name an app\n", entry.more));
    }
    for moved in &entry.moved {
        let nobody = "nobody";
        let (from, to) = (moved.from.as_deref().unwrap_or(nobody), moved.to.as_deref().unwrap_or(nobody));
        out.push_str(&format!("  {} moved from {from} to {to}\n", moved.mountpoint));
    }
    for source in &entry.settings {
        out.push_str(&format!("  cluster settings of {source} changed\n"));
    }
    out
}

/// A line for the proc, and one for each thing that differs.
fn lines(change: &ProcDifference) -> Vec<String> {
    let word = match change.change {
        ChangeKind::Added => "added",
        ChangeKind::Removed => "REMOVED",
        ChangeKind::Changed => "changed",
    };
    let mut lines = vec![format!("  {} ({}) {word}\n", change.entry, change.source)];
    let lists = [
        ("+ route", &change.routes_added),
        ("- route", &change.routes_removed),
        ("+ endpoint", &change.endpoints_added),
        ("- endpoint", &change.endpoints_removed),
        ("policy", &change.policies),
    ];
    for (what, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
        lines.push(format!("    {what} {}\n", list.join(", ")));
    }
    lines
}
