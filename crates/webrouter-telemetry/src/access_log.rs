//! The access log: one line per request, a file per host and upstream, written off the request path.
//!
//! ```text
//! core 0  CoreLog ─ batch ─┐ try_send            ┌─ <host>___<upstream>.access.log
//! core 1  CoreLog ─ batch ─┼────────► "access-log" thread ─┤ …
//!         ◄─ empty batch ──┘                     └─ or stdout
//! ```
//! A core formats into its batch and never waits: when the writer is behind (a bounded number of bytes is under
//! way) the batch is dropped and its lines are counted as lost. No foreign byte gets into a line unescaped.

mod batch;
mod core;
mod escape;
mod file_name;
mod line;
mod loss;
mod writer;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use jiff::tz::TimeZone;

pub use self::core::CoreLog;
pub use self::loss::{LossReason, Losses};
use self::writer::{Message, Writer};

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A file per host and upstream in this directory; it is created when missing.
    Directory(PathBuf),
    /// Standard output, all lines mixed.
    Stdout,
}

/// The shape of a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    /// LAIN's line, separated by `@`, with nginx escaping.
    #[default]
    Lain,
    /// A JSON object per line, in this order: `time` (RFC 3339 with milliseconds), `remote_addr`, `remote_user`,
    /// `scheme`, `host`, `request`, `status`, `bytes_received`, `body_bytes_sent`, `referer`, `user_agent`,
    /// `x_forwarded_for`, `request_id`, `route`, `upstream_addr`, `attempts`, `cause`, `upstream_response_time`,
    /// `request_time` (seconds). What is empty is left out; bytes that are not UTF-8 become U+FFFD.
    Json,
}

/// What the access log is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessLogConfig {
    /// Where the lines go.
    pub destination: Destination,
    /// The shape of a line.
    pub format: Format,
}

/// Why the access log cannot start; a directory that cannot be written is no reason, its lines count as lost.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// No thread for the writer.
    #[error("the access log's writer thread cannot be started: {0}")]
    Thread(#[source] std::io::Error),
}

/// A file of the access log; the request path names files by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LogFileId(pub(crate) u32);

impl LogFileId {
    /// `unknown___none.access.log`: requests that no route took.
    pub const UNROUTED: Self = Self(0);
}

/// What happened to one request; an empty text is written as `-` (left out in JSON).
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The file of the route, [`LogFileId::UNROUTED`] when there is none.
    pub file: LogFileId,
    /// When the first byte of the request was read.
    pub started: SystemTime,
    /// The client, after `trusted_proxies`.
    pub remote_addr: IpAddr,
    /// The user of Basic authentication.
    pub remote_user: &'a [u8],
    /// `Host` as received.
    pub host: &'a [u8],
    /// The request line as received, without its line end.
    pub request: &'a [u8],
    /// The status sent; 0 when none was.
    pub status: u16,
    /// Body bytes sent to the client.
    pub body_bytes_sent: u64,
    /// `Referer`.
    pub referer: &'a [u8],
    /// `User-Agent`.
    pub user_agent: &'a [u8],
    /// `X-Forwarded-For` as received.
    pub x_forwarded_for: &'a [u8],
    /// Time spent with endpoints, over all attempts; `None` when none was asked.
    pub upstream_time: Option<Duration>,
    /// From the first byte of the request to the last of the response.
    pub request_time: Duration,
    /// Body bytes received from the client (JSON only).
    pub bytes_received: u64,
    /// The endpoint that answered (JSON only).
    pub upstream_addr: Option<SocketAddr>,
    /// `X-Request-Id` (JSON only).
    pub request_id: &'a [u8],
    /// `http` or `https` (JSON only).
    pub scheme: &'static str,
    /// The mountpoint (JSON only).
    pub route: &'a str,
    /// Why it did not go well, a [`crate::Cause`] word (JSON only).
    pub cause: &'static str,
    /// How many endpoints were asked (JSON only).
    pub attempts: u8,
}

/// The handle: hands out logs for cores, reopens and stops. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AccessLog {
    shared: Arc<Shared>,
    sender: SyncSender<Message>,
    done: Arc<Mutex<Receiver<()>>>,
}

/// What cores, handle and writer have in common.
#[derive(Debug)]
struct Shared {
    config: AccessLogConfig,
    zone: TimeZone,
    files: FileNames,
    losses: Arc<Losses>,
    /// Bytes handed to the writer and not yet written.
    under_way: AtomicUsize,
    reopen: AtomicBool,
    stop: AtomicBool,
}

/// The names of all files ever asked for, by id; they are configured names, so few and never dropped.
#[derive(Debug, Default)]
struct FileNames {
    names: RwLock<Vec<Arc<str>>>,
    ids: Mutex<HashMap<Arc<str>, LogFileId>>,
}

impl AccessLog {
    /// Starts the writer thread.
    pub fn start(config: AccessLogConfig) -> Result<Self, AccessLogError> {
        Self::start_in(config, TimeZone::system())
    }

    fn start_in(config: AccessLogConfig, zone: TimeZone) -> Result<Self, AccessLogError> {
        let shared = Arc::new(Shared {
            config,
            zone,
            files: FileNames::default(),
            losses: Arc::default(),
            under_way: AtomicUsize::new(0),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
        });
        shared.files.id(file_name::unrouted());
        let (sender, receiver) = sync_channel(MAX_BATCHES_UNDER_WAY);
        let (done_sender, done) = sync_channel(1);
        let writer = Writer::new(Arc::clone(&shared), receiver);
        let run = move || {
            writer.run();
            // Nobody waits unless `stop` was called.
            let _ = done_sender.try_send(());
        };
        std::thread::Builder::new().name("access-log".into()).spawn(run).map_err(AccessLogError::Thread)?;
        Ok(Self { shared, sender, done: Arc::new(Mutex::new(done)) })
    }

    /// A log for one core; it belongs to one thread.
    pub fn core(&self) -> CoreLog {
        CoreLog::new(Arc::clone(&self.shared), self.sender.clone())
    }

    /// The file of a route, by its configured host and upstream; asked once per route, not per request.
    pub fn file(&self, host: &str, upstream: &str) -> LogFileId {
        self.shared.files.id(file_name::file_name(host, upstream))
    }

    /// Has all files closed and opened again with the next line (SIGUSR1).
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.wake();
    }

    /// How many lines were lost since the start.
    pub fn lost(&self) -> u64 {
        self.shared.losses.total()
    }

    /// The counters behind [`AccessLog::lost`], by reason.
    pub fn losses(&self) -> Arc<Losses> {
        Arc::clone(&self.shared.losses)
    }

    /// Writes all that cores have handed over and ends the writer; waits at most 5 seconds for a hung disk.
    ///
    /// Cores flush before; what they hand over later is lost.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        let done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        // Disconnected: it has ended. Timed out: the disk hangs, and the process may end without it.
        let _ = done.recv_timeout(STOP_TIMEOUT);
    }

    fn wake(&self) {
        // Full: the writer is awake and looks at the flags after each batch.
        let _ = self.sender.try_send(Message::Wake);
    }
}

impl FileNames {
    fn id(&self, name: String) -> LogFileId {
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(id) = ids.get(name.as_str()) {
            return *id;
        }
        let name: Arc<str> = name.into();
        let mut names = self.names.write().unwrap_or_else(PoisonError::into_inner);
        // Four billion configured names do not fit into memory; beyond them, lines go to the file of no route.
        let Ok(next) = u32::try_from(names.len()) else { return LogFileId::UNROUTED };
        names.push(Arc::clone(&name));
        ids.insert(name, LogFileId(next));
        LogFileId(next)
    }

    fn name(&self, id: LogFileId) -> Option<Arc<str>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.get(usize::try_from(id.0).ok()?).cloned()
    }
}

/// Batches are about 32 KiB; the bytes are bounded apart, by [`MAX_BYTES_UNDER_WAY`].
const MAX_BATCHES_UNDER_WAY: usize = 256;

/// How much may wait for the disk before lines are lost.
const MAX_BYTES_UNDER_WAY: usize = 8 << 20;

const STOP_TIMEOUT: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
