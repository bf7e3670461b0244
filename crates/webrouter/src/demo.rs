//! `webrouter demo`: three small apps, a development lainlet and the router in one process, on loopback.
//!
//! Everything goes the normal way: the apps are in a file, lainlet follows the file, the router follows lainlet. One
//! container of `hello` moves every few seconds, as a cluster moves its containers.

mod chat;
mod container;
mod hello;
mod http;
mod slow;
mod websocket;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{sleep, timeout};

use crate::app::{Instance, Listening, Signals, start_logging};
use crate::cli::Verdict;
use crate::config::{Config, Environment};
use crate::lainlet::Lainlet;
use container::{App, Container};

/// Runs until a signal, and leaves nothing behind.
pub(crate) async fn run(port: Option<u16>) -> anyhow::Result<Verdict> {
    start_logging("warn")?;
    let mut signals = Signals::new()?;
    let folder = tempfile::tempdir().context("cannot make a temporary folder")?;
    let mut cluster = Cluster::start(folder.path()).await?;
    let lainlet = Lainlet::start(&cluster.file, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await?;
    let lainlet_address = lainlet.address()?;
    let lainlet = tokio::spawn(lainlet.run());
    let instance = Instance::start(configure(folder.path(), lainlet_address, port)?).await?;
    timeout(PATIENCE, instance.discovery().ready()).await.context("the router did not become ready")?;
    print(&welcome(instance.listening(), lainlet_address))?;
    let moving = async {
        loop {
            sleep(MOVE_EVERY).await;
            print(&cluster.move_one(&instance).await?)?;
        }
    };
    let outcome = tokio::select! {
        moved = moving => moved,
        () = signals.stop() => Ok(Verdict::Well),
    };
    print("stopping\n")?;
    tokio::select! {
        () = instance.stop() => {}
        () = signals.stop() => {}
    }
    lainlet.abort();
    cluster.stop().await;
    outcome
}

/// The apps with their containers, and the file that tells of them.
struct Cluster {
    file: std::path::PathBuf,
    containers: Vec<Container>,
}

impl Cluster {
    async fn start(folder: &Path) -> anyhow::Result<Self> {
        let mut containers = Vec::new();
        for app in [App::Hello, App::Chat, App::Slow] {
            for number in 1..=2 {
                containers.push(Container::start(app, number).await?);
            }
        }
        let cluster = Self { file: folder.join("apps.toml"), containers };
        cluster.write()?;
        Ok(cluster)
    }

    /// Writes the file in one step.
    fn write(&self) -> anyhow::Result<()> {
        let mut text = String::new();
        for app in [App::Hello, App::Chat, App::Slow] {
            let mine = self.containers.iter().filter(|container| container.app == app);
            let endpoints: Vec<String> = mine.map(|container| container.address.to_string()).collect();
            let host = app.host();
            writeln!(text, "[apps.\"{0}.web.web\"]\nmountpoint = [\"{host}\"]\nendpoints = {endpoints:?}", app.name())?;
        }
        let new = self.file.with_extension("new");
        std::fs::write(&new, text)?;
        std::fs::rename(&new, &self.file).context("cannot write the demo's apps.toml")
    }

    /// Starts a new container of `hello`, tells, and ends the old one when the router knows.
    async fn move_one(&mut self, instance: &Instance) -> anyhow::Result<String> {
        let new = Container::start(App::Hello, 1).await?;
        let (from, to) = match self.containers.first_mut() {
            Some(place) => {
                let to = new.address;
                let old = std::mem::replace(place, new);
                let from = old.address;
                self.write()?;
                timeout(PATIENCE, in_force(instance, to)).await.context("the move did not come in force")?;
                old.stop().await;
                (from, to)
            }
            None => return Ok(String::new()),
        };
        let generation = instance.discovery().table().generation();
        Ok(format!("moved hello/1 from {from} to {to}: generation {generation}\n"))
    }

    async fn stop(self) {
        for container in self.containers {
            container.stop().await;
        }
    }
}

async fn in_force(instance: &Instance, address: SocketAddr) {
    let knows = || {
        let table = instance.discovery().table();
        table.procs().any(|(_, proc)| proc.upstream.endpoints.iter().any(|endpoint| endpoint.address() == address))
    };
    while !knows() {
        sleep(Duration::from_millis(5)).await;
    }
}

fn configure(folder: &Path, lainlet: SocketAddr, port: Option<u16>) -> anyhow::Result<Config> {
    let router = port.map_or_else(|| free_or_any(ROUTER_PORT), |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let text = format!(
        "[listen]\nhttp = [\"{router}\"]\n[cluster]\ndomain = \"lain.local\"\n[source.lainlet]\naddress = \"{lainlet}\"\n\
         [access_log]\ndirectory = \"log\"\n[admin]\nlisten = \"{admin}\"\n[state]\ndirectory = \"state\"\n\
         [stop]\ndeadline = \"4s\"\n",
        admin = free_or_any(ADMIN_PORT)
    );
    let config = Config::parse(&folder.join("webrouter.toml"), &text, &Environment::default());
    config.context("the demo's own configuration")
}

/// The well-known port if it is free, else whichever is.
fn free_or_any(port: u16) -> SocketAddr {
    let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(wanted) {
        Ok(_) => wanted,
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

fn welcome(listening: &Listening, lainlet: SocketAddr) -> String {
    let router = listening.http.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let admin = listening.admin;
    let [hello, chat, slow] = [App::Hello, App::Chat, App::Slow].map(App::host);
    format!(
        "webrouter demo: hello, chat and slow, two containers each, behind one router

  router   http://{router}/
  admin    http://{admin}/
  lainlet  http://{lainlet}/v2/webrouter/webprocs

Try, in another terminal (hello: which container answered; chat: a WebSocket that echoes; slow: a stream):

  curl -H 'Host: {hello}' http://{router}/
  curl -isN -H 'Host: {chat}' -H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' \
-H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==' http://{router}/greet
  curl -N -H 'Host: {slow}' http://{router}/

  webrouter status --admin {admin}
  webrouter explain http://{hello}/ --admin {admin}

A container of hello moves every {} seconds; no request is lost. Ctrl-C ends it.

",
        MOVE_EVERY.as_secs()
    )
}

/// Standard output may be a pipe that nobody reads any more; the demo goes on.
fn print(text: &str) -> anyhow::Result<()> {
    use std::io::{ErrorKind, Write as _};
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

const ROUTER_PORT: u16 = 8000;
const ADMIN_PORT: u16 = 9080;
const MOVE_EVERY: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(10);
