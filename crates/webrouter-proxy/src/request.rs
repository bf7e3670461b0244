//! What a request means: its host, its path in normal form, and whether any of it is contradictory.

use webrouter_routing::host::RequestHost;
use webrouter_routing::path::{PathForm, normalize};

use crate::error::BadRequest;
use crate::http1::field::{Known, Span};
use crate::http1::head::{RequestHead, Version};

/// The method, as far as the proxy cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Head,
    /// PUT, DELETE, OPTIONS: may be sent twice (RFC 9110 §9.2.2).
    Idempotent,
    /// CONNECT and TRACE: not for an entry.
    Refused,
    Other,
}

impl Method {
    fn parse(method: &[u8]) -> Self {
        match method {
            b"GET" => Self::Get,
            b"HEAD" => Self::Head,
            b"PUT" | b"DELETE" | b"OPTIONS" => Self::Idempotent,
            b"CONNECT" | b"TRACE" => Self::Refused,
            _ => Self::Other,
        }
    }

    pub(crate) fn is_idempotent(self) -> bool {
        matches!(self, Self::Get | Self::Head | Self::Idempotent)
    }
}

/// A request that is understood; spans point into the head's buffer.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: Method,
    pub(crate) host: RequestHost,
    pub(crate) target: Target,
    /// The protocol it asks to switch to, when it may.
    pub(crate) upgrade: Option<Span>,
    pub(crate) expects_continue: bool,
}

/// The request target in origin form (RFC 9112 §3.2).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target {
    path: Span,
    /// With its `?`; empty without.
    query: Span,
    form: TargetForm,
    path_form: PathForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum TargetForm {
    Path,
    /// An absolute form whose path is empty, which means `/`.
    EmptyPath,
    /// `OPTIONS *`.
    Asterisk,
}

impl Target {
    /// The path in normal form: as received, or from the buffer that [`Request::understand`] wrote.
    pub(crate) fn normal_path<'a>(&self, bytes: &'a [u8], normal: &'a [u8]) -> &'a [u8] {
        match (self.form, self.path_form) {
            (TargetForm::Path, PathForm::AsReceived) => self.path.of_bytes(bytes),
            (TargetForm::Path, PathForm::Rewritten) => normal,
            (TargetForm::EmptyPath | TargetForm::Asterisk, _) => b"/",
        }
    }

    /// With its `?`; empty without.
    pub(crate) fn query<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        self.query.of_bytes(bytes)
    }

    /// Whether it is `*`: the server as a whole.
    pub(crate) fn is_asterisk(&self) -> bool {
        matches!(self.form, TargetForm::Asterisk)
    }

    /// Writes the target as received, in origin form.
    pub(crate) fn write_received(&self, bytes: &[u8], out: &mut Vec<u8>) {
        match self.form {
            TargetForm::Path => out.extend_from_slice(self.path.of_bytes(bytes)),
            TargetForm::EmptyPath => out.push(b'/'),
            TargetForm::Asterisk => out.push(b'*'),
        }
        out.extend_from_slice(self.query.of_bytes(bytes));
    }
}

impl Request {
    /// Checks what the grammar does not: target form, host, path, expectations. Writes the normal path when it
    /// differs from the received one.
    pub(crate) fn understand(head: &RequestHead, bytes: &[u8], normal: &mut Vec<u8>) -> Result<Self, BadRequest> {
        let method = Method::parse(head.method.of_bytes(bytes));
        if method == Method::Refused {
            return Err(BadRequest::Method);
        }
        let host = RequestHost::parse(head.host.of_bytes(bytes)).map_err(|_| BadRequest::Host)?;
        let is_options = head.method.of_bytes(bytes) == b"OPTIONS";
        let target = parse_target(head.target, bytes, &host, is_options, normal)?;
        Ok(Self {
            method,
            host,
            target,
            upgrade: upgrade(head, bytes, method),
            expects_continue: expects(head, bytes)?,
        })
    }
}

fn parse_target(
    target: Span,
    bytes: &[u8],
    host: &RequestHost,
    is_options: bool,
    normal: &mut Vec<u8>,
) -> Result<Target, BadRequest> {
    let text = target.of_bytes(bytes);
    if text.contains(&b'#') {
        return Err(BadRequest::Target);
    }
    let (origin, form) = match text {
        [b'/', ..] => (text, TargetForm::Path),
        b"*" if is_options => (b"".as_slice(), TargetForm::Asterisk),
        _ => {
            let origin = strip_authority(text, host)?;
            let empty_path = !origin.starts_with(b"/");
            if is_options && origin.is_empty() {
                (origin, TargetForm::Asterisk)
            } else {
                (origin, if empty_path { TargetForm::EmptyPath } else { TargetForm::Path })
            }
        }
    };
    let path_len = memchr::memchr(b'?', origin).unwrap_or(origin.len());
    let (path, query) = origin.split_at_checked(path_len).ok_or(BadRequest::Target)?;
    let path_form = match form {
        TargetForm::Path => normalize(path, normal).map_err(BadRequest::Path)?,
        TargetForm::EmptyPath | TargetForm::Asterisk => PathForm::AsReceived,
    };
    Ok(Target { path: Span::of(bytes, path), query: Span::of(bytes, query), form, path_form })
}

/// What follows the authority of an absolute form, which must agree with `Host` (RFC 9112 §3.2.2).
fn strip_authority<'a>(text: &'a [u8], host: &RequestHost) -> Result<&'a [u8], BadRequest> {
    let scheme_len = memchr::memmem::find(text, b"://").ok_or(BadRequest::Target)?;
    let (scheme, rest) = text.split_at_checked(scheme_len).ok_or(BadRequest::Target)?;
    let default_port = match scheme {
        scheme if scheme.eq_ignore_ascii_case(b"http") => 80,
        scheme if scheme.eq_ignore_ascii_case(b"https") => 443,
        _ => return Err(BadRequest::Target),
    };
    let rest = rest.get(3..).unwrap_or_default();
    let end = rest.iter().position(|byte| matches!(byte, b'/' | b'?')).unwrap_or(rest.len());
    let (authority, origin) = rest.split_at_checked(end).ok_or(BadRequest::Target)?;
    let authority = RequestHost::parse(authority).map_err(|_| BadRequest::Target)?;
    let port = |host: &RequestHost| host.port().unwrap_or(default_port);
    if authority.as_str() != host.as_str() || port(&authority) != port(host) {
        return Err(BadRequest::AuthorityDisagrees);
    }
    Ok(origin)
}

/// The protocol to switch to: only for a GET without body, never to another HTTP (that would pass by this parser).
fn upgrade(head: &RequestHead, bytes: &[u8], method: Method) -> Option<Span> {
    let asked = head.connection.upgrade && head.version != Version::Http10 && method == Method::Get;
    let protocol = head.field(Known::Upgrade).filter(|_| asked && head.framing == crate::http1::head::Framing::None)?;
    let name = protocol.of_bytes(bytes);
    let repeated = head.fields.iter().filter(|field| field.known == Known::Upgrade).count() > 1;
    let other_http = name.get(..2).is_some_and(|start| start.eq_ignore_ascii_case(b"h2"))
        || name.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"http"))
        || name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case(b"tls"));
    (!repeated && !other_http && !name.is_empty() && !name.contains(&b',')).then_some(protocol)
}

fn expects(head: &RequestHead, bytes: &[u8]) -> Result<bool, BadRequest> {
    let Some(expectation) = head.field(Known::Expect) else { return Ok(false) };
    if !expectation.of_bytes(bytes).eq_ignore_ascii_case(b"100-continue") {
        return Err(BadRequest::Expectation);
    }
    let has_body = head.framing != crate::http1::head::Framing::None;
    Ok(has_body && head.version != Version::Http10)
}
