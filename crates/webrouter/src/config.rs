//! Configuration: file and environment in, one [`Config`] of parsed types out.
//!
//! ```text
//! webrouter.toml ─ raw (shape) ─┐
//!                               ├─ resolve (meaning, all mistakes at once) ─► Config ─ app builds the parts
//! environment (wins) ───────────┘
//! ```
//! Nothing here opens a socket or writes a file.

mod environment;
mod error;
mod leaf;
mod policies;
mod raw;
mod resolve;
mod tls;
mod unit;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use webrouter_admin::doctor::DockerHost;
use webrouter_proxy::tls::TlsConfig;
use webrouter_routing::host::Host;
use webrouter_routing::table::Subdomains;
use webrouter_telemetry::graphite::GraphiteConfig;

pub(crate) use environment::Environment;
pub(crate) use error::{Colour, ConfigError};
pub(crate) use policies::Policies;

/// A mistake in another TOML file of ours, as a report of the same kind.
pub(crate) fn toml_mistake(error: &toml::de::Error, path: &Path, text: &str) -> ConfigError {
    ConfigError::Mistakes(vec![error::from_toml(error, path, text)])
}

/// Everything that can be configured, parsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Config {
    pub(crate) listen: Listen,
    pub(crate) cluster: Cluster,
    pub(crate) routing: Routing,
    pub(crate) lainlet: Option<LainletSource>,
    pub(crate) file: Option<PathBuf>,
    pub(crate) threads: Threads,
    pub(crate) tls: TlsConfig,
    pub(crate) access_log: AccessLog,
    pub(crate) timeouts: Timeouts,
    /// `[upstream]`, `[health]`, `[retries]`, `[apps.*]`, and the time-outs of endpoints.
    pub(crate) policies: Policies,
    pub(crate) limits: Limits,
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// Whom the doctor asks about containers.
    pub(crate) docker: Option<DockerHost>,
    pub(crate) admin: SocketAddr,
    /// Host names that the admin API answers to, besides addresses and `localhost`.
    pub(crate) admin_names: Vec<Host>,
    /// Where the token of the admin API is.
    pub(crate) admin_token_file: Option<PathBuf>,
    /// `[graphite]`, when it is there.
    pub(crate) graphite: Option<GraphiteConfig>,
    pub(crate) state: PathBuf,
    pub(crate) guard: Guard,
    /// For how long requests are still taken after the instance has said that it is not ready.
    pub(crate) stop_notice: Duration,
    pub(crate) stop_deadline: Duration,
}

/// `[listen]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Listen {
    pub(crate) http: Vec<SocketAddr>,
    pub(crate) https: Vec<SocketAddr>,
    pub(crate) external_http: Vec<SocketAddr>,
    pub(crate) external_https: Vec<SocketAddr>,
    /// Whether plain listeners take HTTP/2, too.
    pub(crate) h2c: bool,
    /// Whose connections begin with a PROXY protocol header.
    pub(crate) proxy_protocol: Vec<IpNet>,
}

/// `[cluster]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cluster {
    pub(crate) domain: Option<Host>,
    pub(crate) extra_domains: Vec<Host>,
}

/// `[routing]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Routing {
    pub(crate) subdomains: Subdomains,
    pub(crate) unknown_host: UnknownHost,
}

/// The answer for a host that nobody claims.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnknownHost {
    NotFound,
    Close,
}

/// `[source.lainlet]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LainletSource {
    /// `host:port`; the name is resolved at each connection.
    pub(crate) address: String,
    pub(crate) heartbeat: Duration,
    pub(crate) read_timeout: Duration,
    pub(crate) refresh: Duration,
}

/// `[engine] threads`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// As many as cores.
    Cores,
    Fixed(usize),
}

/// `[access_log]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AccessLog {
    pub(crate) sink: AccessLogSink,
    pub(crate) format: AccessLogFormat,
}

/// Where access log lines go.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AccessLogSink {
    Directory(PathBuf),
    Stdout,
}

/// How an access log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AccessLogFormat {
    Lain,
    Json,
}

/// `[timeouts]` of clients; those of endpoints are policies.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Timeouts {
    pub(crate) request_header: Duration,
    pub(crate) request_body: Duration,
    pub(crate) keep_alive: Duration,
}

/// `[limits]`; `None` is "unlimited".
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limits {
    pub(crate) request_head_bytes: usize,
    pub(crate) request_headers: usize,
    pub(crate) request_target_bytes: usize,
    pub(crate) request_body_bytes: Option<u64>,
    pub(crate) response_head_bytes: usize,
    pub(crate) connections: Option<usize>,
}

/// `[guard]`
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Guard {
    /// The share of routes or endpoints (0 to 1) that an update may take away unasked.
    pub(crate) max_loss: f64,
    pub(crate) grace: Duration,
}

impl Config {
    /// Reads a file (or nothing but the environment) into a configuration; every mistake is told at once.
    pub(crate) fn load(path: Option<&Path>, environment: &Environment) -> Result<Self, ConfigError> {
        let path = path.map(Path::to_owned).or_else(|| Some(PathBuf::from(DEFAULT_FILE)).filter(|path| path.exists()));
        let Some(path) = path else { return Self::parse(Path::new(DEFAULT_FILE), "", environment) };
        let text = std::fs::read(&path).and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        match text {
            Ok(text) => Self::parse(&path, &text, environment),
            Err(error) => Err(ConfigError::Unreadable { path, error }),
        }
    }

    /// Parses the text of a configuration file; `path` names it in reports and anchors relative paths.
    pub(crate) fn parse(path: &Path, text: &str, environment: &Environment) -> Result<Self, ConfigError> {
        let raw =
            toml::from_str(text).map_err(|error| ConfigError::Mistakes(vec![error::from_toml(&error, path, text)]))?;
        resolve::resolve(raw, path, text, environment)
    }

    /// Refuses a configuration that nobody tells about apps.
    pub(crate) fn with_source(self) -> Result<Self, ConfigError> {
        match self.lainlet.is_none() && self.file.is_none() {
            true => Err(ConfigError::NoSource),
            false => Ok(self),
        }
    }
}

/// Read when `--config` is not given, if it exists.
pub(crate) const DEFAULT_FILE: &str = "/etc/webrouter/webrouter.toml";

#[cfg(test)]
mod tests;
