//! Lines that never reached the disk, counted by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why lines were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LossReason {
    /// The writer was behind by the allowed number of bytes.
    Behind,
    /// The file could not be opened, for example because the directory is gone.
    Open,
    /// The disk is full, or the quota used up.
    DiskFull,
    /// Another error of the write.
    Write,
    /// The access log had been stopped.
    Stopped,
}

impl LossReason {
    /// Every reason, in declaration order.
    pub const ALL: [Self; 5] = [Self::Behind, Self::Open, Self::DiskFull, Self::Write, Self::Stopped];

    /// The stable word for metrics and status.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Open => "open",
            Self::DiskFull => "disk_full",
            Self::Write => "write",
            Self::Stopped => "stopped",
        }
    }
}

/// The counters of lost lines.
#[derive(Debug, Default)]
pub struct Losses([AtomicU64; LossReason::ALL.len()]);

impl Losses {
    /// Lines lost for one reason.
    pub fn of(&self, reason: LossReason) -> u64 {
        self.0.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// All lost lines.
    pub fn total(&self) -> u64 {
        LossReason::ALL.into_iter().map(|reason| self.of(reason)).sum()
    }

    pub(super) fn add(&self, reason: LossReason, lines: u64) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(lines, Ordering::Relaxed);
        }
    }
}
