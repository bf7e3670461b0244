//! Mountpoints: `host` or `host/path`, as an app claims them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;
use crate::host::{Host, HostError};

/// A claimed address: a host, and the path prefix below it (empty for the root).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mountpoint {
    host: Host,
    path: Arc<str>,
}

/// Why a mountpoint is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MountpointError {
    /// The part before the first `/` is no host.
    #[error("{0}")]
    Host(#[from] HostError),
    /// A path that no normalised request path can begin with.
    #[error("the path `{0}` has an empty, `.` or `..` segment, white space, an invisible character, `?` or `#`")]
    Path(String),
    /// Longer than any request target that would be taken by default.
    #[error("the path is {0} bytes long; at most {MAX_PATH_BYTES} are allowed")]
    TooLong(usize),
}

impl Mountpoint {
    /// Parses `host` or `host/path`: trimmed, without trailing `/`, split at the first `/`.
    pub fn parse(text: &str) -> Result<Self, MountpointError> {
        let text = text.trim().trim_end_matches('/');
        let (host, path) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let host = Host::parse(host)?;
        if path.len() > MAX_PATH_BYTES {
            return Err(MountpointError::TooLong(path.len()));
        }
        let bad_segment = |segment: &str| matches!(segment, "" | "." | "..");
        let bad_char = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '?' | '#');
        if path.contains(bad_char) || has_invisible(path) || path.split('/').skip(1).any(bad_segment) {
            return Err(MountpointError::Path(excerpt(path)));
        }
        Ok(Self { host, path: path.into() })
    }

    /// The host.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The path prefix, decoded: empty for the root, else `/segment…` without trailing `/`.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Mountpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.host, self.path)
    }
}

impl fmt::Debug for Mountpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for Mountpoint {
    type Error = MountpointError;

    fn try_from(text: String) -> Result<Self, MountpointError> {
        Self::parse(&text)
    }
}

impl From<Mountpoint> for String {
    fn from(mountpoint: Mountpoint) -> Self {
        mountpoint.to_string()
    }
}

/// Whether a path has format characters or unassigned ones: it could be taken for another by whoever reads it.
fn has_invisible(path: &str) -> bool {
    // The backslashes aside, quotes are told from what is escaped because it cannot be shown. Of a `str`, combining
    // marks are not escaped as they are of a `char`.
    let plain = |c: &char| *c != '\\';
    !path.escape_debug().filter(plain).eq(path.chars().filter(plain))
}

const MAX_PATH_BYTES: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trimmed_and_split_at_the_first_slash() {
        let check = |text: &str, expected: Option<(&str, &str)>| {
            let actual = Mountpoint::parse(text).ok();
            assert_eq!(actual.as_ref().map(|m| (m.host().as_str(), m.path())), expected, "{text:?}");
        };
        check(" Demo.lain.local/ ", Some(("demo.lain.local", "")));
        check("x.com/demo//", Some(("x.com", "/demo")));
        check("x.com/Demo/v1", Some(("x.com", "/Demo/v1")));
        check("x.com/é", Some(("x.com", "/é")));
        check("x.com/cafe\u{301}", Some(("x.com", "/cafe\u{301}")));
        check("x.com/'\"\\", Some(("x.com", "/'\"\\")));
        for bad in ["", "/demo", "x.com/a//b", "x.com/../b", "x.com/a b", "x.com/a?b", "x.com/\u{0}", "x com"] {
            check(bad, None);
        }
        for invisible in ['\u{202e}', '\u{200b}', '\u{200d}', '\u{feff}', '\u{2066}', '\u{ad}', '\u{1b}', '\u{e0001}'] {
            check(&format!("x.com/a{invisible}b"), None);
        }
    }
}
