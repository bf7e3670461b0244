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
    /// A policy of a value that its key does not take; the other keys are in force.
    #[error("bad {key}: {text} {why}")]
    BadPolicy {
        /// Which key.
        key: &'static str,
        /// Its value, quoted, escaped and shortened.
        text: String,
        /// What is wrong with it, and what to write.
        why: String,
    },
    /// A container without address or port.
    #[error("bad endpoint: {0}")]
    BadEndpoint(String),
    /// More mountpoints than one proc may claim; the first ones are taken.
    #[error("{claimed} mountpoints are claimed, the first {taken} are taken")]
    TooManyMountpoints {
        /// How many it claims.
        claimed: usize,
        /// How many it has.
        taken: usize,
    },
    /// What is wrong besides the reasons that are listed.
    #[error("{0} more parts of the entry are not taken")]
    More(usize),
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
            Self::BadPolicy { .. } => "bad_policy",
            Self::BadEndpoint(_) => "bad_endpoint",
            Self::TooManyMountpoints { .. } => "too_many_mountpoints",
            Self::More(_) => "more",
            Self::Owned { .. } => OWNED,
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
            Self::BadPolicy { .. } => "correct that key of the annotation; docs/policies.md tells what it takes",
            Self::BadEndpoint(_) => "restart the container so that it gets an address and a port",
            Self::TooManyMountpoints { .. } => "claim fewer mountpoints, or spread them over several procs",
            Self::More(_) => "correct those that are listed first",
            Self::Owned { .. } => "choose another mountpoint, or have the owner give it up",
        }
    }
}

/// Collects what is not taken of one entry: the first sixteen reasons, and how many more there are.
#[derive(Debug, Default)]
pub struct Reasons {
    listed: Vec<Reason>,
    more: usize,
}

impl Reasons {
    /// Goes on where another collection ended.
    pub fn after(mut listed: Vec<Reason>) -> Self {
        match listed.last() {
            Some(&Reason::More(more)) => {
                listed.pop();
                Self { listed, more }
            }
            _ => Self { listed, more: 0 },
        }
    }

    /// Notes a reason; it is not even made when enough are listed.
    pub fn note(&mut self, reason: impl FnOnce() -> Reason) {
        if self.listed.len() < MAX_LISTED {
            self.listed.push(reason());
        } else {
            self.more += 1;
        }
    }

    /// The reasons, the last of which may be [`Reason::More`].
    pub fn into_vec(mut self) -> Vec<Reason> {
        if self.more > 0 {
            self.listed.push(Reason::More(self.more));
        }
        self.listed
    }
}

pub(crate) const OWNED: &str = "owned";
const MAX_LISTED: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_reasons_are_listed_and_the_others_counted() {
        let noted = |reasons: &mut Reasons, count| {
            (0..count).for_each(|n| reasons.note(|| Reason::BadEndpoint(format!("{n}"))));
        };
        let mut reasons = Reasons::default();
        noted(&mut reasons, 16);
        assert_eq!(reasons.into_vec().len(), 16);
        let mut reasons = Reasons::default();
        noted(&mut reasons, 20);
        let first = reasons.into_vec();
        assert_eq!((first.len(), first.last()), (17, Some(&Reason::More(4))));
        let mut reasons = Reasons::after(first);
        noted(&mut reasons, 3);
        let both = reasons.into_vec();
        assert_eq!((both.len(), both.last()), (17, Some(&Reason::More(7))));
    }
}
