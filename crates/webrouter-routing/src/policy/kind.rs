//! The kinds of values that a policy has: how each is read, bounded and written.

use std::num::NonZeroU32;
use std::time::Duration;

use super::raw::{Raw, Refusal};
use super::{Balance, HashKey, Protocol};
use crate::duration;

/// Reads and writes the values of a key; what it writes it reads as the same.
pub(super) trait Kind {
    type Value;

    fn read(&self, raw: &Raw) -> Result<Self::Value, Refusal>;

    fn write(&self, value: &Self::Value) -> Raw;
}

/// A duration between bounds.
pub(super) struct Span {
    pub(super) least: Duration,
    pub(super) most: Duration,
}

/// A duration, or `off`.
pub(super) struct SpanOrOff(pub(super) Span);

/// A number between bounds.
pub(super) struct Count {
    pub(super) least: u32,
    pub(super) most: u32,
}

/// A number up to a bound, or `unlimited`.
pub(super) struct Limit {
    pub(super) most: u32,
}

/// A share above 0 and at most 1, or `off`.
pub(super) struct ShareOrOff;

/// A way to balance.
pub(super) struct Way;

/// A protocol that endpoints speak.
pub(super) struct Spoken;

impl Kind for Span {
    type Value = Duration;

    fn read(&self, raw: &Raw) -> Result<Duration, Refusal> {
        let text = if let Raw::Text(text) = raw { text.as_str() } else { "" };
        let read = duration::parse(text).ok_or_else(|| {
            let fix = "write a number with its unit, ms, s, m, h or d, as text: \"5s\", \"200ms\", \"15m\"";
            raw.refuse("is not a duration", fix)
        })?;
        let Self { least, most } = *self;
        let range =
            || format!("write a duration from \"{}\" to \"{}\"", duration::render(least), duration::render(most));
        (least..=most).contains(&read).then_some(read).ok_or_else(|| raw.out_of_range(range()))
    }

    fn write(&self, value: &Duration) -> Raw {
        Raw::Text(duration::render(*value))
    }
}

impl Kind for SpanOrOff {
    type Value = Option<Duration>;

    fn read(&self, raw: &Raw) -> Result<Option<Duration>, Refusal> {
        if is(raw, OFF) {
            return Ok(None);
        }
        self.0.read(raw).map(Some).map_err(|refusal| or(refusal, OFF))
    }

    fn write(&self, value: &Option<Duration>) -> Raw {
        value.map_or_else(|| Raw::Text(OFF.to_owned()), |value| self.0.write(&value))
    }
}

impl Kind for Count {
    type Value = u32;

    fn read(&self, raw: &Raw) -> Result<u32, Refusal> {
        let Self { least, most } = *self;
        let fix = || format!("write a number from {least} to {most}");
        let Raw::Whole(number) = raw else { return Err(raw.refuse("is not a whole number", fix())) };
        let number = u32::try_from(*number).ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| raw.out_of_range(fix()))
    }

    fn write(&self, value: &u32) -> Raw {
        Raw::Whole(i64::from(*value))
    }
}

impl Kind for Limit {
    type Value = Option<NonZeroU32>;

    fn read(&self, raw: &Raw) -> Result<Option<NonZeroU32>, Refusal> {
        if is(raw, UNLIMITED) {
            return Ok(None);
        }
        let count = Count { least: 1, most: self.most };
        count.read(raw).map(NonZeroU32::new).map_err(|refusal| or(refusal, UNLIMITED))
    }

    fn write(&self, value: &Option<NonZeroU32>) -> Raw {
        value.map_or_else(|| Raw::Text(UNLIMITED.to_owned()), |value| Raw::Whole(i64::from(value.get())))
    }
}

impl Kind for ShareOrOff {
    type Value = Option<f64>;

    fn read(&self, raw: &Raw) -> Result<Option<f64>, Refusal> {
        const FIX: &str = "write a share above 0 and at most 1, such as 0.5, or \"off\"";
        let share = match raw {
            raw if is(raw, OFF) => return Ok(None),
            Raw::Fraction(text) => text.parse().ok(),
            Raw::Whole(number) => i32::try_from(*number).ok().map(f64::from),
            _ => return Err(raw.refuse("is not a share", FIX)),
        };
        // A number of few digits is the same after it was stored; JSON readers do not promise that of long ones.
        let share = share.map(|share: f64| (share * MILLION).round() / MILLION);
        share.filter(|share| *share > 0.0 && *share <= 1.0).map(Some).ok_or_else(|| raw.out_of_range(FIX))
    }

    fn write(&self, value: &Option<f64>) -> Raw {
        value.map_or_else(|| Raw::Text(OFF.to_owned()), Raw::fraction)
    }
}

impl Kind for Way {
    type Value = Balance;

    fn read(&self, raw: &Raw) -> Result<Balance, Refusal> {
        let text = if let Raw::Text(text) = raw { text.as_str() } else { "" };
        // One word more than any way has, to see that there are too many.
        let words: Vec<&str> = text.split_whitespace().take(4).collect();
        let named = |name: &str| {
            let fix = format!("name it with at most {MAX_NAME_BYTES} letters, digits and !#$%&'*+-.^_`|~");
            is_token(name).then(|| name.to_owned()).ok_or_else(|| raw.refuse("names no header or cookie", fix))
        };
        match words.as_slice() {
            ["round_robin"] => Ok(Balance::RoundRobin),
            ["least_requests"] => Ok(Balance::LeastRequests),
            ["hash", "client"] => Ok(Balance::Hash(HashKey::Client)),
            ["hash", "header", name] => Ok(Balance::Hash(HashKey::Header(named(name)?.to_ascii_lowercase()))),
            ["hash", "cookie", name] => Ok(Balance::Hash(HashKey::Cookie(named(name)?))),
            ["sticky"] => Ok(Balance::Sticky(STICKY_COOKIE.to_owned())),
            ["sticky", name] => Ok(Balance::Sticky(named(name)?)),
            _ => Err(raw.refuse("is not a way to balance", format!("write one of {WAYS}"))),
        }
    }

    fn write(&self, value: &Balance) -> Raw {
        Raw::Text(match value {
            Balance::RoundRobin => "round_robin".to_owned(),
            Balance::LeastRequests => "least_requests".to_owned(),
            Balance::Hash(HashKey::Client) => "hash client".to_owned(),
            Balance::Hash(HashKey::Header(name)) => format!("hash header {name}"),
            Balance::Hash(HashKey::Cookie(name)) => format!("hash cookie {name}"),
            Balance::Sticky(name) => format!("sticky {name}"),
        })
    }
}

impl Kind for Spoken {
    type Value = Protocol;

    fn read(&self, raw: &Raw) -> Result<Protocol, Refusal> {
        let found = PROTOCOLS.iter().find(|(word, _)| is(raw, word));
        let fix = || "write \"http/1.1\", or \"h2c\" for HTTP/2 without TLS";
        found.map(|(_, protocol)| *protocol).ok_or_else(|| raw.refuse("is not a protocol", fix()))
    }

    fn write(&self, value: &Protocol) -> Raw {
        let found = PROTOCOLS.iter().find(|(_, protocol)| protocol == value);
        Raw::Text(found.map_or("", |(word, _)| word).to_owned())
    }
}

fn is(raw: &Raw, word: &str) -> bool {
    matches!(raw, Raw::Text(text) if text == word)
}

fn or(refusal: Refusal, word: &str) -> Refusal {
    Refusal { fix: format!("{}, or \"{word}\"", refusal.fix), ..refusal }
}

/// A token of RFC 9110, which is also what RFC 6265 takes for a cookie's name.
fn is_token(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.len() <= MAX_NAME_BYTES && name.bytes().all(allowed)
}

const MILLION: f64 = 1e6;
const OFF: &str = "off";
const UNLIMITED: &str = "unlimited";
const WAYS: &str = "\"round_robin\", \"least_requests\", \"hash header NAME\", \"hash cookie NAME\", \"hash client\", \
                    \"sticky\", \"sticky NAME\"";
const PROTOCOLS: [(&str, Protocol); 2] = [("http/1.1", Protocol::Http1), ("h2c", Protocol::H2c)];
const STICKY_COOKIE: &str = "webrouter";
const MAX_NAME_BYTES: usize = 64;
