//! Header fields of a parsed head, and the names that the proxy itself acts on.

use std::ops::Range;

/// A range in the buffer that holds a head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The span of `part` within `whole`; empty when `part` does not lie in it.
    pub fn of(whole: &[u8], part: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).wrapping_sub(whole.as_ptr() as usize);
        if start.saturating_add(part.len()) > whole.len() {
            return Self::default();
        }
        Self::new(start..start + part.len())
    }

    /// The span of a range; heads are shorter than 4 GiB.
    pub fn new(range: Range<usize>) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(range.start), end: narrow(range.end) }
    }

    /// The bytes of the span in the buffer it was taken from.
    pub fn of_bytes(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.start as usize..self.end as usize).unwrap_or_default()
    }

    /// Where it begins.
    pub fn start(self) -> usize {
        self.start as usize
    }

    /// Whether nothing is there.
    pub fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// One header field; its spans point into the head's buffer.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As received.
    pub name: Span,
    /// Without surrounding white space.
    pub value: Span,
    /// Which name it is, when the proxy acts on it.
    pub known: Known,
}

/// The field names that the proxy acts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the field of that name")]
pub enum Known {
    Other,
    Connection,
    ContentLength,
    Date,
    Expect,
    Host,
    KeepAlive,
    /// A name that a CGI-like app would read as one of ours (`x_forwarded_for`); never passed on.
    Lookalike,
    Authorization,
    ProxyAuthenticate,
    ProxyAuthorization,
    ProxyConnection,
    Referer,
    RequestUri,
    Te,
    Traceparent,
    TransferEncoding,
    Upgrade,
    UserAgent,
    XForwardedFor,
    XForwardedHost,
    XForwardedProto,
    XOriginalUri,
    XRealIp,
    XRequestId,
}

impl Known {
    /// Classifies a field name; case does not matter.
    pub fn classify(name: &[u8]) -> Self {
        let (candidate, known): (&[u8], Self) = match name.len() {
            2 => (b"te", Self::Te),
            4 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'h') => (b"host", Self::Host),
                _ => (b"date", Self::Date),
            },
            6 => (b"expect", Self::Expect),
            7 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'r') => (b"referer", Self::Referer),
                _ => (b"upgrade", Self::Upgrade),
            },
            9 => (b"x-real-ip", Self::XRealIp),
            10 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'c') => (b"connection", Self::Connection),
                Some(b'u') => (b"user-agent", Self::UserAgent),
                _ => (b"keep-alive", Self::KeepAlive),
            },
            11 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b't') => (b"traceparent", Self::Traceparent),
                _ => (b"request-uri", Self::RequestUri),
            },
            12 => (b"x-request-id", Self::XRequestId),
            13 => (b"authorization", Self::Authorization),
            14 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'c') => (b"content-length", Self::ContentLength),
                _ => (b"x-original-uri", Self::XOriginalUri),
            },
            15 => (b"x-forwarded-for", Self::XForwardedFor),
            16 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b'p') => (b"proxy-connection", Self::ProxyConnection),
                _ => (b"x-forwarded-host", Self::XForwardedHost),
            },
            17 => match name.first().map(u8::to_ascii_lowercase) {
                Some(b't') => (b"transfer-encoding", Self::TransferEncoding),
                _ => (b"x-forwarded-proto", Self::XForwardedProto),
            },
            18 => (b"proxy-authenticate", Self::ProxyAuthenticate),
            19 => (b"proxy-authorization", Self::ProxyAuthorization),
            _ => return Self::Other,
        };
        if name.eq_ignore_ascii_case(candidate) {
            return known;
        }
        let folds = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
        match name.contains(&b'_') && name.iter().zip(candidate).all(folds) {
            true if known == Self::RequestUri => known,
            true => Self::Lookalike,
            false => Self::Other,
        }
    }

    /// Fields that concern one connection only (RFC 9110 §7.6.1), framing aside.
    pub fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::ProxyConnection
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
        )
    }

    /// Fields that must not come as trailers (RFC 9110 §6.5.1): framing, routing, authentication, and what only proxies say.
    pub fn is_forbidden_in_trailers(name: &[u8]) -> bool {
        let listed: [&[u8]; 9] = [
            b"trailer",
            b"cookie",
            b"set-cookie",
            b"content-encoding",
            b"content-type",
            b"content-range",
            b"cache-control",
            b"max-forwards",
            b"www-authenticate",
        ];
        Self::classify(name) != Self::Other
            || Claim::of(name).is_some()
            || listed.iter().any(|listed| name.eq_ignore_ascii_case(listed))
    }
}

/// What a field says that is not its sender's to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Where a request came from (RFC 7239 and its forerunners): for trusted proxies to say.
    Proxys,
    /// What the TLS handshake found out of the client, which is for us to say; and `Proxy`, which would become a variable of a
    /// CGI app (CVE-2016-5385).
    Nobodys,
}

impl Claim {
    /// The claim in a name that is not [`Known`]; `_` counts as `-`, as for CGI-like apps.
    pub fn of(name: &[u8]) -> Option<Self> {
        let begins = |prefix: &[u8]| {
            let folds = |(a, b): (&u8, &u8)| a.eq_ignore_ascii_case(b) || (*a == b'_' && *b == b'-');
            name.len() >= prefix.len() && name.iter().zip(prefix).all(folds)
        };
        match name.first()? {
            b'p' | b'P' => name.eq_ignore_ascii_case(b"proxy").then_some(Self::Nobodys),
            b'x' | b'X' => begins(b"x-forwarded-").then_some(Self::Proxys),
            b's' | b'S' => begins(b"ssl-client-").then_some(Self::Nobodys),
            b'f' | b'F' => name.eq_ignore_ascii_case(b"forwarded").then_some(Self::Proxys),
            _ => None,
        }
    }
}

/// The comma-separated elements of a list-valued field, trimmed, empty ones left out (RFC 9110 §5.6.1).
pub fn list_elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_whatever_their_case() {
        let check = |name: &str, expected| assert_eq!(Known::classify(name.as_bytes()), expected, "{name}");
        check("hOST", Known::Host);
        check("Transfer-Encoding", Known::TransferEncoding);
        check("x-forwarded-host", Known::XForwardedHost);
        check("Proxy-Connection", Known::ProxyConnection);
        check("X-Custom-Header1", Known::Other);
        check("REQUEST_URI", Known::RequestUri);
        check("Request-Uri", Known::RequestUri);
        check("X_Forwarded_For", Known::Lookalike);
        check("content_length", Known::Lookalike);
        check("transfer_encoding", Known::Lookalike);
        check("Accept", Known::Other);
    }

    #[test]
    fn claims_are_told_from_words_of_the_client_and_are_no_trailers() {
        let check = |name: &str, expected| {
            assert_eq!(Claim::of(name.as_bytes()), expected, "{name}");
            assert_eq!(Known::is_forbidden_in_trailers(name.as_bytes()), expected.is_some(), "{name}");
        };
        check("SSL-Client-Verify", Some(Claim::Nobodys));
        check("ssl_client_subject-dn", Some(Claim::Nobodys));
        check("Proxy", Some(Claim::Nobodys));
        check("Forwarded", Some(Claim::Proxys));
        check("X-Forwarded-Port", Some(Claim::Proxys));
        check("x_Forwarded_port", Some(Claim::Proxys));
        check("proxied", None);
        check("X-Forward", None);
        check("ssl-clients", None);
        check("", None);
    }
}
