//! The shape of `webrouter.toml`: which sections and keys there are. What a value means is decided in `resolve`.

use serde::Deserialize;
use toml::{Spanned, Value};

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
        limits: RawLimits,
        forwarding: RawForwarding,
        admin: RawAdmin,
        state: RawState,
        guard: RawGuard,
        stop: RawStop,
    }
);
section!(RawListen { http: Leaf, https: Leaf, external_http: Leaf, external_https: Leaf });
section!(RawCluster { domain: Leaf, extra_domains: Leaf });
section!(RawRouting { subdomains: Leaf, unknown_host: Leaf });
section!(RawSource { lainlet: Option<RawLainlet>, file: Option<RawFile> });
section!(RawLainlet { address: Leaf, heartbeat: Leaf, read_timeout: Leaf, refresh: Leaf });
section!(RawFile { path: Leaf });
section!(RawEngine { kind: Leaf, threads: Leaf });
section!(RawTls { certificates: Leaf });
section!(RawAccessLog { directory: Leaf, stdout: Leaf, format: Leaf });
section!(RawTimeouts { connect: Leaf, request_header: Leaf, request_body: Leaf, upstream: Leaf, keep_alive: Leaf });
section!(RawLimits {
    request_head_bytes: Leaf,
    request_headers: Leaf,
    request_target_bytes: Leaf,
    request_body_bytes: Leaf,
    response_head_bytes: Leaf,
    connections: Leaf,
});
section!(RawForwarding { trusted_proxies: Leaf });
section!(RawAdmin { listen: Leaf, names: Leaf });
section!(RawState { directory: Leaf });
section!(RawGuard { max_loss: Leaf, grace: Leaf });
section!(RawStop { notice: Leaf, deadline: Leaf });
