//! Cluster settings that lainlet carries: `ssl` and `extra_domains`, each a JSON text in a string under its exact key.
//!
//! A lainlet that has just started says `{}`, and so does one whose key was deleted. So what is known stays until the
//! key was missing twice in a row, the second time in a GET made while the webprocs of the same lainlet were well.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use webrouter_routing::certificate::CertificateMap;
use webrouter_routing::host::Host;
use webrouter_routing::rejection::Reason;

use crate::source::{Problem, excerpt};

/// A setting as it is known, with the parts of it that were not taken.
#[derive(Debug)]
pub(super) struct Setting<T> {
    key: &'static str,
    parse: fn(&str) -> Parsed<T>,
    value: Option<T>,
    flaws: Vec<(String, Reason)>,
    missing: u32,
}

/// A readable value with its flaws, or why it is unreadable.
type Parsed<T> = Result<(T, Vec<String>), String>;

/// How a text came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    Watch,
    /// By a GET while the webprocs were well.
    Get,
    /// By a GET of a lainlet that may not have loaded anything yet.
    UnwellGet,
}

impl<T> Setting<T> {
    /// The value that is known, if any.
    pub(super) fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// What was not taken, for the rejections.
    pub(super) fn flaws(&self) -> impl Iterator<Item = &(String, Reason)> {
        self.flaws.iter()
    }

    /// Takes an answer of configwatcher; fails when it is not what configwatcher answers.
    pub(super) fn take(&mut self, answer: &[u8], told: Told) -> Result<(), Problem> {
        let Some(text) = exact(answer, self.key)? else {
            self.missing += 1;
            if told == Told::Get && self.missing > 1 {
                self.value = None;
                self.flaws.clear();
            }
            return Ok(());
        };
        self.missing = 0;
        let unreadable = |flaw: String| (self.key.to_owned(), Reason::UnreadableEntry(excerpt(&flaw)));
        match (self.parse)(&text) {
            Ok((value, flaws)) => {
                self.value = Some(value);
                self.flaws = flaws.into_iter().take(MAX_FLAWS).map(unreadable).collect();
            }
            Err(flaw) => self.flaws = vec![unreadable(flaw)],
        }
        Ok(())
    }
}

/// The `ssl` setting, beginning with what is known from earlier.
pub(super) fn certificates(known: Option<CertificateMap>) -> Setting<CertificateMap> {
    let parse = |text: &str| {
        let pairs: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        Ok((CertificateMap::new(pairs), Vec::new()))
    };
    Setting { key: "ssl", parse, value: known, flaws: Vec::new(), missing: 0 }
}

/// The `extra_domains` setting, beginning with what is known from earlier.
pub(super) fn extra_domains(known: Option<Vec<Host>>) -> Setting<Vec<Host>> {
    let parse = |text: &str| {
        let texts: Vec<String> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let (mut hosts, mut flaws) = (Vec::new(), Vec::new());
        for text in texts {
            match Host::parse(text.trim()) {
                Ok(host) => hosts.push(host),
                Err(error) => flaws.push(error.to_string()),
            }
        }
        Ok((hosts, flaws))
    };
    Setting { key: "extra_domains", parse, value: known, flaws: Vec::new(), missing: 0 }
}

/// The text under exactly this key: lainlet takes the key asked for as a prefix when it has no such key.
fn exact(answer: &[u8], key: &'static str) -> Result<Option<String>, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(answer);
    let found = deserializer.deserialize_map(Exact(key)).and_then(|found| deserializer.end().map(|()| found));
    found.map_err(|error| Problem::new("not_json", format!("the answer about `{key}`: {error}")))
}

struct Exact(&'static str);

impl<'de> Visitor<'de> for Exact {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != self.0 {
                map.next_value::<IgnoredAny>()?;
            } else if found.replace(map.next_value()?).is_some() {
                return Err(serde::de::Error::duplicate_field(self.0));
            }
        }
        Ok(found)
    }
}

const MAX_FLAWS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: &[u8] = br#"{"ssl":"{\"*.lain\":\"web\"}","ssl_old":"x"}"#;

    fn check(answers: &[(&[u8], Told)], expected: Option<&str>) {
        let mut setting = certificates(None);
        for (answer, told) in answers {
            setting.take(answer, *told).expect("an answer");
        }
        let stem = setting.value().and_then(|map| map.stems("a.lain").next());
        assert_eq!(stem, expected, "{answers:?}");
    }

    #[test]
    fn only_the_exact_key_counts() {
        check(&[(TOLD, Told::Watch)], Some("web"));
        check(&[(br#"{"ssl_old":"{\"*.lain\":\"old\"}"}"#, Told::Watch)], None);
    }

    #[test]
    fn a_missing_key_is_believed_when_a_later_get_says_it_again() {
        check(&[(TOLD, Told::Watch), (b"{}", Told::Watch)], Some("web"));
        check(&[(TOLD, Told::Watch), (b"{}", Told::Get)], Some("web"));
        check(&[(TOLD, Told::Watch), (b"{}", Told::Watch), (b"{}", Told::Get)], None);
        check(&[(TOLD, Told::Watch), (b"{}", Told::Watch), (b"{}", Told::UnwellGet)], Some("web"));
        check(&[(TOLD, Told::Get), (b"{}", Told::Get), (TOLD, Told::Get), (b"{}", Told::Get)], Some("web"));
    }

    #[test]
    fn an_unreadable_value_leaves_the_known_one_and_is_a_rejection() {
        let mut setting = certificates(None);
        setting.take(TOLD, Told::Watch).expect("an answer");
        setting.take(br#"{"ssl":"[]"}"#, Told::Watch).expect("an answer");
        assert_eq!(setting.value().and_then(|map| map.stems("a.lain").next()), Some("web"));
        assert_eq!(
            setting.flaws().map(|(key, reason)| (key.as_str(), reason.kind())).collect::<Vec<_>>(),
            [("ssl", "unreadable_entry")]
        );
    }

    #[test]
    fn one_bad_domain_is_left_out_alone() {
        let mut setting = extra_domains(None);
        setting.take(br#"{"extra_domains":"[\"a b\",\"Example.test\"]"}"#, Told::Watch).expect("an answer");
        let hosts = setting.value().map(|hosts| hosts.iter().map(Host::as_str).collect::<Vec<_>>());
        assert_eq!(hosts, Some(vec!["example.test"]));
        assert_eq!(setting.flaws().count(), 1);
    }

    #[test]
    fn what_is_no_answer_is_a_problem() {
        for answer in [&b"<html>"[..], b"[]", b"{", br#"{"ssl":1}"#, br#"{"ssl":"a","ssl":"b"}"#, b"{}{}", b"\xff"] {
            let problem = certificates(None).take(answer, Told::Watch).expect_err("no answer");
            assert_eq!(problem.kind, "not_json");
        }
    }
}
