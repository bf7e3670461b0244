//! Containers of the demo: one listener each, stopped without losing a request.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::http::Conversation;
use super::{chat, hello, slow};

/// What a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum App {
    Hello,
    Chat,
    Slow,
}

/// A running container.
pub(super) struct Container {
    pub(super) app: App,
    pub(super) address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What a container knows of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Identity {
    pub(super) app: App,
    pub(super) number: u32,
    pub(super) address: SocketAddr,
}

impl App {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Chat => "chat",
            Self::Slow => "slow",
        }
    }

    /// The mountpoint it claims.
    pub(super) fn host(self) -> String {
        format!("{}.lain.local", self.name())
    }
}

impl Container {
    /// Starts a container on a port of its own.
    pub(super) async fn start(app: App, number: u32) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("cannot start a demo container")?;
        let address = listener.local_addr()?;
        let (stop, stopping) = watch::channel(false);
        let task = tokio::spawn(serve(listener, Identity { app, number, address }, stopping));
        Ok(Self { app, address, stop, task })
    }

    /// Accepts nothing new, lets what is under way finish for a while.
    pub(super) async fn stop(self) {
        self.stop.send_replace(true);
        let _ = tokio::time::timeout(FINISH_WITHIN, self.task).await;
    }
}

async fn serve(listener: TcpListener, identity: Identity, mut stopping: watch::Receiver<bool>) {
    let mut conversations = JoinSet::new();
    let for_conversations = stopping.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((stream, _)) = accepted {
                let conversation = Conversation::new(stream, for_conversations.clone());
                conversations.spawn(async move {
                    // A router that goes away in the middle is no news to a demo container.
                    let _ = match identity.app {
                        App::Hello => hello::converse(conversation, identity).await,
                        App::Chat => chat::converse(conversation, identity).await,
                        App::Slow => slow::converse(conversation, identity).await,
                    };
                });
            },
            Some(_) = conversations.join_next() => {}
            _ = stopping.wait_for(|stop| *stop) => break,
        }
    }
    drop(listener);
    while conversations.join_next().await.is_some() {}
}

const FINISH_WITHIN: Duration = Duration::from_secs(5);
