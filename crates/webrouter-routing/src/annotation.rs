//! An entry's annotation: what its owner asks for.

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use serde::de::{Error, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::endpoint::Endpoint;
use crate::excerpt::excerpt;
use crate::mountpoint::Mountpoint;
use crate::policy::Wishes;
use crate::policy::raw::Raw;
use crate::policy::wishes::{self, RawWishes};
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
    /// The policies it asks for; most procs have none, and pay a pointer for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wishes: Option<Box<Wishes>>,
}

/// An annotation as a source writes it.
#[derive(Debug, Default)]
pub struct RawAnnotation {
    /// Claimed addresses.
    pub mountpoint: Option<Vec<String>>,
    /// Redirect plain requests.
    pub https_only: Option<bool>,
    /// Health check path.
    pub healthcheck: Option<String>,
    /// Policies.
    pub wishes: RawWishes,
    /// Shares of the requests of endpoints whose share is not 1.
    pub weights: BTreeMap<Endpoint, u32>,
}

impl Annotation {
    /// Parses the JSON text of an annotation; an empty text claims nothing.
    ///
    /// Fails when the text cannot be read; a mountpoint, health check or policy that is bad is left out and becomes a
    /// reason of its own. Unknown fields are ignored.
    pub fn parse(text: &str) -> Result<(Self, Vec<Reason>), Reason> {
        if text.trim().is_empty() {
            return Ok((Self::default(), Vec::new()));
        }
        let RawJson(raw) =
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
        let wishes = Wishes { weights: raw.weights, ..Wishes::read(&raw.wishes, &mut reasons) };
        annotation.wishes = (!wishes.is_empty()).then(|| Box::new(wishes));
        (annotation, reasons.into_vec())
    }
}

/// An annotation in JSON: an object whose fields are known or ignored.
struct RawJson(RawAnnotation);

impl<'de> Deserialize<'de> for RawJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawJsonVisitor)
    }
}

struct RawJsonVisitor;

impl<'de> Visitor<'de> for RawJsonVisitor {
    type Value = RawJson;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawJson, A::Error> {
        let (mut mountpoint, mut https_only, mut healthcheck) = (None, None, None);
        let mut wishes = RawWishes::new();
        while let Some(Field(name)) = map.next_key()? {
            match name {
                MOUNTPOINT if mountpoint.is_none() => mountpoint = Some(map.next_value()?),
                HTTPS_ONLY if https_only.is_none() => https_only = Some(map.next_value()?),
                HEALTHCHECK if healthcheck.is_none() => healthcheck = Some(map.next_value()?),
                MOUNTPOINT | HTTPS_ONLY | HEALTHCHECK => return Err(A::Error::duplicate_field(name)),
                "" => drop(map.next_value::<IgnoredAny>()?),
                key => {
                    // Whatever the value is, it is a matter of its key alone.
                    let text = map.next_value::<&RawValue>()?.get();
                    let raw = serde_json::from_str(text).unwrap_or(Some(Raw::Foreign("what is too large")));
                    raw.into_iter().for_each(|raw| wishes::note(&mut wishes, key, raw));
                }
            }
        }
        let (mountpoint, https_only) = (mountpoint.flatten(), https_only.flatten());
        let healthcheck = healthcheck.flatten();
        Ok(RawJson(RawAnnotation { mountpoint, https_only, healthcheck, wishes, weights: BTreeMap::new() }))
    }
}

/// The name of a field that means something; empty for any other.
struct Field(&'static str);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(FieldVisitor)
    }
}

struct FieldVisitor;

impl Visitor<'_> for FieldVisitor {
    type Value = Field;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, name: &str) -> Result<Field, E> {
        let own = [MOUNTPOINT, HTTPS_ONLY, HEALTHCHECK].into_iter().find(|own| *own == name);
        Ok(Field(own.or_else(|| wishes::key(name)).unwrap_or_default()))
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
const MOUNTPOINT: &str = "mountpoint";
const HTTPS_ONLY: &str = "https_only";
const HEALTHCHECK: &str = "healthcheck";

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
    fn a_policy_that_cannot_be_read_hurts_only_its_key() {
        let text = r#"{"mountpoint":["a.b"],"queue":null,"slow_start":5,"balance":{"a":[]},"max_requests":3,
            "health_rise":1e999,"health_fall":1,"health_fall":2,"foreign":{"x":1e999}}"#;
        let (annotation, reasons) = Annotation::parse(text).expect("readable");
        assert_eq!(annotation.mountpoints.len(), 1);
        let wishes = *annotation.wishes.expect("one wish");
        assert_eq!(wishes.told().iter().map(|(key, _)| *key).collect::<Vec<_>>(), ["max_requests"]);
        let keys: Vec<&str> = reasons
            .iter()
            .filter_map(|reason| if let Reason::BadPolicy { key, .. } = reason { Some(*key) } else { None })
            .collect();
        assert_eq!(keys, ["balance", "health_fall", "health_rise", "slow_start"]);
    }

    #[test]
    fn without_wishes_it_costs_and_stores_nothing() {
        let (plain, _) = Annotation::parse(r#"{"mountpoint":["a.b"],"queue":"x"}"#).expect("readable");
        assert_eq!(plain.wishes, None);
        let stored = serde_json::to_string(&plain).expect("JSON");
        assert_eq!(stored, r#"{"mountpoints":["a.b"],"https_only":false,"healthcheck":null}"#);
        let (wishing, _) =
            Annotation::parse(r#"{"mountpoint":["a.b"],"queue":7,"balance":"hash header X"}"#).expect("readable");
        for annotation in [plain, wishing] {
            let stored = serde_json::to_string(&annotation).expect("JSON");
            assert_eq!(serde_json::from_str::<Annotation>(&stored).expect("stored"), annotation, "{stored}");
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
