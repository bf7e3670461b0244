//! What a request sees of the apps: bodies, and the event that leads from one state to the next.

use std::sync::Arc;

use bytes::Bytes;
use imbl::ordmap::DiffItem;

use super::apps::{Proc, Told};
use super::json::push_string;
use super::query::{Query, Subject};

/// All that can be asked for at one moment.
#[derive(Debug)]
pub(super) struct View {
    /// Rises with every change.
    pub(super) number: u64,
    /// What the last change was.
    pub(super) event: Event,
    told: Told,
    all: Body,
}

/// The procs as one JSON object, and how many pods they have.
#[derive(Debug, Clone)]
struct Body {
    text: Bytes,
    pods: usize,
    alive: usize,
}

/// What a change is called on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Update,
    /// Entries went and nothing else changed.
    Delete,
}

/// Over half of the containers have no address, or there are none; lainlet does not tell these apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LostIps;

impl View {
    pub(super) fn first(told: &Told) -> Self {
        Self { number: 0, event: Event::Update, all: Body::join(told.procs.values()), told: told.clone() }
    }

    /// The view after an edit; `None` when nothing changed.
    pub(super) fn next(&self, after: &Told) -> Option<Self> {
        let differences = self.told.procs.diff(&after.procs).map(|difference| match difference {
            DiffItem::Remove(_, old) => (Some(old), None),
            DiffItem::Add(_, new) => (None, Some(new)),
            DiffItem::Update { old, new } => (Some(old.1), Some(new.1)),
        });
        let differences: Vec<_> = differences.filter(|(old, new)| old != new).collect();
        let kinds = differences.iter().map(|(_, new)| if new.is_none() { Event::Delete } else { Event::Update });
        let mut event = kinds.fold(None, join_events);
        let (before, settings) = (&self.told.settings, &after.settings);
        if before != settings {
            let kept = before.iter().filter(|&(key, value)| settings.get(key) == Some(value));
            let only_removed = kept.count() == settings.len();
            event = join_events(event, if only_removed { Event::Delete } else { Event::Update });
        }
        let event = event?;
        let replaced: Option<Vec<_>> = differences.into_iter().map(|(old, new)| old.zip(new)).collect();
        let all = match replaced.as_deref() {
            Some([]) => self.all.clone(),
            Some(replaced) => self.all.replace(replaced),
            None => Body::join(after.procs.values()),
        };
        Some(Self { number: self.number + 1, event, told: after.clone(), all })
    }

    /// The body for a request.
    pub(super) fn body(&self, query: &Query) -> Result<Bytes, LostIps> {
        match &query.subject {
            Subject::Webprocs { app: None } => self.all.told(),
            Subject::Webprocs { app: Some(app) } => {
                let first: Arc<str> = Arc::from(format!("{app}."));
                let names = self.told.procs.range(Arc::clone(&first)..);
                let mine = names.take_while(|(name, _)| name.starts_with(&*first)).filter(|(name, _)| {
                    // `demo.` also begins the names of an app `demo.x`.
                    name.rsplitn(3, '.').nth(2) == Some(app)
                });
                Body::join(mine.map(|(_, proc)| proc)).told()
            }
            Subject::Config { target } => Ok(self.settings(target)),
        }
    }

    /// The exact key, else every key that begins so.
    fn settings(&self, target: &str) -> Bytes {
        let settings = &self.told.settings;
        let exact = settings.contains_key(target);
        let chosen = settings.iter().filter(|(key, _)| if exact { *key == target } else { key.starts_with(target) });
        let mut body = String::from("{");
        for (number, (key, value)) in chosen.enumerate() {
            body.push_str(if number == 0 { "" } else { "," });
            push_string(&mut body, key);
            body.push(':');
            push_string(&mut body, value);
        }
        body.push('}');
        Bytes::from(body)
    }
}

/// Several changes in one edit are one event; it is a `delete` only when all of them are.
fn join_events(so_far: Option<Event>, event: Event) -> Option<Event> {
    match so_far {
        Some(Event::Update) => Some(Event::Update),
        _ => Some(event),
    }
}

impl Body {
    fn join<'a>(procs: impl Iterator<Item = &'a Arc<Proc>>) -> Self {
        let (mut text, mut pods, mut alive) = (String::from("{"), 0, 0);
        for proc in procs {
            if text.len() > 1 {
                text.push(',');
            }
            text.push_str(&proc.fragment);
            pods += proc.pods;
            alive += proc.alive;
        }
        text.push('}');
        Self { text: Bytes::from(text), pods, alive }
    }

    /// The same with other fragments for some procs, (old, new) in the order of their names. An old one stands there
    /// once, since it begins with its key.
    fn replace(&self, procs: &[(&Arc<Proc>, &Arc<Proc>)]) -> Self {
        let longer: usize = procs.iter().map(|(_, new)| new.fragment.len()).sum();
        let (mut text, mut pods, mut alive) = (Vec::with_capacity(self.text.len() + longer), self.pods, self.alive);
        let mut rest = self.text.as_ref();
        for (old, new) in procs {
            let at = memchr::memmem::find(rest, old.fragment.as_bytes()).unwrap_or(rest.len());
            let (front, behind) = rest.split_at(at);
            text.extend_from_slice(front);
            text.extend_from_slice(new.fragment.as_bytes());
            rest = behind.get(old.fragment.len()..).unwrap_or_default();
            (pods, alive) = (pods - old.pods + new.pods, alive - old.alive + new.alive);
        }
        text.extend_from_slice(rest);
        Self { text: text.into(), pods, alive }
    }

    /// What lainlet says of it: an error when over half of the pods have no address, or there are none.
    fn told(&self) -> Result<Bytes, LostIps> {
        if self.pods == 0 || self.alive * 2 < self.pods { Err(LostIps) } else { Ok(self.text.clone()) }
    }
}
