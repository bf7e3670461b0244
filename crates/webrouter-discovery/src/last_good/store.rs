//! The tables of the store, and how a snapshot is laid out in them.

use std::collections::BTreeMap;
use std::fs::{DirBuilder, Metadata, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use redb::backends::FileBackend;
use redb::{
    Database, DatabaseError, ReadOnlyDatabase, ReadableDatabase, ReadableTable, TableDefinition, TableError,
    WriteTransaction,
};
use serde::{Deserialize, Serialize};
use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc, Settings};
use webrouter_routing::diff::diff;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::merge::{Defaults, Ownership};
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcKey, ProcName, SourceName};
use webrouter_routing::pin::Pins;
use webrouter_routing::snapshot::{Generation, ProcInForce, Snapshot};
use webrouter_routing::version::Version;

use super::Loaded;
use crate::history::record::{self, Record};
use crate::history::table::{self, Bounds};
use crate::history::{History, Pending, Unwritten};

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error("{} is in use by another instance", .0.display())]
    InUse(PathBuf),
    #[error("{0}")]
    Io(String),
    /// It is there, and is no store, or one of another format.
    #[error("{0}")]
    Unreadable(String),
}

/// An open store, and what it holds.
pub(super) struct Store {
    database: Arc<Database>,
    /// Device and number of the open file.
    identity: (u64, u64),
    stored: Stored,
}

/// What was written last, to write only what differs.
#[derive(Default)]
struct Stored {
    /// `None` before the first write of this run: all is written then.
    snapshot: Option<Arc<Snapshot>>,
    settings: BTreeMap<SourceName, Settings>,
    contested: BTreeMap<Mountpoint, Vec<ProcKey>>,
    /// `None` before they were read or written.
    pins: Option<Arc<Pins>>,
}

#[derive(Serialize)]
struct StoredProc<'a> {
    annotation: &'a Annotation,
    endpoints: &'a [Endpoint],
}

#[derive(Deserialize)]
struct LoadedProc {
    annotation: Annotation,
    endpoints: Vec<Endpoint>,
}

#[derive(Serialize, Deserialize)]
struct Meta {
    format: u32,
    generation: Generation,
    /// Seconds since 1970.
    saved_at: u64,
}

impl Store {
    /// Opens or makes the store of a state directory; nobody else may have it open.
    pub(super) fn open(directory: &Path) -> Result<Self, OpenError> {
        let path = file(directory);
        let io = |error: std::io::Error| OpenError::Io(format!("{}: {error}", path.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(io)?;
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.map_err(io)?;
        let identity = identity(&file.metadata().map_err(io)?);
        let backend = FileBackend::new(file);
        let open = |backend| Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend);
        let database = backend.and_then(open).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => OpenError::InUse(path.clone()),
            DatabaseError::Storage(redb::StorageError::Io(error)) if !is_no_store(&error) => io(error),
            error => OpenError::Unreadable(format!("{}: {error}", path.display())),
        })?;
        Ok(Self { database: Arc::new(database), identity, stored: Stored::default() })
    }

    /// Whether what is open is still what stands in the state directory.
    pub(super) fn is_in_place(&self, directory: &Path) -> bool {
        std::fs::metadata(file(directory)).is_ok_and(|metadata| identity(&metadata) == self.identity)
    }

    /// Has the history read from here, and number its records behind those that are here.
    pub(super) fn serve(&self, history: &History) -> Result<(), StoreFailure> {
        history.opened(&self.database, table::last_id(&self.database)?);
        Ok(())
    }

    /// What was pinned.
    pub(super) fn pins(&self) -> Result<Pins, OpenError> {
        let unreadable = |error: StoreFailure| OpenError::Unreadable(format!("the stored pins: {error}"));
        let read = || match self.database.begin_read()?.open_table(META) {
            Ok(meta) => {
                Ok(meta.get(PINS)?.map(|pins| serde_json::from_slice(pins.value())).transpose()?.unwrap_or_default())
            }
            Err(TableError::TableDoesNotExist(_)) => Ok(Pins::default()),
            Err(error) => Err(error.into()),
        };
        read().map_err(unreadable)
    }

    /// Reads what these sources had in force; `None` when nothing is stored of them.
    pub(super) fn load(&mut self, defaults: &Defaults, sources: &[SourceName]) -> Result<Option<Loaded>, OpenError> {
        let unreadable = |error: StoreFailure| OpenError::Unreadable(format!("the stored table: {error}"));
        self.read(defaults, sources).map_err(unreadable)
    }

    fn read(&mut self, defaults: &Defaults, sources: &[SourceName]) -> Result<Option<Loaded>, StoreFailure> {
        let Some((loaded, whole)) = read_tables(&*self.database, defaults, sources)? else { return Ok(None) };
        if whole {
            self.stored = Stored::of(&loaded.snapshot);
        }
        Ok(Some(loaded))
    }

    /// Makes the store hold this snapshot, the pins, and what has not been recorded yet of the way there.
    pub(super) fn write(&mut self, snapshot: &Arc<Snapshot>, unwritten: &Unwritten) -> Result<(), StoreFailure> {
        let snapshot = unwritten.pending.last().map_or(snapshot, |last| &last.snapshot);
        let known = self.stored.snapshot.as_ref().is_some_and(|stored| stored.generation() == snapshot.generation());
        // Before anything was heard there is nothing that could replace what an earlier run stored.
        if (known && unwritten.pending.is_empty()) || snapshot.generation() == Generation::default() {
            return Ok(());
        }
        let records = self.records(&unwritten.pending)?;
        let next = Stored { pins: Some(Arc::clone(&unwritten.pins)), ..Stored::of(snapshot) };
        let transaction = self.database.begin_write()?;
        {
            table::append(&transaction, &records, Bounds::default())?;
            self.write_procs(&transaction, snapshot)?;
            let mut table = transaction.open_table(SETTINGS)?;
            if self.stored.snapshot.is_none() || next.settings != self.stored.settings {
                table.retain(|_, _| false)?;
                for (source, settings) in &next.settings {
                    table.insert(source.as_str(), serde_json::to_vec(settings)?.as_slice())?;
                }
            }
            let mut table = transaction.open_table(CLAIMS)?;
            if self.stored.snapshot.is_none() || next.contested != self.stored.contested {
                table.retain(|_, _| false)?;
                for (mountpoint, queue) in &next.contested {
                    table.insert(mountpoint.to_string().as_str(), serde_json::to_vec(queue)?.as_slice())?;
                }
            }
            let saved_at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let meta = Meta { format: FORMAT, generation: snapshot.generation(), saved_at };
            let mut table = transaction.open_table(META)?;
            table.insert("meta", serde_json::to_vec(&meta)?.as_slice())?;
            if !self.stored.pins.as_ref().is_some_and(|stored| Arc::ptr_eq(stored, &unwritten.pins)) {
                table.insert(PINS, serde_json::to_vec(&*unwritten.pins)?.as_slice())?;
            }
        }
        transaction.commit()?;
        self.stored = next;
        Ok(())
    }
}

impl Store {
    /// Each step from what is stored to the newest pending table.
    fn records(&self, pending: &[Pending]) -> Result<Vec<(u64, Record)>, StoreFailure> {
        let mut earlier = self.stored.snapshot.clone();
        let mut records = Vec::with_capacity(pending.len());
        for Pending { id, occasion, snapshot } in pending {
            let record = match earlier.replace(Arc::clone(snapshot)) {
                Some(earlier) => Record::between(&earlier, snapshot, occasion),
                None => Record::since(&self.stored_table()?, snapshot, occasion),
            };
            records.push((*id, record));
        }
        Ok(records)
    }

    /// What the file holds, whichever run wrote it.
    fn stored_table(&self) -> Result<record::Stored, StoreFailure> {
        let transaction = self.database.begin_read()?;
        let mut stored = record::Stored::default();
        let procs = match transaction.open_table(PROCS) {
            Ok(procs) => procs,
            Err(TableError::TableDoesNotExist(_)) => return Ok(stored),
            Err(error) => return Err(error.into()),
        };
        for row in procs.iter()? {
            let (key, proc) = row?;
            let (source, name) = key.value();
            let key = ProcKey { source: SourceName::new(source), name: ProcName::parse(name)? };
            let LoadedProc { annotation, endpoints } = serde_json::from_slice(proc.value())?;
            stored.procs.insert(key, Version { annotation, endpoints, quarantine: None });
        }
        for row in transaction.open_table(SETTINGS)?.iter()? {
            let (source, settings) = row?;
            stored.settings.insert(SourceName::new(source.value()), serde_json::from_slice(settings.value())?);
        }
        for row in transaction.open_table(CLAIMS)?.iter()? {
            let (mountpoint, queue) = row?;
            let mountpoint = Mountpoint::try_from(mountpoint.value().to_owned())?;
            stored.queues.insert(mountpoint, serde_json::from_slice(queue.value())?);
        }
        Ok(stored)
    }

    fn write_procs(&self, transaction: &WriteTransaction, snapshot: &Snapshot) -> Result<(), StoreFailure> {
        let mut procs = transaction.open_table(PROCS)?;
        let mut put = |key: &ProcKey, proc: &ProcInForce| -> Result<(), StoreFailure> {
            let upstream = &proc.upstream;
            let stored = StoredProc { annotation: &upstream.annotation, endpoints: &upstream.endpoints };
            let json = serde_json::to_vec(&stored)?;
            procs.insert((key.source.as_str(), key.name.as_str()), json.as_slice())?;
            Ok(())
        };
        match &self.stored.snapshot {
            Some(stored) => {
                let changed: Vec<ProcKey> = diff(stored, snapshot).into_iter().map(|diff| diff.key).collect();
                for key in &changed {
                    if let Some(proc) = snapshot.proc(key) {
                        put(key, proc)?;
                    }
                }
                for key in changed.iter().filter(|key| snapshot.proc(key).is_none()) {
                    procs.remove((key.source.as_str(), key.name.as_str()))?;
                }
            }
            None => {
                snapshot.procs().try_for_each(|(key, proc)| put(key, proc))?;
                let known = |source: &str, name: &str| {
                    let key = ProcName::parse(name).map(|name| ProcKey { source: SourceName::new(source), name });
                    key.is_ok_and(|key| snapshot.proc(&key).is_some())
                };
                procs.retain(|(source, name), _| known(source, name))?;
            }
        }
        Ok(())
    }
}

impl Stored {
    fn of(snapshot: &Arc<Snapshot>) -> Self {
        let settings = snapshot.contributions().map(|c| (c.source.clone(), (*c.settings).clone())).collect();
        // A mountpoint that nobody else claims has its owner anyway; the order matters where several do.
        let contested = snapshot.claims().filter(|(_, queue)| queue.len() > 1);
        let contested = contested.map(|(mountpoint, queue)| (mountpoint.clone(), queue.to_vec())).collect();
        Self { snapshot: Some(Arc::clone(snapshot)), settings, contested, pins: None }
    }
}

/// What is read of a file that is not, or not wholly, a store.
fn is_no_store(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof)
}

/// Reads a store without changing it. One that a crash left unfinished is put in order in a copy.
pub(super) fn read(directory: &Path, defaults: &Defaults, sources: &[SourceName]) -> Result<Option<Loaded>, OpenError> {
    let path = file(directory);
    let unreadable = |error: &dyn std::fmt::Display| OpenError::Unreadable(format!("{}: {error}", path.display()));
    let io = |error: std::io::Error| OpenError::Io(format!("{}: {error}", path.display()));
    match ReadOnlyDatabase::open(&path) {
        Ok(database) => {
            let read = read_tables(&database, defaults, sources).map_err(|error| unreadable(&error))?;
            Ok(read.map(|(loaded, _)| loaded))
        }
        Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => Err(OpenError::InUse(path)),
        Err(DatabaseError::RepairAborted) => {
            let copy = tempfile::tempdir().map_err(io)?;
            std::fs::copy(&path, file(copy.path())).map_err(io)?;
            Store::open(copy.path())?.load(defaults, sources)
        }
        Err(DatabaseError::Storage(redb::StorageError::Io(error))) if !is_no_store(&error) => Err(io(error)),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The table of these sources, and whether that is all that is stored.
fn read_tables(
    database: &impl ReadableDatabase,
    defaults: &Defaults,
    sources: &[SourceName],
) -> Result<Option<(Loaded, bool)>, StoreFailure> {
    let transaction = database.begin_read()?;
    let meta = match transaction.open_table(META) {
        Ok(table) => table.get("meta")?.map(|meta| serde_json::from_slice::<Meta>(meta.value())).transpose()?,
        Err(TableError::TableDoesNotExist(_)) => None,
        Err(error) => return Err(error.into()),
    };
    let Some(meta) = meta else { return Ok(None) };
    if meta.format != FORMAT {
        return Err(StoreFailure::Format(meta.format));
    }
    let mut contributions: BTreeMap<SourceName, Contribution> = BTreeMap::new();
    let mut whole = true;
    for row in transaction.open_table(SETTINGS)?.iter()? {
        let (source, settings) = row?;
        let source = SourceName::new(source.value());
        if sources.contains(&source) {
            let mut contribution = Contribution::empty(source.clone());
            contribution.settings = Arc::new(serde_json::from_slice(settings.value())?);
            contributions.insert(source, contribution);
        } else {
            whole = false;
        }
    }
    for row in transaction.open_table(PROCS)?.iter()? {
        let (key, proc) = row?;
        let (source, name) = key.value();
        let Some(contribution) = contributions.get_mut(&SourceName::new(source)) else { continue };
        let proc: LoadedProc = serde_json::from_slice(proc.value())?;
        let claims = Claims::Readable(Arc::new(proc.annotation));
        let proc = Proc { claims, endpoints: proc.endpoints.into(), reasons: Vec::new() };
        contribution.procs.insert(ProcName::parse(name)?, Arc::new(proc));
    }
    let mut ownership = Ownership::new();
    for row in transaction.open_table(CLAIMS)?.iter()? {
        let (mountpoint, queue) = row?;
        let mountpoint = Mountpoint::try_from(mountpoint.value().to_owned())?;
        ownership.insert(mountpoint, serde_json::from_slice(queue.value())?);
    }
    if contributions.is_empty() {
        return Ok(None);
    }
    let contributions: Vec<Contribution> = contributions.into_values().collect();
    let snapshot = Arc::new(Snapshot::restore(defaults, &contributions, &ownership, meta.generation));
    let saved_at = UNIX_EPOCH + Duration::from_secs(meta.saved_at);
    Ok(Some((Loaded { snapshot, saved_at }, whole)))
}

/// Moves an unreadable store out of the way; returns where it is now.
pub(super) fn move_aside(directory: &Path) -> Result<PathBuf, OpenError> {
    let path = file(directory);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let aside = directory.join(format!("{FILE}.corrupt-{now}"));
    std::fs::rename(&path, &aside).map_err(|error| OpenError::Io(format!("{}: {error}", path.display())))?;
    Ok(aside)
}

/// Why the store could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreFailure {
    #[error("{0}")]
    Redb(Box<redb::Error>),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Name(#[from] webrouter_routing::name::NameError),
    #[error("{0}")]
    Mountpoint(#[from] webrouter_routing::mountpoint::MountpointError),
    #[error("it has format {0}, this version reads {FORMAT}")]
    Format(u32),
}

impl StoreFailure {
    /// Whether another attempt on the same file would fail too.
    pub(super) fn is_corruption(&self) -> bool {
        match self {
            Self::Redb(error) => {
                !matches!(**error, redb::Error::Io(_) | redb::Error::PreviousIo | redb::Error::ValueTooLarge(_))
            }
            Self::Json(_) | Self::Name(_) | Self::Mountpoint(_) | Self::Format(_) => true,
        }
    }
}

macro_rules! from_redb {
    ($($error:ident),*) => {
        $(impl From<redb::$error> for StoreFailure {
            fn from(error: redb::$error) -> Self {
                Self::Redb(Box::new(error.into()))
            }
        })*
    };
}

from_redb!(TransactionError, TableError, StorageError, CommitError);

fn identity(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn file(directory: &Path) -> PathBuf {
    directory.join(FILE)
}

/// (source, name) to the annotation and endpoints in force, as JSON.
const PROCS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("procs");
/// Source to its settings, as JSON; also tells which sources have been stored.
const SETTINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("settings");
/// Contested mountpoint to its claimants, the owner first, as JSON.
const CLAIMS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("claims");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// In META: what is pinned, as JSON.
const PINS: &str = "pins";
const FILE: &str = "webrouter.redb";
const FORMAT: u32 = 1;
const CACHE_BYTES: usize = 1 << 20;
