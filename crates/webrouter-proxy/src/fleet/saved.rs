//! `health.json` in the state directory: what is known of endpoints, for the next run. A new file is written whole and
//! takes the old one's place. What cannot be read is said once and left out: all of it can be learnt again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde::Deserialize;

use super::remembered::Remembered;

/// The file as it is read; it is written piece by piece.
#[derive(Debug, Deserialize)]
struct Saved {
    endpoints: Vec<Remembered>,
}

/// All that versions of the file have in common.
#[derive(Debug, Deserialize)]
struct Header {
    version: u32,
}

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
enum Unreadable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("it is larger than {MAX_BYTES} bytes")]
    TooLarge,
    #[error("it is of version {0}, this webrouter knows version {VERSION}")]
    Version(u32),
    #[error("it is damaged: {0}")]
    Damaged(#[from] serde_json::Error),
}

/// What the last run knew; nothing when there was none, or its file cannot be read.
pub(super) fn read(path: &Path) -> Vec<Remembered> {
    match try_read(path) {
        Ok(remembered) => {
            tracing::debug!(endpoints = remembered.len(), "endpoints' health remembered");
            remembered
        }
        Err(Unreadable::Io(error)) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => {
            let path = path.display();
            tracing::warn!(
                %path, %error,
                "the endpoints' health cannot be read: it is learnt again, and the file written anew; if this is said at \
                 every start, look at the file's owner and the disk"
            );
            Vec::new()
        }
    }
}

fn try_read(path: &Path) -> Result<Vec<Remembered>, Unreadable> {
    let mut text = Vec::new();
    // Opened without waiting: something else than a file may have this name.
    let file = OpenOptions::new().read(true).custom_flags(rustix::fs::OFlags::NONBLOCK.bits() as i32).open(path)?;
    file.take(MAX_BYTES + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(Unreadable::TooLarge);
    }
    let Header { version } = serde_json::from_slice(&text)?;
    if version != VERSION {
        return Err(Unreadable::Version(version));
    }
    let Saved { endpoints } = serde_json::from_slice(&text)?;
    Ok(endpoints)
}

/// Writes everything; a reader, and a crash, find the old file or the new one.
pub(super) fn write(path: &Path, everything: impl Iterator<Item = Remembered>) -> io::Result<()> {
    let new = path.with_extension("json.new");
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    let written = write_to(file, everything).and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // It may be what fills the disk.
        let _ = fs::remove_file(&new);
    }
    written
}

fn write_to(file: File, everything: impl Iterator<Item = Remembered>) -> io::Result<()> {
    let mut out = BufWriter::new(file);
    write!(out, "{{\"version\":{VERSION},\"endpoints\":[")?;
    for (nth, remembered) in everything.enumerate() {
        out.write_all(if nth == 0 { b"\n" } else { b",\n" })?;
        serde_json::to_writer(&mut out, &remembered)?;
    }
    out.write_all(b"\n]}\n")?;
    out.flush()
}

const VERSION: u32 = 1;
/// A few hundred thousand endpoints.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

#[cfg(test)]
mod tests;
