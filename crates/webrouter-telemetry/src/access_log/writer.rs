//! The writer thread: lines gathered per file, written when old or many, lost ones counted and never fatal.

mod files;
mod pending;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::batch::Batch;
use super::loss::LossReason;
use super::{Destination, LogFileId, Shared};
use files::Files;
use pending::Pending;

/// What the writer is told.
#[derive(Debug)]
pub(super) enum Message {
    /// Lines, and where the empty batch goes back to.
    Batch {
        /// The lines.
        batch: Batch,
        /// The core they came from.
        home: SyncSender<Batch>,
    },
    /// Look at the flags.
    Wake,
}

/// The state of the writer thread.
pub(super) struct Writer {
    shared: Arc<Shared>,
    messages: Receiver<Message>,
    /// By [`LogFileId`]; standard output has only the first.
    pending: Vec<Pending>,
    /// Files with lines, oldest first; one that was written meanwhile is passed over.
    due: VecDeque<(Instant, LogFileId)>,
    files: Files,
    /// Buffers to use again.
    spare: Vec<Vec<u8>>,
    /// When each kind of failure was last logged.
    told: [Option<Instant>; LossReason::ALL.len()],
    behind: u64,
}

impl Writer {
    pub(super) fn new(shared: Arc<Shared>, messages: Receiver<Message>) -> Self {
        let files = match &shared.config.destination {
            Destination::Directory(directory) => Files::in_directory(directory.clone()),
            Destination::Stdout => Files::stdout(),
        };
        Self {
            shared,
            messages,
            pending: Vec::new(),
            due: VecDeque::new(),
            files,
            spare: Vec::new(),
            told: [None; LossReason::ALL.len()],
            behind: 0,
        }
    }

    /// Runs until the access log is stopped, or the last handle and core are gone.
    pub(super) fn run(mut self) {
        if let Err(error) = self.files.prepare() {
            self.tell(LossReason::Open, &error);
        }
        while !self.shared.stop.load(Ordering::Acquire) {
            match self.next() {
                Ok(message) => self.take(message, Instant::now()),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            if self.shared.reopen.swap(false, Ordering::AcqRel) {
                self.drain();
                self.files.close_all();
            }
            self.write_due(Instant::now());
            self.tell_of_lines_left_behind();
        }
        self.drain();
    }

    fn next(&self) -> Result<Message, RecvTimeoutError> {
        match self.due.front() {
            Some((since, _)) => self.messages.recv_timeout(MAX_AGE.saturating_sub(since.elapsed())),
            None => self.messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        }
    }

    fn take(&mut self, message: Message, now: Instant) {
        let Message::Batch { mut batch, home } = message else { return };
        for (file, line) in batch.lines() {
            let file = if self.files.is_stdout() { LogFileId::UNROUTED } else { file };
            let Ok(index) = usize::try_from(file.0) else { continue };
            if self.pending.len() <= index {
                self.pending.resize_with(index + 1, Pending::default);
            }
            let Some(pending) = self.pending.get_mut(index) else { continue };
            if pending.since().is_none() {
                pending.begin(now, self.spare.pop().unwrap_or_default());
                self.due.push_back((now, file));
            }
            pending.push(line);
            if pending.len() >= MAX_PENDING_BYTES {
                self.write(file, now);
            }
        }
        batch.clear();
        // Full: the core has enough batches of its own. Disconnected: it is gone.
        let _ = home.try_send(batch);
    }

    /// Takes all that was handed over and writes it.
    fn drain(&mut self) {
        let now = Instant::now();
        // Bounded: what cores hand over meanwhile can wait for the next turn.
        for _ in 0..super::MAX_BATCHES_UNDER_WAY {
            let Ok(message) = self.messages.try_recv() else { break };
            self.take(message, now);
        }
        while let Some((_, file)) = self.due.pop_front() {
            self.write(file, now);
        }
    }

    fn write_due(&mut self, now: Instant) {
        while let Some(&(since, file)) = self.due.front() {
            let pending = self.pending.get(index(file)).and_then(Pending::since);
            let pressed = self.shared.under_way.load(Ordering::Relaxed) > PRESSURE_BYTES;
            if pending == Some(since) && now.duration_since(since) < MAX_AGE && !pressed {
                return;
            }
            self.due.pop_front();
            if pending == Some(since) {
                self.write(file, now);
            }
        }
    }

    fn write(&mut self, file: LogFileId, now: Instant) {
        let Some(pending) = self.pending.get_mut(index(file)) else { return };
        if pending.since().is_none() {
            return;
        }
        let (mut lines, charged) = pending.end();
        let name = self.shared.files.name(file).unwrap_or_default();
        let written = self.files.append(file, &name, &lines, pending.torn(), now);
        self.shared.under_way.fetch_sub(charged, Ordering::Relaxed);
        match written {
            Ok(()) => pending.set_torn(false),
            Err(failure) => {
                let written = lines.get(..failure.written).unwrap_or_default();
                let rest = lines.get(failure.written..).unwrap_or_default();
                pending.set_torn(written.last().map_or(pending.torn(), |&byte| byte != b'\n'));
                self.shared.losses.add(failure.reason, line_ends(rest));
                self.tell(failure.reason, &failure.error);
            }
        }
        if self.spare.len() < MAX_SPARE && lines.capacity() <= MAX_SPARE_BYTES {
            lines.clear();
            self.spare.push(lines);
        }
    }

    fn tell_of_lines_left_behind(&mut self) {
        let behind = self.shared.losses.of(LossReason::Behind);
        if behind > self.behind {
            self.behind = behind;
            self.tell(LossReason::Behind, &io::Error::other("the disk is slower than the requests"));
        }
    }

    /// Logs a failure, at most once in a while for each kind.
    fn tell(&mut self, reason: LossReason, error: &io::Error) {
        let Some(told) = self.told.get_mut(reason as usize) else { return };
        if told.is_some_and(|at| at.elapsed() < TELL_AGAIN_AFTER) {
            return;
        }
        *told = Some(Instant::now());
        let lost = self.shared.losses.total();
        let directory = self.files.directory().map(|directory| directory.display().to_string());
        tracing::warn!(reason = reason.as_str(), %error, lost, directory, "access log lines are lost");
    }
}

fn index(file: LogFileId) -> usize {
    usize::try_from(file.0).unwrap_or(usize::MAX)
}

fn line_ends(bytes: &[u8]) -> u64 {
    u64::try_from(memchr::memchr_iter(b'\n', bytes).count()).unwrap_or(u64::MAX)
}

/// A line reaches its file within this time.
const MAX_AGE: Duration = Duration::from_secs(1);
/// As many bytes of one file are written at once.
const MAX_PENDING_BYTES: usize = 16 << 10;
/// With more under way, lines are written before they are old, so that none is lost while the disk keeps up.
const PRESSURE_BYTES: usize = super::MAX_BYTES_UNDER_WAY / 2;
const MAX_SPARE: usize = 64;
const MAX_SPARE_BYTES: usize = 64 << 10;
const TELL_AGAIN_AFTER: Duration = Duration::from_secs(60);
