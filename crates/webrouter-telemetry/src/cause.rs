//! Why a response was made by webrouter itself, or why an exchange did not end well.
//!
//! A closed list: error pages, access log, logs and metrics all use these words, so they are stable.

use std::fmt;

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// Why a response was made by us, or why an exchange failed.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Cause {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Cause {
            /// Every cause, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The stable word for metrics, logs and error pages.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            /// What it means, in a sentence.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$name => concat!($($doc),+).trim_ascii_start(),)+
                }
            }
        }
    };
}

causes! {
    /// The request line cannot be read (RFC 9112 §3).
    BadRequestLine = "bad_request_line",
    /// A header field cannot be read: bare CR or LF, NUL, space before the colon, a folded line (RFC 9112 §5).
    BadHeader = "bad_header",
    /// Length and framing disagree or cannot be read (RFC 9112 §6).
    BadFraming = "bad_framing",
    /// A chunk size, chunk extension or trailer cannot be read (RFC 9112 §7).
    BadChunk = "bad_chunk",
    /// No `Host`, more than one, or not a host (RFC 9112 §3.2).
    BadHost = "bad_host",
    /// The target is of no form the method allows, or disagrees with `Host`.
    BadTarget = "bad_target",
    /// The path has no normal form.
    BadPath = "bad_path",
    /// Not HTTP/1.0 or HTTP/1.1.
    BadVersion = "bad_version",
    /// A method or expectation that is not served.
    NotImplemented = "not_implemented",
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    BadExpectation = "bad_expectation",
    /// The head is larger than the limit: 431.
    HeadTooLarge = "head_too_large",
    /// More header fields than the limit: 431.
    TooManyHeaders = "too_many_headers",
    /// The request target is longer than the limit: 414.
    TargetTooLong = "target_too_long",
    /// The body is larger than the limit: 413.
    BodyTooLarge = "body_too_large",
    /// The client did not send its request head in time: 408.
    ClientHeadTimeout = "client_head_timeout",
    /// The client did not send its body in time: 408.
    ClientBodyTimeout = "client_body_timeout",
    /// The client did not take the response in time.
    ClientWriteTimeout = "client_write_timeout",
    /// The client went away before the response was complete.
    ClientClosed = "client_closed",
    /// The client's body ended before its announced end.
    ClientBodyCut = "client_body_cut",
    /// No mountpoint covers the host: 404, or closed.
    UnknownHost = "unknown_host",
    /// The host answers on other listeners only: as an unknown host.
    OutOfScope = "out_of_scope",
    /// The host asks for a client certificate, and the connection was made for another one: 421.
    Misdirected = "misdirected",
    /// A connection from a peer in `proxy_protocol` does not begin with that protocol's header.
    BadProxyHeader = "bad_proxy_header",
    /// The host is known, no mountpoint covers the path: 404.
    NoPath = "no_path",
    /// A mountpoint without its final slash: 301.
    AddSlash = "add_slash",
    /// Plain HTTP where https is required: 301.
    HttpsOnly = "https_only",
    /// The upstream has no endpoint: 503.
    NoEndpoint = "no_endpoint",
    /// Every endpoint is being drained: 503.
    Draining = "draining",
    /// Every endpoint refused the connection: 503.
    ConnectRefused = "connect_refused",
    /// No endpoint accepted the connection in time: 504.
    ConnectTimeout = "connect_timeout",
    /// No connection for another reason, for example no route to the endpoint: 503.
    ConnectFailed = "connect_failed",
    /// The endpoint closed the connection before answering: 502.
    UpstreamClosed = "upstream_closed",
    /// The endpoint reset the connection before answering: 502.
    UpstreamReset = "upstream_reset",
    /// The endpoint's host does not acknowledge what is sent to it: 504.
    HostSilent = "host_silent",
    /// The endpoint did not begin to answer in time: 504.
    FirstByteTimeout = "first_byte_timeout",
    /// The endpoint began to answer and did not go on in time: 504, or the answer is cut.
    UpstreamTimeout = "upstream_timeout",
    /// The endpoint did not take the request in time: 504.
    UpstreamWriteTimeout = "upstream_write_timeout",
    /// The whole request took longer than it may: 504.
    RequestTimeout = "request_timeout",
    /// The endpoint itself answered 502, 503 or 504.
    BadStatus = "bad_status",
    /// Every endpoint is at its limit, and so is the queue: 503.
    QueueFull = "queue_full",
    /// Every endpoint was at its limit for too long: 503.
    QueueTimeout = "queue_timeout",
    /// Too much of what the app answers fails; it is given a pause: 503.
    CircuitOpen = "circuit_open",
    /// The endpoint's response cannot be read: 502.
    BadResponse = "bad_response",
    /// The endpoint's response head is larger than the limit: 502.
    ResponseHeadTooLarge = "response_head_too_large",
    /// The endpoint's body ended before its announced end; cut short downstream too.
    BodyCut = "body_cut",
    /// An upgrade was asked for and could not be completed.
    UpgradeFailed = "upgrade_failed",
    /// The request went round in a circle: an endpoint leads back to webrouter: 508.
    Loop = "loop",
    /// A limit of webrouter is reached, for example of connections, or of open files: 503.
    OverLimit = "over_limit",
    /// webrouter is stopping: 503.
    Stopping = "stopping",
    /// No route table is in force yet: 503.
    NotReady = "not_ready",
    /// A mistake of webrouter's own: 500.
    Internal = "internal",
}

impl Cause {
    /// How many causes there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Whether the client did not get what it asked for; a redirect is none.
    pub const fn is_failure(self) -> bool {
        !matches!(self, Self::AddSlash | Self::HttpsOnly)
    }

    /// The position in [`Cause::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Cause;

    #[test]
    fn the_committed_list_is_that_of_the_code() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operations/causes.md");
        let mut page = String::from(
            "# Causes\n\nWhy webrouter answered itself, or an exchange failed: the words of error pages, the JSON access log, the metrics \
             and\n`webrouter why`. The list is closed and the words are stable. Made from `cause.rs` by `make golden`.\n\n\
             | cause | meaning |\n|---|---|\n",
        );
        for cause in Cause::ALL {
            page.push_str(&format!("| `{cause}` | {} |\n", cause.meaning()));
        }
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(golden, &page).expect("the golden file is written");
        }
        let committed = std::fs::read_to_string(golden).unwrap_or_default();
        assert_eq!(page, committed, "run `make golden` when the change is meant");
    }

    #[test]
    fn every_cause_has_its_own_word_and_place() {
        let words: BTreeSet<_> = Cause::ALL.iter().map(|cause| cause.as_str()).collect();
        assert_eq!(words.len(), Cause::COUNT);
        assert!(words.iter().all(|word| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')));
        for (index, cause) in Cause::ALL.iter().enumerate() {
            assert_eq!(cause.index(), index);
        }
    }
}
