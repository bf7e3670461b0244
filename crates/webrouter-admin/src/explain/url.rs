//! The URL of a question, as a client would send it.

use webrouter_routing::host::{Host, RequestHost};

/// What a client puts on the wire for a URL.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// `http` or `https`.
    pub(super) scheme: &'static str,
    /// The `Host` field.
    pub(super) authority: String,
    /// The host as it is looked up.
    pub(super) host: String,
    /// The path as received.
    pub(super) path: String,
    /// With its `?`; empty without.
    pub(super) query: String,
}

impl Asked {
    /// Takes apart `[http[s]://]host[:port][/path][?query][#fragment]`; what a browser escapes is escaped.
    pub(super) fn parse(url: &str) -> Result<Self, String> {
        let url = url.trim();
        let (scheme, rest) = match url.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
            Some((scheme, _)) if !scheme.contains(['/', '?', '#']) => {
                return Err(format!("`{}` is not a scheme that is served", scheme.escape_debug()));
            }
            _ => ("http", url),
        };
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (path, query) = target.split_at(target.find('?').unwrap_or(target.len()));
        let authority = ascii(authority)?;
        let host =
            RequestHost::parse(authority.as_bytes()).map_err(|error| format!("{}: {error}", quoted(&authority)))?;
        if host.as_str().is_empty() {
            return Err("the URL has no host".to_owned());
        }
        let path = if path.is_empty() { "/".to_owned() } else { escape(path) };
        Ok(Self { scheme, host: host.as_str().to_owned(), authority, path, query: escape(query) })
    }
}

/// International host names go over the wire in their ASCII form.
fn ascii(authority: &str) -> Result<String, String> {
    if authority.is_ascii() {
        return Ok(authority.to_owned());
    }
    let (name, port) = authority.split_at(authority.rfind(':').unwrap_or(authority.len()));
    let name = Host::parse(name).map_err(|error| error.to_string())?;
    Ok(format!("{name}{port}"))
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            0..=b' ' | b'"' | b'<' | b'>' | 0x7f.. => escaped.push_str(&format!("%{byte:02X}")),
            plain => escaped.push(char::from(plain)),
        }
    }
    escaped
}

fn quoted(text: &str) -> String {
    format!("`{}`", text.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, expected: Option<(&str, &str, &str, &str, &str)>) {
        let actual = Asked::parse(url).ok();
        let actual = actual.as_ref().map(|a| (a.scheme, &*a.authority, &*a.host, &*a.path, &*a.query));
        assert_eq!(actual, expected, "{url}");
    }

    #[test]
    fn urls_as_people_write_them() {
        check("https://Demo.lain.local/x?y=1#z", Some(("https", "Demo.lain.local", "demo.lain.local", "/x", "?y=1")));
        check("demo.test", Some(("http", "demo.test", "demo.test", "/", "")));
        check("demo.test:8080?q=a://b", Some(("http", "demo.test:8080", "demo.test", "/", "?q=a://b")));
        check("http://demo.test./a b/é", Some(("http", "demo.test.", "demo.test", "/a%20b/%C3%A9", "")));
        check("http://bücher.test:80/", Some(("http", "xn--bcher-kva.test:80", "xn--bcher-kva.test", "/", "")));
        check("http://[::1]:80/", Some(("http", "[::1]:80", "[::1]", "/", "")));
        for bad in ["", "ftp://demo.test/", "http:///x", "http://a b/", "http://me@demo.test/", "http://demo.test:x/"] {
            check(bad, None);
        }
    }
}
