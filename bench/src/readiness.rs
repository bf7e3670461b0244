//! The epoll loop under the origin, the relay and the loader: one thread, edge-triggered, a token per descriptor.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

/// What epoll reports of one descriptor.
#[derive(Clone, Copy)]
pub(crate) struct Ready {
    /// The descriptor's number, its token.
    pub(crate) token: usize,
    /// The peer has closed its side, or the connection is broken: a short read is not the last one.
    pub(crate) hung_up: bool,
}

/// An epoll instance that watches descriptors for both directions, edge-triggered.
pub(crate) struct Readiness {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
}

impl Readiness {
    /// Opens an epoll instance.
    pub(crate) fn open() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, events: Vec::with_capacity(256) })
    }

    /// Watches a connection, both directions, under its descriptor number.
    pub(crate) fn watch(&self, socket: &(impl AsFd + AsRawFd)) -> io::Result<usize> {
        use epoll::EventFlags as F;
        self.watch_as(socket, F::IN | F::OUT | F::RDHUP | F::ET)
    }

    /// Watches a listening socket for connections, level-triggered.
    pub(crate) fn watch_listener(&self, socket: &(impl AsFd + AsRawFd)) -> io::Result<usize> {
        self.watch_as(socket, epoll::EventFlags::IN)
    }

    /// Waits until something is ready or the time is over, and hands the events over in `ready`.
    pub(crate) fn wait(&mut self, ready: &mut Vec<Ready>, at_most: Duration) -> io::Result<()> {
        use epoll::EventFlags as F;
        let timeout = Timespec::try_from(at_most).map_err(io::Error::other)?;
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        ready.clear();
        ready.extend(self.events.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            Ready {
                token: usize::try_from(data.u64()).unwrap_or(usize::MAX),
                hung_up: flags.intersects(F::RDHUP | F::HUP | F::ERR),
            }
        }));
        Ok(())
    }

    fn watch_as(&self, socket: &(impl AsFd + AsRawFd), flags: epoll::EventFlags) -> io::Result<usize> {
        let token = slot(socket);
        epoll::add(&self.epoll, socket, epoll::EventData::new_u64(token as u64), flags)?;
        Ok(token)
    }
}

/// Things kept under the descriptor number they belong to.
pub(crate) struct Slots<T>(Vec<Option<T>>);

impl<T> Slots<T> {
    /// An empty table.
    pub(crate) fn empty() -> Self {
        Self(Vec::new())
    }

    /// Puts a value under a token.
    pub(crate) fn insert(&mut self, token: usize, value: T) {
        if self.0.len() <= token {
            self.0.resize_with(token + 1, || None);
        }
        if let Some(place) = self.0.get_mut(token) {
            *place = Some(value);
        }
    }

    /// The value under a token.
    pub(crate) fn at(&mut self, token: usize) -> Option<&mut T> {
        self.0.get_mut(token)?.as_mut()
    }

    /// Takes the value under a token away.
    pub(crate) fn remove(&mut self, token: usize) -> Option<T> {
        self.0.get_mut(token)?.take()
    }
}

fn slot(socket: &impl AsRawFd) -> usize {
    usize::try_from(socket.as_raw_fd()).expect("an open descriptor is not negative")
}
