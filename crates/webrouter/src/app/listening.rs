//! `listening.json` in the state directory: where the instance listens, also when the ports were free choices.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use webrouter_proxy::{ListenerConfig, Listeners, Scope, Security};

/// The bound addresses of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Listening {
    pub(crate) http: Vec<SocketAddr>,
    #[serde(default)]
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) external_http: Vec<SocketAddr>,
    #[serde(default)]
    pub(crate) external_https: Vec<SocketAddr>,
    pub(crate) admin: SocketAddr,
}

impl Listening {
    pub(super) fn new(listeners: &Listeners, admin: SocketAddr) -> Self {
        let of = |scope, security| {
            let is_meant = move |l: &&ListenerConfig| (l.scope, l.security) == (scope, security);
            listeners.addresses().iter().filter(is_meant).map(|listener| listener.address).collect()
        };
        Self {
            http: of(Scope::All, Security::Plain),
            https: of(Scope::All, Security::Tls),
            external_http: of(Scope::External, Security::Plain),
            external_https: of(Scope::External, Security::Tls),
            admin,
        }
    }

    /// Reads what the last instance with this state directory wrote.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let text = std::fs::read(path(directory))?;
        serde_json::from_slice(&text).map_err(io::Error::other)
    }

    /// Tells the log and who reads the state directory.
    pub(super) fn announce(&self, directory: &Path) {
        if let Err(error) = self.write(directory) {
            let directory = directory.display();
            warn!(%directory, %error, "the state directory cannot be written: a restart will not remember the table");
        }
        let Self { http, https, external_http, external_https, admin } = self;
        info!(?http, ?https, ?external_http, ?external_https, %admin, "listening");
    }

    /// Writes it in one step: a reader sees all or nothing.
    fn write(&self, directory: &Path) -> io::Result<()> {
        std::fs::create_dir_all(directory)?;
        let new = directory.join(format!("{NAME}.new"));
        std::fs::write(&new, serde_json::to_vec(self).map_err(io::Error::other)?)?;
        std::fs::rename(new, path(directory))
    }

    /// Takes it away: nobody listens there any more.
    pub(super) fn remove(directory: &Path) {
        // It may never have been written.
        let _ = std::fs::remove_file(path(directory));
    }
}

fn path(directory: &Path) -> PathBuf {
    directory.join(NAME)
}

const NAME: &str = "listening.json";
