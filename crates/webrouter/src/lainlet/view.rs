//! What a request sees of the apps: bodies, and the event that leads from one state to the next.

use std::sync::Arc;

use bytes::Bytes;

use super::apps::{Apps, Proc};
use super::json::push_string;
use super::query::{Query, Subject};

/// All that can be asked for at one moment.
#[derive(Debug)]
pub(super) struct View {
    /// Rises with every change.
    pub(super) number: u64,
    /// What the last change was.
    pub(super) event: Event,
    apps: Apps,
    all: Result<Bytes, LostIps>,
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
    pub(super) fn first(apps: &Apps) -> Self {
        Self { number: 0, event: Event::Update, all: join(apps.procs().values()), apps: apps.clone() }
    }

    /// The view after an edit; `None` when nothing changed.
    pub(super) fn next(&self, before: &Apps, after: &Apps) -> Option<Self> {
        let mut event = None;
        for difference in before.procs().diff(after.procs()) {
            let kind = match difference {
                imbl::ordmap::DiffItem::Remove(..) => Event::Delete,
                imbl::ordmap::DiffItem::Add(..) => Event::Update,
                imbl::ordmap::DiffItem::Update { old, new } if old.1 == new.1 => continue,
                imbl::ordmap::DiffItem::Update { .. } => Event::Update,
            };
            event = join_events(event, kind);
        }
        let procs_changed = event.is_some();
        if before.settings() != after.settings() {
            let kept = before.settings().iter().filter(|&(key, value)| after.settings().get(key) == Some(value));
            let only_removed = kept.count() == after.settings().len();
            event = join_events(event, if only_removed { Event::Delete } else { Event::Update });
        }
        let all = if procs_changed { join(after.procs().values()) } else { self.all.clone() };
        event.map(|event| Self { number: self.number + 1, event, apps: after.clone(), all })
    }

    /// The body for a request.
    pub(super) fn body(&self, query: &Query) -> Result<Bytes, LostIps> {
        match &query.subject {
            Subject::Webprocs { app: None } => self.all.clone(),
            Subject::Webprocs { app: Some(app) } => {
                let first: Arc<str> = Arc::from(format!("{app}."));
                let names = self.apps.procs().range(Arc::clone(&first)..);
                let mine = names.take_while(|(name, _)| name.starts_with(&*first)).filter(|(name, _)| {
                    // `demo.` also begins the names of an app `demo.x`.
                    name.rsplitn(3, '.').nth(2) == Some(app)
                });
                join(mine.map(|(_, proc)| proc))
            }
            Subject::Config { target } => Ok(self.settings(target)),
        }
    }

    /// The exact key, else every key that begins so.
    fn settings(&self, target: &str) -> Bytes {
        let settings = self.apps.settings();
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

fn join<'a>(procs: impl Iterator<Item = &'a Arc<Proc>>) -> Result<Bytes, LostIps> {
    let procs: Vec<&Arc<Proc>> = procs.collect();
    let (pods, alive, length) = procs.iter().fold((0, 0, 2), |(pods, alive, length), proc| {
        (pods + proc.pods, alive + proc.alive, length + proc.fragment.len() + 1)
    });
    if pods == 0 || alive * 2 < pods {
        return Err(LostIps);
    }
    let mut body = String::with_capacity(length);
    body.push('{');
    for (number, proc) in procs.iter().enumerate() {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&proc.fragment);
    }
    body.push('}');
    Ok(Bytes::from(body))
}
