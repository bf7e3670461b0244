//! Upgrades: asked with exactly two fields, granted by the app alone, then a tunnel both ways.

use webrouter_testkit::Step;

use crate::case::{Case, OK, case, forwarded};

const ASKS: &[u8] = b"GET /ws HTTP/1.1\r\nHost: demo.test\r\nConnection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n\r\n";
const GRANTS: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: y\r\n\r\n";

/// What the origin sees of `ASKS`, then `tunnel`.
fn seen(tunnel: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: demo.test\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n{{ours}}\
         Connection: upgrade\r\nUpgrade: websocket\r\n\r\n{tunnel}"
    )
}

fn grants(then: Vec<Step>) -> Vec<Step> {
    let mut script = vec![Step::ReadHead, Step::Write(GRANTS.to_vec())];
    script.extend(then);
    script
}

/// The upgrade is not asked of the app; the request is served without it.
fn ignored(name: &'static str, cites: &'static str, fields: &str) -> Case {
    forwarded(
        name,
        cites,
        format!("GET / HTTP/1.1\r\nHost: demo.test\r\n{fields}\r\n"),
        b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}\r\n",
    )
}

pub(crate) fn cases() -> Vec<Case> {
    vec![
        case("a WebSocket both ways", "RFC 9110 §7.8, RFC 6455 §4")
            .sends(ASKS)
            .origin_sees(seen("pingpong"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .sends(b"ping")
            .gets_bytes(b"ping")
            .sends(b"pong")
            .gets_bytes(b"pong")
            .half_closes()
            .closes(),
        case("bytes sent before the upgrade was granted", "RFC 9110 §7.8")
            .sends([ASKS, b"early"].concat())
            .origin_sees(seen("early"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .gets_bytes(b"early")
            .half_closes()
            .closes(),
        case("bytes that arrive with the 101", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(
                seen(""),
                vec![Step::ReadHead, Step::Write([GRANTS, b"first"].concat()), Step::ReadToEnd, Step::Close],
            )
            .gets(GRANTS)
            .gets_bytes(b"first")
            .half_closes()
            .closes(),
        case("what looks like HTTP in a tunnel is not HTTP", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(seen("GET / HTTP/1.1\r\n\r\n"), grants(vec![Step::Echo]))
            .gets(GRANTS)
            .sends(b"GET / HTTP/1.1\r\n\r\n")
            .gets_bytes(b"GET / HTTP/1.1\r\n\r\n")
            .half_closes()
            .closes(),
        case("an app that ends its side first", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(
                seen("late"),
                grants(vec![Step::Write(b"bye".to_vec()), Step::HalfClose, Step::ReadToEnd, Step::Close]),
            )
            .gets(GRANTS)
            .gets_bytes(b"bye")
            .sends(b"late")
            .half_closes()
            .closes(),
        case("an app that does not upgrade", "RFC 9110 §7.8")
            .sends(ASKS)
            .origin_sees(seen(""), Step::answer(OK))
            .gets(OK)
            .stays_open(),
        case("an upgrade to something else", "SPEC §4, RFC 9110 §7.8")
            .sends(b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
            .origin_sees(
                b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}Connection: upgrade\r\nUpgrade: tcp\r\n\r\nping",
                vec![
                    Step::ReadHead,
                    Step::Write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n".to_vec()),
                    Step::Echo,
                ],
            )
            .gets(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: tcp\r\n\r\n")
            .sends(b"ping")
            .gets_bytes(b"ping")
            .half_closes()
            .closes(),
        ignored(
            "h2c is not passed on",
            "RFC 9113 §3.1, CVE-2021-21295",
            "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        ignored(
            "h2c in another case is not passed on",
            "RFC 9113 §3.1",
            "Connection: upgrade, http2-settings\r\nUpgrade: H2C\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        ),
        ignored("an empty upgrade", "RFC 9110 §7.8", "Connection: upgrade\r\n"),
        forwarded(
            "an upgrade with a body",
            "RFC 9110 §7.8",
            b"GET / HTTP/1.1\r\nHost: demo.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nhi",
            b"GET / HTTP/1.1\r\nHost: demo.test\r\n{ours}Content-Length: 2\r\n\r\nhi",
        ),
    ]
}
