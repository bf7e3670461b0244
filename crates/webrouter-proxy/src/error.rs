//! What goes wrong with a request, whose fault it is, and the one place that says what follows from it.

use std::io;
use std::time::Duration;

use webrouter_routing::path::PathError;
use webrouter_telemetry::cause::Cause;

use crate::body::BodyError;
use crate::http1::body::ChunkError;
use crate::http1::head::HeadError;
use crate::http2::gone::Gone;

/// Why a request ends without the answer of an app.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProxyError {
    #[error("{0}")]
    BadRequest(#[from] BadRequest),
    #[error("nothing is served at this host")]
    UnknownHost,
    /// An internal host was asked for on an external listener; to the client there is no such host.
    #[error("nothing is served at this host")]
    OutOfScope,
    #[error("nothing is served at this path")]
    NoPath,
    /// The host asks for a client certificate, which this connection was not asked for (RFC 9110 §15.5.20).
    #[error("this host has to be asked on a connection of its own")]
    Misdirected,
    #[error("the app {app} has no endpoint at the moment")]
    NoEndpoint { app: String },
    #[error("every endpoint of the app {app} is being drained")]
    Drained { app: String },
    #[error("no endpoint of the app {app} took the connection")]
    Unreachable { app: String, cause: Cause },
    #[error("every endpoint of the app {app} has as many requests as it may have")]
    Busy { app: String, cause: Cause },
    #[error("too many requests to the app {app} fail; it is given a pause")]
    CircuitOpen { app: String, retry_after: Duration },
    #[error("the endpoint closed the connection before it answered")]
    UpstreamClosed,
    #[error("the connection to the endpoint broke before it answered")]
    UpstreamReset,
    /// It said that it has processed nothing of it (RFC 9113 §8.7).
    #[error("the endpoint refused the request unprocessed")]
    UpstreamRefused,
    /// It said so of the connection, before it took the request (RFC 9113 §6.8).
    #[error("the endpoint takes no more requests on this connection")]
    UpstreamLeft,
    /// It reset the request alone (RFC 9113 §8.7); the connection lives.
    #[error("the endpoint gave the request up before it answered")]
    UpstreamGaveUp,
    #[error("the endpoint's host does not acknowledge what is sent to it")]
    HostSilent,
    #[error("the endpoint did not begin to answer in time")]
    FirstByteTimeout,
    #[error("the endpoint did not go on in time")]
    UpstreamTimeout,
    #[error("the endpoint did not take the request in time")]
    UpstreamWriteTimeout,
    #[error("the request was not answered in the time it may take")]
    RequestTimeout,
    #[error("the endpoint's answer is not HTTP: {0}")]
    BadResponse(#[from] BadResponse),
    /// The response had begun; it is cut, as the upstream's was.
    #[error("the endpoint's answer was cut short")]
    BodyCut,
    #[error("the client went away")]
    ClientClosed,
    #[error("the request head did not arrive in time")]
    ClientHeadTimeout,
    #[error("the request body did not arrive in time")]
    ClientBodyTimeout,
    #[error("the client did not take the answer in time")]
    ClientWriteTimeout,
}

/// Why a request cannot be served whatever the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRequest {
    #[error("{0}")]
    Head(HeadError),
    #[error("the body is malformed: {0}")]
    Body(ChunkError),
    #[error("the request target is malformed")]
    Target,
    #[error("{0}")]
    Path(PathError),
    #[error("the Host field is not a host name with an optional port")]
    Host,
    #[error("the authority of the target is not the one of the Host field")]
    AuthorityDisagrees,
    #[error("this method is not allowed")]
    Method,
    #[error("the expectation is unknown; only 100-continue is")]
    Expectation,
    #[error("the request head is too large")]
    HeadTooLarge,
    #[error("the request target is too long")]
    TargetTooLong,
    #[error("the request body is too large")]
    BodyTooLarge,
    /// RFC 5842 §7.2.
    #[error("the request has been passed on too often; an endpoint leads back here")]
    Loop,
}

/// Why an endpoint's answer cannot be passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadResponse {
    #[error("{0}")]
    Head(#[from] HeadError),
    #[error("{0}")]
    Body(#[from] ChunkError),
    #[error("the head is too large")]
    HeadTooLarge,
    #[error("it switches protocols unasked")]
    UnaskedUpgrade,
    #[error("its head cannot be sent in HTTP/2")]
    Unsayable,
}

/// What follows from an error.
pub(crate) struct Verdict {
    /// The status for the client, or for the log alone when nothing can be sent.
    pub(crate) status: u16,
    pub(crate) cause: Cause,
    /// Whether the client can be told.
    pub(crate) answer: Answer,
}

/// What the client gets, and what becomes of its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A page; the connection stays as good as it was.
    Page,
    /// A page; the connection cannot be trusted any more.
    PageThenClose,
    /// Nothing.
    Close,
}

impl ProxyError {
    /// The one mapping from error to status, cause and consequence.
    pub(crate) fn verdict(&self) -> Verdict {
        use Answer::{Close, Page, PageThenClose};
        let (status, cause, answer) = match self {
            Self::BadRequest(bad) => (bad.status(), bad.cause(), PageThenClose),
            Self::UnknownHost => (404, Cause::UnknownHost, Page),
            Self::OutOfScope => (404, Cause::OutOfScope, Page),
            Self::NoPath => (404, Cause::NoPath, Page),
            Self::Misdirected => (421, Cause::Misdirected, Page),
            Self::NoEndpoint { .. } => (503, Cause::NoEndpoint, Page),
            Self::Unreachable { cause: Cause::ConnectTimeout, .. } => (504, Cause::ConnectTimeout, Page),
            // Nothing was sent to anybody: the client may come again, whatever it asked for.
            Self::Unreachable { cause, .. } => (503, *cause, Page),
            Self::Drained { .. } => (503, Cause::Draining, Page),
            Self::HostSilent => (504, Cause::HostSilent, Page),
            Self::UpstreamClosed => (502, Cause::UpstreamClosed, Page),
            Self::UpstreamReset | Self::UpstreamRefused | Self::UpstreamLeft | Self::UpstreamGaveUp => {
                (502, Cause::UpstreamReset, Page)
            }
            Self::Busy { cause, .. } => (503, *cause, Page),
            Self::CircuitOpen { .. } => (503, Cause::CircuitOpen, Page),
            Self::FirstByteTimeout => (504, Cause::FirstByteTimeout, Page),
            Self::UpstreamTimeout => (504, Cause::UpstreamTimeout, Page),
            Self::UpstreamWriteTimeout => (504, Cause::UpstreamWriteTimeout, Page),
            Self::RequestTimeout => (504, Cause::RequestTimeout, Page),
            Self::BadResponse(BadResponse::HeadTooLarge) => (502, Cause::ResponseHeadTooLarge, Page),
            Self::BadResponse(_) => (502, Cause::BadResponse, Page),
            Self::BodyCut => (502, Cause::BodyCut, Close),
            Self::ClientClosed => (499, Cause::ClientClosed, Close),
            Self::ClientHeadTimeout => (408, Cause::ClientHeadTimeout, PageThenClose),
            Self::ClientBodyTimeout => (408, Cause::ClientBodyTimeout, PageThenClose),
            Self::ClientWriteTimeout => (408, Cause::ClientWriteTimeout, Close),
        };
        Verdict { status, cause, answer }
    }
}

impl ProxyError {
    /// What the endpoint that was asked did wrong, when it is to blame.
    pub(crate) fn endpoint_fault(&self) -> Option<Cause> {
        let to_blame = matches!(
            self,
            Self::UpstreamClosed
                | Self::UpstreamReset
                | Self::UpstreamGaveUp
                | Self::HostSilent
                | Self::FirstByteTimeout
                | Self::UpstreamTimeout
                | Self::UpstreamWriteTimeout
                | Self::BadResponse(_)
                | Self::BodyCut
        );
        to_blame.then(|| self.verdict().cause)
    }

    /// Whether somebody took too long.
    pub(crate) fn is_timeout(&self) -> bool {
        use ProxyError::{
            ClientBodyTimeout, ClientWriteTimeout, FirstByteTimeout, RequestTimeout, UpstreamTimeout,
            UpstreamWriteTimeout,
        };
        matches!(self, FirstByteTimeout | UpstreamTimeout | UpstreamWriteTimeout | RequestTimeout)
            || matches!(self, ClientBodyTimeout | ClientWriteTimeout)
    }

    /// Whether the app failed, wherever it did.
    pub(crate) fn is_apps(&self) -> bool {
        match self {
            // For want of files or memory here.
            Self::Unreachable { cause, .. } => *cause != Cause::OverLimit,
            Self::RequestTimeout => true,
            _ => self.endpoint_fault().is_some(),
        }
    }

    /// Whether the request can be sent again, if nothing of an answer was seen and its method is idempotent.
    pub(crate) fn may_be_repeated(&self) -> bool {
        use ProxyError::{
            FirstByteTimeout, HostSilent, UpstreamClosed, UpstreamGaveUp, UpstreamReset, UpstreamWriteTimeout,
        };
        matches!(self, UpstreamClosed | UpstreamReset | UpstreamGaveUp | HostSilent)
            || matches!(self, FirstByteTimeout | UpstreamWriteTimeout)
            || self.is_unprocessed()
    }

    /// Whether the endpoint said that it has not begun: then even what is not idempotent can be sent again.
    pub(crate) fn is_unprocessed(&self) -> bool {
        matches!(self, Self::UpstreamRefused | Self::UpstreamLeft)
    }

    /// Whether it is how a connection ends that its peer closed while it was idle, as it may.
    pub(crate) fn is_stale_connection(&self) -> bool {
        matches!(self, Self::UpstreamClosed | Self::UpstreamReset | Self::UpstreamLeft)
    }

    /// What an answer's head that could not be read means.
    pub(crate) fn of_answer(error: &io::Error) -> Self {
        match Gone::of(error) {
            Some(Gone::Refused) => Self::UpstreamRefused,
            Some(Gone::Left) => Self::UpstreamLeft,
            Some(Gone::Reset) => Self::UpstreamGaveUp,
            None if error.kind() == io::ErrorKind::TimedOut => Self::HostSilent,
            None => Self::UpstreamReset,
        }
    }

    /// When to come again, where that can be said.
    pub(crate) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NoEndpoint { .. } | Self::Drained { .. } => Some(Duration::from_secs(5)),
            Self::Busy { .. } | Self::Unreachable { .. } => Some(Duration::from_secs(1)),
            Self::CircuitOpen { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }

    /// What a request's body that did not go through means.
    pub(crate) fn of_upload(error: &BodyError) -> Self {
        match error {
            BodyError::ReadCut => Self::ClientClosed,
            BodyError::ReadTimeout => Self::ClientBodyTimeout,
            BodyError::Malformed(malformed) => BadRequest::Body(*malformed).into(),
            BodyError::OverLimit => BadRequest::BodyTooLarge.into(),
            BodyError::WriteFailed => Self::UpstreamReset,
            BodyError::WriteLeft => Self::UpstreamLeft,
            BodyError::WriteTimeout => Self::UpstreamWriteTimeout,
            BodyError::Unsayable => BadRequest::Target.into(),
        }
    }

    /// What an answer that did not go through means.
    pub(crate) fn of_download(error: &BodyError) -> Self {
        match error {
            BodyError::WriteFailed | BodyError::WriteLeft => Self::ClientClosed,
            BodyError::Unsayable => BadResponse::Unsayable.into(),
            BodyError::WriteTimeout => Self::ClientWriteTimeout,
            BodyError::ReadTimeout => Self::UpstreamTimeout,
            BodyError::ReadCut | BodyError::Malformed(_) | BodyError::OverLimit => Self::BodyCut,
        }
    }
}

impl BadRequest {
    fn status(self) -> u16 {
        match self {
            Self::Head(HeadError::TooManyFields) | Self::HeadTooLarge => 431,
            Self::Head(HeadError::Version) => 505,
            Self::TargetTooLong => 414,
            Self::BodyTooLarge => 413,
            Self::Method => 405,
            Self::Loop => 508,
            Self::Expectation => 417,
            Self::Head(_) | Self::Body(_) | Self::Target | Self::Path(_) | Self::Host | Self::AuthorityDisagrees => 400,
        }
    }

    fn cause(self) -> Cause {
        match self {
            Self::Head(HeadError::FirstLine | HeadError::LeadingLines) => Cause::BadRequestLine,
            Self::Head(HeadError::BareLf | HeadError::Field) => Cause::BadHeader,
            Self::Head(HeadError::Version) => Cause::BadVersion,
            Self::Head(HeadError::TooManyFields) => Cause::TooManyHeaders,
            Self::Head(HeadError::Host) | Self::Host => Cause::BadHost,
            Self::Head(
                HeadError::ContentLength
                | HeadError::TransferEncoding
                | HeadError::BothFramings
                | HeadError::ChunkedHttp10,
            ) => Cause::BadFraming,
            Self::Body(_) => Cause::BadChunk,
            Self::Target | Self::AuthorityDisagrees => Cause::BadTarget,
            Self::Path(_) => Cause::BadPath,
            Self::Method => Cause::NotImplemented,
            Self::Expectation => Cause::BadExpectation,
            Self::HeadTooLarge => Cause::HeadTooLarge,
            Self::TargetTooLong => Cause::TargetTooLong,
            Self::BodyTooLarge => Cause::BodyTooLarge,
            Self::Loop => Cause::Loop,
        }
    }
}

impl From<HeadError> for BadRequest {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

/// The reason phrase of a status that the proxy invents.
pub(crate) fn reason_phrase(status: u16) -> &'static str {
    match status {
        301 => "Moved Permanently",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        508 => "Loop Detected",
        505 => "HTTP Version Not Supported",
        _ => "Error",
    }
}
