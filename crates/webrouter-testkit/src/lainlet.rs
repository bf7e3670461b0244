//! A scripted lainlet that speaks the wire of the real one and fails in all the ways it was seen to fail.
//!
//! Its state is set from the test; each watch sends the whole state after every change. One byte on a watch
//! connection after the request crashes a real lainlet, so it is recorded here as a crash.

mod serve;
mod state;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use serde_json::Value;

use crate::acceptor::{Acceptor, locked};
use state::State;

/// The lainlet; it goes when dropped.
pub struct Lainlet {
    addr: SocketAddr,
    acceptor: Mutex<Option<Acceptor>>,
    shared: Arc<Shared>,
}

/// How it behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Normal,
    /// GET is a 500; a watch gets one error event and EOF, at once, as often as it is tried.
    Error,
    /// Connections stay open and nothing is sent on them any more, new ones included.
    HalfOpen(Gets),
    /// Heartbeats go on, but watches opened before or now never get an event again; GET is right.
    Deaf,
    /// Frames and GET answers are not what they should be.
    Garbage(Garbage),
    /// Everything is `{}`.
    Empty,
    /// Every second entry is missing.
    Halved,
    /// Changes made now make no event; GET is right.
    DropEvents,
}

/// What GETs do while watches are half-open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gets {
    /// They get no answer either.
    Hang,
    /// They are answered.
    Answer,
}

/// Kinds of garbage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Garbage {
    /// Not JSON at all.
    NotJson,
    /// The connection ends in the middle of a frame or body.
    Truncated,
    /// JSON of another shape.
    WrongTypes,
    /// One line of 50 MB.
    HugeLine,
}

struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    watches: AtomicUsize,
}

struct Inner {
    state: State,
    mode: Mode,
    /// Rises with every change of state or mode.
    revision: u64,
    removed_last: bool,
    stopped: bool,
    requests: Vec<String>,
    crashes: Vec<String>,
}

impl Lainlet {
    /// A lainlet without any app on a free loopback port.
    pub fn start() -> Lainlet {
        let shared = Arc::new(Shared {
            inner: Mutex::new(Inner {
                state: State::default(),
                mode: Mode::Normal,
                revision: 0,
                removed_last: false,
                stopped: false,
                requests: Vec::new(),
                crashes: Vec::new(),
            }),
            changed: Condvar::new(),
            watches: AtomicUsize::new(0),
        });
        let acceptor = listen(SocketAddr::from(([127, 0, 0, 1], 0)), &shared);
        Lainlet { addr: acceptor.addr(), acceptor: Mutex::new(Some(acceptor)), shared }
    }

    /// Where it listens, also while it is down.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Sets a proc with one container a pod.
    pub fn set_app(&self, key: &str, mountpoints: &[&str], endpoints: &[SocketAddr]) {
        let annotation = serde_json::json!({ "mountpoint": mountpoints }).to_string();
        self.set_annotated(key, &annotation, endpoints);
    }

    /// Sets a proc whose annotation is this text, whatever it is.
    pub fn set_annotated(&self, key: &str, annotation: &str, endpoints: &[SocketAddr]) {
        self.set_raw(key, state::proc(annotation, endpoints));
    }

    /// Sets an entry as it is.
    pub fn set_raw(&self, key: &str, value: Value) {
        self.edit(|procs| {
            procs.insert(key.to_owned(), value);
        });
    }

    /// Removes an entry.
    pub fn remove(&self, key: &str) {
        self.edit(|procs| {
            procs.remove(key);
        });
    }

    /// Makes any change as one event.
    pub fn edit(&self, change: impl FnOnce(&mut serde_json::Map<String, Value>)) {
        self.change(|inner| {
            let before = inner.state.procs.len();
            change(&mut inner.state.procs);
            inner.removed_last = inner.state.procs.len() < before;
        });
    }

    /// Makes an entry for `set_raw` and `edit`.
    pub fn entry(mountpoints: &[&str], endpoints: &[SocketAddr]) -> Value {
        state::proc(&serde_json::json!({ "mountpoint": mountpoints }).to_string(), endpoints)
    }

    /// Sets or removes a cluster setting such as `ssl` or `extra_domains`.
    pub fn set_config(&self, key: &str, text: Option<&str>) {
        self.change(|inner| {
            inner.removed_last = text.is_none();
            match text {
                Some(text) => inner.state.config.insert(key.to_owned(), text.into()),
                None => inner.state.config.remove(key),
            };
        });
    }

    /// Behaves differently from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.change(|inner| inner.mode = mode);
    }

    /// Closes the listener and all connections.
    pub fn down(&self) {
        locked(&self.acceptor).take();
    }

    /// Listens again, on the same port.
    pub fn up(&self) {
        let mut acceptor = locked(&self.acceptor);
        if acceptor.is_none() {
            *acceptor = Some(listen(self.addr, &self.shared));
        }
    }

    /// Open watch connections.
    pub fn watches(&self) -> usize {
        self.shared.watches.load(Ordering::SeqCst)
    }

    /// Request lines so far.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.shared.inner).requests.clone()
    }

    /// What would have crashed a real one; must stay empty.
    pub fn crashes(&self) -> Vec<String> {
        locked(&self.shared.inner).crashes.clone()
    }

    fn change(&self, change: impl FnOnce(&mut Inner)) {
        let mut inner = locked(&self.shared.inner);
        change(&mut inner);
        inner.revision += 1;
        drop(inner);
        self.shared.changed.notify_all();
    }
}

impl Drop for Lainlet {
    fn drop(&mut self) {
        self.change(|inner| inner.stopped = true);
        self.down();
    }
}

fn listen(addr: SocketAddr, shared: &Arc<Shared>) -> Acceptor {
    let shared = Arc::clone(shared);
    Acceptor::start(addr, move |_, stream| serve::connection(stream, &shared)).expect("the port can be listened on")
}

#[cfg(test)]
mod tests;
