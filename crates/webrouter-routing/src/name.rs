//! Names of procs and sources.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The key of an entry, `<app>.<type>.<proc>`; the app may contain dots.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProcName(Arc<str>);

/// Why a key is not a proc's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Fewer than three dot-separated parts.
    #[error("`{0}` has fewer than three parts; an entry is named <app>.<type>.<proc>")]
    TooFewParts(String),
    /// A part is empty.
    #[error("`{0}` has an empty part between dots")]
    EmptyPart(String),
    /// A character that could leave a file name or a log field.
    #[error("`{name}` contains {character:?}; letters, digits, `-`, `_` and `.` are allowed")]
    Character {
        /// The whole key.
        name: String,
        /// The first offending character.
        character: char,
    },
    /// Longer than a file name can carry.
    #[error("the name is {0} bytes long; at most {MAX_NAME_BYTES} are allowed")]
    TooLong(usize),
}

impl ProcName {
    /// Parses a key; the proc is its last part, the app all but the last two.
    pub fn parse(key: &str) -> Result<Self, NameError> {
        if key.len() > MAX_NAME_BYTES {
            return Err(NameError::TooLong(key.len()));
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if let Some(character) = key.chars().find(|c| !allowed(c)) {
            return Err(NameError::Character { name: key.escape_debug().to_string(), character });
        }
        if key.split('.').any(str::is_empty) {
            return Err(NameError::EmptyPart(key.to_owned()));
        }
        if key.split('.').count() < 3 {
            return Err(NameError::TooFewParts(key.to_owned()));
        }
        Ok(Self(key.into()))
    }

    /// The whole key.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The app: all parts but the last two.
    pub fn app(&self) -> &str {
        self.0.rsplitn(3, '.').nth(2).unwrap_or_default()
    }

    /// The proc: the last part.
    pub fn proc(&self) -> &str {
        self.0.rsplit('.').next().unwrap_or_default()
    }

    /// The upstream's name, `<app>__upstream__<proc>`.
    pub fn upstream_name(&self) -> String {
        format!("{}__upstream__{}", self.app(), self.proc())
    }
}

impl fmt::Display for ProcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProcName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProcName {
    type Error = NameError;

    fn try_from(key: String) -> Result<Self, NameError> {
        Self::parse(&key)
    }
}

impl From<ProcName> for String {
    fn from(name: ProcName) -> Self {
        name.0.as_ref().to_owned()
    }
}

/// The configured name of a source: `lainlet`, `file`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceName(Arc<str>);

impl SourceName {
    /// Names a source; the name is configuration, not foreign input.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One proc as one source knows it: the identity that claims, upstreams and health are keyed by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ProcKey {
    /// Who told us.
    pub source: SourceName,
    /// What it is called there.
    pub name: ProcName,
}

impl fmt::Display for ProcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name, self.source)
    }
}

const MAX_NAME_BYTES: usize = 200;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, expected: Result<(&str, &str, &str), NameError>) {
        let actual = ProcName::parse(key);
        match (actual, expected) {
            (Ok(name), Ok((app, proc, upstream))) => {
                assert_eq!((name.app(), name.proc()), (app, proc), "{key}");
                assert_eq!(name.upstream_name(), upstream, "{key}");
            }
            (Err(error), Err(expected)) => assert_eq!(error, expected),
            (actual, expected) => panic!("{key}: {actual:?}, expected {expected:?}"),
        }
    }

    #[test]
    fn the_app_is_all_but_the_last_two_parts() {
        check("demo.web.web", Ok(("demo", "web", "demo__upstream__web")));
        check("resource.x.hello.web.web", Ok(("resource.x.hello", "web", "resource.x.hello__upstream__web")));
        check("canary.web.web_canary", Ok(("canary", "web_canary", "canary__upstream__web_canary")));
    }

    #[test]
    fn a_key_that_could_not_be_a_file_name_is_refused() {
        check("demo.web", Err(NameError::TooFewParts("demo.web".into())));
        check("demo..web", Err(NameError::EmptyPart("demo..web".into())));
        check("..", Err(NameError::EmptyPart("..".into())));
        check("a/b.web.web", Err(NameError::Character { name: "a/b.web.web".into(), character: '/' }));
        check("a\n.web.web", Err(NameError::Character { name: "a\\n.web.web".into(), character: '\n' }));
        check(&"a".repeat(201), Err(NameError::TooLong(201)));
    }
}
