//! Lines of one file that wait to be written.

use std::time::Instant;

/// What waits for one file; holds no buffer while nothing waits.
#[derive(Debug, Default)]
pub(super) struct Pending {
    bytes: Vec<u8>,
    lines: usize,
    since: Option<Instant>,
    torn: bool,
}

impl Pending {
    /// Since when something waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.since
    }

    /// Begins to gather in an empty buffer.
    pub(super) fn begin(&mut self, now: Instant, buffer: Vec<u8>) {
        self.bytes = buffer;
        self.lines = 0;
        self.since = Some(now);
    }

    pub(super) fn push(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.lines += 1;
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Gives the lines away, with the bytes they were charged for in their batches.
    pub(super) fn end(&mut self) -> (Vec<u8>, usize) {
        self.since = None;
        let lines = std::mem::take(&mut self.bytes);
        let charged = lines.len() + self.lines * super::super::batch::LINE_OVERHEAD;
        (lines, charged)
    }

    /// Whether the file's last line was cut by a failed write.
    pub(super) fn torn(&self) -> bool {
        self.torn
    }

    pub(super) fn set_torn(&mut self, torn: bool) {
        self.torn = torn;
    }
}
