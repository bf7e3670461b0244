//! An entry's annotation: what its owner asks for.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;
use crate::mountpoint::Mountpoint;
use crate::rejection::{Reason, Reasons};

/// The wishes of a proc, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// The claimed addresses, in their order, without repetition.
    pub mountpoints: Vec<Mountpoint>,
    /// Whether plain requests shall be sent to https.
    pub https_only: bool,
    /// The path of the health check; `None` for no active check.
    pub healthcheck: Option<String>,
}

/// An annotation as a source writes it; other fields are ignored.
#[derive(Debug, Default, Deserialize)]
pub struct RawAnnotation {
    /// Claimed addresses.
    #[serde(default)]
    pub mountpoint: Option<Vec<String>>,
    /// Redirect plain requests.
    #[serde(default)]
    pub https_only: Option<bool>,
    /// Health check path.
    #[serde(default)]
    pub healthcheck: Option<String>,
}

impl Annotation {
    /// Parses the JSON text of an annotation; an empty text claims nothing.
    ///
    /// Fails when the text cannot be read; a mountpoint or health check that is bad is left out and becomes a
    /// reason of its own.
    pub fn parse(text: &str) -> Result<(Self, Vec<Reason>), Reason> {
        if text.trim().is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        // Serde reads a JSON list as a struct, too.
        if text.trim_start().starts_with('[') {
            return Err(Reason::UnreadableAnnotation("a list where an object is expected".to_owned()));
        }
        let raw: RawAnnotation =
            serde_json::from_str(text).map_err(|error| Reason::UnreadableAnnotation(told_briefly(&error)))?;
        Ok(Self::from_raw(raw))
    }

    /// Checks each field of a raw annotation; takes at most [`MAX_MOUNTPOINTS`].
    pub fn from_raw(raw: RawAnnotation) -> (Self, Vec<Reason>) {
        let mut annotation = Self { https_only: raw.https_only.unwrap_or(false), ..Self::default() };
        let mut reasons = Reasons::default();
        let mut seen = HashSet::new();
        let mut claimed = 0;
        for text in raw.mountpoint.unwrap_or_default() {
            match Mountpoint::parse(&text) {
                Ok(mountpoint) => {
                    if !seen.insert(mountpoint.clone()) {
                        continue;
                    }
                    claimed += 1;
                    if claimed <= MAX_MOUNTPOINTS {
                        annotation.mountpoints.push(mountpoint);
                    }
                }
                Err(error) => reasons.note(|| Reason::BadMountpoint { text: excerpt(&text), error }),
            }
        }
        if claimed > MAX_MOUNTPOINTS {
            reasons.note(|| Reason::TooManyMountpoints { claimed, taken: MAX_MOUNTPOINTS });
        }
        match raw.healthcheck.map(|path| path.trim().to_owned()) {
            Some(path) if path.is_empty() => {}
            Some(path) if is_health_path(&path) => annotation.healthcheck = Some(path),
            Some(path) => reasons.note(|| Reason::BadHealthcheck(excerpt(&path))),
            None => {}
        }
        (annotation, reasons.into_vec())
    }
}

/// The error, whose text quotes what it did not expect; a long quotation is cut, the position stays.
fn told_briefly(error: &serde_json::Error) -> String {
    let message = error.to_string();
    match message.char_indices().nth(MAX_MESSAGE_CHARS) {
        Some((cut, _)) => {
            let beginning = message.get(..cut).unwrap_or_default();
            format!("{beginning}… at line {} column {}", error.line(), error.column())
        }
        None => message,
    }
}

/// A health check path goes into a request line as it is.
fn is_health_path(path: &str) -> bool {
    path.starts_with('/') && path.len() <= 2048 && path.bytes().all(|b| b.is_ascii_graphic())
}

/// How many mountpoints one proc may claim: what is contested costs by the claimants and the claims of each.
pub const MAX_MOUNTPOINTS: usize = 256;

const MAX_MESSAGE_CHARS: usize = 160;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, mountpoints: &[&str], reasons: usize) {
        let (annotation, found) = Annotation::parse(text).expect("readable");
        let actual: Vec<String> = annotation.mountpoints.iter().map(Mountpoint::to_string).collect();
        assert_eq!(actual, mountpoints, "{text}");
        assert_eq!(found.len(), reasons, "{text}: {found:?}");
    }

    #[test]
    fn a_bad_mountpoint_is_left_out_alone() {
        check("", &[], 0);
        check("{}", &[], 0);
        check(r#"{"mountpoint":["a.b","a.b/","c d","e.f/g"],"note":1}"#, &["a.b", "e.f/g"], 1);
        check(r#"{"mountpoint":["a.b"],"healthcheck":"health"}"#, &["a.b"], 1);
        check(r#"{"mountpoint":null,"https_only":null}"#, &[], 0);
    }

    #[test]
    fn an_unreadable_one_says_why() {
        for text in ["{", "[]", "1", "null", r#"[["a.b"]]"#, r#"{"mountpoint":"a.b"}"#, r#"{"https_only":"yes"}"#] {
            assert!(matches!(Annotation::parse(text), Err(Reason::UnreadableAnnotation(_))), "{text}");
        }
    }

    #[test]
    fn what_it_says_stays_short() {
        let long = format!(r#"{{"mountpoint":"{}"}}"#, "x".repeat(10_000));
        let Err(Reason::UnreadableAnnotation(message)) = Annotation::parse(&long) else { panic!("readable") };
        assert!(message.len() < 250 && message.ends_with("at line 1 column 10016"), "{message}");
    }

    #[test]
    fn of_a_hundred_thousand_mountpoints_the_first_are_taken() {
        let claims: Vec<String> = (0..100_000).map(|n| format!("\"h{n}.test\"")).collect();
        let (annotation, reasons) =
            Annotation::parse(&format!("{{\"mountpoint\":[{}]}}", claims.join(","))).expect("readable");
        assert_eq!(annotation.mountpoints.len(), MAX_MOUNTPOINTS);
        assert_eq!(reasons, [Reason::TooManyMountpoints { claimed: 100_000, taken: MAX_MOUNTPOINTS }]);
    }

    #[test]
    fn of_many_bad_mountpoints_a_few_are_listed() {
        let empty = vec!["\"\""; 5000].join(",");
        let (_, reasons) = Annotation::parse(&format!("{{\"mountpoint\":[{empty}]}}")).expect("readable");
        assert_eq!((reasons.len(), reasons.last()), (17, Some(&Reason::More(4984))));
    }
}
