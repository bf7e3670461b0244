//! A webprocs state into procs. The cost grows with what changed in the text, not with the text.
//!
//! The text of the last state is kept with the places of its entries. Of a new text, what begins and ends like the old
//! one is compared and kept, only the middle is parsed. Where anything looks unusual (keys out of order, escaped or
//! twice), the whole text is parsed.

mod entry;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use imbl::OrdMap;
use webrouter_routing::contribution::{Claims, Proc};
use webrouter_routing::name::ProcName;
use webrouter_routing::rejection::Reason;

use crate::source::excerpt;
use text::{Item, Span};

/// A state that cannot be read as a whole; nothing of it is taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// Bytes that are no text.
    #[error("the state is not UTF-8 from byte {0} on")]
    NotUtf8(usize),
    /// Not a JSON object.
    #[error("the state is not a JSON object: {0}")]
    NotJson(String),
    /// So many entries that keeping them would take too much memory.
    #[error("the state has more than {MAX_ENTRIES} entries")]
    TooManyEntries,
    /// So many claims that no cluster makes them.
    #[error("the state claims more than {MAX_CLAIMS} mountpoints")]
    TooManyClaims,
}

impl TranslateError {
    /// A closed, stable word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotUtf8(_) | Self::NotJson(_) => "not_json",
            Self::TooManyEntries | Self::TooManyClaims => "too_large",
        }
    }
}

/// The last state as procs, and what is needed to take the next one cheaply.
#[derive(Debug, Clone, Default)]
pub struct Translator {
    text: Bytes,
    /// Where the entries are in `text`; `None` when the next text is to be parsed whole.
    spans: Option<Vec<Span>>,
    procs: OrdMap<ProcName, Arc<Proc>>,
    /// Mountpoints that the procs claim together.
    claims: usize,
    bad_names: BTreeMap<String, Reason>,
    unreadable: Arc<Vec<(String, Reason)>>,
}

impl Translator {
    /// Starts from procs that are known from earlier: what stands in for entries that cannot be read now.
    pub fn new(known: OrdMap<ProcName, Arc<Proc>>) -> Self {
        let claims = known.values().map(|proc| claims_of(proc)).sum();
        Self { procs: known, claims, ..Self::default() }
    }

    /// Takes a whole state; after an error the last one stays.
    pub fn update(&mut self, text: Bytes) -> Result<(), TranslateError> {
        if self.spans.is_some() && text == self.text {
            return Ok(());
        }
        let new = std::str::from_utf8(&text).map_err(|error| TranslateError::NotUtf8(error.valid_up_to()))?;
        let procs = (self.procs.clone(), self.claims);
        let names = (self.bad_names.clone(), Arc::clone(&self.unreadable));
        let old_text = std::mem::take(&mut self.text);
        let old_spans = self.spans.take();
        let patch = old_spans.as_ref().and_then(|spans| text::patch(&old_text, spans, new));
        let patched = patch.and_then(|patch| self.apply_patch(&old_text, old_spans.as_ref()?.clone(), patch));
        let applied = patched.map_or_else(|| self.apply_whole(new), |spans| Ok(Some(spans)));
        match applied
            .and_then(|spans| if self.claims > MAX_CLAIMS { Err(TranslateError::TooManyClaims) } else { Ok(spans) })
        {
            Ok(spans) => (self.text, self.spans) = (text, spans),
            Err(error) => {
                (self.text, self.spans) = (old_text, old_spans);
                ((self.procs, self.claims), (self.bad_names, self.unreadable)) = (procs, names);
                return Err(error);
            }
        }
        Ok(())
    }

    /// The text of the last state; empty before there was one.
    pub fn text(&self) -> &Bytes {
        &self.text
    }

    /// The procs of the last state.
    pub fn procs(&self) -> &OrdMap<ProcName, Arc<Proc>> {
        &self.procs
    }

    /// Entries whose key is no proc's name: (escaped key, reason); at most a thousand are listed.
    pub fn unreadable(&self) -> &Arc<Vec<(String, Reason)>> {
        &self.unreadable
    }

    /// Forgets the last text, so that the next one is parsed whole.
    #[cfg(test)]
    fn forget_text(&mut self) {
        self.text = Bytes::new();
        self.spans = None;
    }

    /// Brings what differs into the view; `None` when the text is to be parsed whole after all.
    fn apply_patch(&mut self, old_text: &[u8], mut spans: Vec<Span>, patch: text::Patch<'_>) -> Option<Vec<Span>> {
        let bad_names_before = self.bad_names.len();
        let mut bad_names_changed = false;
        for key in patch.gone.iter().map(|span| span.key(old_text)) {
            match ProcName::parse(key) {
                Ok(name) => self.remove(&name),
                Err(_) => bad_names_changed |= self.bad_names.remove(&excerpt(key)).is_some(),
            }
        }
        for item in &patch.items {
            if matches!(self.take_item(item, None), Taken::Unlisted) {
                return None;
            }
        }
        if bad_names_changed || self.bad_names.len() != bad_names_before {
            self.list_bad_names(0);
        }
        text::apply(&mut spans, &patch);
        Some(spans)
    }

    /// Parses a whole text; the places of its entries, if the next one may be patched.
    fn apply_whole(&mut self, new: &str) -> Result<Option<Vec<Span>>, TranslateError> {
        let items = text::items(new)?;
        let mut regular = items.is_sorted_by(|a, b| a.key < b.key);
        let mut twice = BTreeSet::new();
        if !regular {
            let mut seen = BTreeSet::new();
            twice = items.iter().map(|item| item.key.as_ref()).filter(|key| !seen.insert(*key)).collect();
        }
        self.bad_names.clear();
        let mut unlisted = 0;
        let mut names = BTreeSet::new();
        for item in &items {
            regular &= item.is_plain(new);
            let reason = || Reason::UnreadableEntry("its key appears more than once".to_owned());
            match self.take_item(item, twice.contains(item.key.as_ref()).then(reason)) {
                Taken::Proc(name) => drop(names.insert(name)),
                Taken::BadName => {}
                Taken::Unlisted => unlisted += 1,
            }
        }
        if names.len() != self.procs.len() {
            let gone: Vec<ProcName> = self.procs.keys().filter(|name| !names.contains(name)).cloned().collect();
            for name in gone {
                self.remove(&name);
            }
        }
        self.list_bad_names(unlisted);
        let may_be_patched = regular && unlisted == 0;
        Ok(may_be_patched.then(|| items.iter().map(|item| item.span).collect()))
    }

    /// Brings one entry into the view; `flaw` is a reason not to read it.
    fn take_item(&mut self, item: &Item<'_>, flaw: Option<Reason>) -> Taken {
        let name = match ProcName::parse(&item.key) {
            Ok(name) => name,
            Err(_) if self.bad_names.len() >= MAX_LISTED => return Taken::Unlisted,
            Err(error) => {
                self.bad_names.insert(excerpt(&item.key), Reason::BadName(error.to_string()));
                return Taken::BadName;
            }
        };
        let known = self.procs.get(&name);
        let proc = match flaw {
            Some(reason) => entry::unreadable(reason, known.map(Arc::as_ref)),
            None => entry::translate(item.value, known.map(Arc::as_ref)),
        };
        if known.is_none_or(|known| **known != proc) {
            self.claims = self.claims - known.map_or(0, |known| claims_of(known)) + claims_of(&proc);
            self.procs.insert(name.clone(), Arc::new(proc));
        }
        Taken::Proc(name)
    }

    fn remove(&mut self, name: &ProcName) {
        if let Some(known) = self.procs.remove(name) {
            self.claims -= claims_of(&known);
        }
    }

    fn list_bad_names(&mut self, unlisted: usize) {
        let mut list: Vec<(String, Reason)> =
            self.bad_names.iter().map(|(key, reason)| (key.clone(), reason.clone())).collect();
        if unlisted > 0 {
            list.push(("…".to_owned(), Reason::BadName(format!("{unlisted} more entries have bad names"))));
        }
        if list != *self.unreadable {
            self.unreadable = Arc::new(list);
        }
    }
}

/// How many mountpoints a proc claims, as far as that can be read.
pub(crate) fn claims_of(proc: &Proc) -> usize {
    match &proc.claims {
        Claims::Readable(annotation) => annotation.mountpoints.len(),
        Claims::Unreadable(_) => 0,
    }
}

enum Taken {
    Proc(ProcName),
    BadName,
    Unlisted,
}

/// Five times the largest cluster that is planned for.
const MAX_ENTRIES: usize = 500_000;
/// Ten for each app of the largest cluster that is planned for.
pub(crate) const MAX_CLAIMS: usize = 1_000_000;
const MAX_LISTED: usize = 1000;

#[cfg(test)]
mod tests;
