//! The doctor: hop by hop, from an app's containers to the news of its source, or through the router itself.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What the doctor found, the hops in the order in which they are to be put right.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Doctor {
    /// The app, `app.proc`, or entry that was asked about; absent when it was the router itself.
    pub app: Option<String>,
    /// When it was looked.
    pub at: String,
    /// The snapshot that was looked at; absent when there was none.
    pub generation: Option<u64>,
    /// The verdicts; those that belong to one proc are together.
    pub hops: Vec<Hop>,
    /// Where to begin: the first broken hop, else the first unknown one; absent when all is well.
    pub first: Option<Hop>,
    /// Names that are known and look like the one that was asked about, which is not.
    pub did_you_mean: Vec<String>,
}

/// One verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hop {
    /// What was looked at.
    pub kind: HopKind,
    /// The proc, by its entry, where it is about one.
    pub entry: Option<String>,
    /// The source that knows the proc, where it is about one.
    pub source: Option<String>,
    /// How it is.
    pub verdict: HopVerdict,
    /// What that is said from; for `skipped` and `unknown`, why.
    pub evidence: Vec<String>,
    /// The next step to take; absent where there is none.
    pub advice: Option<String>,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopKind {
    /// The instance runs and is ready.
    Instance,
    /// The name is known.
    Name,
    /// The proc's containers run, and where the table says.
    Containers,
    /// Each has an address and a port.
    Endpoints,
    /// The router reaches them: TCP, then the health path.
    Reach,
    /// The table has the proc, and each mountpoint it claims.
    Table,
    /// The source says now what the table has.
    Source,
    /// The source is followed, and its news is fresh.
    Watch,
    /// The router: somebody answers where it listens.
    Listeners,
    /// The router: nothing is kept back by the guard.
    Holds,
    /// The router: certificates are good, and for a while.
    Certificates,
    /// The router: the state directory can be written and has space.
    State,
    /// The router: no line of the access log was lost.
    AccessLog,
    /// The router: files are left to open.
    OpenFiles,
    /// The router: the clock is right.
    Clock,
}

/// How a hop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum HopVerdict {
    /// As it should be.
    Ok,
    /// Not as it should be.
    Broken,
    /// It could not be found out.
    Unknown,
    /// It was not looked at; the evidence says why.
    Skipped,
}

impl HopKind {
    /// The word for it, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instance => "instance",
            Self::Name => "name",
            Self::Containers => "containers",
            Self::Endpoints => "endpoints",
            Self::Reach => "reach",
            Self::Table => "table",
            Self::Source => "source",
            Self::Watch => "watch",
            Self::Listeners => "listeners",
            Self::Holds => "holds",
            Self::Certificates => "certificates",
            Self::State => "state",
            Self::AccessLog => "access_log",
            Self::OpenFiles => "open_files",
            Self::Clock => "clock",
        }
    }
}

impl HopVerdict {
    /// The word for it, the same as in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Broken => "broken",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        }
    }
}

impl Doctor {
    /// Notes where to begin.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        let first = |verdict| self.hops.iter().find(|hop| hop.verdict == verdict).cloned();
        self.first = first(HopVerdict::Broken).or_else(|| first(HopVerdict::Unknown));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(verdicts: &[HopVerdict], first: Option<usize>) {
        let hop = |(at, verdict): (usize, &HopVerdict)| Hop {
            kind: HopKind::Reach,
            entry: Some(at.to_string()),
            source: None,
            verdict: *verdict,
            evidence: Vec::new(),
            advice: None,
        };
        let hops = verdicts.iter().enumerate().map(hop).collect();
        let doctor =
            Doctor { app: None, at: String::new(), generation: None, hops, first: None, did_you_mean: Vec::new() };
        let entry = doctor.concluded().first.and_then(|hop| hop.entry);
        assert_eq!(entry, first.map(|at| at.to_string()), "{verdicts:?}");
    }

    #[test]
    fn what_is_broken_comes_before_what_is_unknown() {
        use HopVerdict::{Broken, Ok, Skipped, Unknown};
        check(&[Ok, Skipped], None);
        check(&[Ok, Unknown, Broken, Broken], Some(2));
        check(&[Skipped, Unknown, Ok], Some(1));
    }

    #[test]
    fn words_are_those_of_the_json() {
        let check = |kind: HopKind| {
            assert_eq!(serde_json::to_string(&kind).ok(), Some(format!("\"{}\"", kind.as_str())));
        };
        check(HopKind::AccessLog);
        check(HopKind::OpenFiles);
        check(HopKind::Watch);
    }
}
