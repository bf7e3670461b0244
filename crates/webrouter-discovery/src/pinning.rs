//! What an operator wishes of pins, as the pins it comes to. Pure; the assembler brings them in force.
//!
//! A rollback pins every app that differs from its generation. Apps that do not differ follow their sources.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use webrouter_routing::merge::Ownership;
use webrouter_routing::name::ProcKey;
use webrouter_routing::pin::{Pin, Pins, Rollback};
use webrouter_routing::snapshot::{Generation, Snapshot};
use webrouter_routing::version::Version;

use crate::history::{Cause, HistoryError, Past, milliseconds};

/// Why an app was not pinned, or not let go.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// What should be pinned is not known.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The table in force is that of the generation.
    #[error("the table in force is that of generation {0} already")]
    NothingDiffers(Generation),
    /// Neither now nor then.
    #[error("no app `{0}` is in force, and none was in generation {1}")]
    NoSuchApp(String, Generation),
    /// It follows its sources.
    #[error("`{0}` is not pinned")]
    NotPinned(String),
    /// There is none.
    #[error("no rollback is in force")]
    NoRollback,
    /// Discovery has been stopped.
    #[error("discovery has been stopped")]
    Stopped,
}

/// Pins that are to come in force.
#[derive(Debug)]
pub(crate) struct Pinning {
    pub(crate) pins: Pins,
    /// The order in which claimants of these mountpoints stood.
    pub(crate) ownership: Ownership,
    pub(crate) cause: Cause,
    pub(crate) apps: Vec<String>,
}

/// An earlier table: what of the newest one was otherwise then.
pub(crate) struct Then {
    pub(crate) newest: Arc<Snapshot>,
    pub(crate) past: Past,
    pub(crate) generation: Generation,
}

impl Then {
    /// The app as it was then.
    fn pin(&self, app: &str, by: &str) -> Pin {
        let is_its = |key: &ProcKey| key.name.app() == app;
        let now = self.newest.procs().filter(|(key, _)| is_its(key) && !self.past.procs.contains_key(key));
        let now = now.map(|(key, proc)| (key.clone(), Version::of(proc)));
        let then = self.past.procs.iter().filter(|(key, _)| is_its(key));
        let then = then.filter_map(|(key, version)| Some((key.clone(), version.clone()?)));
        let procs = then.chain(now).collect();
        Pin { generation: self.generation, at: milliseconds(SystemTime::now()), by: by.to_owned(), procs }
    }

    /// The apps that are not as they were then.
    fn differing(&self) -> BTreeSet<String> {
        let differs =
            |(key, then): &(&ProcKey, &Option<Version>)| self.newest.proc(key).map(|proc| Version::of(proc)) != **then;
        let procs = self.past.procs.iter().filter(differs).map(|(key, _)| key.name.app().to_owned());
        let moved = self.past.queues.values().flatten().map(|key| key.name.app().to_owned());
        procs.chain(moved).collect()
    }
}

/// Back to the table of then.
pub(crate) fn rollback(pins: &Pins, then: Then, by: &str) -> Result<Pinning, PinError> {
    let mut apps = then.differing();
    if apps.is_empty() {
        return Err(PinError::NothingDiffers(then.generation));
    }
    // What an earlier rollback holds must not follow its source in the same moment.
    apps.extend(pins.rollback.iter().flat_map(|rollback| rollback.apps.keys().cloned()));
    let pinned: BTreeMap<String, Pin> = apps.iter().map(|app| (app.clone(), then.pin(app, by))).collect();
    let generation = then.generation;
    let rollback = Rollback { generation, at: milliseconds(SystemTime::now()), by: by.to_owned(), apps: pinned };
    Ok(Pinning {
        pins: Pins { rollback: Some(rollback), ..pins.clone() },
        ownership: then.past.queues,
        cause: Cause::Rollback { generation, by: by.to_owned() },
        apps: apps.into_iter().collect(),
    })
}

/// Every app of a rollback follows its sources again, or its own pin.
pub(crate) fn end_rollback(pins: &Pins, by: &str) -> Result<Pinning, PinError> {
    let mut pins = pins.clone();
    let rollback = pins.rollback.take().ok_or(PinError::NoRollback)?;
    let apps = rollback.apps.into_keys().collect();
    Ok(Pinning { pins, ownership: Ownership::new(), cause: Cause::RollbackEnded { by: by.to_owned() }, apps })
}

/// One app stays as it was then.
pub(crate) fn pin(pins: &Pins, app: &str, then: &Then, by: &str) -> Result<Pinning, PinError> {
    let is_its = |key: &ProcKey| key.name.app() == app;
    let pinned = then.pin(app, by);
    if pinned.procs.is_empty() && !then.newest.procs().any(|(key, _)| is_its(key)) {
        return Err(PinError::NoSuchApp(app.to_owned(), then.generation));
    }
    let mut pins = pins.clone();
    // The operator's last word counts.
    if let Some(rollback) = &mut pins.rollback {
        rollback.apps.remove(app);
    }
    pins.apps.insert(app.to_owned(), pinned);
    let cause = Cause::Pin { app: app.to_owned(), generation: then.generation, by: by.to_owned() };
    Ok(Pinning { pins, ownership: Ownership::new(), cause, apps: vec![app.to_owned()] })
}

/// One app follows its sources again.
pub(crate) fn unpin(pins: &Pins, app: &str, by: &str) -> Result<Pinning, PinError> {
    let mut pins = pins.clone();
    let above = pins.rollback.as_mut().and_then(|rollback| rollback.apps.remove(app));
    let below = pins.apps.remove(app);
    above.or(below).ok_or_else(|| PinError::NotPinned(app.to_owned()))?;
    let cause = Cause::Unpin { app: app.to_owned(), by: by.to_owned() };
    Ok(Pinning { pins, ownership: Ownership::new(), cause, apps: vec![app.to_owned()] })
}
