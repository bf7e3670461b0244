//! What a name stands for: an app, `app.proc`, or an entry; and what was meant by one that nobody knows.

use std::collections::BTreeSet;
use std::fmt;

use webrouter_admin_api::{Hop, HopKind};
use webrouter_routing::name::{ProcKey, ProcName};

use super::gather::{Gathered, Heard};
use super::hop::{broken, listed, ok};
use super::{Inputs, Table};

/// A name that is asked about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject(String);

/// Why a text is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a name is of letters, digits, `-`, `_` and `.`, at most {MAX_BYTES} of them")]
pub struct BadSubject;

impl Subject {
    /// Takes an app, `app.proc`, or an entry.
    pub fn parse(text: &str) -> Result<Self, BadSubject> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        let good =
            (1..=MAX_BYTES).contains(&text.len()) && text.bytes().all(allowed) && !text.split('.').any(str::is_empty);
        if good { Ok(Self(text.to_owned())) } else { Err(BadSubject) }
    }

    /// Of these, those that the name stands for. An app has the name before a proc, a proc before an entry.
    pub(super) fn pick(&self, keys: impl Iterator<Item = ProcKey>) -> BTreeSet<ProcKey> {
        let mut picked: [BTreeSet<ProcKey>; 3] = Default::default();
        for key in keys {
            if let Some(set) = self.rank(&key.name).and_then(|rank| picked.get_mut(rank)) {
                set.insert(key);
            }
        }
        picked.into_iter().find(|set| !set.is_empty()).unwrap_or_default()
    }

    /// Whether it could stand for a proc of this name.
    pub(super) fn may_be(&self, name: &ProcName) -> bool {
        self.rank(name).is_some()
    }

    fn rank(&self, name: &ProcName) -> Option<usize> {
        let is_proc = || self.0.strip_suffix(name.proc()).and_then(|rest| rest.strip_suffix('.')) == Some(name.app());
        match () {
            () if name.app() == self.0 => Some(0),
            () if is_proc() => Some(1),
            () if name.as_str() == self.0 => Some(2),
            () => None,
        }
    }

    /// The apps that could be meant.
    pub(super) fn apps(&self) -> Vec<&str> {
        let app_of_proc = self.0.rsplit_once('.').map(|(app, _)| app);
        let app_of_entry = app_of_proc.and_then(|rest| rest.rsplit_once('.')).map(|(app, _)| app);
        [Some(self.0.as_str()), app_of_proc, app_of_entry].into_iter().flatten().collect()
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name is known, by whom.
pub(super) fn known(inputs: &Inputs, subject: &Subject, gathered: &Gathered) -> Hop {
    let entries = listed(gathered.patients.iter().map(|patient| patient.key.to_string()));
    let mut evidence = vec![format!("`{subject}` is {entries}")];
    evidence.extend(looked_at(&inputs.table));
    ok(HopKind::Name, evidence)
}

/// The name is not known; names that look like it.
pub(super) async fn unknown(inputs: &Inputs, subject: &Subject, gathered: &Gathered) -> (Hop, Vec<String>) {
    let mut evidence: Vec<String> = looked_at(&inputs.table).into_iter().collect();
    if gathered.snapshot.is_some() {
        evidence.push("the table has no such app".to_owned());
    }
    for heard in &gathered.heard {
        evidence.push(match &heard.said {
            Ok(_) => format!("{} knows no such app now", heard.source),
            Err(error) => format!("{} cannot be asked: {error}", heard.source),
        });
    }
    if let Some((entry, reason, advice)) = unreadable(subject, &gathered.heard) {
        evidence.push(format!("`{entry}` is not taken: {reason}"));
        return (broken(HopKind::Name, evidence, advice), Vec::new());
    }
    let near = near(subject, gathered).await;
    let advice = match near.is_empty() {
        true => {
            "check the name; is the app deployed, with a proc of a web type? `webrouter routes` lists what is known"
                .to_owned()
        }
        false => format!("did you mean {}? else check that the app is deployed", near.join(", ")),
    };
    (broken(HopKind::Name, evidence, advice), near)
}

fn looked_at(table: &Table) -> Option<String> {
    match table {
        Table::InForce(_) => None,
        Table::Stored(stored) => {
            let age = stored.saved_at.elapsed().unwrap_or_default().as_secs();
            Some(format!("looked at the table on disk, stored {age} s ago"))
        }
        Table::None(why) => Some(format!("no table to look at: {why}")),
    }
}

fn unreadable(subject: &Subject, heard: &[Heard]) -> Option<(String, String, &'static str)> {
    let said = heard.iter().filter_map(|heard| heard.said.as_ref().ok());
    let mut entries = said.flat_map(|fresh| fresh.unreadable.iter());
    let (entry, reason) = entries.find(|(entry, _)| entry.starts_with(&subject.0))?;
    Some((entry.clone(), reason.to_string(), reason.advice()))
}

async fn near(subject: &Subject, gathered: &Gathered) -> Vec<String> {
    let (subject, snapshot) = (subject.0.clone(), gathered.snapshot.clone());
    let said = gathered.heard.iter().filter_map(|heard| heard.said.as_ref().ok());
    let said: Vec<_> = said.map(|fresh| fresh.procs.clone()).collect();
    let compare = move || {
        let of_sources = said.iter().flat_map(|procs| procs.keys().map(|name| name.app().to_owned()));
        let mut names: BTreeSet<String> = of_sources.collect();
        let of_table = snapshot.iter().flat_map(|snapshot| snapshot.procs());
        names.extend(of_table.map(|(key, _)| key.name.app().to_owned()));
        let score = |name: String| (strsim::jaro_winkler(&name, &subject), name);
        let mut scored: Vec<(f64, String)> = names.into_iter().map(score).filter(|(score, _)| *score > ALIKE).collect();
        scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        scored.into_iter().take(SUGGESTED).map(|(_, name)| name).collect()
    };
    // Of 100,000 names it takes a while.
    tokio::task::spawn_blocking(compare).await.unwrap_or_default()
}

const MAX_BYTES: usize = 200;
const ALIKE: f64 = 0.8;
const SUGGESTED: usize = 3;

#[cfg(test)]
mod tests {
    use webrouter_routing::name::SourceName;

    use super::*;

    fn check(subject: &str, expected: &[&str]) {
        let known = ["demo.web.web", "demo.web.api", "demo.web.web.v2", "other.web.web"];
        let key =
            |name: &&str| ProcKey { source: SourceName::new("file"), name: ProcName::parse(name).expect("a name") };
        let picked = Subject::parse(subject).expect("a subject").pick(known.iter().map(key));
        let picked: Vec<&str> = picked.iter().map(|key| key.name.as_str()).collect();
        assert_eq!(picked, expected, "{subject}");
    }

    #[test]
    fn a_name_is_an_app_a_proc_or_an_entry() {
        check("demo", &["demo.web.api", "demo.web.web"]);
        check("demo.api", &["demo.web.api"]);
        // An app's name, though `demo` has a proc `web`.
        check("demo.web", &["demo.web.web.v2"]);
        check("other.web.web", &["other.web.web"]);
        check("nobody", &[]);
    }

    #[test]
    fn what_could_not_be_a_name_is_refused() {
        for text in ["", ".", "a..b", "a/b", "a b", "a?x=1", &"a".repeat(201)] {
            assert_eq!(Subject::parse(text), Err(BadSubject), "{text}");
        }
    }
}
