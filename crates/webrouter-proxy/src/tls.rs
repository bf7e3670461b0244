//! TLS: certificates that follow their folder, and the handshake that chooses among them.
//!
//! ```text
//! folder ─► pair (checked) ─► inventory ─► Certificates (one pointer) ─┐
//!                                                                      ├─► handshake
//! client hello: server name ─► ssl map, names, default ────────────────┘
//! ```
//!
//! Nothing on the way of a handshake touches the disk. Certificates know no connection: one that is open keeps what it
//! was opened with.

mod certificates;
mod demand;
pub(crate) mod error;
mod expiry;
mod file;
mod follow;
pub(crate) mod handshake;
mod inventory;
mod leaf;
mod names;
mod ocsp;
mod pair;
mod problem;
mod report;
mod settings;

use std::collections::BTreeMap;
use std::path::PathBuf;

use webrouter_routing::host::Host;

pub use certificates::{Certificates, OpenError};
pub use problem::{Offence, Problem};
pub use report::{CertificateReport, DemandReport, MapRejection, Report};

/// Where the certificates are and how they are used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsConfig {
    /// The folder of `<stem>.crt` and `<stem>.key`.
    pub certificates: PathBuf,
    /// The stem that serves hosts for which there is no other; without it they are refused.
    pub default: Option<String>,
    /// Which versions of TLS are spoken.
    pub profile: Profile,
    /// Hosts, with all names below them, whose clients shall have certificates themselves.
    pub client_certificates: BTreeMap<Host, ClientCertificates>,
}

/// Which versions of TLS are spoken, in Mozilla's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// TLS 1.2 and 1.3.
    Intermediate,
    /// TLS 1.3 only.
    Modern,
}

/// Whose certificates the clients of a host shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificates {
    /// A PEM file with the certificates of those who sign them.
    pub ca: PathBuf,
    /// Whether a client may have none.
    pub mode: Demand,
}

/// Whether a client may have no certificate; one that nobody known has signed is refused in either case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// A client without one is refused.
    Required,
    /// A client without one is served, too.
    Optional,
}

#[cfg(test)]
mod scene;
#[cfg(test)]
mod tests;
