//! When a file is to be read again.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind, RenameMode};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::Instant;

/// Tells when a file may have changed.
pub(super) struct Changes {
    path: PathBuf,
    watcher: Option<RecommendedWatcher>,
    seen: Option<Signature>,
    signals: Arc<Signals>,
}

/// What the watch has seen since it was last asked.
#[derive(Debug, Default)]
struct Signals {
    flags: AtomicU8,
    news: Notify,
}

/// What tells one version of a file from another without reading it.
type Signature = (u64, u64, u64, i64, i64);

impl Changes {
    pub(super) fn of(path: PathBuf) -> Self {
        let signals = Arc::new(Signals::default());
        let watcher = watch(&path, &signals);
        let seen = signature(&path);
        Self { path, watcher, seen, signals }
    }

    /// Resolves when the file should be read.
    pub(super) async fn next(&mut self) {
        let mut writing_since: Option<Instant> = None;
        let mut settled = None;
        loop {
            let wake = settled.unwrap_or_else(|| Instant::now() + LOOK_EVERY);
            let signals = Arc::clone(&self.signals);
            let looked = tokio::select! {
                () = signals.news.notified() => false,
                () = tokio::time::sleep_until(wake) => true,
            };
            let flags = self.signals.flags.swap(0, Ordering::AcqRel);
            let now = signature(&self.path);
            let differs = now != self.seen;
            if flags & WRITTEN != 0 || (differs && flags & ELSEWHERE != 0) || (looked && settled.is_some()) {
                self.seen = now;
                return;
            }
            if flags & WRITING != 0 {
                let now = Instant::now();
                let since = *writing_since.get_or_insert(now);
                settled = Some((now + SETTLE).min(since + SETTLE_AT_MOST));
            }
            if looked {
                // The watch is gone, was never there, or does not see through a link.
                if differs || self.watcher.is_none() {
                    self.watcher = watch(&self.path, &self.signals);
                }
                if differs {
                    self.seen = now;
                    return;
                }
            }
        }
    }
}

/// Watches the folder of the file, and the folder of what it links to.
fn watch(path: &Path, signals: &Arc<Signals>) -> Option<RecommendedWatcher> {
    let target = std::fs::canonicalize(path).ok();
    let names: Vec<_> = [Some(path), target.as_deref()].into_iter().flatten().filter_map(Path::file_name).collect();
    let names: Vec<_> = names.into_iter().map(ToOwned::to_owned).collect();
    let handler = {
        let signals = Arc::clone(signals);
        move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            let ours =
                event.paths.iter().filter_map(|path| path.file_name()).any(|name| names.iter().any(|n| n == name));
            let flag = flag(event.kind, ours);
            if flag != 0 {
                signals.flags.fetch_or(flag, Ordering::AcqRel);
                signals.news.notify_one();
            }
        }
    };
    let mut watcher = notify::recommended_watcher(handler).ok()?;
    watcher.watch(folder(path), RecursiveMode::NonRecursive).ok()?;
    if let Some(target) = target.as_deref().filter(|target| folder(target) != folder(path)) {
        watcher.watch(folder(target), RecursiveMode::NonRecursive).ok()?;
    }
    Some(watcher)
}

fn flag(kind: EventKind, ours: bool) -> u8 {
    match kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(RenameMode::To | RenameMode::Both)) => {
            if ours {
                WRITTEN
            } else {
                ELSEWHERE
            }
        }
        EventKind::Access(_) => 0,
        _ if ours => WRITING,
        _ => ELSEWHERE,
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn signature(path: &Path) -> Option<Signature> {
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino(), metadata.size(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The file is whole.
const WRITTEN: u8 = 1;
/// The file is being written, or is gone for the moment.
const WRITING: u8 = 2;
/// Something else in the folder changed: perhaps a link on the way to the file.
const ELSEWHERE: u8 = 4;
/// How long a writer may pause before the file is read though it was not closed...
const SETTLE: Duration = Duration::from_millis(400);
/// ... and how long it may write.
const SETTLE_AT_MOST: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_slow_writer_is_waited_for() {
        let signals = Arc::new(Signals::default());
        let path = PathBuf::from("/nowhere/apps.toml");
        let mut changes = Changes { path, watcher: None, seen: None, signals: Arc::clone(&signals) };
        let tell = |flag| {
            signals.flags.fetch_or(flag, Ordering::AcqRel);
            signals.news.notify_one();
        };
        {
            let mut next = std::pin::pin!(changes.next());
            for _ in 0..4 {
                tell(WRITING);
                let goes_on = SETTLE - Duration::from_millis(1);
                assert!(tokio::time::timeout(goes_on, &mut next).await.is_err(), "the writer goes on");
            }
            tell(WRITING);
            assert!(tokio::time::timeout(SETTLE, next).await.is_ok(), "the writer pauses");
        }
        tell(WRITING);
        tell(WRITTEN);
        assert!(tokio::time::timeout(Duration::from_millis(1), changes.next()).await.is_ok(), "the file is closed");
    }
}
