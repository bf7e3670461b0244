//! A policy's value as its author wrote it, in JSON or TOML, and what is said of one that cannot be taken.

use std::fmt;

use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::excerpt::excerpt;

/// A value of any type; which types a key takes is its own matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text.
    Text(String),
    /// A whole number.
    Whole(i64),
    /// A number with a fraction, or one too large to be whole, as text.
    Fraction(String),
    /// What no key takes, by what it is called: `a list`.
    Foreign(&'static str),
    /// The key stands there more than once: nobody knows which value is meant.
    Twice,
}

/// Why a value is not taken, in words that go behind the value, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}; {fix}")]
pub struct Refusal {
    /// What is wrong with it.
    pub fault: Fault,
    /// `is not a duration`
    pub problem: &'static str,
    /// `write …`
    pub fix: String,
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is of a type that the key never takes.
    Type,
    /// The type is right.
    Value,
}

impl Raw {
    /// A number as its author may have written it.
    pub fn fraction(number: f64) -> Self {
        Self::Fraction(format!("{number:?}"))
    }

    /// The value for a message: quoted, escaped and shortened.
    pub fn shown(&self) -> String {
        match self {
            Self::Text(text) => format!("`{}`", excerpt(text)),
            Self::Whole(number) => format!("`{number}`"),
            Self::Fraction(text) => format!("`{text}`"),
            Self::Foreign(name) => (*name).to_owned(),
            Self::Twice => "it".to_owned(),
        }
    }

    pub(super) fn refuse(&self, problem: &'static str, fix: impl Into<String>) -> Refusal {
        let fault = match self {
            Self::Text(_) => Fault::Value,
            Self::Whole(_) | Self::Fraction(_) | Self::Foreign(_) | Self::Twice => Fault::Type,
        };
        Refusal { fault, problem, fix: fix.into() }
    }

    /// Refuses a value of which there are two.
    pub(super) fn once(&self) -> Result<(), Refusal> {
        match self {
            Self::Twice => Err(self.refuse("stands there more than once", "give it once")),
            _ => Ok(()),
        }
    }

    pub(super) fn out_of_range(&self, fix: impl Into<String>) -> Refusal {
        Refusal { fault: Fault::Value, ..self.refuse("is out of range", fix) }
    }
}

impl fmt::Display for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) | Self::Fraction(text) => f.write_str(text),
            Self::Whole(number) => write!(f, "{number}"),
            Self::Foreign(name) => f.write_str(name),
            Self::Twice => f.write_str("?"),
        }
    }
}

impl Serialize for Raw {
    /// A text or number as it was; for what could not be taken, its description, which cannot be taken either.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Whole(number) => serializer.serialize_i64(*number),
            Self::Fraction(text) => match text.parse() {
                Ok(number) => serializer.serialize_f64(number),
                Err(_) => serializer.serialize_str(text),
            },
            Self::Text(_) | Self::Foreign(_) | Self::Twice => serializer.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a number")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        Ok(Raw::Text(text.to_owned()))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Raw, E> {
        Ok(Raw::Whole(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Raw, E> {
        Ok(i64::try_from(number).map_or_else(|_| Raw::Fraction(number.to_string()), Raw::Whole))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Raw, E> {
        Ok(if number.is_finite() { Raw::fraction(number) } else { Raw::Foreign("what is no number") })
    }

    fn visit_bool<E: Error>(self, truth: bool) -> Result<Raw, E> {
        Ok(Raw::Foreign(if truth { "true" } else { "false" }))
    }

    fn visit_unit<E: Error>(self) -> Result<Raw, E> {
        Ok(Raw::Foreign("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Raw::Foreign("a list"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Raw::Foreign("a table"))
    }
}
