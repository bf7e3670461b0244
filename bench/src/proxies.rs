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

use crate::load::{Answer, answer_length};
use crate::process::{Groups, PROXY_CORE, Placement, Program};
use crate::site::Site;

pub(crate) use webrouter::{Source, Webrouter};

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

    /// Whether it understands HTTP, so that an unknown host must not be served.
    fn routes(self) -> bool {
        self != Self::Relay
    }
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

/// A proxy that runs and listens.
pub(crate) struct Proxy {
    /// Its kind.
    pub(crate) kind: Kind,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// Its processes.
    pub(crate) program: Program,
}

impl Proxy {
    /// Writes its configuration below `directory`, starts it on the proxies' core, and waits until it serves the site.
    pub(crate) fn start(
        kind: Kind,
        binaries: &Binaries,
        site: &Site,
        directory: &Path,
        groups: &Groups,
    ) -> Result<Self> {
        let home = directory.join(kind.name());
        fs::create_dir_all(home.join("logs"))?;
        let address = free_address()?;
        let command = match kind {
            Kind::Nginx => nginx::command(&binaries.nginx, site, address, &home)?,
            Kind::Haproxy => haproxy::command(&binaries.haproxy, site, address, &home)?,
            Kind::Webrouter => Webrouter::of_site(site, address, &home)?.command(&binaries.webrouter),
            Kind::Relay => {
                let mut relay = Command::new(std::env::current_exe()?);
                relay
                    .args(["relay", "--listen", &address.to_string()])
                    .args(["--upstream", &site.endpoint(0).to_string()]);
                relay
            }
        };
        let mut program =
            Program::start(kind.name(), Placement::Core(PROXY_CORE), &command, &home.join("output"), groups)?;
        let host = Site::host(0);
        program.wait_until(Duration::from_secs(60), Duration::from_millis(20), || {
            ask(address, &host, "/").is_ok_and(|answer| matches!(answer.kind, Answer::Good { .. }))
        })?;
        Ok(Self { kind, address, program })
    }

    /// Checks status and length for names over the whole range, and that an unknown host is not served.
    /// Returns the bytes of one answer, head included.
    pub(crate) fn check(&self, site: &Site, path: &str, body: usize) -> Result<usize> {
        let mut bytes = 0;
        let step = (site.active / 20).max(1);
        for number in (0..site.active).step_by(step) {
            let host = Site::host(number);
            let answer = ask(self.address, &host, path)
                .with_context(|| format!("{}: no answer for {host}{path}", self.kind.name()))?;
            match answer.kind {
                Answer::Good { head, body: length } if length == body && answer.bytes == head + body => {
                    bytes = answer.bytes;
                }
                other => bail!("{}: wrong answer for {host}{path}: {other:?}", self.kind.name()),
            }
        }
        let stranger = ask(self.address, "nobody.elsewhere.test", path);
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
    let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
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
