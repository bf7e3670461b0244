//! The thread that follows the folder: woken by what changes there, and looking for itself now and then.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, EventKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};

use super::certificates::Followed;
use super::expiry::Warnings;
use super::inventory::{Inventory, Stem};
use super::pair::Files;

/// The running thread; it ends soon after this is dropped.
pub(super) struct Follower {
    wake: Sender<Wake>,
}

enum Wake {
    Changed,
    Stop,
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It may have broken off already.
        let _ = self.wake.send(Wake::Stop);
    }
}

pub(super) fn start(followed: Arc<Followed>) -> io::Result<Follower> {
    let (wake, woken) = mpsc::channel();
    let sender = wake.clone();
    thread::Builder::new().name("certificates".to_owned()).spawn(move || follow(&followed, &sender, &woken))?;
    Ok(Follower { wake })
}

fn follow(followed: &Followed, wake: &Sender<Wake>, woken: &Receiver<Wake>) {
    tell_start(&followed.in_force.load());
    let mut watch = Watch::default();
    let mut warnings = Warnings::default();
    loop {
        // What changed between a look and the watch would not be seen: after each new watch comes another look.
        loop {
            look(followed);
            if !watch.renew(followed, wake) {
                break;
            }
        }
        warnings.tell(&followed.in_force.load(), SystemTime::now());
        match woken.recv_timeout(if watch.watcher.is_some() { LOOK_EVERY } else { LOOK_WITHOUT_WATCH }) {
            Ok(Wake::Changed) => {
                if settle(woken).is_err() {
                    return;
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Waits until a writer pauses, but not for long; an error when the thread shall end.
fn settle(woken: &Receiver<Wake>) -> Result<(), ()> {
    let end = Instant::now() + SETTLE_AT_MOST;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match woken.recv_timeout(left.min(SETTLE)) {
            Ok(Wake::Changed) => {}
            Err(RecvTimeoutError::Timeout) => return Ok(()),
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return Err(()),
        }
    }
    Ok(())
}

/// Takes what changed into force, and says what is wrong and what is right again.
fn look(followed: &Followed) {
    let Followed { config, settings, in_force } = followed;
    let known = in_force.load();
    let Some(new) = known.reread(config, settings) else { return };
    tell(&known, &new);
    in_force.store(Arc::new(new));
}

fn tell_start(inventory: &Inventory) {
    let pairs = inventory.stems.values().filter(|state| state.pair.is_some()).count();
    tracing::info!(certificates = pairs, "certificates in force");
    for (stem, state) in &inventory.stems {
        tell_problems(stem, state, None);
    }
}

fn tell_problems(stem: &str, state: &Stem, before: Option<&Stem>) {
    for problem in state.problems.iter().filter(|problem| before.is_none_or(|b| !b.problems.contains(problem))) {
        let (in_force, advice) = (state.pair.is_some(), problem.offence.advice());
        tracing::warn!(%stem, %problem, advice, in_force, "certificate file not as it should be");
    }
}

fn tell(known: &Inventory, new: &Inventory) {
    if let (Some(problem), true) = (&new.folder, known.folder != new.folder) {
        tracing::warn!(%problem, "the folder of the certificates cannot be read: what was read before stays in force");
    }
    for (stem, state) in &new.stems {
        let before = known.stems.get(stem);
        let pair_before = before.and_then(|before| before.pair.as_ref());
        if let Some(pair) = &state.pair
            && pair_before.is_none_or(|before| !Arc::ptr_eq(before, pair))
        {
            tracing::info!(%stem, names = ?pair.leaf.names, "certificate in force");
        }
        tell_problems(stem, state, before);
    }
    for stem in known.stems.keys().filter(|stem| !new.stems.contains_key(*stem)) {
        tracing::info!(%stem, "certificate removed");
    }
    for (host, check) in &new.checks {
        let before = known.checks.get(host).and_then(|check| check.problem.as_ref());
        if let Some(problem) = check.problem.as_ref().filter(|problem| before != Some(problem)) {
            tracing::warn!(%host, %problem, "CA file not as it should be: the last good one stays in force");
        }
    }
}

/// The folders on the way to the files, and which names in them matter.
type Places = BTreeMap<PathBuf, Interest>;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Interest {
    Everything,
    Names(BTreeSet<OsString>),
}

/// What is watched now.
#[derive(Default)]
struct Watch {
    places: Places,
    /// A folder that was replaced has its name still, but is another.
    inodes: Vec<Option<(u64, u64)>>,
    watcher: Option<RecommendedWatcher>,
}

impl Watch {
    /// Watches what must be watched by now; says whether that is something new.
    fn renew(&mut self, followed: &Followed, wake: &Sender<Wake>) -> bool {
        let places = places(followed);
        let inodes = places.keys().map(|place| inode(place)).collect();
        if places == self.places && inodes == self.inodes {
            return false;
        }
        self.watcher = watch(&places, wake.clone());
        (self.places, self.inodes) = (places, inodes);
        self.watcher.is_some()
    }
}

fn watch(places: &Places, wake: Sender<Wake>) -> Option<RecommendedWatcher> {
    let handler = {
        let places = places.clone();
        move |event: notify::Result<notify::Event>| {
            // An error is a reason to look, too.
            if event.map_or(true, |event| matters(&event, &places)) {
                let _ = wake.send(Wake::Changed);
            }
        }
    };
    let mut watcher = notify::recommended_watcher(handler).ok()?;
    for place in places.keys() {
        // One that is not there is seen to come by the place above it.
        let _ = watcher.watch(place, RecursiveMode::NonRecursive);
    }
    Some(watcher)
}

fn matters(event: &notify::Event, places: &Places) -> bool {
    // Our own reading is no news.
    let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
    if matches!(event.kind, EventKind::Access(_)) && event.kind != written {
        return false;
    }
    let named = |path: &PathBuf| match places.get(path.parent().unwrap_or(path)) {
        Some(Interest::Names(names)) => path.file_name().is_some_and(|name| names.contains(name)),
        Some(Interest::Everything) => true,
        None => false,
    };
    event.paths.is_empty() || event.paths.iter().any(|path| named(path) || places.contains_key(path))
}

fn places(followed: &Followed) -> Places {
    let Followed { config, in_force, .. } = followed;
    let mut places = Places::new();
    let folder = &config.certificates;
    let files = in_force.load().stems.keys().map(|stem| Files::of(folder, stem)).collect::<Vec<_>>();
    let files = files.iter().flat_map(|files| [&files.certificate, &files.key, &files.ocsp]);
    let authorities = config.client_certificates.values().map(|demand| &demand.ca);
    for path in std::iter::once(folder).chain(authorities) {
        way(path, &mut places);
    }
    for path in files.filter(|path| path.is_symlink()) {
        way(path, &mut places);
    }
    places.insert(folder.clone(), Interest::Everything);
    places
}

/// Notes where the path, and each link that it leads through, has its name.
fn way(path: &Path, places: &mut Places) {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let Some(name) = path.file_name().map(ToOwned::to_owned) else { return };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match places.entry(folder.to_owned()).or_insert_with(|| Interest::Names(BTreeSet::new())) {
            Interest::Names(names) => drop(names.insert(name)),
            Interest::Everything => {}
        }
        let Ok(target) = std::fs::read_link(&path) else { return };
        path = folder.join(target);
    }
}

fn inode(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// How long a writer may pause ...
const SETTLE: Duration = Duration::from_millis(100);
/// ... and how long it may write before the files are read though it has not paused.
const SETTLE_AT_MOST: Duration = Duration::from_millis(400);
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_WITHOUT_WATCH: Duration = Duration::from_secs(1);
const MAX_LINKS: usize = 8;
