//! What the data plane is told at start.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use webrouter_routing::snapshot::Snapshot;

use crate::sticky::StickyKey;
use crate::tls::Certificates;

/// Everything the data plane needs besides its table.
#[derive(Debug, Clone)]
pub struct ProxyConfig {
    /// Where to listen.
    pub listeners: Vec<ListenerConfig>,
    /// Whether plain listeners take HTTP/2 from clients that begin with its preface (RFC 9113 §3.3).
    pub h2c: bool,
    /// Peers whose connections begin with a PROXY protocol header.
    pub proxy_protocol: Vec<IpNet>,
    /// The certificates; `None` where no listener is [`Security::Tls`].
    pub tls: Option<Arc<Certificates>>,
    /// How many cores serve; each has its own thread, listeners and pools.
    pub threads: usize,
    /// Time-outs.
    pub timeouts: Timeouts,
    /// Limits.
    pub limits: Limits,
    /// Peers whose `X-Forwarded-*` fields count.
    pub trusted_proxies: Vec<IpNet>,
    /// What a request for a host that nobody claims gets.
    pub unknown_host: UnknownHost,
    /// Signs the cookies that lead clients back to their endpoints.
    pub sticky_key: StickyKey,
}

impl ProxyConfig {
    /// Whether a listener with TLS answers for this host.
    pub(crate) fn serves_over_tls(&self, snapshot: &Snapshot, host: &str) -> bool {
        let mut listeners = self.listeners.iter().filter(|listener| listener.security == Security::Tls);
        listeners.any(|listener| listener.scope == Scope::All || !snapshot.domains().is_internal(host))
    }
}

/// One listening address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenerConfig {
    /// Address and port; port 0 takes a free one.
    pub address: SocketAddr,
    /// Which hosts answer on it.
    pub scope: Scope,
    /// Whether it speaks TLS.
    pub security: Security,
}

/// Whether a listener speaks TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Security {
    /// Plain HTTP.
    Plain,
    /// HTTPS.
    Tls,
}

/// Which hosts answer on a listener.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every host.
    All,
    /// Hosts that are not internal to the cluster.
    External,
}

/// How long the proxy waits for clients; what an endpoint may take is told by the upstream's policy.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// For a whole request head, from its first byte; 408 past it.
    pub request_header: Duration,
    /// Between two reads of a request's body; 408 past it.
    pub request_body: Duration,
    /// For the next request on an idle connection.
    pub keep_alive: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            request_header: Duration::from_secs(60),
            request_body: Duration::from_secs(60),
            keep_alive: Duration::from_secs(65),
        }
    }
}

/// How much the proxy takes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a request head; 431 past it.
    pub request_head_bytes: usize,
    /// Fields of a request or response head; 431 or 502 past it.
    pub request_headers: usize,
    /// Bytes of a request target; 414 past it.
    pub request_target_bytes: usize,
    /// Bytes of a request body, `None` for any number; 413 past it.
    pub request_body_bytes: Option<u64>,
    /// Bytes of a response head; 502 past it.
    pub response_head_bytes: usize,
    /// Client connections, all cores together, `None` for any number; 503 past it.
    pub connections: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_head_bytes: 64 * 1024,
            request_headers: 128,
            request_target_bytes: 16 * 1024,
            request_body_bytes: None,
            response_head_bytes: 64 * 1024,
            connections: None,
        }
    }
}

/// What a request for a host that nobody claims gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnknownHost {
    /// An answer: 404.
    NotFound,
    /// No answer: the connection is closed.
    Close,
}
