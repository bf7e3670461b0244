//! The files of the access log: opened with the first line; beyond a share of the process's descriptors, one that was
//! not used lately is closed.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit};

use crate::access_log::{LogFileId, LossReason};

/// Where lines are written to.
pub(super) enum Files {
    Directory(Directory),
    Stdout,
}

/// The directory and its open files.
pub(super) struct Directory {
    path: PathBuf,
    open: HashMap<LogFileId, OpenFile>,
    /// The open files, next to be closed first; one used since it was queued gets a second chance.
    queue: VecDeque<LogFileId>,
    limit: usize,
}

/// An open file.
struct OpenFile {
    file: File,
    used: bool,
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
    pub(super) fn in_directory(path: PathBuf) -> Self {
        let limit = open_limit(getrlimit(Resource::Nofile).current);
        Self::Directory(Directory { path, open: HashMap::new(), queue: VecDeque::new(), limit })
    }

    pub(super) fn stdout() -> Self {
        Self::Stdout
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }

    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Self::Directory(directory) => Some(&directory.path),
            Self::Stdout => None,
        }
    }

    /// Creates the directory, to learn early that it cannot be.
    pub(super) fn prepare(&self) -> io::Result<()> {
        self.directory().map_or(Ok(()), std::fs::create_dir_all)
    }

    /// Closes all files; they are opened again by name.
    pub(super) fn close_all(&mut self) {
        if let Self::Directory(directory) = self {
            directory.open.clear();
            directory.queue.clear();
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
            Self::Directory(directory) => {
                let failed = |error| Failure { reason: LossReason::Open, written: 0, error };
                let mut file = directory.file(id, name, now).map_err(failed)?;
                append_to(&mut file, lines, torn)
            }
        }
    }
}

impl Directory {
    fn file(&mut self, id: LogFileId, name: &str, now: Instant) -> io::Result<&File> {
        if let Some(known) = self.open.get_mut(&id) {
            known.used = true;
            if !known.is_in_directory(now) {
                known.file = create(&self.path, name)?;
            }
        } else {
            self.make_room();
            let file = create(&self.path, name)?;
            self.open.insert(id, OpenFile { file, used: false, seen: now });
            self.queue.push_back(id);
        }
        self.open.get(&id).map(|open| &open.file).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn make_room(&mut self) {
        while self.open.len() >= self.limit {
            let Some(id) = self.queue.pop_front() else { return };
            match self.open.get_mut(&id) {
                Some(file) if file.used => {
                    file.used = false;
                    self.queue.push_back(id);
                }
                _ => drop(self.open.remove(&id)),
            }
        }
    }
}

/// Most descriptors are for connections.
fn open_limit(descriptors: Option<u64>) -> usize {
    let share = descriptors.map_or(MAX_OPEN, |limit| usize::try_from(limit / 8).unwrap_or(MAX_OPEN));
    share.clamp(MIN_OPEN, MAX_OPEN)
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

const MIN_OPEN: usize = 64;
const MAX_OPEN: usize = 16_384;
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(5);

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
        if let Files::Directory(directory) = &mut files {
            directory.limit = 64;
        }
        let start = Instant::now();
        for round in 0..2_u64 {
            for number in 0..600_u32 {
                let now = start + Duration::from_millis(round * 1000 + u64::from(number));
                files.append(LogFileId(number), &number.to_string(), b"line\n", false, now).expect("written");
            }
        }
        let Files::Directory(Directory { open, queue, .. }) = &files else { panic!("a directory") };
        assert_eq!((open.len(), queue.len()), (64, 64));
        for number in 0..600_u32 {
            let text = std::fs::read(directory.path().join(number.to_string())).expect("the file");
            assert_eq!(text, b"line\nline\n");
        }
    }
}
