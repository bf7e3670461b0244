use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::*;
use crate::access_log::LogFileId;

/// 22 Nov 2026, 17:22:59.997 UTC.
fn entry() -> Entry<'static> {
    Entry {
        file: LogFileId::UNROUTED,
        started: SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_368_179_997),
        remote_addr: Ipv4Addr::new(192, 0, 2, 7).into(),
        remote_user: b"",
        host: b"demo.lain.local",
        request: b"GET /x?y=1 HTTP/1.1",
        status: 200,
        body_bytes_sent: 5,
        referer: b"",
        user_agent: b"curl/8.5.0",
        x_forwarded_for: b"",
        upstream_time: Some(Duration::from_micros(2_999)),
        request_time: Duration::from_micros(3_999),
        bytes_received: 0,
        upstream_addr: None,
        request_id: b"",
        scheme: "http",
        route: "",
        cause: "",
        attempts: 0,
    }
}

fn line_in(zone: &TimeZone, format: Format, entry: &Entry<'_>) -> String {
    let mut line = Vec::new();
    LineWriter::new(format, zone.clone()).write(entry, &mut line);
    String::from_utf8(line).expect("lines are UTF-8")
}

fn check(format: Format, entry: &Entry<'_>, expected: &str) {
    assert_eq!(line_in(&TimeZone::UTC, format, entry), format!("{expected}\n"));
}

#[test]
fn lain_lines() {
    check(
        Format::Lain,
        &entry(),
        "192.0.2.7@-@[22/Nov/2026:17:23:00 +0000]@demo.lain.local@\"GET /x?y=1 HTTP/1.1\"@200@5@\"-\"@curl/8.5.0@-\
         @upstream_response_time@0.002@request_time@0.003",
    );
    let hostile = Entry {
        remote_addr: "::ffff:192.0.2.7".parse().expect("an address"),
        remote_user: b"me\n",
        host: b"x\"y",
        request: b"GET /\x1b[2J HTTP/1.1",
        status: 0,
        referer: "\u{e9}".as_bytes(),
        user_agent: b"a\\b",
        x_forwarded_for: b"10.0.0.1, 10.0.0.2",
        upstream_time: None,
        request_time: Duration::from_secs(900),
        ..entry()
    };
    check(
        Format::Lain,
        &hostile,
        "192.0.2.7@me\\x0A@[22/Nov/2026:17:37:59 +0000]@x\\x22y@\"GET /\\x1B[2J HTTP/1.1\"@000@5@\"\\xC3\\xA9\"\
         @a\\x5Cb@10.0.0.1, 10.0.0.2@upstream_response_time@-@request_time@900.000",
    );
}

#[test]
fn the_time_is_local() {
    let zone = TimeZone::fixed(jiff::tz::offset(8));
    let line = line_in(&zone, Format::Lain, &entry());
    assert!(line.contains("@[23/Nov/2026:01:23:00 +0800]@"), "{line}");
    let line = line_in(&zone, Format::Json, &entry());
    assert!(line.contains("\"time\":\"2026-11-23T01:23:00.000+08:00\""), "{line}");
}

#[test]
fn json_lines() {
    check(
        Format::Json,
        &entry(),
        "{\"time\":\"2026-11-22T17:23:00.000+00:00\",\"remote_addr\":\"192.0.2.7\",\"scheme\":\"http\",\
         \"host\":\"demo.lain.local\",\"request\":\"GET /x?y=1 HTTP/1.1\",\"status\":200,\"bytes_received\":0,\
         \"body_bytes_sent\":5,\"user_agent\":\"curl/8.5.0\",\"attempts\":0,\"upstream_response_time\":0.002,\
         \"request_time\":0.003}",
    );
    let full = Entry {
        remote_user: b"me",
        referer: b"\xff\"",
        x_forwarded_for: b"10.0.0.1",
        upstream_addr: Some("[::1]:80".parse().expect("an address")),
        request_id: b"4bf92f35",
        route: "demo.lain.local/x",
        cause: "connect_refused",
        attempts: 2,
        ..entry()
    };
    check(
        Format::Json,
        &full,
        "{\"time\":\"2026-11-22T17:23:00.000+00:00\",\"remote_addr\":\"192.0.2.7\",\"remote_user\":\"me\",\
         \"scheme\":\"http\",\"host\":\"demo.lain.local\",\"request\":\"GET /x?y=1 HTTP/1.1\",\"status\":200,\
         \"bytes_received\":0,\"body_bytes_sent\":5,\"referer\":\"\u{fffd}\\\"\",\"user_agent\":\"curl/8.5.0\",\
         \"x_forwarded_for\":\"10.0.0.1\",\"request_id\":\"4bf92f35\",\"route\":\"demo.lain.local/x\",\
         \"upstream_addr\":\"[::1]:80\",\"attempts\":2,\"cause\":\"connect_refused\",\
         \"upstream_response_time\":0.002,\"request_time\":0.003}",
    );
}

proptest! {
    #[test]
    fn no_line_can_be_forged(fields: [Vec<u8>; 7], status: u16, json: bool) {
        let [remote_user, host, request, referer, user_agent, x_forwarded_for, request_id] = &fields;
        let hostile = Entry {
            remote_user, host, request, referer, user_agent, x_forwarded_for, request_id, status, ..entry()
        };
        let format = if json { Format::Json } else { Format::Lain };
        let line = line_in(&TimeZone::UTC, format, &hostile);
        let text = line.strip_suffix('\n').expect("a line end");
        prop_assert!(!text.chars().any(char::is_control), "{:?}", text);
        if json {
            serde_json::from_str::<serde_json::Value>(text).expect("a JSON object");
        } else {
            prop_assert_eq!(text.matches('"').count(), 4);
            prop_assert!(text.is_ascii());
        }
    }
}
