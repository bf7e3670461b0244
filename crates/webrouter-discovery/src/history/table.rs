//! The records in the store: one a row, numbered, bounded by count and by bytes.

use std::ops::ControlFlow;

use redb::{
    Database, ReadableDatabase, ReadableTable, ReadableTableMetadata, TableDefinition, TableError, WriteTransaction,
};

use super::Entry;
use super::record::Record;
use crate::last_good::store::StoreFailure;

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { records: 10_000, bytes: 64 << 20 }
    }
}

/// Adds records and lets go of the oldest beyond the bounds; the newest stays, however large.
pub(crate) fn append(
    transaction: &WriteTransaction,
    records: &[(u64, Record)],
    bounds: Bounds,
) -> Result<(), StoreFailure> {
    let mut sizes = transaction.open_table(SIZE)?;
    let mut bytes = sizes.get("bytes")?.map_or(0, |bytes| bytes.value());
    let mut table = transaction.open_table(HISTORY)?;
    for (id, record) in records {
        let json = serde_json::to_vec(record)?;
        bytes += json.len() as u64;
        table.insert(id, json.as_slice())?;
    }
    while table.len()? > 1 && (table.len()? > bounds.records || bytes > bounds.bytes) {
        let Some((_, oldest)) = table.pop_first()? else { break };
        bytes = bytes.saturating_sub(oldest.value().len() as u64);
    }
    sizes.insert("bytes", bytes)?;
    Ok(())
}

/// The number of the newest record, 0 when there is none.
pub(crate) fn last_id(database: &Database) -> Result<u64, StoreFailure> {
    match database.begin_read()?.open_table(HISTORY) {
        Ok(table) => Ok(table.last()?.map_or(0, |(id, _)| id.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// Shows the records before this one, the newest first, until told to stop.
pub(crate) fn walk(
    database: &Database,
    before: u64,
    mut visit: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<(), StoreFailure> {
    let table = match database.begin_read()?.open_table(HISTORY) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for row in table.range(..before)?.rev() {
        let (id, json) = row?;
        let entry = Entry { id: id.value(), record: serde_json::from_slice(json.value())? };
        if visit(entry).is_break() {
            break;
        }
    }
    Ok(())
}

/// Number to record, as JSON.
const HISTORY: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("history");
/// How many bytes the records have together.
const SIZE: TableDefinition<'_, &str, u64> = TableDefinition::new("history_size");
