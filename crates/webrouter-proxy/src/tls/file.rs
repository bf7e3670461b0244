//! Reads the files of the folder: regular ones, of a bounded size, without ever waiting for a writer.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::problem::Offence;

/// What tells one version of a file from another without reading it; links are followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Signature {
    inode: (u64, u64),
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Signature {
    /// The file as it is; `None` when it is not there.
    pub(super) fn of(path: &Path) -> Option<Self> {
        std::fs::metadata(path).ok().map(|metadata| Self::from(&metadata))
    }

    /// Whether another write could hide in the same tick of the file system's clock.
    pub(super) fn is_fresh(&self) -> bool {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let changed = Duration::from_secs(u64::try_from(self.changed.0).unwrap_or_default());
        now.saturating_sub(changed) < FRESH
    }
}

impl From<&Metadata> for Signature {
    fn from(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A file's bytes, gone from memory when dropped, and the bits of its mode.
pub(super) struct Content {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    pub(super) mode: u32,
}

/// Reads a whole file.
pub(super) fn read(path: &Path) -> Result<Content, Offence> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Offence::Missing,
        _ => Offence::Unreadable(error.to_string()),
    };
    // Without NONBLOCK, a pipe in its place would be waited for.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(Offence::NotAFile);
    }
    // With room for all of it at once: a buffer that grows leaves copies behind.
    let room = usize::try_from(metadata.len().min(MAX_BYTES) + 1).unwrap_or_default();
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(Offence::TooLong(MAX_BYTES));
    }
    Ok(Content { bytes, mode: metadata.mode() & 0o7777 })
}

const MAX_BYTES: u64 = 1 << 20;
const FRESH: Duration = Duration::from_secs(2);
