//! One entry as one line.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::escape::{json, nginx, number, padded};
use super::{Entry, Format};

/// Writes lines; remembers the text of the second it is in.
#[derive(Debug)]
pub(super) struct LineWriter {
    format: Format,
    zone: TimeZone,
    second: Option<i64>,
    /// `22/Nov/2026:17:23:00 +0000`, or `2026-11-22T17:23:00` for JSON.
    time: String,
    /// `+00:00`, for JSON.
    offset: String,
}

impl LineWriter {
    pub(super) fn new(format: Format, zone: TimeZone) -> Self {
        Self { format, zone, second: None, time: String::new(), offset: String::new() }
    }

    /// Appends the line of an entry with its line end; the time written is that of the entry's end, as nginx does.
    pub(super) fn write(&mut self, entry: &Entry<'_>, line: &mut Vec<u8>) {
        let ended = entry.started.checked_add(entry.request_time).unwrap_or(entry.started);
        let since = ended.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.enter(i64::try_from(since.as_secs()).unwrap_or(0));
        match self.format {
            Format::Lain => self.lain(entry, line),
            Format::Json => self.json(entry, since.subsec_millis(), line),
        }
        line.push(b'\n');
    }

    fn enter(&mut self, second: i64) {
        if self.second == Some(second) {
            return;
        }
        self.second = Some(second);
        let zoned = Timestamp::from_second(second).unwrap_or_default().to_zoned(self.zone.clone());
        self.time.clear();
        self.offset.clear();
        // Writing to a String does not fail.
        let _ = match self.format {
            Format::Lain => write!(self.time, "{}", zoned.strftime("%d/%b/%Y:%H:%M:%S %z")),
            Format::Json => write!(self.time, "{}", zoned.strftime("%Y-%m-%dT%H:%M:%S"))
                .and_then(|()| write!(self.offset, "{}", zoned.strftime("%:z"))),
        };
    }

    /// SPEC §7: `$remote_addr@$remote_user@[$time_local]@$Host@"$request"@…`.
    fn lain(&self, entry: &Entry<'_>, line: &mut Vec<u8>) {
        address(entry.remote_addr, line);
        line.push(b'@');
        nginx(entry.remote_user, line);
        line.extend_from_slice(b"@[");
        line.extend_from_slice(self.time.as_bytes());
        line.extend_from_slice(b"]@");
        nginx(entry.host, line);
        line.extend_from_slice(b"@\"");
        nginx(entry.request, line);
        line.extend_from_slice(b"\"@");
        padded(u64::from(entry.status), 3, line);
        line.push(b'@');
        number(entry.body_bytes_sent, line);
        line.extend_from_slice(b"@\"");
        nginx(entry.referer, line);
        line.extend_from_slice(b"\"@");
        nginx(entry.user_agent, line);
        line.push(b'@');
        nginx(entry.x_forwarded_for, line);
        line.extend_from_slice(b"@upstream_response_time@");
        match entry.upstream_time {
            Some(time) => seconds(time, line),
            None => line.push(b'-'),
        }
        line.extend_from_slice(b"@request_time@");
        seconds(entry.request_time, line);
    }

    /// The fields of [`Format::Json`], in that order.
    fn json(&self, entry: &Entry<'_>, millis: u32, line: &mut Vec<u8>) {
        line.extend_from_slice(b"{\"time\":\"");
        line.extend_from_slice(self.time.as_bytes());
        line.push(b'.');
        padded(u64::from(millis), 3, line);
        line.extend_from_slice(self.offset.as_bytes());
        line.extend_from_slice(b"\",\"remote_addr\":\"");
        address(entry.remote_addr, line);
        line.push(b'"');
        text("remote_user", entry.remote_user, line);
        text("scheme", entry.scheme.as_bytes(), line);
        text("host", entry.host, line);
        text("request", entry.request, line);
        count("status", u64::from(entry.status), line);
        count("bytes_received", entry.bytes_received, line);
        count("body_bytes_sent", entry.body_bytes_sent, line);
        text("referer", entry.referer, line);
        text("user_agent", entry.user_agent, line);
        text("x_forwarded_for", entry.x_forwarded_for, line);
        text("request_id", entry.request_id, line);
        text("route", entry.route.as_bytes(), line);
        if let Some(endpoint) = entry.upstream_addr {
            key("upstream_addr", line);
            // Writing to a Vec does not fail.
            let _ = write!(line, "\"{endpoint}\"");
        }
        count("attempts", u64::from(entry.attempts), line);
        text("cause", entry.cause.as_bytes(), line);
        if let Some(time) = entry.upstream_time {
            key("upstream_response_time", line);
            seconds(time, line);
        }
        key("request_time", line);
        seconds(entry.request_time, line);
        line.push(b'}');
    }
}

fn key(name: &str, line: &mut Vec<u8>) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

fn text(name: &str, value: &[u8], line: &mut Vec<u8>) {
    if !value.is_empty() {
        key(name, line);
        json(value, line);
    }
}

fn count(name: &str, value: u64, line: &mut Vec<u8>) {
    key(name, line);
    number(value, line);
}

/// Seconds with three digits, cut, not rounded: `0.003`.
fn seconds(time: Duration, line: &mut Vec<u8>) {
    number(time.as_secs(), line);
    line.push(b'.');
    padded(u64::from(time.subsec_millis()), 3, line);
}

fn address(address: IpAddr, line: &mut Vec<u8>) {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            for (at, octet) in address.octets().into_iter().enumerate() {
                if at > 0 {
                    line.push(b'.');
                }
                number(u64::from(octet), line);
            }
        }
        IpAddr::V6(address) => {
            // Writing to a Vec does not fail.
            let _ = write!(line, "{address}");
        }
    }
}

#[cfg(test)]
mod tests;
