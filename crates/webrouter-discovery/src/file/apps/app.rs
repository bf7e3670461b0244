//! One app of the file. What is of a wrong type is refused here, where it has a line and a column; what only its key can
//! judge becomes a rejection of that key.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use webrouter_routing::policy::Wishes;
use webrouter_routing::policy::raw::{Fault, Raw};
use webrouter_routing::policy::wishes::{self, KEYS, MAX_WEIGHT, RawWishes};

/// One app as the file has it.
pub type App = AppOf<AppEndpoint>;

/// One app, with its containers as `E`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppOf<E> {
    /// The addresses it claims.
    pub mountpoint: Vec<String>,
    /// Whether plain requests shall be sent to https.
    pub https_only: bool,
    /// The path of the health check.
    pub healthcheck: Option<String>,
    /// Its containers.
    pub endpoints: Vec<E>,
    /// The policies it asks for, by their keys.
    pub wishes: RawWishes,
}

/// A container: `"ip:port"`, or `{ address = "ip:port", weight = 3 }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppEndpoint {
    /// `ip:port`, as it is written.
    pub address: String,
    /// Its share of the requests, 1 when none is written.
    pub weight: u32,
}

impl<E: Clone> AppOf<E> {
    /// The same app with its containers as something else, if all of them can be.
    pub fn try_map_endpoints<F, Error>(&self, map: impl Fn(E) -> Result<F, Error>) -> Result<AppOf<F>, Error> {
        Ok(AppOf {
            mountpoint: self.mountpoint.clone(),
            https_only: self.https_only,
            healthcheck: self.healthcheck.clone(),
            endpoints: self.endpoints.iter().cloned().map(map).collect::<Result<_, _>>()?,
            wishes: self.wishes.clone(),
        })
    }
}

impl<'de, E: Deserialize<'de>> Deserialize<'de> for AppOf<E> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(AppVisitor(PhantomData))
    }
}

struct AppVisitor<E>(PhantomData<E>);

impl<'de, E: Deserialize<'de>> Visitor<'de> for AppVisitor<E> {
    type Value = AppOf<E>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an app")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AppOf<E>, A::Error> {
        let mut app = AppOf {
            mountpoint: Vec::new(),
            https_only: false,
            healthcheck: None,
            endpoints: Vec::new(),
            wishes: RawWishes::new(),
        };
        // TOML has no key twice.
        while let Some(key) = map.next_key::<Key>()? {
            match key {
                Key::Mountpoint => app.mountpoint = map.next_value()?,
                Key::HttpsOnly => app.https_only = map.next_value()?,
                Key::Healthcheck => app.healthcheck = Some(map.next_value()?),
                Key::Endpoints => app.endpoints = map.next_value()?,
                Key::Policy(key) => {
                    let raw = map.next_value_seed(OfType(key))?;
                    app.wishes.insert(key, raw);
                }
            }
        }
        Ok(app)
    }
}

/// The name of a key; it is refused where it stands.
enum Key {
    Mountpoint,
    HttpsOnly,
    Healthcheck,
    Endpoints,
    Policy(&'static str),
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Ok(match name.as_str() {
            "mountpoint" => Self::Mountpoint,
            "https_only" => Self::HttpsOnly,
            "healthcheck" => Self::Healthcheck,
            "endpoints" => Self::Endpoints,
            name => match wishes::key(name) {
                Some(key) => Self::Policy(key),
                None => {
                    let known = "mountpoint, https_only, healthcheck, endpoints";
                    return Err(D::Error::custom(format!(
                        "unknown field `{name}`, expected one of {known}, {}",
                        KEYS.join(", ")
                    )));
                }
            },
        })
    }
}

/// A value of a type that the policy of this key takes.
struct OfType(&'static str);

impl<'de> serde::de::DeserializeSeed<'de> for OfType {
    type Value = Raw;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        let raw = Raw::deserialize(deserializer)?;
        match Wishes::default().set(self.0, &raw) {
            Err(refusal) if refusal.fault == Fault::Type => {
                Err(D::Error::custom(format!("{BAD_POLICY} {}: {} {refusal}", self.0, raw.shown())))
            }
            _ => Ok(raw),
        }
    }
}

impl<'de> Deserialize<'de> for AppEndpoint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AppEndpointVisitor)
    }
}

struct AppEndpointVisitor;

impl<'de> Visitor<'de> for AppEndpointVisitor {
    type Value = AppEndpoint;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"ip:port\" or { address = \"ip:port\", weight = 3 }")
    }

    fn visit_str<E>(self, address: &str) -> Result<AppEndpoint, E> {
        Ok(AppEndpoint { address: address.to_owned(), weight: 1 })
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<AppEndpoint, A::Error> {
        let weighted = Weighted::deserialize(MapAccessDeserializer::new(map))?;
        Ok(AppEndpoint { address: weighted.address, weight: weighted.weight.0 })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Weighted {
    address: String,
    #[serde(default)]
    weight: Weight,
}

#[derive(Deserialize)]
#[serde(try_from = "i64")]
struct Weight(u32);

impl Default for Weight {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<i64> for Weight {
    type Error = String;

    fn try_from(weight: i64) -> Result<Self, String> {
        let weight_in_range = u32::try_from(weight).ok().filter(|weight| (1..=MAX_WEIGHT).contains(weight));
        weight_in_range.map(Self).ok_or_else(|| format!("weight {weight} is not between 1 and {MAX_WEIGHT}"))
    }
}

/// How the message of a policy of the wrong type begins.
pub(super) const BAD_POLICY: &str = "bad";
