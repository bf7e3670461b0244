//! The file source: a followed apps.toml.
//!
//! Its folder is watched, so that a rename over it and a swapped link are seen; a slow look at the file itself catches
//! what the watch misses. A file that is being written is read when its writer closes it, or a moment later.

mod apps;
mod changes;

use std::collections::{BTreeMap, HashSet};
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use webrouter_routing::annotation::{Annotation, RawAnnotation};
use webrouter_routing::contribution::{Claims, Contribution, Proc, Settings};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::{ProcName, SourceName};
use webrouter_routing::rejection::{Reason, Reasons};

use crate::lainlet::translate::{MAX_CLAIMS, claims_of};
use crate::source::{Inbox, Problem, SourceHealth, excerpt};
use crate::status::SourceState;
use changes::Changes;

pub use apps::{App, AppChange, AppEndpoint, AppOf, AppsError, AppsFile, parse_apps};

/// Follows a file until the task is aborted.
pub(crate) async fn follow(path: PathBuf, name: SourceName, health: Arc<SourceHealth>, inbox: Arc<Inbox>) {
    let mut changes = Changes::of(path.clone());
    let mut view = View::new(name.clone(), AppsFile::new(&path));
    loop {
        let reading = path.clone();
        // Reading may block, and a large file that is new takes a while to parse.
        let taken = tokio::task::spawn_blocking(move || {
            let outcome = read(&reading).and_then(|text| view.take(text));
            (view, outcome)
        });
        let (next, outcome) = match taken.await {
            Ok(taken) => taken,
            Err(error) => {
                health.problem(&Problem::new("panic", error));
                health.enter(SourceState::Failing);
                // What was known is lost with it: the next version of the file is parsed whole.
                view = View::new(name.clone(), AppsFile::new(&path));
                changes.next().await;
                continue;
            }
        };
        view = next;
        match outcome {
            Ok(Seen::New) => {
                health.news();
                health.enter(SourceState::Following);
                inbox.put(view.contribution());
            }
            Ok(Seen::Known) => {
                health.confirmed();
                health.enter(SourceState::Following);
            }
            Err(problem) => {
                health.problem(&problem);
                health.enter(SourceState::Failing);
            }
        }
        changes.next().await;
    }
}

/// What the file says now.
pub(crate) fn read_once(path: &Path, name: &SourceName) -> Result<Contribution, Problem> {
    let mut view = View::new(name.clone(), AppsFile::new(path));
    view.take(read(path)?)?;
    Ok(view.contribution())
}

fn read(path: &Path) -> Result<String, Problem> {
    let problem = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Problem::new("missing", format!("{}: there is no such file; it is waited for", path.display()))
        }
        _ => Problem::new("io", format!("{}: {error}", path.display())),
    };
    // Without NONBLOCK, a pipe in its place would be waited for.
    let nonblock = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(nonblock).open(path).map_err(problem)?;
    let metadata = file.metadata().map_err(problem)?;
    if !metadata.is_file() {
        return Err(Problem::new("not_a_file", format!("{}: it is not a regular file", path.display())));
    }
    let mut text = String::with_capacity(usize::try_from(metadata.len().min(MAX_BYTES)).unwrap_or_default());
    let read = file.take(MAX_BYTES + 1).read_to_string(&mut text);
    if metadata.len() > MAX_BYTES || text.len() as u64 > MAX_BYTES {
        let message = format!("{}: longer than {MAX_BYTES} bytes, no more are taken", path.display());
        return Err(Problem::new("too_large", message));
    }
    read.map_err(problem)?;
    Ok(text)
}

/// Whether a text was known.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    New,
    Known,
}

/// What the file says, as procs.
struct View {
    name: SourceName,
    file: AppsFile,
    taken: bool,
    procs: OrdMap<ProcName, Arc<Proc>>,
    /// Mountpoints that the procs claim together.
    claims: usize,
    bad_names: OrdMap<String, Reason>,
}

impl View {
    fn new(name: SourceName, file: AppsFile) -> Self {
        Self { name, file, taken: false, procs: OrdMap::new(), claims: 0, bad_names: OrdMap::new() }
    }

    fn take(&mut self, text: String) -> Result<Seen, Problem> {
        if self.taken && self.file.text() == text {
            return self.bounded(Seen::Known);
        }
        let changes = self.file.update(text).map_err(|error| Problem::new("bad_toml", error))?;
        self.taken = true;
        for change in changes {
            match (ProcName::parse(&change.name), change.app) {
                (Ok(name), Some(app)) => {
                    let proc = proc(&app);
                    self.claims += claims_of(&proc);
                    let known = self.procs.insert(name, Arc::new(proc));
                    self.claims -= known.map_or(0, |known| claims_of(&known));
                }
                (Ok(name), None) => {
                    let known = self.procs.remove(&name);
                    self.claims -= known.map_or(0, |known| claims_of(&known));
                }
                (Err(error), Some(_)) => {
                    self.bad_names.insert(change.name, Reason::BadName(error.to_string()));
                }
                (Err(_), None) => drop(self.bad_names.remove(&change.name)),
            }
        }
        self.bounded(Seen::New)
    }

    fn bounded(&self, seen: Seen) -> Result<Seen, Problem> {
        match self.claims {
            0..=MAX_CLAIMS => Ok(seen),
            claims => Err(Problem::new("too_large", format!("{claims} mountpoints, at most {MAX_CLAIMS} are taken"))),
        }
    }

    fn contribution(&self) -> Contribution {
        let unreadable = self.bad_names.iter().map(|(key, reason)| (excerpt(key), reason.clone())).collect();
        Contribution {
            source: self.name.clone(),
            procs: self.procs.clone(),
            unreadable: Arc::new(unreadable),
            settings: Arc::new(Settings::default()),
        }
    }
}

fn proc(app: &App) -> Proc {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    let mut seen = HashSet::new();
    let mut weights = BTreeMap::new();
    let mut bad = Vec::new();
    for AppEndpoint { address, weight } in &app.endpoints {
        match Endpoint::parse(address) {
            Ok(endpoint) if seen.insert(endpoint) => {
                endpoints.push(endpoint);
                if *weight != 1 {
                    weights.insert(endpoint, *weight);
                }
            }
            Ok(_) => {}
            Err(error) => bad.push(error),
        }
    }
    let (annotation, reasons) = Annotation::from_raw(RawAnnotation {
        mountpoint: Some(app.mountpoint.clone()),
        https_only: Some(app.https_only),
        healthcheck: app.healthcheck.clone(),
        wishes: app.wishes.clone(),
        weights,
    });
    let mut reasons = Reasons::after(reasons);
    for error in bad {
        reasons.note(|| Reason::BadEndpoint(excerpt(&error.to_string())));
    }
    Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: endpoints.into(), reasons: reasons.into_vec() }
}

const MAX_BYTES: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_has_its_policies_and_weights_and_what_is_bad_of_them_is_told() {
        let text = "[apps.\"a.web.web\"]\nqueue = 7\nhealth_fall = 0\nendpoints = [\"127.0.0.1:1\", \"x\", \
                    { address = \"127.0.0.1:2\", weight = 3 }, { address = \"127.0.0.1:2\", weight = 4 }]\n";
        let mut view = View::new(SourceName::new("file"), AppsFile::new("apps.toml"));
        view.take(text.to_owned()).expect("good");
        let proc = view.procs.values().next().expect("the app");
        let Claims::Readable(annotation) = &proc.claims else { panic!("{proc:?}") };
        let wishes = annotation.wishes.as_deref().expect("wishes");
        let second = Endpoint::parse("127.0.0.1:2").expect("an endpoint");
        assert_eq!((wishes.queue, &wishes.weights), (Some(7), &BTreeMap::from([(second, 3)])));
        assert_eq!(proc.endpoints.len(), 2);
        assert_eq!(proc.reasons.iter().map(Reason::kind).collect::<Vec<_>>(), ["bad_policy", "bad_endpoint"]);
    }
}
