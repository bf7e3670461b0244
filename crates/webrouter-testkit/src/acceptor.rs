//! A listening socket whose connections are served by one thread each, and which can be taken down at once.

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

/// Accepts on a loopback port and hands every connection, numbered from 0, to a function on its own thread.
pub struct Acceptor {
    addr: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    stopped: AtomicBool,
    accepted: AtomicUsize,
    open: Mutex<HashMap<usize, TcpStream>>,
}

impl Acceptor {
    /// Binds `addr` (port 0 for a free one) and serves until dropped.
    pub fn start(
        addr: SocketAddr,
        serve: impl Fn(usize, TcpStream) + Send + Sync + 'static,
    ) -> std::io::Result<Acceptor> {
        let listener = TcpListener::bind(addr)?;
        let addr = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stopped: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: Mutex::new(HashMap::new()),
        });
        let for_thread = Arc::clone(&shared);
        let serve = Arc::new(serve);
        let thread = thread::spawn(move || accept(&listener, &for_thread, &serve));
        Ok(Acceptor { addr, shared, thread: Some(thread) })
    }

    /// The bound address.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections were accepted so far.
    pub fn accepted(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// How many of them are being served now.
    pub fn open(&self) -> usize {
        locked(&self.shared.open).len()
    }

    /// Closes every open connection; new ones are still accepted.
    pub fn close_connections(&self) {
        for stream in locked(&self.shared.open).values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Drop for Acceptor {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Only a connection wakes a blocking accept.
        let _ = TcpStream::connect(self.addr);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.close_connections();
    }
}

fn accept<F>(listener: &TcpListener, shared: &Arc<Shared>, serve: &Arc<F>)
where
    F: Fn(usize, TcpStream) + Send + Sync + 'static,
{
    while let Ok((stream, _)) = listener.accept() {
        if shared.stopped.load(Ordering::SeqCst) {
            return;
        }
        let _ = stream.set_nodelay(true);
        let Ok(kept) = stream.try_clone() else { continue };
        let number = shared.accepted.fetch_add(1, Ordering::SeqCst);
        locked(&shared.open).insert(number, kept);
        let (shared, serve) = (Arc::clone(shared), Arc::clone(serve));
        thread::spawn(move || {
            serve(number, stream);
            locked(&shared.open).remove(&number);
        });
    }
}

/// A test that failed while holding a lock must not hide its message behind a poisoned mutex.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
