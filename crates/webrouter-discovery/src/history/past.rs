//! Going back: what differs between the newest table and an earlier one, collected record by record. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use webrouter_routing::contribution::{Contribution, Settings};
use webrouter_routing::merge::{Defaults, Ownership, merge_in_order};
use webrouter_routing::name::{ProcKey, SourceName};
use webrouter_routing::snapshot::{Generation, Snapshot};
use webrouter_routing::version::Version;

use super::record::Record;

/// All that was otherwise at an earlier time.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Past {
    /// Procs as they were; `None` for one that was not there.
    pub(crate) procs: BTreeMap<ProcKey, Option<Version>>,
    settings: BTreeMap<SourceName, Settings>,
    pub(crate) queues: Ownership,
}

impl Past {
    /// Goes one step further back: to the table before this record.
    pub(crate) fn undo(&mut self, record: &Record) {
        for change in &record.changes {
            self.procs.insert(change.key.clone(), change.old.clone());
        }
        for change in &record.settings {
            self.settings.insert(change.source.clone(), change.old.clone());
        }
        for change in &record.queues {
            self.queues.insert(change.mountpoint.clone(), change.old.clone());
        }
    }

    /// The whole table of that time; what did not differ is shared with the newest one.
    pub(crate) fn table(&self, newest: &Snapshot, generation: Generation, defaults: &Defaults) -> Snapshot {
        let mut then: BTreeMap<&SourceName, Contribution> = BTreeMap::new();
        for (key, version) in &self.procs {
            let procs = &mut said(&mut then, newest, &key.source).procs;
            match version {
                Some(version) => procs.insert(key.name.clone(), Arc::new(version.proc())),
                None => procs.remove(&key.name),
            };
        }
        for (source, settings) in &self.settings {
            said(&mut then, newest, source).settings = Arc::new(settings.clone());
        }
        let then: Vec<Contribution> = then.into_values().collect();
        merge_in_order(newest, &then, &self.queues, defaults).numbered(generation)
    }
}

/// What a source says in the newest table, to be changed.
fn said<'a, 'b>(
    then: &'a mut BTreeMap<&'b SourceName, Contribution>,
    newest: &Snapshot,
    source: &'b SourceName,
) -> &'a mut Contribution {
    then.entry(source)
        .or_insert_with(|| newest.contribution(source).cloned().unwrap_or_else(|| Contribution::empty(source.clone())))
}
