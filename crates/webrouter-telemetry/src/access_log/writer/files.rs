//! The files of the access log: opened with the first line, the least recently used closed.

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::access_log::{LogFileId, LossReason};

/// Where lines are written to.
pub(super) enum Files {
    Directory { directory: PathBuf, open: HashMap<LogFileId, OpenFile> },
    Stdout,
}

/// An open file.
pub(super) struct OpenFile {
    file: File,
    used: Instant,
    /// When it was last known to be in the directory.
    seen: Instant,
}

/// A write that did not complete.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) reason: LossReason,
    /// How many bytes of the lines are in the file.
    pub(super) written: usize,
    pub(super) error: io::Error,
}

impl Files {
    pub(super) fn in_directory(directory: PathBuf) -> Self {
        Self::Directory { directory, open: HashMap::new() }
    }

    pub(super) fn stdout() -> Self {
        Self::Stdout
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory { directory, .. } => Some(directory),
            Self::Stdout => None,
        }
    }

    /// Creates the directory, to learn early that it cannot be.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.directory().map_or(Ok(()), std::fs::create_dir_all)
    }

    /// Closes all files; they are opened again by name.
    pub(super) fn close_all(&mut self) {
        if let Self::Directory { open, .. } = self {
            open.clear();
        }
    }

    /// Appends whole lines to a file; after a torn line, on a line of their own.
    pub(super) fn append(
        &mut self,
        id: LogFileId,
        name: &str,
        lines: &[u8],
        torn: bool,
        now: Instant,
    ) -> Result<(), Failure> {
        match self {
            Self::Stdout => append_to(&mut io::stdout().lock(), lines, torn),
            Self::Directory { directory, open } => {
                let failed = |error| Failure { reason: LossReason::Open, written: 0, error };
                let mut file = open_file(open, directory, id, name, now).map_err(failed)?;
                append_to(&mut file, lines, torn)
            }
        }
    }
}

fn open_file<'a>(
    open: &'a mut HashMap<LogFileId, OpenFile>,
    directory: &Path,
    id: LogFileId,
    name: &str,
    now: Instant,
) -> io::Result<&'a File> {
    if open.get_mut(&id).is_some_and(|file| !file.is_in_directory(now)) {
        open.remove(&id);
    }
    if open.len() >= MAX_OPEN && !open.contains_key(&id) {
        let oldest = open.iter().min_by_key(|(_, file)| file.used).map(|(id, _)| *id);
        oldest.map(|oldest| open.remove(&oldest));
    }
    let entry = match open.entry(id) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => {
            let file = create(directory, name)?;
            entry.insert(OpenFile { file, used: now, seen: now })
        }
    };
    entry.used = now;
    Ok(&entry.file)
}

impl OpenFile {
    /// Whether lines written would still be found: the file, or its directory, may have been deleted.
    fn is_in_directory(&mut self, now: Instant) -> bool {
        if now.duration_since(self.seen) < LOOK_AGAIN_AFTER {
            return true;
        }
        self.seen = now;
        self.file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
    }
}

fn create(directory: &Path, name: &str) -> io::Result<File> {
    let path = directory.join(name);
    let open = || OpenOptions::new().append(true).create(true).open(&path);
    open().or_else(|error| match error.kind() {
        ErrorKind::NotFound => std::fs::create_dir_all(directory).and_then(|()| open()),
        _ => Err(error),
    })
}

fn append_to(file: &mut impl Write, lines: &[u8], torn: bool) -> Result<(), Failure> {
    let failed = |written, error: io::Error| Failure { reason: reason(&error), written, error };
    if torn {
        file.write_all(b"\n").map_err(|error| failed(0, error))?;
    }
    let mut written = 0;
    while let Some(rest) = lines.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(failed(written, ErrorKind::WriteZero.into())),
            Ok(more) => written += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(written, error)),
        }
    }
    file.flush().map_err(|error| failed(written, error))
}

fn reason(error: &io::Error) -> LossReason {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => LossReason::DiskFull,
        _ => LossReason::Write,
    }
}

const MAX_OPEN: usize = 256;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, then is full; the pieces are small.
    struct Disk {
        taken: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let piece = bytes.len().min(3).min(self.room - self.taken.len());
            if piece == 0 {
                return Err(ErrorKind::StorageFull.into());
            }
            self.taken.extend_from_slice(&bytes[..piece]);
            Ok(piece)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_tells_how_far_the_write_came() {
        let mut disk = Disk { taken: Vec::new(), room: 7 };
        let failure = append_to(&mut disk, b"one\ntwo\nthree\n", false).expect_err("the disk is full");
        assert_eq!((failure.reason, failure.written), (LossReason::DiskFull, 7));
        disk.room = 100;
        append_to(&mut disk, b"four\n", true).expect("there is room again");
        assert_eq!(disk.taken, b"one\ntwo\nfour\n");
    }

    #[test]
    fn a_bounded_number_of_files_is_open() {
        let directory = tempfile::tempdir().expect("a directory");
        let mut files = Files::in_directory(directory.path().to_owned());
        let start = Instant::now();
        for round in 0..2_u64 {
            for number in 0..600_u32 {
                let now = start + Duration::from_millis(round * 1000 + u64::from(number));
                files.append(LogFileId(number), &number.to_string(), b"line\n", false, now).expect("written");
            }
        }
        let Files::Directory { open, .. } = &files else { panic!("a directory") };
        assert_eq!(open.len(), MAX_OPEN);
        for number in 0..600_u32 {
            let text = std::fs::read(directory.path().join(number.to_string())).expect("the file");
            assert_eq!(text, b"line\nline\n");
        }
    }
}
