//! A resolved configuration as the configurations of the parts.

use std::sync::Arc;

use webrouter_admin::doctor::Surroundings;
use webrouter_admin_api::{Listener, ListenerScope};
use webrouter_discovery::{DiscoveryConfig, FileConfig, GuardConfig, LainletConfig};
use webrouter_proxy::fleet::{Ejection, FleetConfig, Retries};
use webrouter_proxy::tls::Certificates;
use webrouter_proxy::{
    Limits, ListenerConfig, Listeners, ProxyConfig, Scope, Security, StickyKey, Timeouts, UnknownHost,
};
use webrouter_routing::host::Host;
use webrouter_routing::merge::Defaults;
use webrouter_telemetry::access_log::{AccessLogConfig, Destination, Format};

use crate::config::{self, AccessLogFormat, AccessLogSink, Config, Threads};

/// `affordable` bounds the connections whatever is configured: without a file left, no endpoint can be reached either.
pub(super) fn proxy_config(
    config: &Config,
    affordable: usize,
    sticky_key: StickyKey,
    tls: Option<Arc<Certificates>>,
) -> ProxyConfig {
    let listen = &config.listen;
    let listeners = [
        (&listen.http, Scope::All, Security::Plain),
        (&listen.https, Scope::All, Security::Tls),
        (&listen.external_http, Scope::External, Security::Plain),
        (&listen.external_https, Scope::External, Security::Tls),
    ];
    let listeners = listeners.into_iter().flat_map(|(addresses, scope, security)| {
        addresses.iter().map(move |&address| ListenerConfig { address, scope, security })
    });
    let (timeouts, limits) = (&config.timeouts, &config.limits);
    ProxyConfig {
        listeners: listeners.collect(),
        h2c: listen.h2c,
        proxy_protocol: listen.proxy_protocol.clone(),
        tls,
        threads: match config.threads {
            Threads::Fixed(threads) => threads,
            Threads::Cores => std::thread::available_parallelism().map_or(1, usize::from),
        },
        timeouts: Timeouts {
            request_header: timeouts.request_header,
            request_body: timeouts.request_body,
            keep_alive: timeouts.keep_alive,
        },
        limits: Limits {
            request_head_bytes: limits.request_head_bytes,
            request_headers: limits.request_headers,
            request_target_bytes: limits.request_target_bytes,
            request_body_bytes: limits.request_body_bytes,
            response_head_bytes: limits.response_head_bytes,
            connections: Some(limits.connections.unwrap_or(affordable).min(affordable)),
        },
        trusted_proxies: config.trusted_proxies.clone(),
        unknown_host: match config.routing.unknown_host {
            config::UnknownHost::NotFound => UnknownHost::NotFound,
            config::UnknownHost::Close => UnknownHost::Close,
        },
        sticky_key,
    }
}

pub(super) fn fleet_config(config: &Config) -> FleetConfig {
    let config::Policies { ejection, retries, .. } = &config.policies;
    FleetConfig {
        retries: Retries { share: retries.share, floor: retries.floor },
        ejection: Ejection {
            failures: ejection.failures,
            first: ejection.eject,
            longest: ejection.eject_max,
            share: ejection.eject_share,
        },
        health_file: Some(config.state.join("health.json")),
    }
}

pub(super) fn access_log_config(config: &Config) -> AccessLogConfig {
    AccessLogConfig {
        destination: match &config.access_log.sink {
            AccessLogSink::Directory(directory) => Destination::Directory(directory.clone()),
            AccessLogSink::Stdout => Destination::Stdout,
        },
        format: match config.access_log.format {
            AccessLogFormat::Lain => Format::Lain,
            AccessLogFormat::Json => Format::Json,
        },
    }
}

/// What discovery follows; `check` follows the same without a state directory.
pub(crate) fn discovery_config(config: &Config) -> DiscoveryConfig {
    let lain = Host::parse("lain").expect("`lain` is a host name");
    DiscoveryConfig {
        lainlet: config.lainlet.as_ref().map(|lainlet| LainletConfig {
            heartbeat: lainlet.heartbeat,
            read_timeout: lainlet.read_timeout,
            refresh: lainlet.refresh,
            ..LainletConfig::new(lainlet.address.clone())
        }),
        file: config.file.clone().map(|path| FileConfig { path }),
        state_directory: Some(config.state.clone()),
        defaults: Defaults {
            subdomains: config.routing.subdomains,
            domains: config.cluster.domain.iter().cloned().chain([lain]).collect(),
            extra_domains: config.cluster.extra_domains.clone(),
            policy: Arc::clone(&config.policies.default),
            overrides: Arc::clone(&config.policies.overrides),
        },
        guard: GuardConfig { max_loss: config.guard.max_loss, grace: config.guard.grace, ..GuardConfig::default() },
        ..DiscoveryConfig::default()
    }
}

/// Who can be asked about apps besides the instance.
pub(crate) fn surroundings(config: &Config) -> Surroundings {
    let DiscoveryConfig { lainlet, file, .. } = discovery_config(config);
    Surroundings {
        lainlet,
        file: file.map(|file| file.path),
        docker: config.docker.clone(),
        state_directory: Some(config.state.clone()),
    }
}

/// What the admin API says of a host that nobody claims.
pub(super) fn explained_unknown_host(config: &Config) -> webrouter_admin::UnknownHost {
    match config.routing.unknown_host {
        config::UnknownHost::NotFound => webrouter_admin::UnknownHost::NotFound,
        config::UnknownHost::Close => webrouter_admin::UnknownHost::Close,
    }
}

/// The bound listeners as the admin API tells them.
pub(super) fn admin_listeners(listeners: &Listeners) -> Arc<[Listener]> {
    let told = |listener: &ListenerConfig| Listener {
        address: listener.address.to_string(),
        scope: match listener.scope {
            Scope::All => ListenerScope::All,
            Scope::External => ListenerScope::External,
        },
        tls: listener.security == Security::Tls,
    };
    listeners.addresses().iter().map(told).collect()
}
