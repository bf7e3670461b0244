//! The side of one core: format into a batch, hand full batches over, never wait.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime};

use super::batch::Batch;
use super::line::LineWriter;
use super::loss::LossReason;
use super::writer::Message;
use super::{Entry, MAX_BYTES_UNDER_WAY, Shared};

/// The access log of one core.
#[derive(Debug)]
pub struct CoreLog {
    shared: Arc<Shared>,
    writer: SyncSender<Message>,
    line: LineWriter,
    batch: Batch,
    /// When the first line of the batch ended.
    begun: Option<SystemTime>,
    /// Batches the writer has emptied.
    returned: Receiver<Batch>,
    home: SyncSender<Batch>,
}

impl CoreLog {
    pub(super) fn new(shared: Arc<Shared>, writer: SyncSender<Message>) -> Self {
        let (home, returned) = sync_channel(MAX_KEPT_BATCHES);
        let line = LineWriter::new(shared.config.format, shared.zone.clone());
        Self { shared, writer, line, batch: Batch::default(), begun: None, returned, home }
    }

    /// Writes the entry's line into the batch; hands the batch over when it is large or old.
    pub fn record(&mut self, entry: &Entry<'_>) {
        let Self { batch, line, .. } = self;
        batch.push(entry.file, |bytes| line.write(entry, bytes));
        let ended = entry.started.checked_add(entry.request_time).unwrap_or(entry.started);
        let begun = *self.begun.get_or_insert(ended);
        // A clock that went back makes the batch old, which is harmless.
        let old = ended.duration_since(begun).map_or(true, |age| age >= MAX_BATCH_AGE);
        if old || self.batch.len() >= MAX_BATCH_BYTES {
            self.flush();
        }
    }

    /// Hands over what there is; to be called on a timer while idle, and before the core ends.
    pub fn flush(&mut self) {
        self.begun = None;
        if self.batch.line_count() == 0 {
            return;
        }
        let bytes = self.batch.len();
        if self.shared.under_way.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) > MAX_BYTES_UNDER_WAY {
            return self.drop_batch(LossReason::Behind);
        }
        let batch = std::mem::replace(&mut self.batch, self.returned.try_recv().unwrap_or_default());
        let message = Message::Batch { batch, home: self.home.clone() };
        let (message, reason) = match self.writer.try_send(message) {
            Ok(()) => return,
            Err(TrySendError::Full(message)) => (message, LossReason::Behind),
            Err(TrySendError::Disconnected(message)) => (message, LossReason::Stopped),
        };
        if let Message::Batch { batch, .. } = message {
            self.batch = batch;
        }
        self.drop_batch(reason);
    }

    /// Whether there are lines that [`CoreLog::flush`] would hand over.
    pub fn is_empty(&self) -> bool {
        self.batch.line_count() == 0
    }

    fn drop_batch(&mut self, reason: LossReason) {
        self.shared.under_way.fetch_sub(self.batch.len(), Ordering::Relaxed);
        self.shared.losses.add(reason, self.batch.line_count());
        self.batch.clear();
    }
}

impl Drop for CoreLog {
    fn drop(&mut self) {
        self.flush();
    }
}

const MAX_BATCH_BYTES: usize = 32 << 10;
const MAX_BATCH_AGE: Duration = Duration::from_millis(50);
const MAX_KEPT_BATCHES: usize = 8;
