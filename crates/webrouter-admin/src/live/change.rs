//! What changed from one table to the next, in words.

use std::fmt::Display;
use std::time::SystemTime;

use webrouter_admin_api::{ProcChange, ProcChangeKind, TableChange};
use webrouter_routing::diff::{self, ProcDiff};
use webrouter_routing::snapshot::Snapshot;

use crate::view::time;

/// The change; the first procs of it are named.
pub(super) fn between(old: &Snapshot, new: &Snapshot) -> TableChange {
    let procs = diff::diff(old, new);
    TableChange {
        at: time(SystemTime::now()),
        generation: new.generation().0,
        total: procs.len(),
        procs: procs.iter().take(PROCS).map(|proc| change(old, new, proc)).collect(),
    }
}

fn change(old: &Snapshot, new: &Snapshot, proc: &ProcDiff) -> ProcChange {
    let kind = match (old.proc(&proc.key), new.proc(&proc.key)) {
        (None, _) => ProcChangeKind::Added,
        (_, None) => ProcChangeKind::Removed,
        _ => ProcChangeKind::Changed,
    };
    let mut words = Vec::new();
    name(&mut words, '+', &proc.mountpoints_added);
    name(&mut words, '-', &proc.mountpoints_removed);
    name(&mut words, '+', &proc.endpoints_added);
    name(&mut words, '-', &proc.endpoints_removed);
    let summary = if words.is_empty() { "other policies".to_owned() } else { words.join(" ") };
    ProcChange { entry: proc.key.name.to_string(), source: proc.key.source.to_string(), kind, summary }
}

fn name(words: &mut Vec<String>, sign: char, things: &[impl Display]) {
    words.extend(things.iter().take(THINGS).map(|thing| format!("{sign}{thing}")));
    if things.len() > THINGS {
        words.push(format!("{sign}{} more", things.len() - THINGS));
    }
}

/// Procs, and things of each kind of one, that are named.
const PROCS: usize = 20;
const THINGS: usize = 4;
