//! Request and response heads: bytes into spans, strictly (RFC 9112 §2–5). What two readers could understand
//! differently is an error here.

use std::mem::MaybeUninit;
use std::time::Duration;

use memchr::memchr;

use super::field::{Field, Known, Span, list_elements};

/// Finds the end of a head as bytes arrive, each looked at once.
#[derive(Debug, Default, Clone, Copy)]
pub struct HeadScanner {
    scanned: usize,
    line_start: usize,
    begun: bool,
}

/// Why bytes are not a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// A line ends without CR (RFC 9112 §2.2).
    #[error("a line of the head ends in a bare LF")]
    BareLf,
    /// More empty lines before the first line than a sender can have left over.
    #[error("the head begins with empty lines")]
    LeadingLines,
    /// Not `method SP target SP version` or `version SP status SP reason`.
    #[error("the first line is malformed")]
    FirstLine,
    /// A major version other than 1.
    #[error("the HTTP version is not supported")]
    Version,
    /// A field line with a bad name, a fold, or a control character.
    #[error("a header field is malformed")]
    Field,
    /// More fields than allowed.
    #[error("there are too many header fields")]
    TooManyFields,
    /// More than one, or one that is not a decimal number.
    #[error("Content-Length is not one decimal number")]
    ContentLength,
    /// Anything but a sole, final `chunked`.
    #[error("Transfer-Encoding is not `chunked`")]
    TransferEncoding,
    /// Both framings at once, the classic smuggling vector (RFC 9112 §6.1).
    #[error("there is both Content-Length and Transfer-Encoding")]
    BothFramings,
    /// Chunked framing in a version that does not have it.
    #[error("Transfer-Encoding is used with HTTP/1.0")]
    ChunkedHttp10,
    /// Missing, repeated or empty.
    #[error("there is not exactly one Host field")]
    Host,
}

impl HeadScanner {
    /// The length of the head once its empty line is there; leading empty lines count.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HeadError> {
        while let Some(at) = bytes.get(self.scanned..).and_then(|rest| memchr(b'\n', rest)) {
            let lf = self.scanned + at;
            let line = bytes.get(self.line_start..lf).unwrap_or_default();
            self.scanned = lf + 1;
            self.line_start = lf + 1;
            match line {
                b"\r" if self.begun => return Ok(Some(lf + 1)),
                b"\r" if lf < MAX_LEADING_BYTES => {}
                b"\r" => return Err(HeadError::LeadingLines),
                [.., b'\r'] => self.begun = true,
                _ => return Err(HeadError::BareLf),
            }
        }
        self.scanned = bytes.len();
        Ok(None)
    }
}

/// The version of HTTP that a head came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2: there is no connection of the message's own, and every body has an end.
    Http2,
}

/// How a message's body is delimited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Framing {
    /// There is no body.
    #[default]
    None,
    /// This many bytes.
    Length(u64),
    /// Chunks (RFC 9112 §7.1).
    Chunked,
    /// Until the connection ends; responses only.
    UntilClose,
    /// Until its stream ends, trailers behind it (RFC 9113 §8.1); HTTP/2 only.
    Stream,
}

/// A parsed request head; its spans point into the buffer it was parsed from.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// `GET /x HTTP/1.1`, without its line end.
    pub line: Span,
    /// The method.
    pub method: Span,
    /// The request target as received.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// All fields, in their order.
    pub fields: Vec<Field>,
    /// The only `Host`.
    pub host: Span,
    /// How the body is delimited.
    pub framing: Framing,
    /// What `Connection` says.
    pub connection: Connection,
}

/// A parsed response head.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// The status code.
    pub status: u16,
    /// The reason phrase.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// All fields, in their order.
    pub fields: Vec<Field>,
    /// How the body is delimited, if the request's method lets it have one.
    pub framing: Framing,
    /// What `Connection` says.
    pub connection: Connection,
}

impl ResponseHead {
    /// For how long the server keeps an idle connection, if it says so (`Keep-Alive: timeout=N`, RFC 2068 §19.7.1.1).
    pub fn kept_for(&self, bytes: &[u8]) -> Option<Duration> {
        let hint = self.fields.iter().find(|received| received.known == Known::KeepAlive)?;
        let mut parameters = list_elements(hint.value.of_bytes(bytes));
        let seconds = parameters.find_map(|parameter| {
            let (name, value) = parameter.split_at_checked(b"timeout=".len())?;
            name.eq_ignore_ascii_case(b"timeout=").then(|| std::str::from_utf8(value).ok()?.parse::<u32>().ok())?
        });
        seconds.map(|seconds| Duration::from_secs(u64::from(seconds)))
    }
}

/// What the `Connection` fields of a head say.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Connection {
    /// `close`.
    pub close: bool,
    /// `keep-alive`.
    pub keep_alive: bool,
    /// `upgrade`.
    pub upgrade: bool,
    /// How many fields of its own it names, which are not to be passed on.
    pub named_fields: u8,
}

impl Connection {
    /// Whether the connection is to be used again (RFC 9112 §9.3).
    pub fn persists(self, version: Version) -> bool {
        match version {
            Version::Http11 => !self.close,
            Version::Http2 => true,
            Version::Http10 => self.keep_alive && !self.close,
        }
    }

    fn learn(&mut self, value: &[u8]) -> Result<(), HeadError> {
        for token in list_elements(value) {
            match token.len() {
                5 if token.eq_ignore_ascii_case(b"close") => self.close = true,
                7 if token.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                10 if token.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                // Each is looked for in every field: a long list would cost its square.
                _ if self.named_fields >= MAX_NAMED_FIELDS => return Err(HeadError::Field),
                _ => self.named_fields += 1,
            }
        }
        Ok(())
    }
}

impl RequestHead {
    /// Parses a whole head (what [`HeadScanner`] delimited), with at most `max_fields` fields.
    pub fn parse(&mut self, bytes: &[u8], max_fields: usize) -> Result<(), HeadError> {
        self.clear();
        with_storage(bytes, max_fields, |bytes, storage| {
            let mut request = httparse::Request::new(&mut []);
            let parsed =
                httparse::ParserConfig::default().parse_request_with_uninit_headers(&mut request, bytes, storage);
            complete(parsed, bytes)?;
            self.method = Span::of(bytes, request.method.unwrap_or_default().as_bytes());
            self.target = Span::of(bytes, request.path.unwrap_or_default().as_bytes());
            self.version = version(request.version)?;
            Framer::default().take(bytes, request.headers, &mut self.fields, &mut self.connection)
        })
        .and_then(|framer| {
            self.line = first_line(bytes);
            self.host = framer.host.ok_or(HeadError::Host)?;
            if framer.hosts != 1 || self.host.is_empty() {
                return Err(HeadError::Host);
            }
            self.framing = match (framer.chunked, framer.length) {
                (true, _) if self.version == Version::Http10 => return Err(HeadError::ChunkedHttp10),
                (true, Some(_)) => return Err(HeadError::BothFramings),
                (true, None) => Framing::Chunked,
                (false, Some(_)) if framer.lengths > 1 => return Err(HeadError::ContentLength),
                (false, Some(0) | None) => Framing::None,
                (false, Some(length)) => Framing::Length(length),
            };
            Ok(())
        })
    }

    /// The first field of a name.
    pub fn field(&self, known: Known) -> Option<Span> {
        self.fields.iter().find(|field| field.known == known).map(|field| field.value)
    }

    /// Forgets the last request, keeping the room for its fields.
    pub fn clear(&mut self) {
        let fields = std::mem::take(&mut self.fields);
        *self = Self { fields, ..Self::default() };
        self.fields.clear();
    }
}

impl ResponseHead {
    /// Parses a whole head, with at most `max_fields` fields.
    pub fn parse(&mut self, bytes: &[u8], max_fields: usize) -> Result<(), HeadError> {
        let fields = std::mem::take(&mut self.fields);
        *self = Self { fields, ..Self::default() };
        self.fields.clear();
        let framer = with_storage(bytes, max_fields, |bytes, storage| {
            let mut response = httparse::Response::new(&mut []);
            let parsed =
                httparse::ParserConfig::default().parse_response_with_uninit_headers(&mut response, bytes, storage);
            complete(parsed, bytes)?;
            self.status = response.code.unwrap_or_default();
            self.reason = Span::of(bytes, response.reason.unwrap_or_default().as_bytes());
            self.version = version(response.version)?;
            Framer::default().take(bytes, response.headers, &mut self.fields, &mut self.connection)
        })?;
        if !(100..=599).contains(&self.status) {
            return Err(HeadError::FirstLine);
        }
        self.framing = match (framer.chunked, framer.length) {
            (true, _) if self.version == Version::Http10 => return Err(HeadError::ChunkedHttp10),
            (true, Some(_)) => return Err(HeadError::BothFramings),
            (true, None) => Framing::Chunked,
            (false, Some(length)) => Framing::Length(length),
            (false, None) => Framing::UntilClose,
        };
        Ok(())
    }
}

/// Gathers the fields and what they say about framing.
#[derive(Default)]
struct Framer {
    host: Option<Span>,
    hosts: usize,
    length: Option<u64>,
    lengths: usize,
    chunked: bool,
}

impl Framer {
    fn take(
        mut self,
        bytes: &[u8],
        headers: &[httparse::Header<'_>],
        fields: &mut Vec<Field>,
        connection: &mut Connection,
    ) -> Result<Self, HeadError> {
        for header in headers {
            let known = Known::classify(header.name.as_bytes());
            let value = header.value.trim_ascii();
            let value_span = Span::of(bytes, value);
            match known {
                Known::Host => {
                    self.host = Some(value_span);
                    self.hosts += 1;
                }
                Known::ContentLength => self.take_length(value)?,
                Known::TransferEncoding if self.chunked || !value.eq_ignore_ascii_case(b"chunked") => {
                    return Err(HeadError::TransferEncoding);
                }
                Known::TransferEncoding => self.chunked = true,
                Known::Connection => connection.learn(value)?,
                _ => {}
            }
            fields.push(Field { name: Span::of(bytes, header.name.as_bytes()), value: value_span, known });
        }
        Ok(self)
    }

    fn take_length(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let length = content_length(value)?;
        if self.length.is_some_and(|earlier| earlier != length) {
            return Err(HeadError::ContentLength);
        }
        self.length = Some(length);
        self.lengths += 1;
        Ok(())
    }
}

/// The value of a `Content-Length`: digits, and no more of them than any body needs (RFC 9112 §6.2).
pub(crate) fn content_length(value: &[u8]) -> Result<u64, HeadError> {
    let digits = (1..=18).contains(&value.len()) && value.iter().all(u8::is_ascii_digit);
    let parsed = std::str::from_utf8(value).ok().filter(|_| digits).and_then(|text| text.parse().ok());
    parsed.ok_or(HeadError::ContentLength)
}

fn with_storage<'b, T>(
    bytes: &'b [u8],
    max_fields: usize,
    parse: impl FnOnce(&'b [u8], &mut [MaybeUninit<httparse::Header<'b>>]) -> Result<T, HeadError>,
) -> Result<T, HeadError> {
    if max_fields <= STACK_FIELDS {
        let mut storage = [const { MaybeUninit::uninit() }; STACK_FIELDS];
        parse(bytes, storage.get_mut(..max_fields).unwrap_or_default())
    } else {
        let mut storage = vec![MaybeUninit::uninit(); max_fields];
        parse(bytes, &mut storage)
    }
}

fn complete(parsed: httparse::Result<usize>, bytes: &[u8]) -> Result<(), HeadError> {
    match parsed {
        Ok(httparse::Status::Complete(length)) if length == bytes.len() => Ok(()),
        Ok(_) => Err(HeadError::Field),
        Err(httparse::Error::TooManyHeaders) => Err(HeadError::TooManyFields),
        Err(httparse::Error::Version) if has_other_major(bytes) => Err(HeadError::Version),
        Err(httparse::Error::HeaderName | httparse::Error::HeaderValue | httparse::Error::NewLine) => {
            Err(HeadError::Field)
        }
        Err(_) => Err(HeadError::FirstLine),
    }
}

/// Whether the first line ends in a well-formed version whose major is not 1 (RFC 9110 §15.6.6).
fn has_other_major(bytes: &[u8]) -> bool {
    let line = first_line(bytes).of_bytes(bytes);
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit() && *major != b'1')
}

fn first_line(bytes: &[u8]) -> Span {
    let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(0);
    let rest = bytes.get(start..).unwrap_or_default();
    Span::new(start..start + memchr(b'\r', rest).unwrap_or(rest.len()))
}

fn version(minor: Option<u8>) -> Result<Version, HeadError> {
    match minor {
        Some(0) => Ok(Version::Http10),
        Some(1) => Ok(Version::Http11),
        _ => Err(HeadError::Version),
    }
}

const STACK_FIELDS: usize = 128;
const MAX_NAMED_FIELDS: u8 = 32;
const MAX_LEADING_BYTES: usize = 4;

#[cfg(test)]
mod tests;
