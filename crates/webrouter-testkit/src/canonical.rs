//! Messages in the form in which they are compared: what the router may choose is taken out, all else is exact.
//!
//! Free for the router: where framing, connection and its own fields stand in the head, the date, chunk boundaries.

use std::collections::BTreeSet;

use crate::message::{Body, Field, Framing, Head, decode_body, head_length, latin1};

/// A message to compare; `Debug` is what a failing case prints.
#[derive(Debug, PartialEq, Eq)]
pub struct Canonical {
    start_line: String,
    /// End-to-end fields, in order.
    fields: Vec<Field>,
    /// Framing, connection management and the router's own fields, in no order.
    free: BTreeSet<Field>,
    body: String,
    trailers: Vec<Field>,
    /// What follows the message: the bytes of a tunnel.
    rest: String,
}

/// Which side of the router wrote the message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A client's.
    Request,
    /// An app's.
    Response,
    /// An app's, to HEAD.
    ResponseToHead,
}

impl Canonical {
    /// Reads a whole message.
    pub fn parse(bytes: &[u8], kind: Kind) -> Result<Canonical, String> {
        let length = head_length(bytes).ok_or_else(|| format!("no head in {:?}", latin1(bytes)))?;
        let (head, rest) = bytes.split_at_checked(length).unwrap_or((bytes, b""));
        let head = Head::parse(head)?;
        let framing = match kind {
            Kind::Request => head.request_framing(),
            Kind::Response => head.response_framing(false),
            Kind::ResponseToHead => Framing::None,
        };
        match decode_body(framing, rest, true) {
            Body::Whole { content, trailers, used } => {
                Ok(Canonical::new(head, &content, trailers, rest.get(used..).unwrap_or_default()))
            }
            Body::Partial(_) => Err(format!("incomplete: {:?}", latin1(bytes))),
            Body::Broken(why) => Err(why),
        }
    }

    /// From parts that were read already.
    pub fn new(head: Head, body: &[u8], trailers: Vec<Field>, rest: &[u8]) -> Canonical {
        let (mut fields, mut free) = (Vec::new(), BTreeSet::new());
        for (name, value) in head.fields {
            let lower = name.to_ascii_lowercase();
            match lower.as_str() {
                "date" => {}
                "connection" | "transfer-encoding" => {
                    free.insert((lower, value.to_ascii_lowercase()));
                }
                _ if FREE.contains(&lower.as_str()) => {
                    // Two fields of one name must not become one.
                    let mut field = (lower, value);
                    while !free.insert(field.clone()) {
                        field.1.push_str(" (again)");
                    }
                }
                _ => fields.push((name, value)),
            }
        }
        let (body, rest) = (latin1(body), latin1(rest));
        Canonical { start_line: head.start_line, fields, free, body, trailers, rest }
    }

    /// The same message where names have no case and fields of different names no order, as in HTTP/2 (RFC 9113 §8.2).
    #[must_use]
    pub fn unordered(mut self) -> Canonical {
        for fields in [&mut self.fields, &mut self.trailers] {
            for (name, _) in fields.iter_mut() {
                name.make_ascii_lowercase();
            }
            // Stable: fields of one name keep their order.
            fields.sort_by(|one, other| one.0.cmp(&other.0));
        }
        self
    }

    /// Whether its body is sent in chunks.
    pub fn is_chunked(&self) -> bool {
        self.free.iter().any(|(name, _)| name == "transfer-encoding")
    }

    /// The same message where it does not matter how the end of its body is found.
    #[must_use]
    pub fn unframed(mut self) -> Canonical {
        self.free.retain(|(name, _)| name != "transfer-encoding" && name != "content-length");
        self
    }

    /// The difference to what was expected, `{any}` matching every value.
    pub fn differs(&self, expected: &Canonical) -> Option<String> {
        let mut actual = self.free.clone();
        let mut missing = Vec::new();
        for wanted in &expected.free {
            let found = actual.iter().find(|field| same(field, wanted)).cloned();
            match found {
                Some(field) => {
                    actual.remove(&field);
                }
                None => missing.push(wanted),
            }
        }
        let mut parts = Vec::new();
        if !missing.is_empty() {
            parts.push(format!("missing {missing:?}"));
        }
        if !actual.is_empty() {
            parts.push(format!("unexpected {actual:?}"));
        }
        let mut compare = |what: &str, actual: &dyn std::fmt::Debug, expected: &dyn std::fmt::Debug| {
            let (actual, expected) = (format!("{actual:?}"), format!("{expected:?}"));
            if actual != expected {
                parts.push(format!("{what} is {} not {}", short(&actual), short(&expected)));
            }
        };
        compare("start line", &self.start_line, &expected.start_line);
        compare("fields", &self.fields, &expected.fields);
        compare("body", &self.body, &expected.body);
        compare("trailers", &self.trailers, &expected.trailers);
        compare("rest", &self.rest, &expected.rest);
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Replaces `{ours}` and `{ours:target}` by the fields the router adds for a direct client on loopback.
pub fn expand_ours(request: &[u8]) -> Vec<u8> {
    let text = latin1(request);
    let Some((before, placeholder)) = text.split_once("{ours") else { return request.to_vec() };
    let (target, after) = placeholder.split_once('}').expect("a closed placeholder");
    let target = target.strip_prefix(':').or_else(|| text.split(' ').nth(1)).unwrap_or_default();
    let host = text.split("\r\n").find_map(|line| line.strip_prefix("Host: ")).unwrap_or_default();
    let text = format!(
        "{before}X-Real-IP: 127.0.0.1\r\nX-Forwarded-For: 127.0.0.1\r\nX-Forwarded-Proto: http\r\n\
         X-Forwarded-Host: {host}\r\nX-Original-URI: {target}\r\nREQUEST_URI: {target}\r\n\
         traceparent: {{any}}\r\nX-Request-Id: {{any}}\r\n{after}"
    );
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("Latin-1")).collect()
}

fn same(actual: &Field, expected: &Field) -> bool {
    actual.0 == expected.0 && (expected.1 == "{any}" && !actual.1.is_empty() || actual.1 == expected.1)
}

fn short(text: &str) -> String {
    if text.len() < 700 { text.to_owned() } else { format!("{:.300}… ({} characters)", text, text.len()) }
}

/// Fields whose place in the head is the router's choice.
const FREE: [&str; 12] = [
    "host",
    "content-length",
    "upgrade",
    "sec-websocket-key",
    "x-real-ip",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-original-uri",
    "request_uri",
    "traceparent",
    "x-request-id",
];
