//! The shape of `webrouter.toml`: which sections and keys there are. What a value means is decided in `resolve`.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use toml::{Spanned, Value};
use webrouter_routing::policy::wishes::{self, KEYS};

/// A value as it is written, with its place; `None` when the key is left out.
pub(super) type Leaf = Option<Spanned<Value>>;

macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Default, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        pub(super) struct $name { $(pub(super) $key: $type),* }
    };
}

section!(
    /// The whole file.
    RawConfig {
        listen: RawListen,
        cluster: RawCluster,
        routing: RawRouting,
        source: RawSource,
        engine: RawEngine,
        tls: RawTls,
        access_log: RawAccessLog,
        timeouts: RawTimeouts,
        upstream: RawUpstream,
        health: RawHealth,
        retries: RawRetries,
        apps: BTreeMap<Spanned<String>, RawWishes>,
        limits: RawLimits,
        forwarding: RawForwarding,
        docker: RawDocker,
        admin: RawAdmin,
        graphite: Option<RawGraphite>,
        state: RawState,
        guard: RawGuard,
        stop: RawStop,
    }
);
section!(RawListen {
    http: Leaf,
    https: Leaf,
    external_http: Leaf,
    external_https: Leaf,
    h2c: Leaf,
    proxy_protocol: Leaf,
});
section!(RawCluster { domain: Leaf, extra_domains: Leaf });
section!(RawRouting { subdomains: Leaf, unknown_host: Leaf });
section!(RawSource { lainlet: Option<RawLainlet>, file: Option<RawFile> });
section!(RawLainlet { address: Leaf, heartbeat: Leaf, read_timeout: Leaf, refresh: Leaf });
section!(RawFile { path: Leaf });
section!(RawEngine { kind: Leaf, threads: Leaf });
section!(RawTls {
    certificates: Leaf,
    default: Leaf,
    profile: Leaf,
    client_certificates: BTreeMap<Spanned<String>, RawClientCertificates>,
});
section!(RawClientCertificates { ca: Leaf, mode: Leaf });
section!(RawAccessLog { directory: Leaf, stdout: Leaf, format: Leaf });
section!(RawTimeouts {
    connect: Leaf,
    request_header: Leaf,
    request_body: Leaf,
    first_byte: Leaf,
    upstream: Leaf,
    request: Leaf,
    keep_alive: Leaf,
});
section!(RawUpstream {
    balance: Leaf,
    slow_start: Leaf,
    max_requests: Leaf,
    max_connections: Leaf,
    queue: Leaf,
    queue_timeout: Leaf,
    endpoint_wait: Leaf,
    circuit_breaker: Leaf,
    drain_timeout: Leaf,
    protocol: Leaf,
    hsts: Leaf,
});
section!(RawHealth {
    interval: Leaf,
    timeout: Leaf,
    rise: Leaf,
    fall: Leaf,
    failures: Leaf,
    eject: Leaf,
    eject_max: Leaf,
    eject_share: Leaf,
});
section!(RawRetries { share: Leaf, floor: Leaf });
section!(RawLimits {
    request_head_bytes: Leaf,
    request_headers: Leaf,
    request_target_bytes: Leaf,
    request_body_bytes: Leaf,
    response_head_bytes: Leaf,
    connections: Leaf,
});
section!(RawForwarding { trusted_proxies: Leaf });
section!(RawGraphite { address: Leaf, instance: Leaf, interval: Leaf });
section!(RawAdmin { listen: Leaf, names: Leaf, token_file: Leaf });
section!(RawDocker { host: Leaf });
section!(RawState { directory: Leaf });
section!(RawGuard { max_loss: Leaf, grace: Leaf });
section!(RawStop { notice: Leaf, deadline: Leaf });

/// `[apps.*]`: any of the keys that a proc's owner may write, too.
#[derive(Debug)]
pub(super) struct RawWishes(pub(super) Vec<(&'static str, Spanned<Value>)>);

impl<'de> Deserialize<'de> for RawWishes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RawWishesVisitor)
    }
}

struct RawWishesVisitor;

impl<'de> Visitor<'de> for RawWishesVisitor {
    type Value = RawWishes;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("struct with the policies of an app, [apps.\"<app>\"]")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawWishes, A::Error> {
        let mut leaves = Vec::new();
        while let Some(Key(key)) = map.next_key()? {
            leaves.push((key, map.next_value()?));
        }
        Ok(RawWishes(leaves))
    }
}

/// The name of a policy; it is refused where it stands.
struct Key(&'static str);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        wishes::key(&name).map(Self).ok_or_else(|| D::Error::unknown_field(&name, KEYS))
    }
}
