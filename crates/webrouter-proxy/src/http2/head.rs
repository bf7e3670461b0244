//! Heads between HTTP/2 and the form that the rest of the proxy knows: the bytes of HTTP/1.1. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode, Uri};
use memchr::memchr;

use super::flow::Flow;
use crate::config::Limits;
use crate::error::BadRequest;
use crate::exchange::Scratch;
use crate::http1::body::each_passable_trailer;
use crate::http1::encode::{decimal, field};
use crate::http1::field::{Field, Known, Span};
use crate::http1::head::{Framing, HeadError, RequestHead, Version, content_length};

/// A head that was written by us and cannot be said in HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the head cannot be sent in HTTP/2")]
pub(crate) struct Unsayable;

/// Takes a client's request, and what has arrived of its body, into the buffers that HTTP/1.1 would have filled; says how
/// long the head is.
pub(crate) fn receive(flow: &Flow, limits: &Limits, random: u128, scratch: &mut Scratch) -> Result<usize, BadRequest> {
    let parts = flow.take_request().ok_or(BadRequest::Target)?;
    let Scratch { inbound, head, .. } = scratch;
    let mut body = Vec::new();
    let whole = flow.take_arrived(AT_HAND, &mut body);
    write_request(&parts, whole && body.is_empty(), random, limits.request_headers, head, inbound)?;
    let head_len = inbound.len();
    if head_len > limits.request_head_bytes {
        return Err(BadRequest::HeadTooLarge);
    }
    if whole && head.framing == Framing::Stream {
        head.framing = Framing::Length(body.len() as u64);
    }
    inbound.extend_from_slice(&body);
    Ok(head_len)
}

/// Writes a request's head as HTTP/1.1 would, field by field, and what it parses to. `ends` tells that no body follows.
///
/// An extended CONNECT for a WebSocket (RFC 8441 §5) becomes the GET that asks an HTTP/1.1 server for the same, with a key
/// made of `random`.
pub(crate) fn write_request(
    parts: &Parts,
    ends: bool,
    random: u128,
    max_fields: usize,
    head: &mut RequestHead,
    out: &mut Vec<u8>,
) -> Result<(), BadRequest> {
    head.clear();
    head.version = Version::Http2;
    let tunnel = parts.extensions.get::<h2::ext::Protocol>();
    let method = if tunnel.is_some() { b"GET" } else { parts.method.as_str().as_bytes() };
    let target = parts.uri.path_and_query().map(|target| target.as_str().as_bytes()).unwrap_or_default();
    head.method = put(out, method);
    out.push(b' ');
    head.target = put(out, target);
    head.line = Span::new(0..put_end(out, b" HTTP/2.0"));
    out.extend_from_slice(b"\r\n");
    // RFC 9113 §8.3.1; without an authority `h2` does not hand it over.
    if parts.uri.authority().is_some() && !matches!(parts.uri.scheme_str(), Some("http" | "https")) {
        return Err(BadRequest::Target);
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    let mut hosts = parts.headers.get_all(http::header::HOST).iter().map(HeaderValue::as_bytes);
    let (host, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(HeadError::Host.into());
    }
    // RFC 9113 §8.3.1: they are the same, or the request is malformed.
    if let (Some(authority), Some(host)) = (authority, host)
        && !authority.eq_ignore_ascii_case(host)
    {
        return Err(BadRequest::AuthorityDisagrees);
    }
    let host = authority.or(host).filter(|host| !host.is_empty()).ok_or(HeadError::Host)?;
    let mut fields = Fields { out, head, max: max_fields };
    fields.put(b"host", host)?;
    fields.head.host = fields.last_value();
    let mut length = None;
    for (name, value) in &parts.headers {
        let (name, value) = (name.as_str().as_bytes(), value.as_bytes());
        // RFC 9113 §8.2.1; RFC 9110 §5.6.2: a quote is in no name, though `http` takes it for one.
        if name.contains(&b'"') || value.trim_ascii().len() != value.len() {
            return Err(HeadError::Field.into());
        }
        match Known::classify(name) {
            Known::Host => continue,
            Known::ContentLength if length.is_some() => return Err(HeadError::ContentLength.into()),
            Known::ContentLength => length = Some(content_length(value)?),
            // One is written below, the other is of a connection of HTTP/1.1 (RFC 7540 §3.2.1).
            _ if name == b"cookie" || name == b"http2-settings" => continue,
            _ => {}
        }
        fields.put(name, value)?;
    }
    fields.put_cookies(&parts.headers)?;
    if let Some(protocol) = tunnel {
        // What else could be asked for has no meaning to an app behind HTTP/1.1 (RFC 9110 §15.6.2).
        if protocol.as_str() != "websocket" || length.is_some() {
            return Err(BadRequest::Method);
        }
        fields.put(b"connection", b"upgrade")?;
        fields.put(b"upgrade", b"websocket")?;
        fields.put(b"sec-websocket-key", STANDARD.encode(random.to_be_bytes()).as_bytes())?;
        fields.head.connection.upgrade = true;
        fields.out.extend_from_slice(b"\r\n");
        return Ok(());
    }
    fields.head.framing = match (length, ends) {
        (_, true) => Framing::None,
        // Only its end shows that a body of no bytes has none.
        (Some(0) | None, false) => Framing::Stream,
        (Some(length), false) => Framing::Length(length),
    };
    fields.out.extend_from_slice(b"\r\n");
    let absolute = matches!(target, [b'/', ..]) || (target == b"*" && method == b"OPTIONS");
    // RFC 9113 §8.3.1: no other form.
    if absolute || method == b"CONNECT" { Ok(()) } else { Err(BadRequest::Target) }
}

/// A head's fields as they are written.
struct Fields<'a> {
    out: &'a mut Vec<u8>,
    head: &'a mut RequestHead,
    max: usize,
}

impl Fields<'_> {
    fn put(&mut self, name: &[u8], value: &[u8]) -> Result<(), BadRequest> {
        if self.head.fields.len() >= self.max {
            return Err(HeadError::TooManyFields.into());
        }
        let known = Known::classify(name);
        let name = put(self.out, name);
        self.out.extend_from_slice(b": ");
        let value = put(self.out, value);
        self.out.extend_from_slice(b"\r\n");
        self.head.fields.push(Field { name, value, known });
        Ok(())
    }

    /// Cookies come in crumbs, so that they compress well, and leave as one field (RFC 9113 §8.2.3).
    fn put_cookies(&mut self, headers: &HeaderMap) -> Result<(), BadRequest> {
        let mut crumbs = headers.get_all(http::header::COOKIE).iter().map(HeaderValue::as_bytes);
        let Some(first) = crumbs.next() else { return Ok(()) };
        self.put(b"cookie", first)?;
        let whole = self.last_value().start();
        self.out.truncate(self.out.len() - 2);
        for crumb in crumbs {
            self.out.extend_from_slice(b"; ");
            self.out.extend_from_slice(crumb);
        }
        if let Some(field) = self.head.fields.last_mut() {
            field.value = Span::new(whole..self.out.len());
        }
        self.out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn last_value(&self) -> Span {
        self.head.fields.last().map(|field| field.value).unwrap_or_default()
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) -> Span {
    let start = out.len();
    out.extend_from_slice(bytes);
    Span::new(start..out.len())
}

fn put_end(out: &mut Vec<u8>, bytes: &[u8]) -> usize {
    out.extend_from_slice(bytes);
    out.len()
}

/// An answer's head, from how we write it in HTTP/1.1, and the length of its body where it says one. What concerns one
/// connection only has no place in HTTP/2 (RFC 9113 §8.2.2); 101 becomes 200 (RFC 8441 §5).
pub(crate) fn read_response(written: &[u8]) -> Result<(Response<()>, Option<u64>), Unsayable> {
    let head = Bytes::copy_from_slice(written);
    let mut lines = Lines { head: &head, at: 0 };
    let status = lines.next().and_then(|line| line.get(9..12).map(StatusCode::from_bytes)).ok_or(Unsayable)?;
    let mut status = status.map_err(|_| Unsayable)?;
    let mut length = None;
    let switched = status == StatusCode::SWITCHING_PROTOCOLS;
    if switched {
        status = StatusCode::OK;
    }
    let mut response = Response::new(());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.reserve(12);
    while let Some(line) = lines.next() {
        let (name, value) = name_and_value(&head, line)?;
        match Known::classify(name) {
            known if known.is_hop_by_hop() => continue,
            Known::ContentLength => length = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()),
            _ if switched && name.eq_ignore_ascii_case(b"sec-websocket-accept") => continue,
            _ => {}
        }
        append(headers, name, value)?;
    }
    Ok((response, length))
}

/// A request's head, from how we write it in HTTP/1.1, and the length of its body where it says one.
pub(crate) fn read_request(written: &[u8]) -> Result<(Request<()>, Option<u64>), Unsayable> {
    let head = Bytes::copy_from_slice(written);
    let mut lines = Lines { head: &head, at: 0 };
    let mut words = lines.next().unwrap_or_default().split(|&byte| byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request::new(());
    *request.method_mut() = http::Method::from_bytes(method).map_err(|_| Unsayable)?;
    let (mut authority, mut length) = (None, None);
    let headers = request.headers_mut();
    headers.reserve(24);
    while let Some(line) = lines.next() {
        let (name, value) = name_and_value(&head, line)?;
        match Known::classify(name) {
            known if known.is_hop_by_hop() => continue,
            Known::Host => {
                authority = Some(value);
                continue;
            }
            Known::ContentLength => length = std::str::from_utf8(&value).ok().and_then(|text| text.parse().ok()),
            _ => {}
        }
        append(headers, name, value)?;
    }
    // Trailers are passed on, which gRPC servers ask for.
    headers.insert(http::header::TE, HeaderValue::from_static("trailers"));
    let mut uri = Uri::builder().scheme("http").path_and_query(target);
    if let Some(authority) = &authority {
        uri = uri.authority(authority.as_ref());
    }
    *request.uri_mut() = uri.build().map_err(|_| Unsayable)?;
    Ok((request, length))
}

/// Writes an answer's head as HTTP/1.1 would.
pub(crate) fn write_response<T>(response: &Response<T>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"HTTP/1.1 ");
    decimal(out, u64::from(response.status().as_u16()));
    out.push(b' ');
    out.extend_from_slice(response.status().canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in response.headers() {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes trailers as HTTP/1.1 would, their end included; nothing for none.
pub(crate) fn write_trailers(trailers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in trailers {
        field(out, name.as_str().as_bytes(), value.as_bytes());
    }
    if !trailers.is_empty() {
        out.extend_from_slice(b"\r\n");
    }
}

/// The trailers that may be passed on, from how HTTP/1.1 writes them; `None` when there are none.
pub(crate) fn read_trailers(written: &[u8]) -> Result<Option<HeaderMap>, Unsayable> {
    let (mut trailers, mut said) = (HeaderMap::new(), Ok(()));
    each_passable_trailer(written, |name, value| {
        said = said.and(append(&mut trailers, name, Bytes::copy_from_slice(value)));
    })
    .map_err(|_| Unsayable)?;
    said.map(|()| (!trailers.is_empty()).then_some(trailers))
}

/// The lines of a head that we wrote, without their ends, up to the empty one.
struct Lines<'a> {
    head: &'a Bytes,
    at: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.head.get(self.at..)?;
        let end = memchr(b'\n', rest)?;
        self.at += end + 1;
        rest.get(..end)?.strip_suffix(b"\r").filter(|line| !line.is_empty())
    }
}

/// The value shares the head's bytes.
fn name_and_value<'a>(head: &Bytes, line: &'a [u8]) -> Result<(&'a [u8], Bytes), Unsayable> {
    let colon = memchr(b':', line).ok_or(Unsayable)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Unsayable)?;
    let value = value.strip_prefix(b": ").ok_or(Unsayable)?;
    Ok((name, head.slice_ref(value)))
}

fn append(headers: &mut HeaderMap, name: &[u8], value: Bytes) -> Result<(), Unsayable> {
    let name = HeaderName::from_bytes(name).map_err(|_| Unsayable)?;
    let value = HeaderValue::from_maybe_shared(value).map_err(|_| Unsayable)?;
    headers.try_append(name, value).map_err(|_| Unsayable).map(drop)
}

/// So much of a body goes on with its head.
const AT_HAND: usize = 16 * 1024;

#[cfg(test)]
mod tests;
