//! Host names: as configured (parsed once) and as requested (normalised per request, no allocation).

use std::borrow::Borrow;
use std::fmt;
use std::net::Ipv6Addr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::excerpt::excerpt;

/// A host name in its one form: lower-case ASCII, no port, no trailing dot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Host(Arc<str>);

/// Why a configured host name is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// Nothing before the first `/`.
    #[error("the host is empty")]
    Empty,
    /// Not a name by IDNA (UTS 46).
    #[error("`{0}` is not a valid international host name")]
    Idna(String),
    /// A character no host name has.
    #[error("`{0}` has a character that no host name has; letters, digits, `-`, `_` and `.` are allowed")]
    Character(String),
    /// An empty label, or one that begins or ends with `-`, or is over 63 bytes.
    #[error("`{0}` has a label that is empty, over 63 bytes, or begins or ends with `-`")]
    Label(String),
    /// Over 253 bytes (RFC 1035 §3.1).
    #[error("the host is {0} bytes long; at most 253 are allowed")]
    TooLong(usize),
}

impl Host {
    /// Parses a configured host name; international names become their ASCII form.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(HostError::Empty);
        }
        if text.len() > MAX_HOST_BYTES * MAX_UTF8_BYTES {
            return Err(HostError::TooLong(text.len()));
        }
        let ascii = if text.is_ascii() {
            text.to_ascii_lowercase()
        } else {
            idna::domain_to_ascii(text).map_err(|_| HostError::Idna(excerpt(text)))?
        };
        if ascii.len() > MAX_HOST_BYTES {
            return Err(HostError::TooLong(ascii.len()));
        }
        if !ascii.bytes().all(is_host_byte) {
            return Err(HostError::Character(excerpt(&ascii)));
        }
        let bad_label = |l: &str| l.is_empty() || l.len() > 63 || l.starts_with('-') || l.ends_with('-');
        if ascii.split('.').any(bad_label) {
            return Err(HostError::Label(ascii));
        }
        Ok(Self(ascii.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Host {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Host {
    type Error = HostError;

    fn try_from(text: String) -> Result<Self, HostError> {
        Self::parse(&text)
    }
}

impl From<Host> for String {
    fn from(host: Host) -> Self {
        host.0.as_ref().to_owned()
    }
}

/// The host a request names, without port and trailing dot, lower-case; lives on the stack.
#[derive(Clone, Copy)]
pub struct RequestHost {
    bytes: [u8; MAX_HOST_BYTES],
    len: u8,
    port: Option<u16>,
}

/// A `Host` value or authority that is not `uri-host [":" port]` (RFC 9110 §7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Host field is not a host name with an optional port")]
pub struct RequestHostError;

impl RequestHost {
    /// Parses a `Host` value or the authority of a target.
    ///
    /// Bracketed IPv6 literals are kept with their brackets: no mountpoint has such a name.
    pub fn parse(value: &[u8]) -> Result<Self, RequestHostError> {
        let (name, port) = split_port(value)?;
        let bracketed = name.first() == Some(&b'[');
        let name = if bracketed { name } else { name.strip_suffix(b".").unwrap_or(name) };
        if !(if bracketed { is_ipv6_literal(name) } else { is_dotted_name(name) }) {
            return Err(RequestHostError);
        }
        let mut host = Self { bytes: [0; MAX_HOST_BYTES], len: 0, port };
        let room = host.bytes.get_mut(..name.len()).ok_or(RequestHostError)?;
        for (to, &from) in room.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        host.len = u8::try_from(name.len()).map_err(|_| RequestHostError)?;
        Ok(host)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    /// The port, when one was given.
    pub fn port(&self) -> Option<u16> {
        self.port
    }
}

impl fmt::Debug for RequestHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn split_port(value: &[u8]) -> Result<(&[u8], Option<u16>), RequestHostError> {
    let name_len = match value {
        [b'[', rest @ ..] => memchr::memchr(b']', rest).ok_or(RequestHostError)? + 2,
        _ => memchr::memchr(b':', value).unwrap_or(value.len()),
    };
    let (name, rest) = value.split_at_checked(name_len).ok_or(RequestHostError)?;
    match rest {
        [] | [b':'] => Ok((name, None)),
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            let text = std::str::from_utf8(digits).map_err(|_| RequestHostError)?;
            Ok((name, Some(text.parse().map_err(|_| RequestHostError)?)))
        }
        _ => Err(RequestHostError),
    }
}

fn is_ipv6_literal(name: &[u8]) -> bool {
    let inside = name.strip_prefix(b"[").and_then(|name| name.strip_suffix(b"]"));
    let text = inside.and_then(|inside| std::str::from_utf8(inside).ok());
    text.is_some_and(|text| text.parse::<Ipv6Addr>().is_ok())
}

/// Labels of host bytes, none of them empty.
fn is_dotted_name(name: &[u8]) -> bool {
    let mut previous = b'.';
    for &byte in name {
        if !is_host_byte(byte) || (byte == b'.' && previous == b'.') {
            return false;
        }
        previous = byte;
    }
    previous != b'.'
}

fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

const MAX_HOST_BYTES: usize = 253;
const MAX_UTF8_BYTES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: &str, expected: Result<(&str, Option<u16>), RequestHostError>) {
        let actual = RequestHost::parse(value.as_bytes());
        let actual = actual.as_ref().map(|host| (host.as_str(), host.port())).map_err(|error| *error);
        assert_eq!(actual, expected, "{value:?}");
    }

    #[test]
    fn case_port_and_a_trailing_dot_do_not_matter() {
        check("Demo.Lain.LOCAL", Ok(("demo.lain.local", None)));
        check("demo.lain.local.:8080", Ok(("demo.lain.local", Some(8080))));
        check("demo:", Ok(("demo", None)));
        check("[::1]:80", Ok(("[::1]", Some(80))));
        check("[2001:DB8::127.0.0.1]", Ok(("[2001:db8::127.0.0.1]", None)));
        check("a_b", Ok(("a_b", None)));
    }

    #[test]
    fn what_is_not_a_host_is_refused() {
        let too_long = "a".repeat(254);
        for value in
            ["", ".", "..", "a..b", "a..", ".a", "a b", "a:b", "a:1:2", "u@a", "a/b", "é", "a:99999", &too_long]
        {
            check(value, Err(RequestHostError));
        }
        for literal in ["[::1", "[]", "[a]", "[demo.test]", "[[::1]", "[::1]]", "[::1]x", "[::1%25lo]", "[1:2]"] {
            check(literal, Err(RequestHostError));
        }
    }

    #[test]
    fn configured_hosts_are_checked_and_made_ascii() {
        let check = |text: &str, expected: Result<&str, HostError>| {
            assert_eq!(Host::parse(text).as_ref().map(Host::as_str), expected.as_ref().copied(), "{text:?}");
        };
        check("WWW.Example.TEST.", Ok("www.example.test"));
        check("bücher.example", Ok("xn--bcher-kva.example"));
        check("", Err(HostError::Empty));
        check("*.example.test", Err(HostError::Character("*.example.test".into())));
        check("a b", Err(HostError::Character("a b".into())));
        check("a..b", Err(HostError::Label("a..b".into())));
        check("-a.b", Err(HostError::Label("-a.b".into())));
        check("a:80", Err(HostError::Character("a:80".into())));
        check(&"é".repeat(100_000), Err(HostError::TooLong(200_000)));
    }
}
