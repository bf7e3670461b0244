//! HTTP/1 messages as a test looks at them: strict, whole, with every byte kept (as Latin-1 where it is text).
//!
//! Deliberately not the router's parser: two readers that agree by construction would find nothing.

/// A field line: name as written, value without the white space around it.
pub type Field = (String, String);

/// Start line and field lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The line before the fields.
    pub start_line: String,
    /// Field lines in the order of the wire.
    pub fields: Vec<Field>,
}

/// How the end of a body is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is no body, whatever the fields say.
    None,
    /// `Content-Length`.
    Length(usize),
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
}

/// What is known of a body after some bytes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// More bytes are needed; what was decoded so far.
    Partial(Vec<u8>),
    /// The whole body.
    Whole {
        /// The decoded content.
        content: Vec<u8>,
        /// The trailer section of a chunked body.
        trailers: Vec<Field>,
        /// How many bytes of the wire it took.
        used: usize,
    },
    /// Not a chunked body: why.
    Broken(String),
}

/// A response, read as a test reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The three-digit status.
    pub status: u16,
    /// Status line and fields.
    pub head: Head,
    /// How the body's end was found.
    pub framing: Framing,
    /// The decoded body.
    pub body: Vec<u8>,
    /// The trailer section of a chunked body.
    pub trailers: Vec<Field>,
}

impl Head {
    /// Parses a head that ends with its empty line; every line must end with CRLF.
    pub fn parse(bytes: &[u8]) -> Result<Head, String> {
        let text = latin1(bytes);
        let lines = text.strip_suffix("\r\n\r\n").ok_or("the head has no end")?;
        let mut lines = lines.split("\r\n");
        let start_line = lines.next().unwrap_or_default().to_owned();
        let fields = lines.map(parse_field).collect::<Result<Vec<_>, _>>()?;
        Ok(Head { start_line, fields })
    }

    /// Every value of a field, in order; names are compared without case.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The status of a status line.
    pub fn status(&self) -> Option<u16> {
        self.start_line.split(' ').nth(1)?.parse().ok()
    }

    /// The framing of a request with this head.
    pub fn request_framing(&self) -> Framing {
        match self.framing_fields() {
            Framing::Close => Framing::None,
            other => other,
        }
    }

    /// The framing of a response with this head; `to_head` when it answers a HEAD.
    pub fn response_framing(&self, to_head: bool) -> Framing {
        let bodiless = matches!(self.status(), Some(100..=199 | 204 | 304));
        if to_head || bodiless { Framing::None } else { self.framing_fields() }
    }

    fn framing_fields(&self) -> Framing {
        if self.values("transfer-encoding").any(|v| v.to_ascii_lowercase().ends_with("chunked")) {
            return Framing::Chunked;
        }
        match self.value("content-length").and_then(|v| v.parse().ok()) {
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        }
    }
}

impl Response {
    /// The first value of a field.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.head.value(name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The length of the head at the beginning of `bytes`, its empty line included.
pub fn head_length(bytes: &[u8]) -> Option<usize> {
    find(bytes, b"\r\n\r\n").map(|at| at + 4)
}

/// Decodes the body at the beginning of `bytes`; `ended` when no more bytes will come.
pub fn decode_body(framing: Framing, bytes: &[u8], ended: bool) -> Body {
    let whole = |content: &[u8]| Body::Whole { content: content.to_vec(), trailers: Vec::new(), used: content.len() };
    match framing {
        Framing::None => whole(b""),
        Framing::Length(length) => match bytes.get(..length) {
            Some(content) => whole(content),
            None => Body::Partial(bytes.to_vec()),
        },
        Framing::Close if ended => whole(bytes),
        Framing::Close => Body::Partial(bytes.to_vec()),
        Framing::Chunked => decode_chunks(bytes),
    }
}

/// Every byte as the character of that number, so that nothing is lost and everything can be printed.
pub fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|&byte| char::from(byte)).collect()
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

fn parse_field(line: &str) -> Result<Field, String> {
    let (name, value) = line.split_once(':').ok_or_else(|| format!("no colon in {line:?}"))?;
    if name.is_empty() || name.contains([' ', '\t', '\r', '\n']) {
        return Err(format!("bad field name in {line:?}"));
    }
    if value.contains(['\r', '\n', '\0']) {
        return Err(format!("bad field value in {line:?}"));
    }
    Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
}

fn decode_chunks(bytes: &[u8]) -> Body {
    let mut content = Vec::new();
    let mut at = 0;
    loop {
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(line_length) = find(rest, b"\r\n") else { return Body::Partial(content) };
        let line = latin1(rest.get(..line_length).unwrap_or_default());
        let Ok(size) = usize::from_str_radix(&line, 16) else {
            return Body::Broken(format!("bad chunk size line {line:?}"));
        };
        at += line_length + 2;
        if size == 0 {
            return decode_trailers(bytes, at, content);
        }
        let rest = bytes.get(at..).unwrap_or_default();
        let Some(chunk) = rest.get(..size) else {
            content.extend_from_slice(rest);
            return Body::Partial(content);
        };
        content.extend_from_slice(chunk);
        match rest.get(size..size + 2) {
            Some(b"\r\n") => at += size + 2,
            Some(other) => return Body::Broken(format!("{:?} after a chunk", latin1(other))),
            None => return Body::Partial(content),
        }
    }
}

fn decode_trailers(bytes: &[u8], start: usize, content: Vec<u8>) -> Body {
    let rest = bytes.get(start..).unwrap_or_default();
    if rest.starts_with(b"\r\n") {
        return Body::Whole { content, trailers: Vec::new(), used: start + 2 };
    }
    let Some(length) = head_length(rest) else { return Body::Partial(content) };
    let text = latin1(rest.get(..length - 4).unwrap_or_default());
    match text.split("\r\n").map(parse_field).collect() {
        Ok(trailers) => Body::Whole { content, trailers, used: start + length },
        Err(why) => Body::Broken(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(framing: Framing, wire: &[u8], expected: Result<(&[u8], usize), &[u8]>) {
        let expected = match expected {
            Ok((content, used)) => Body::Whole { content: content.to_vec(), trailers: Vec::new(), used },
            Err(partial) => Body::Partial(partial.to_vec()),
        };
        assert_eq!(decode_body(framing, wire, false), expected);
    }

    #[test]
    fn bodies_end_where_their_framing_says() {
        check(Framing::None, b"next", Ok((b"", 0)));
        check(Framing::Length(2), b"okHTTP", Ok((b"ok", 2)));
        check(Framing::Length(3), b"ok", Err(b"ok"));
        check(Framing::Chunked, b"2\r\nok\r\n0\r\n\r\nHTTP", Ok((b"ok", 12)));
        check(Framing::Chunked, b"2\r\nok\r\n0\r\n", Err(b"ok"));
        check(Framing::Chunked, b"5\r\nok", Err(b"ok"));
        check(Framing::Close, b"ok", Err(b"ok"));
    }

    #[test]
    fn trailers_are_kept() {
        let body = decode_body(Framing::Chunked, b"0\r\nX-Sum: 1\r\n\r\n", false);
        let trailers = vec![("X-Sum".to_owned(), "1".to_owned())];
        assert_eq!(body, Body::Whole { content: Vec::new(), trailers, used: 15 });
    }

    #[test]
    fn a_bad_chunk_is_broken() {
        assert!(matches!(decode_body(Framing::Chunked, b"x\r\n", false), Body::Broken(_)));
        assert!(matches!(decode_body(Framing::Chunked, b"1\r\nab\r\n", false), Body::Broken(_)));
    }

    #[test]
    fn heads_keep_order_and_every_byte() {
        let head = Head::parse(b"GET / HTTP/1.1\r\nB: \xff \r\na:1\r\n\r\n").expect("valid");
        assert_eq!(head.start_line, "GET / HTTP/1.1");
        assert_eq!(head.fields, [("B".into(), "\u{ff}".into()), ("a".into(), "1".into())]);
        assert_eq!(head.value("A"), Some("1"));
    }
}
