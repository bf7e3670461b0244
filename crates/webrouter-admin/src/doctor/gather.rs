//! The procs that a name stands for, as the table has them and as their sources say now.

use std::collections::BTreeSet;
use std::sync::Arc;

use webrouter_discovery::LainletConfig;
use webrouter_discovery::fresh::{self, AskError, Fresh};
use webrouter_discovery::status::SourceKind;
use webrouter_routing::contribution::Proc;
use webrouter_routing::name::{ProcKey, SourceName};
use webrouter_routing::rejection::Rejection;
use webrouter_routing::snapshot::{ProcInForce, Snapshot};

use super::{Inputs, MAX_PROCS, PROBE_WITHIN, Subject, source};

/// All that is known of what a name stands for.
pub(super) struct Gathered {
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// What each source says now.
    pub(super) heard: Vec<Heard>,
    pub(super) patients: Vec<Patient>,
    /// Procs of the name beyond those.
    pub(super) left_out: usize,
}

/// What a source says now.
pub(super) struct Heard {
    pub(super) source: SourceName,
    pub(super) said: Result<Fresh, AskError>,
}

/// A proc that is examined.
pub(super) struct Patient {
    pub(super) key: ProcKey,
    pub(super) in_force: Option<Arc<ProcInForce>>,
    /// What of it is not taken.
    pub(super) rejections: Vec<Rejection>,
    /// What its source says of it now; `None` where the source says nothing of it or cannot be asked.
    pub(super) fresh: Option<Arc<Proc>>,
}

impl Gathered {
    /// What the source of a proc says now; `None` where it is not configured.
    pub(super) fn heard(&self, source: &SourceName) -> Option<&Heard> {
        self.heard.iter().find(|heard| heard.source == *source)
    }

    /// Whether a source says other than the table.
    pub(super) fn disagrees(&self) -> bool {
        self.patients.iter().any(|patient| {
            let asked = self.heard(&patient.key.source).is_some_and(|heard| heard.said.is_ok());
            asked && !source::differences(patient).is_empty()
        })
    }
}

pub(super) async fn gather(inputs: &Inputs, subject: &Subject) -> Gathered {
    let snapshot = inputs.table.snapshot();
    let in_table = keys_of_table(snapshot.clone(), subject).await;
    let mut heard = Vec::new();
    let surroundings = &inputs.surroundings;
    let lainlet = async {
        match &surroundings.lainlet {
            Some(config) => Some(ask_lainlet(config, subject, &in_table, snapshot.as_deref()).await),
            None => None,
        }
    };
    let file = async {
        match &surroundings.file {
            Some(path) => {
                let said = tokio::time::timeout(PROBE_WITHIN, fresh::file(path.clone())).await;
                let late = || AskError { kind: "io", message: format!("not read within {PROBE_WITHIN:?}") };
                let source = SourceName::new(SourceKind::File.as_str());
                Some(Heard { source, said: said.unwrap_or_else(|_| Err(late())) })
            }
            None => None,
        }
    };
    let (lainlet, file) = tokio::join!(lainlet, file);
    heard.extend(lainlet);
    heard.extend(file);
    let said = heard.iter().filter_map(|heard| Some((&heard.source, heard.said.as_ref().ok()?)));
    let fresh_keys = said.flat_map(|(source, fresh)| {
        let names = fresh.procs.keys().filter(|name| subject.may_be(name));
        names.map(|name| ProcKey { source: source.clone(), name: name.clone() })
    });
    let keys = subject.pick(in_table.into_iter().chain(fresh_keys));
    let left_out = keys.len().saturating_sub(MAX_PROCS);
    let patient = |key: ProcKey| {
        let said = heard.iter().find(|heard| heard.source == key.source).and_then(|heard| heard.said.as_ref().ok());
        let snapshot = snapshot.as_deref();
        Patient {
            in_force: snapshot.and_then(|snapshot| snapshot.proc(&key)).cloned(),
            rejections: snapshot.map(|snapshot| snapshot.rejections_of(&key)).unwrap_or_default(),
            fresh: said.and_then(|fresh| fresh.procs.get(&key.name)).cloned(),
            key,
        }
    };
    let patients = keys.into_iter().take(MAX_PROCS).map(patient).collect();
    Gathered { snapshot, heard, patients, left_out }
}

async fn keys_of_table(snapshot: Option<Arc<Snapshot>>, subject: &Subject) -> BTreeSet<ProcKey> {
    let Some(snapshot) = snapshot else { return BTreeSet::new() };
    let subject = subject.clone();
    // Of 100,000 procs it takes a while.
    let pick = move || {
        let keys = snapshot.procs().map(|(key, _)| key).filter(|key| subject.may_be(&key.name));
        subject.pick(keys.cloned())
    };
    tokio::task::spawn_blocking(pick).await.unwrap_or_default()
}

/// Asks about the app that the table knows by the name, else about each that could be meant.
async fn ask_lainlet(
    config: &LainletConfig,
    subject: &Subject,
    in_table: &BTreeSet<ProcKey>,
    snapshot: Option<&Snapshot>,
) -> Heard {
    let source = SourceName::new(SourceKind::Lainlet.as_str());
    let half = PROBE_WITHIN / 2;
    let config = LainletConfig { connect_timeout: half, read_timeout: half, ..config.clone() };
    let known = snapshot.and_then(|snapshot| snapshot.contribution(&source)).map(|said| said.procs.clone());
    let known = known.unwrap_or_default();
    let apps: BTreeSet<&str> = match in_table.is_empty() {
        true => subject.apps().into_iter().collect(),
        false => in_table.iter().map(|key| key.name.app()).collect(),
    };
    let mut said = Fresh::default();
    for app in apps {
        match fresh::lainlet(&config, app, known.clone()).await {
            Ok(fresh) => {
                said.procs = fresh.procs.union(said.procs);
                said.unreadable = fresh.unreadable;
                said.date = fresh.date;
            }
            Err(error) => return Heard { source, said: Err(error) },
        }
    }
    Heard { source, said: Ok(said) }
}
