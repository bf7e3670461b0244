//! Endpoints: `ip:port` in an upstream.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;

/// An address that requests are forwarded to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "SocketAddr", into = "SocketAddr")]
pub struct Endpoint(SocketAddr);

/// Why an address is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// The container has no address yet, or lost it.
    #[error("the container has no IP address")]
    EmptyIp,
    /// Not an IP address.
    #[error("`{0}` is not an IP address")]
    NotAnIp(String),
    /// Port 0, or beyond 65535.
    #[error("{0} is not a port between 1 and 65535")]
    Port(i64),
    /// Not `ip:port`.
    #[error("`{0}` is not of the form ip:port")]
    NotAnAddress(String),
}

impl Endpoint {
    /// Takes an address whose port is not 0.
    pub fn new(address: SocketAddr) -> Result<Self, EndpointError> {
        match address.port() {
            0 => Err(EndpointError::Port(0)),
            _ => Ok(Self(address)),
        }
    }

    /// Parses `ip:port`.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let address = text.trim().parse().map_err(|_| EndpointError::NotAnAddress(excerpt(text)))?;
        Self::new(address)
    }

    /// Joins an address and a port that came apart, as lainlet gives them.
    pub fn from_parts(ip: &str, port: i64) -> Result<Self, EndpointError> {
        if ip.trim().is_empty() {
            return Err(EndpointError::EmptyIp);
        }
        let address: IpAddr = ip.trim().parse().map_err(|_| EndpointError::NotAnIp(excerpt(ip)))?;
        let port = u16::try_from(port).map_err(|_| EndpointError::Port(port))?;
        Self::new(SocketAddr::new(address, port))
    }

    /// The socket address.
    pub fn address(&self) -> SocketAddr {
        self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl TryFrom<SocketAddr> for Endpoint {
    type Error = EndpointError;

    fn try_from(address: SocketAddr) -> Result<Self, EndpointError> {
        Self::new(address)
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_ip_or_port_0_is_no_endpoint() {
        let check = |ip: &str, port: i64, expected: Result<&str, EndpointError>| {
            let actual = Endpoint::from_parts(ip, port).map(|e| e.to_string());
            assert_eq!(actual, expected.map(str::to_owned), "{ip:?} {port}");
        };
        check("172.20.0.3", 8000, Ok("172.20.0.3:8000"));
        check("::1", 80, Ok("[::1]:80"));
        check("", 8000, Err(EndpointError::EmptyIp));
        check("172.20.0.3", 0, Err(EndpointError::Port(0)));
        check("172.20.0.3", 70000, Err(EndpointError::Port(70000)));
        check("web", 80, Err(EndpointError::NotAnIp("web".into())));
    }
}
