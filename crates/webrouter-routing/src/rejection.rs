//! Entries, or parts of them, that are not taken, and why.

use crate::mountpoint::{Mountpoint, MountpointError};
use crate::name::{ProcKey, SourceName};

/// Something a source said that is not in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// Who said it.
    pub source: SourceName,
    /// The entry, by the key its source gives it (escaped when it is no proper name).
    pub entry: String,
    /// Why.
    pub reason: Reason,
}

/// Why an entry, or a part of it, is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The key is not `<app>.<type>.<proc>`.
    #[error("bad name: {0}")]
    BadName(String),
    /// The value is not of the shape of an entry.
    #[error("unreadable entry: {0}")]
    UnreadableEntry(String),
    /// The annotation cannot be read; the last good one stays in force, if there is one.
    #[error("unreadable annotation, the last good one stays in force: {0}")]
    UnreadableAnnotation(String),
    /// A mountpoint that is no address.
    #[error("bad mountpoint `{text}`: {error}")]
    BadMountpoint {
        /// The claim, escaped and shortened.
        text: String,
        /// What is wrong with it.
        error: MountpointError,
    },
    /// A health check that is no path.
    #[error("bad healthcheck `{0}`: it must begin with `/` and be printable ASCII without spaces")]
    BadHealthcheck(String),
    /// A container without address or port.
    #[error("bad endpoint: {0}")]
    BadEndpoint(String),
    /// Another proc owns the claimed address.
    #[error("mountpoint {mountpoint} belongs to {owner}, which claimed it first")]
    Owned {
        /// The claimed address.
        mountpoint: Mountpoint,
        /// Who has it.
        owner: ProcKey,
    },
}

impl Reason {
    /// A closed, stable word for metrics and JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadName(_) => "bad_name",
            Self::UnreadableEntry(_) => "unreadable_entry",
            Self::UnreadableAnnotation(_) => "unreadable_annotation",
            Self::BadMountpoint { .. } => "bad_mountpoint",
            Self::BadHealthcheck(_) => "bad_healthcheck",
            Self::BadEndpoint(_) => "bad_endpoint",
            Self::Owned { .. } => "owned",
        }
    }

    /// What its owner can do about it.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::BadName(_) => "rename the entry to <app>.<type>.<proc>",
            Self::UnreadableEntry(_) => "correct the entry at its source",
            Self::UnreadableAnnotation(_) => "correct the annotation's JSON and deploy again",
            Self::BadMountpoint { .. } => "correct the mountpoint: host or host/path",
            Self::BadHealthcheck(_) => "correct the healthcheck: a path like /health",
            Self::BadEndpoint(_) => "restart the container so that it gets an address and a port",
            Self::Owned { .. } => "choose another mountpoint, or have the owner give it up",
        }
    }
}
