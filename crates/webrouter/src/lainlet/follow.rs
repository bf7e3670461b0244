//! Tells when a file was written: at once by the system's notice, in any case within a second by its metadata.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Follows one file, also when an editor replaces it.
pub(super) struct Follower {
    path: PathBuf,
    seen: Option<Identity>,
    notices: mpsc::Receiver<()>,
    _watcher: RecommendedWatcher,
}

/// What differs when the content does.
type Identity = (u64, u64, Option<SystemTime>);

impl Follower {
    /// Follows from now on.
    pub(super) fn start(path: &Path) -> Result<Self, notify::Error> {
        let (tell, notices) = mpsc::channel(1);
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| is_written(event.kind)) {
                // A full channel already holds the notice.
                let _ = tell.try_send(());
            }
        })?;
        // The folder, because an editor puts a new file in the place of the old one.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(Self { seen: identity(path), path: path.to_owned(), notices, _watcher: watcher })
    }

    /// Waits until the file may have changed; false when it cannot be followed any more.
    pub(super) async fn changed(&mut self) -> bool {
        loop {
            let notice = tokio::time::timeout(POLL, self.notices.recv()).await;
            let now = identity(&self.path);
            if now.is_some() && now != self.seen {
                self.seen = now;
                return true;
            }
            if notice == Ok(None) {
                return false;
            }
        }
    }
}

/// Only a finished write counts: a half-written file can be a good file with fewer apps.
fn is_written(kind: EventKind) -> bool {
    matches!(kind, EventKind::Access(AccessKind::Close(AccessMode::Write)) | EventKind::Modify(ModifyKind::Name(_)))
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.ino(), metadata.len(), metadata.modified().ok()))
}

const POLL: Duration = Duration::from_secs(1);
