//! Requests: a head in, what is asked for out.

/// One request, as far as lainlet looks at it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) version: Version,
    pub(super) has_host: bool,
    pub(super) close: bool,
    /// Bytes of body that follow the head.
    pub(super) body_length: usize,
    /// `None` for a path that lainlet does not have.
    pub(super) query: Option<Query>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Get,
    Head,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    Http10,
    Http11,
}

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) subject: Subject,
    pub(super) watch: bool,
    /// Seconds between heartbeats; 0 for none.
    pub(super) heartbeat: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Webprocs { app: Option<String> },
    Config { target: String },
}

impl Request {
    /// Parses a head up to and including its empty line; `None` when it is no HTTP/1 request.
    pub(super) fn parse(head: &[u8]) -> Option<Self> {
        let head = std::str::from_utf8(head).ok()?;
        let mut lines = head.split("\r\n");
        let mut words = lines.next()?.split(' ');
        let (method, target, version) = (words.next()?, words.next()?, words.next()?);
        let mut request = Self {
            method: match method {
                "GET" => Method::Get,
                "HEAD" => Method::Head,
                _ => Method::Other,
            },
            version: match version {
                "HTTP/1.0" => Version::Http10,
                "HTTP/1.1" => Version::Http11,
                _ => return None,
            },
            has_host: false,
            close: false,
            body_length: 0,
            query: Query::parse(target),
        };
        for line in lines.take_while(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':')?;
            let value = value.trim();
            match name.to_ascii_lowercase().as_str() {
                "host" => request.has_host = true,
                "connection" => request.close |= value.eq_ignore_ascii_case("close"),
                "content-length" => request.body_length = value.parse().ok()?,
                _ => {}
            }
        }
        Some(request)
    }
}

impl Query {
    fn parse(target: &str) -> Option<Self> {
        let (path, arguments) = target.split_once('?').unwrap_or((target, ""));
        let argument = |name: &str| {
            let pairs = arguments.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| decode(value)).next().unwrap_or_default()
        };
        let subject = match path.trim_end_matches('/') {
            "/v2/webrouter/webprocs" => {
                let app = argument("appname").trim_end_matches('/').to_owned();
                Subject::Webprocs { app: Some(app).filter(|app| !app.is_empty() && app != "*") }
            }
            "/v2/configwatcher" => Subject::Config { target: argument("target") },
            _ => return None,
        };
        Some(Self {
            subject,
            watch: !matches!(argument("watch").as_str(), "" | "0" | "false"),
            heartbeat: argument("heartbeat").parse().unwrap_or(0),
        })
    }
}

/// Percent-decodes; `+` is a space; what is no text becomes the replacement character.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        let hex = tail.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match (first, hex.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = tail.get(2..).unwrap_or_default();
            }
            (b'+', _) => bytes.push(b' '),
            (other, _) => bytes.push(other),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_empty_0_and_false_is_a_watch() {
        let check = |target: &str, subject: Subject, watch: bool, heartbeat: u64| {
            assert_eq!(Query::parse(target), Some(Query { subject, watch, heartbeat }), "{target}");
        };
        let all = || Subject::Webprocs { app: None };
        let demo = || Subject::Webprocs { app: Some("demo".into()) };
        check("/v2/webrouter/webprocs", all(), false, 0);
        check("/v2/webrouter/webprocs/?watch=no&heartbeat=5", all(), true, 5);
        check("/v2/webrouter/webprocs?watch=0&heartbeat=x", all(), false, 0);
        check("/v2/webrouter/webprocs?appname=*", all(), false, 0);
        check("/v2/webrouter/webprocs?appname=demo/&watch=1", demo(), true, 0);
        check("/v2/configwatcher?target=a%2Fb", Subject::Config { target: "a/b".into() }, false, 0);
        assert_eq!(Query::parse("/v2/nosuch"), None);
    }
}
