//! A lainlet for development: speaks the wire of the real one and says what a file of apps says.
//!
//! ```text
//! apps.toml ─ follow ─► apps (fragments, only changed ones re-made) ─► View ─ watch channel ─► serve (bytes)
//! ```
//! An app's policies go into its annotation; weights of endpoints do not: lainlet has no place for them.
//! It does not copy the real one's faults: no event is dropped, no sibling hidden, no byte crashes it.

mod apps;
mod follow;
mod json;
mod query;
mod serve;
mod view;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::ConfigError;
use apps::Apps;
use follow::Follower;
use view::View;

/// A development lainlet that is bound and has read its file.
pub(crate) struct Lainlet {
    listener: TcpListener,
    apps: Apps,
    follower: Follower,
}

/// Why it cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LainletError {
    /// The file of apps is missing or wrong.
    #[error(transparent)]
    Apps(#[from] ConfigError),
    /// The address cannot be bound.
    #[error("cannot listen at {address}: {error}; choose another address with --listen")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file cannot be followed.
    #[error("cannot follow {}: {error}", path.display())]
    Follow {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: notify::Error,
    },
}

impl Lainlet {
    /// Reads the file and binds the address; nothing is served yet.
    pub(crate) async fn start(path: &Path, address: SocketAddr) -> Result<Self, LainletError> {
        // Followed before it is read: an edit in between is seen.
        let follower = Follower::start(path).map_err(|error| LainletError::Follow { path: path.to_owned(), error })?;
        let mut apps = Apps::new(path);
        apps.read()?;
        let bind = TcpListener::bind(address).await;
        let listener = bind.map_err(|error| LainletError::Bind { address, error })?;
        Ok(Self { listener, apps, follower })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves and follows the file until it is dropped.
    pub(crate) async fn run(self) {
        let Self { listener, mut apps, mut follower } = self;
        let (publish, views) = watch::channel(Arc::new(View::first(apps.told())));
        let follow = async {
            while follower.changed().await {
                match apps.read() {
                    Ok(()) => {
                        let view = publish.borrow().next(apps.told());
                        if let Some(view) = view {
                            info!(procs = apps.len(), "apps changed");
                            publish.send_replace(Arc::new(view));
                        }
                    }
                    Err(error) => warn!("the edit is not served:\n{}", error.report(crate::config::Colour::Plain)),
                }
            }
        };
        tokio::join!(follow, serve::serve(listener, views));
    }
}

#[cfg(test)]
mod tests;
