//! The programs that are compared, each with the best reasonable configuration we know.

mod haproxy;
mod nginx;
mod webrouter;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use crate::certificate::Certificate;
use crate::load::{Answer, answer_length};
use crate::process::{Groups, PROXY_CORE, Placement, Program};
use crate::site::Site;

pub(crate) use webrouter::{Listen, Source, Webrouter};

/// A kind of proxy.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// nginx, or a Tengine given as `--nginx`.
    Nginx,
    /// HAProxy.
    Haproxy,
    /// webrouter, the built-in engine.
    Webrouter,
    /// The raw TCP relay of this crate.
    Relay,
}

impl Kind {
    /// The name in tables.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Webrouter => "webrouter",
            Self::Relay => "relay",
        }
    }

    /// Whether it does the same job as webrouter, so that it counts as a peer.
    pub(crate) fn is_peer(self) -> bool {
        matches!(self, Self::Nginx | Self::Haproxy)
    }

    /// Whether it can listen for this: neither the relay nor the origin behind it speaks TLS.
    pub(crate) fn can(self, entry: Entry) -> bool {
        self != Self::Relay || entry != Entry::Encrypted
    }

    /// Whether it understands HTTP, so that an unknown host must not be served.
    fn routes(self) -> bool {
        self != Self::Relay
    }
}

/// What a proxy listens for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Entry {
    /// HTTP/1.1.
    Plain,
    /// HTTP/1.1 that may become WebSocket.
    Upgrades,
    /// TLS, with HTTP/2 or HTTP/1.1 by ALPN.
    Encrypted,
}

/// Where the programs are.
pub(crate) struct Binaries {
    /// nginx or Tengine.
    pub(crate) nginx: PathBuf,
    /// HAProxy.
    pub(crate) haproxy: PathBuf,
    /// webrouter.
    pub(crate) webrouter: PathBuf,
}

/// What all proxies of a run have in common.
pub(crate) struct Setting<'a> {
    /// The programs.
    pub(crate) binaries: Binaries,
    /// The names they serve.
    pub(crate) site: Site,
    /// What they show where they speak TLS.
    pub(crate) certificate: Certificate,
    /// Where configurations, scripts and outputs go.
    pub(crate) directory: &'a Path,
    /// Children to end on Ctrl-C.
    pub(crate) groups: &'a Groups,
}

/// A proxy that runs and listens.
pub(crate) struct Proxy {
    /// Its kind.
    pub(crate) kind: Kind,
    /// What it listens for.
    pub(crate) entry: Entry,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its processes.
    pub(crate) program: Program,
}

impl Proxy {
    /// Writes its configuration, starts it on the proxies' core, and waits until it serves the site.
    pub(crate) fn start(kind: Kind, entry: Entry, setting: &Setting<'_>) -> Result<Self> {
        let Setting { binaries, site, .. } = setting;
        let home = setting.directory.join(kind.name());
        fs::create_dir_all(home.join("logs"))?;
        let address = free_address()?;
        let command = match kind {
            Kind::Nginx => nginx::command(setting, entry, address, &home)?,
            Kind::Haproxy => haproxy::command(setting, entry, address, &home)?,
            Kind::Webrouter => Webrouter::of_site(setting, entry, address, &home)?.command(&binaries.webrouter),
            Kind::Relay => {
                let mut relay = Command::new(std::env::current_exe()?);
                relay
                    .args(["relay", "--listen", &address.to_string()])
                    .args(["--upstream", &site.endpoint(0).to_string()]);
                relay
            }
        };
        let program =
            Program::start(kind.name(), Placement::Core(PROXY_CORE), &command, &home.join("output"), setting.groups)?;
        let mut proxy = Self { kind, entry, address, program };
        let host = Site::host(0);
        proxy.program.wait_until(Duration::from_secs(60), Duration::from_millis(20), || {
            ask_at(entry, address, &setting.certificate, &host, "/")
                .is_ok_and(|answer| matches!(answer.kind, Answer::Good { .. }))
        })?;
        Ok(proxy)
    }

    /// Checks status and length for names over the whole range, and that an unknown host is not served.
    /// Returns the bytes of one answer, head included.
    pub(crate) fn check(&self, setting: &Setting<'_>, path: &str, body: usize) -> Result<usize> {
        let site = &setting.site;
        let ask = |host: &str| ask_at(self.entry, self.address, &setting.certificate, host, path);
        let mut bytes = 0;
        let step = (site.active / 20).max(1);
        for number in (0..site.active).step_by(step) {
            let host = Site::host(number);
            let answer = ask(&host).with_context(|| format!("{}: no answer for {host}{path}", self.kind.name()))?;
            match answer.kind {
                Answer::Good { head, body: length } if length == body && answer.bytes == head + body => {
                    bytes = answer.bytes;
                }
                other => bail!("{}: wrong answer for {host}{path}: {other:?}", self.kind.name()),
            }
        }
        let stranger = ask("nobody.elsewhere.test");
        if self.kind.routes() && stranger.is_ok_and(|answer| answer.kind != Answer::Bad) {
            bail!("{}: an unknown host was served", self.kind.name());
        }
        Ok(bytes)
    }
}

/// One answer, read to its end.
pub(crate) struct Reply {
    /// What the head promises.
    pub(crate) kind: Answer,
    /// Bytes received, head included.
    pub(crate) bytes: usize,
}

/// Sends one request on a keep-alive connection of its own and reads the whole answer.
pub(crate) fn ask(address: SocketAddr, host: &str, path: &str) -> Result<Reply> {
    exchange(connect(address)?, host, path)
}

/// As [`ask`], over TLS where the entry is encrypted: behind the name of the first app, whatever host is asked for.
fn ask_at(entry: Entry, address: SocketAddr, certificate: &Certificate, host: &str, path: &str) -> Result<Reply> {
    match entry {
        Entry::Plain | Entry::Upgrades => ask(address, host, path),
        Entry::Encrypted => exchange(certificate.encrypt(connect(address)?, &Site::host(0))?, host, path),
    }
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    Ok(stream)
}

fn exchange(mut stream: impl Read + Write, host: &str, path: &str) -> Result<Reply> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes())?;
    let (mut received, mut buffer) = (Vec::new(), vec![0; 64 * 1024]);
    loop {
        let kind = answer_length(&received);
        let whole = match kind {
            Answer::Partial => false,
            Answer::Good { head, body } => received.len() >= head + body,
            Answer::Bad => true,
        };
        if whole {
            return Ok(Reply { kind, bytes: received.len() });
        }
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            bail!("closed after {} bytes", received.len());
        }
        received.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

/// A loopback address that was free a moment ago.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
