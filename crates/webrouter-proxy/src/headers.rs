//! The heads we send: the request's to an endpoint, the response's to the client. Pure.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use webrouter_routing::path::encode as encode_path;
use webrouter_routing::policy::Policy;
use webrouter_routing::route::Route;

use crate::config::Security;
use crate::connection::{ClientCertificate, Peer};
use crate::http1::encode::{self, Named, field, number_field};
use crate::http1::field::{Claim, Field, Known, list_elements};
use crate::http1::head::{Framing, RequestHead, ResponseHead, Version};
use crate::request::{Request, Target};

/// Where a request came from, after what trusted peers say of it (SPEC: walked from the right).
#[derive(Debug)]
pub(crate) struct Origin {
    /// The nearest address that is not a trusted proxy.
    pub(crate) client: IpAddr,
    /// `http` or `https`.
    pub(crate) scheme: Scheme,
    /// Whether the peer's claims count.
    trusted: bool,
    /// How many trusted proxies passed the request on.
    pub(crate) hops: usize,
}

/// How the client speaks to the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

impl Scheme {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }
}

impl Origin {
    /// Judges the peer's claims.
    pub(crate) fn of(head: &RequestHead, bytes: &[u8], peer: &Peer, trusted_proxies: &[IpNet]) -> Self {
        let is_trusted = |address: IpAddr| trusted_proxies.iter().any(|net| net.contains(&address));
        let scheme = if peer.security == Security::Tls { Scheme::Https } else { Scheme::Http };
        let mut origin = Self { client: peer.address, scheme, trusted: is_trusted(peer.address), hops: 0 };
        if !origin.trusted {
            return origin;
        }
        let claims = |known| move |field: &&Field| field.known == known;
        let chain = head.fields.iter().rev().filter(claims(Known::XForwardedFor));
        for element in chain.flat_map(|field| field.value.of_bytes(bytes).rsplit(|&byte| byte == b',')) {
            let Some(address) = address(element.trim_ascii()) else { break };
            origin.client = address;
            if !is_trusted(address) {
                break;
            }
            origin.hops += 1;
        }
        match nearest(head, bytes, Known::XForwardedProto) {
            Some(proto) if proto.eq_ignore_ascii_case(b"https") => origin.scheme = Scheme::Https,
            Some(proto) if proto.eq_ignore_ascii_case(b"http") => origin.scheme = Scheme::Http,
            _ => {}
        }
        origin
    }
}

/// The last element of the last field of a name: what the nearest proxy said.
fn nearest<'a>(head: &RequestHead, bytes: &'a [u8], known: Known) -> Option<&'a [u8]> {
    let last = head.fields.iter().rfind(|field| field.known == known)?;
    list_elements(last.value.of_bytes(bytes)).last()
}

/// An element of `X-Forwarded-For`: an address, with a port or without.
fn address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?;
    let address = text.parse().or_else(|_| text.parse().map(|with_port: SocketAddr| with_port.ip()));
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    address.ok().or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// A 128-bit trace identity: the client's when it sent a well-formed one, else made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TraceId([u8; 32]);

impl TraceId {
    /// Makes one of 128 random bits.
    pub(crate) fn new(random: u128) -> Self {
        let mut text = [b'0'; 32];
        for (digits, byte) in text.chunks_exact_mut(2).zip(random.to_be_bytes()) {
            digits.copy_from_slice(&encode::hex_digits(byte));
        }
        Self(text)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// The request's identity: `X-Request-Id` as received when it is harmless, else made.
pub(crate) fn received_request_id<'a>(head: &RequestHead, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let id = head.field(Known::XRequestId)?.of_bytes(bytes);
    let harmless = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    ((1..=128).contains(&id.len()) && id.iter().all(harmless)).then_some(id)
}

/// Whether a `traceparent` is of version 00 and well-formed (W3C Trace Context §3.2).
fn is_traceparent(value: &[u8]) -> bool {
    let lower_hex = |part: &[u8]| part.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zero = |part: &[u8]| part.iter().all(|&byte| byte == b'0');
    let mut parts = value.split(|&byte| byte == b'-');
    let parts = [parts.next(), parts.next(), parts.next(), parts.next(), parts.next()];
    matches!(parts, [Some(b"00"), Some(trace), Some(parent), Some(flags), None]
        if trace.len() == 32 && parent.len() == 16 && flags.len() == 2
        && lower_hex(trace) && lower_hex(parent) && lower_hex(flags) && !zero(trace) && !zero(parent))
}

/// What the request head for an endpoint is made of.
pub(crate) struct Outgoing<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) normal_path: &'a [u8],
    pub(crate) head: &'a RequestHead,
    pub(crate) request: &'a Request,
    pub(crate) origin: &'a Origin,
    pub(crate) peer: IpAddr,
    pub(crate) certificate: &'a ClientCertificate,
    pub(crate) request_id: Option<&'a [u8]>,
    pub(crate) made_id: &'a TraceId,
    pub(crate) span_id: u64,
}

impl Outgoing<'_> {
    /// Writes the whole head.
    pub(crate) fn write(&self, route: &Route, out: &mut Vec<u8>) {
        let Self { bytes, head, request, .. } = *self;
        out.extend_from_slice(head.method.of_bytes(bytes));
        out.push(b' ');
        write_target(&request.target, bytes, self.normal_path, route, out);
        out.extend_from_slice(b" HTTP/1.1\r\n");
        field(out, b"Host", request.host.as_str().as_bytes());
        let named = Named::new(bytes, &head.fields, head.connection.named_fields > 0);
        let mut traced = false;
        for received in &head.fields {
            let name = received.name.of_bytes(bytes);
            if is_replaced(received.known) || named.contains(received.name) || !self.may_claim(name) {
                continue;
            }
            let value = received.value.of_bytes(bytes);
            match received.known {
                Known::Traceparent if traced || !is_traceparent(value) => continue,
                Known::Traceparent => traced = true,
                _ => {}
            }
            field(out, name, value);
        }
        self.write_ours(out);
        if !traced {
            out.extend_from_slice(b"traceparent: 00-");
            out.extend_from_slice(self.made_id.as_bytes());
            out.push(b'-');
            encode::hex(out, &self.span_id.max(1).to_be_bytes());
            out.extend_from_slice(b"-00\r\n");
        }
        match head.framing {
            Framing::Length(length) => number_field(out, b"Content-Length", length),
            Framing::Chunked | Framing::Stream => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
            Framing::None | Framing::UntilClose => self.write_empty_length(out),
        }
        if request.expects_continue {
            out.extend_from_slice(b"Expect: 100-continue\r\n");
        }
        if let Some(protocol) = request.upgrade {
            out.extend_from_slice(b"Connection: upgrade\r\n");
            field(out, b"Upgrade", protocol.of_bytes(bytes));
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether a field that we do not write ourselves is the peer's to say.
    fn may_claim(&self, name: &[u8]) -> bool {
        match Claim::of(name) {
            None => true,
            Some(Claim::Proxys) => self.origin.trusted,
            Some(Claim::Nobodys) => false,
        }
    }

    /// A request that said `Content-Length: 0` keeps it: for a POST it is expected (RFC 9110 §8.6), and HTTP/2 says the same
    /// without a field.
    fn write_empty_length(&self, out: &mut Vec<u8>) {
        let expected = || matches!(self.head.method.of_bytes(self.bytes), b"POST" | b"PUT" | b"PATCH");
        if self.head.field(Known::ContentLength).is_some() || (self.head.version == Version::Http2 && expected()) {
            out.extend_from_slice(b"Content-Length: 0\r\n");
        }
    }

    fn write_ours(&self, out: &mut Vec<u8>) {
        let Self { bytes, head, origin, .. } = *self;
        out.extend_from_slice(b"X-Real-IP: ");
        write_address(origin.client, out);
        out.extend_from_slice(b"\r\nX-Forwarded-For: ");
        if origin.trusted {
            let chain = head.fields.iter().filter(|field| field.known == Known::XForwardedFor);
            for value in chain.map(|field| field.value.of_bytes(bytes)).filter(|value| !value.is_empty()) {
                out.extend_from_slice(value);
                out.extend_from_slice(b", ");
            }
        }
        write_address(self.peer, out);
        out.extend_from_slice(b"\r\nX-Forwarded-Proto: ");
        out.extend_from_slice(origin.scheme.as_str().as_bytes());
        out.extend_from_slice(b"\r\n");
        let host = nearest(head, bytes, Known::XForwardedHost).filter(|_| origin.trusted);
        field(out, b"X-Forwarded-Host", host.unwrap_or(head.host.of_bytes(bytes)));
        for name in [&b"X-Original-URI: "[..], b"REQUEST_URI: "] {
            out.extend_from_slice(name);
            out.extend_from_slice(head.target.of_bytes(bytes));
            out.extend_from_slice(b"\r\n");
        }
        field(out, b"X-Request-Id", self.request_id.unwrap_or(self.made_id.as_bytes()));
        match self.certificate {
            ClientCertificate::NotAsked => {}
            ClientCertificate::Missing => field(out, b"ssl-client-verify", b"NONE"),
            ClientCertificate::Subject(subject) => {
                field(out, b"ssl-client-verify", b"SUCCESS");
                field(out, b"ssl-client-subject-dn", subject.as_bytes());
            }
        }
    }
}

/// Received fields that do not go on as they are: we write them ourselves, or they end here.
fn is_replaced(known: Known) -> bool {
    known.is_hop_by_hop()
        || matches!(
            known,
            Known::Host
                | Known::ContentLength
                | Known::Expect
                | Known::Lookalike
                | Known::XRealIp
                | Known::XForwardedFor
                | Known::XForwardedHost
                | Known::XForwardedProto
                | Known::XOriginalUri
                | Known::RequestUri
                | Known::XRequestId
        )
}

/// Root mountpoints see the target byte for byte, others the normal path without their prefix.
fn write_target(target: &Target, bytes: &[u8], normal_path: &[u8], route: &Route, out: &mut Vec<u8>) {
    let prefix = route.mountpoint.path().as_bytes();
    if prefix.is_empty() {
        return target.write_received(bytes, out);
    }
    encode_path(normal_path.strip_prefix(prefix).unwrap_or(normal_path), out);
    out.extend_from_slice(target.query(bytes));
}

/// Writes an IP address.
pub(crate) fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(v4) => {
            for (index, octet) in v4.octets().into_iter().enumerate() {
                if index > 0 {
                    out.push(b'.');
                }
                encode::decimal(out, u64::from(octet));
            }
        }
        // Writing to a vector cannot fail.
        IpAddr::V6(v6) => drop(write!(out, "{v6}")),
    }
}

/// How a response's body reaches the client, and whether the connection lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// The framing the client sees; `UntilClose` ends the connection.
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
}

/// Writes a response head for the client; `own_fields` are ours, and written already.
pub(crate) fn write_response(
    head: &ResponseHead,
    bytes: &[u8],
    own_fields: &[u8],
    client: Version,
    delivery: Delivery,
    date: &[u8],
    out: &mut Vec<u8>,
) {
    encode::status_line(out, head.status, head.reason.of_bytes(bytes));
    write_response_fields(head, bytes, out);
    out.extend_from_slice(own_fields);
    if head.fields.iter().all(|received| received.known != Known::Date) {
        field(out, b"Date", date);
    }
    match delivery.framing {
        Framing::Length(length) => number_field(out, b"Content-Length", length),
        Framing::Chunked => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        Framing::None => write_advertised_length(head, bytes, out),
        Framing::UntilClose | Framing::Stream => {}
    }
    write_connection(client, delivery.keep_alive, out);
    out.extend_from_slice(b"\r\n");
}

/// Tells browsers to ask for the host by https only, where the policy says so (RFC 6797 §7.2: over https alone). Of an app's
/// own word, which stands before it, browsers take the first (§8.1).
pub(crate) fn write_hsts(policy: &Policy, scheme: Scheme, out: &mut Vec<u8>) {
    if let (Some(max_age), Scheme::Https) = (policy.hsts, scheme) {
        out.extend_from_slice(b"Strict-Transport-Security: max-age=");
        encode::decimal(out, max_age.as_secs());
        out.extend_from_slice(b"\r\n");
    }
}

/// Writes the end-to-end fields of a response.
pub(crate) fn write_response_fields(head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    let named = Named::new(bytes, &head.fields, head.connection.named_fields > 0);
    for received in &head.fields {
        let ours = received.known.is_hop_by_hop() || received.known == Known::ContentLength;
        if !ours && !named.contains(received.name) {
            field(out, received.name.of_bytes(bytes), received.value.of_bytes(bytes));
        }
    }
}

/// Says whether the connection lives on: our answers are HTTP/1.1, so an end is always told, and a client of HTTP/1.0
/// that asked for more is told that it gets it (RFC 9112 §9.3, §9.6).
pub(crate) fn write_connection(client: Version, keep_alive: bool, out: &mut Vec<u8>) {
    match (client, keep_alive) {
        (Version::Http2, _) => {}
        (_, false) => out.extend_from_slice(b"Connection: close\r\n"),
        (Version::Http10, true) => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        (Version::Http11, true) => {}
    }
}

/// The answers to HEAD and 304 tell the length the body would have (RFC 9110 §8.6); 1xx and 204 have none.
fn write_advertised_length(head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    let length = head.fields.iter().find(|received| received.known == Known::ContentLength);
    if let Some(length) = length.filter(|_| head.status >= 200 && head.status != 204) {
        field(out, b"Content-Length", length.value.of_bytes(bytes));
    }
}

#[cfg(test)]
mod tests;
