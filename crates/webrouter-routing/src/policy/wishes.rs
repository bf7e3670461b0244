//! What is asked for: an owner's annotation or the operator's configuration, key by key. The table below says all of a
//! key: its name, its kind, its bounds, and which part of a [`Policy`] it decides.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};

use super::kind::{Count, Kind, Limit, ShareOrOff, Span, SpanOrOff, Spoken, Way};
use super::raw::{Raw, Refusal};
use super::{Balance, Policy, Protocol};
use crate::endpoint::Endpoint;
use crate::rejection::{Reason, Reasons};

/// The values of one author, by key, as written; null stands for a key that is left out.
pub type RawWishes = BTreeMap<&'static str, Raw>;

macro_rules! keys {
    ($($(#[doc = $doc:literal])+ $key:ident: $value:ty = $kind:expr, in $($place:ident).+;)+) => {
        /// The keys of one author; `None` leaves the choice to the next.
        #[derive(Debug, Clone, Default, PartialEq)]
        pub struct Wishes {
            $($(#[doc = $doc])+ pub $key: Option<$value>,)+
            /// Shares of the requests of endpoints whose share is not 1, where the source can tell them.
            pub weights: BTreeMap<Endpoint, u32>,
        }

        /// The names of all keys, in the order in which they are told.
        pub const KEYS: &[&str] = &[$(stringify!($key)),+];

        impl Wishes {
            /// Takes the value of one of [`KEYS`]; a refused one leaves the key as it was.
            pub fn set(&mut self, key: &str, raw: &Raw) -> Result<(), Refusal> {
                raw.once()?;
                match key {
                    $(stringify!($key) => self.$key = Some($kind.read(raw)?),)+
                    _ => return Err(raw.refuse("belongs to no key", format!("write one of {}", KEYS.join(", ")))),
                }
                Ok(())
            }

            /// What is asked for, as [`Wishes::set`] takes it.
            pub fn told(&self) -> Vec<(&'static str, Raw)> {
                let told = [$((stringify!($key), self.$key.as_ref().map(|value| $kind.write(value)))),+];
                told.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
            }
        }

        impl Policy {
            /// This policy where nothing is wished for, and the wishes elsewhere.
            pub fn with(&self, wishes: &Wishes) -> Self {
                let mut policy = self.clone();
                $(if let Some(value) = &wishes.$key {
                    policy.$($place).+.clone_from(value);
                })+
                if !wishes.weights.is_empty() {
                    policy.weights.clone_from(&wishes.weights);
                }
                policy
            }

            /// The values in force, in the order of [`KEYS`].
            pub fn told(&self) -> Vec<(&'static str, Raw)> {
                vec![$((stringify!($key), $kind.write(&self.$($place).+))),+]
            }
        }
    };
}

keys! {
    /// Which endpoint a request goes to.
    balance: Balance = Way, in balance;
    /// How long a new endpoint takes to get its full share.
    slow_start: Duration = span(0, HOUR), in slow_start;
    /// Requests in flight on one endpoint.
    max_requests: Option<NonZeroU32> = Limit { most: 1_000_000 }, in max_requests;
    /// Connections to one endpoint.
    max_connections: Option<NonZeroU32> = Limit { most: 1_000_000 }, in max_connections;
    /// How many requests may wait.
    queue: u32 = Count { least: 0, most: 65_536 }, in queue;
    /// How long they wait.
    queue_timeout: Duration = span(1, 10 * MINUTE), in queue_timeout;
    /// How long an idempotent request waits when there is no endpoint at all.
    endpoint_wait: Duration = span(0, MINUTE), in endpoint_wait;
    /// The share of failing requests that stops requests.
    circuit_breaker: Option<f64> = ShareOrOff, in circuit_breaker;
    /// What is spoken with the endpoints.
    protocol: Protocol = Spoken, in protocol;
    /// For how long browsers shall ask for the hosts by https only.
    hsts: Option<Duration> = SpanOrOff(span(0, 2 * YEAR)), in hsts;
    /// Opening a connection to an endpoint.
    connect_timeout: Duration = span(1, YEAR), in timeouts.connect;
    /// From the request's last byte to the answer's first.
    first_byte_timeout: Duration = span(1, YEAR), in timeouts.first_byte;
    /// Between two reads from, or writes to, an endpoint.
    upstream_timeout: Duration = span(1, YEAR), in timeouts.upstream;
    /// The whole request.
    request_timeout: Option<Duration> = SpanOrOff(span(1, YEAR)), in timeouts.request;
    /// How long a tunnel lives on when its endpoint leaves.
    drain_timeout: Duration = span(0, 24 * HOUR), in drain_timeout;
    /// From one probe to the next.
    health_interval: Duration = span(100, HOUR), in health.interval;
    /// For the whole probe.
    health_timeout: Duration = span(10, 10_000), in health.timeout;
    /// Good probes in a row that bring a sick endpoint back.
    health_rise: u32 = Count { least: 1, most: 100 }, in health.rise;
    /// Bad probes in a row that make an endpoint sick.
    health_fall: u32 = Count { least: 1, most: 100 }, in health.fall;
}

// The share is a finite number.
impl Eq for Wishes {}

/// The name of a key that may be wished for.
pub fn key(name: &str) -> Option<&'static str> {
    KEYS.iter().copied().find(|key| *key == name)
}

/// Notes a value of a key; the second one spoils the first.
pub fn note(raw: &mut RawWishes, key: &'static str, value: Raw) {
    if raw.insert(key, value).is_some() {
        raw.insert(key, Raw::Twice);
    }
}

impl Wishes {
    /// Reads what an entry says; a key that cannot be taken is a reason and hurts no other.
    pub fn read(raw: &RawWishes, reasons: &mut Reasons) -> Self {
        let mut wishes = Self::default();
        for (key, value) in raw {
            if let Err(refusal) = wishes.set(key, value) {
                reasons.note(|| Reason::BadPolicy { key, text: value.shown(), why: refusal.to_string() });
            }
        }
        wishes
    }

    /// Whether nothing is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Serialize for Wishes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.told() {
            map.serialize_entry(key, &value)?;
        }
        if !self.weights.is_empty() {
            map.serialize_entry(WEIGHTS, &self.weights)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Wishes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(WishesVisitor)
    }
}

struct WishesVisitor;

impl<'de> Visitor<'de> for WishesVisitor {
    type Value = Wishes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of a policy")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Wishes, A::Error> {
        let mut wishes = Wishes::default();
        while let Some(key) = map.next_key::<String>()? {
            if key == WEIGHTS {
                wishes.weights = map.next_value()?;
                wishes.weights.retain(|_, weight| (1..=MAX_WEIGHT).contains(weight));
            } else {
                // Another version, with other keys and bounds, may have written it: what it says else is still good.
                let _ = wishes.set(&key, &map.next_value()?);
            }
        }
        Ok(wishes)
    }
}

const fn span(least_ms: u64, most_ms: u64) -> Span {
    Span { least: Duration::from_millis(least_ms), most: Duration::from_millis(most_ms) }
}

/// The largest weight of an endpoint.
pub const MAX_WEIGHT: u32 = 256;

const WEIGHTS: &str = "weights";
/// In milliseconds.
const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const YEAR: u64 = 8760 * HOUR;

#[cfg(test)]
mod tests;
