//! `[upstream]`, `[timeouts]`, `[health]`, `[retries]` and `[apps.*]`: what each upstream's policy is made of, and when
//! endpoints are given up. The keys of a policy are judged by the code that judges an owner's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use toml::{Spanned, Value};
use webrouter_routing::name::ProcName;
use webrouter_routing::policy::raw::Raw;
use webrouter_routing::policy::{Overrides, Policy, Wishes};

use super::error::nearest;
use super::leaf::{Reader, shown};
use super::raw::{Leaf, RawConfig, RawRetries, RawWishes};

/// What is configured of upstreams and their endpoints.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Policies {
    /// For procs that nobody has wishes for.
    pub(crate) default: Arc<Policy>,
    /// `[apps.*]`
    pub(crate) overrides: Arc<Overrides>,
    pub(crate) ejection: Ejection,
    pub(crate) retries: Retries,
}

/// `[health]`: when an endpoint whose requests fail gets none for a while.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ejection {
    /// After so many failures in a row.
    pub(crate) failures: u32,
    /// For so long the first time; each time soon after doubles it.
    pub(crate) eject: Duration,
    /// At most for so long.
    pub(crate) eject_max: Duration,
    /// The share of a pool that may be out for what it answers.
    pub(crate) eject_share: f64,
}

/// `[retries]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Retries {
    /// Retries as a share of the requests.
    pub(crate) share: f64,
    /// Retries per second that are always allowed.
    pub(crate) floor: f64,
}

/// Takes the sections that are about policies.
pub(super) fn resolve(reader: &mut Reader<'_>, raw: &mut RawConfig) -> Policies {
    let health = std::mem::take(&mut raw.health);
    let (upstream, timeouts) = (std::mem::take(&mut raw.upstream), &mut raw.timeouts);
    let leaves = [
        ("balance", upstream.balance),
        ("slow_start", upstream.slow_start),
        ("max_requests", upstream.max_requests),
        ("max_connections", upstream.max_connections),
        ("queue", upstream.queue),
        ("queue_timeout", upstream.queue_timeout),
        ("endpoint_wait", upstream.endpoint_wait),
        ("circuit_breaker", upstream.circuit_breaker),
        ("drain_timeout", upstream.drain_timeout),
        ("protocol", upstream.protocol),
        ("hsts", upstream.hsts),
        ("connect_timeout", timeouts.connect.take()),
        ("first_byte_timeout", timeouts.first_byte.take()),
        ("upstream_timeout", timeouts.upstream.take()),
        ("request_timeout", timeouts.request.take()),
        ("health_interval", health.interval),
        ("health_timeout", health.timeout),
        ("health_rise", health.rise),
        ("health_fall", health.fall),
    ];
    let ejection = ejection(reader, health.failures, health.eject, health.eject_max, health.eject_share);
    Policies {
        default: Arc::new(default(reader, leaves)),
        overrides: Arc::new(overrides(reader, std::mem::take(&mut raw.apps))),
        ejection,
        retries: retries(reader, std::mem::take(&mut raw.retries)),
    }
}

fn default(reader: &mut Reader<'_>, leaves: impl IntoIterator<Item = (&'static str, Leaf)>) -> Policy {
    let given = leaves.into_iter().filter_map(|(key, leaf)| Some((key, leaf?)));
    let mut wishes = wishes(reader, given);
    wishes.first_byte_timeout = wishes.first_byte_timeout.or(wishes.upstream_timeout);
    Policy::default().with(&wishes)
}

fn overrides(reader: &mut Reader<'_>, apps: BTreeMap<Spanned<String>, RawWishes>) -> Overrides {
    let mut overrides = BTreeMap::new();
    for (name, RawWishes(leaves)) in apps {
        if ProcName::parse(&format!("{}.web.web", name.get_ref())).is_err() {
            let fix = "write an app, [apps.\"demo\"], or one proc of it, [apps.\"demo.web.web\"]".to_owned();
            reader.add(name.span(), (format!("`{}` names no app", name.get_ref().escape_debug()), fix));
        }
        let wishes = wishes(reader, leaves);
        overrides.insert(name.into_inner(), wishes);
    }
    Overrides::new(overrides)
}

fn wishes(reader: &mut Reader<'_>, leaves: impl IntoIterator<Item = (&'static str, Spanned<Value>)>) -> Wishes {
    let mut wishes = Wishes::default();
    for (key, leaf) in leaves {
        let value = leaf.get_ref();
        let raw = Raw::deserialize(value.clone()).unwrap_or(Raw::Foreign("a value"));
        if let Err(refusal) = wishes.set(key, &raw) {
            let meant = value.as_str().and_then(|text| nearest(text, &WORDS));
            let fix = meant.map_or_else(String::new, |word| format!("did you mean `{word}`? ")) + &refusal.fix;
            reader.add(leaf.span(), (format!("{} {}", shown(value), refusal.problem), fix));
        }
    }
    wishes
}

fn ejection(reader: &mut Reader<'_>, failures: Leaf, eject: Leaf, eject_max: Leaf, eject_share: Leaf) -> Ejection {
    const SHARE_FIX: &str = "write a fraction: 0.5 lets half of a pool be ejected, 0.0 none of it";
    let span = eject_max.as_ref().or(eject.as_ref()).map(Spanned::span);
    let ejection = Ejection {
        failures: reader.number(failures, 3, 1, 1000),
        eject: reader.duration(eject, Duration::from_secs(10), MILLISECOND),
        eject_max: reader.duration(eject_max, Duration::from_secs(300), MILLISECOND),
        eject_share: reader.share(eject_share, 0.5, SHARE_FIX),
    };
    if let (Some(span), true) = (span, ejection.eject_max < ejection.eject) {
        let problem = format!("eject_max ({:?}) is shorter than eject ({:?})", ejection.eject_max, ejection.eject);
        reader.add(span, (problem, "make eject_max at least as long as eject".to_owned()));
    }
    ejection
}

fn retries(reader: &mut Reader<'_>, raw: RawRetries) -> Retries {
    const SHARE_FIX: &str = "write a fraction: 0.2 lets one of five requests be tried again, 0.0 only `floor` a second";
    Retries {
        share: reader.share(raw.share, 0.2, SHARE_FIX),
        floor: f64::from(reader.number(raw.floor, 3, 0, 1_000_000)),
    }
}

/// The words among the values.
const WORDS: [&str; 10] = [
    "round_robin",
    "least_requests",
    "hash client",
    "hash header",
    "hash cookie",
    "sticky",
    "off",
    "unlimited",
    "http/1.1",
    "h2c",
];
const MILLISECOND: Duration = Duration::from_millis(1);
