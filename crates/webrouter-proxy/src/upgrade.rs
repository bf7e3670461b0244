//! A switched protocol (RFC 9110 §7.8): the 101 goes to the client, then the connections are a tunnel.

mod tunnel;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};
use tokio::time::Instant;

use crate::connection::Client;
use crate::core::Core;
use crate::error::{BadResponse, ProxyError};
use crate::exchange::{Next, Record, Scratch};
use crate::forward::Switched;
use crate::headers;
use crate::http1::encode::{field, status_line};
use crate::http1::field::{Field, Known};
use crate::http1::head::{RequestHead, ResponseHead, Version};
use crate::stream::Stream;
use crate::tunnels::Membership;
use tunnel::{First, Patience, Protocol, Tunnel};

/// Passes the endpoint's 101 on and becomes a tunnel.
pub(crate) async fn run(
    core: &Core,
    switched: Switched,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
) -> Result<Next, ProxyError> {
    let Switched { policy, mut connection, head_len } = switched;
    let Scratch { inbound, head, response, response_head, own_fields, reply, .. } = scratch;
    if head.version == Version::Http2 && !is_accepted(head, inbound, response_head, response) {
        return Err(BadResponse::UnaskedUpgrade.into());
    }
    record.status = 101;
    record.answered = true;
    reply.clear();
    status_line(reply, 101, b"Switching Protocols");
    headers::write_response_fields(response_head, response, reply);
    reply.extend_from_slice(own_fields);
    reply.extend_from_slice(b"Connection: upgrade\r\n");
    let protocol = response_head.fields.iter().find(|received| received.known == Known::Upgrade);
    let protocol = protocol.map(|received| received.value.of_bytes(response)).unwrap_or_default();
    if !protocol.is_empty() {
        field(reply, b"Upgrade", protocol);
    }
    reply.extend_from_slice(b"\r\n");
    let mut reply_head_len = reply.len();
    if let Stream::Http2(flow) = &client.stream {
        flow.open(reply, false).map_err(|_| ProxyError::ClientClosed)?;
        reply.clear();
        reply_head_len = 0;
    }
    reply.extend_from_slice(response.get(head_len..).unwrap_or_default());
    let protocol = Protocol::named(protocol);
    let membership = Membership::enter(&core.tunnels, &connection.flight.seat.shared);
    let (random, _) = core.random_id();
    let tunnel = Tunnel {
        client: &mut client.stream,
        endpoint: &mut connection.stream,
        protocol,
        patience: Patience { idle: policy.timeouts.upstream, drain: policy.drain_timeout },
        membership,
        masking_key: (random as u32).to_ne_bytes(),
    };
    let early = inbound.get(record.consumed..).unwrap_or_default();
    let first = First { down: reply, head_len: reply_head_len, up: early };
    let moved = tunnel.run(first).await;
    record.bytes_received = moved.up;
    record.bytes_sent = moved.down;
    Ok(Next::Close)
}

/// Whether the endpoint answers our key (RFC 6455 §4.2.2): a client of HTTP/2 has sent none, and cannot tell.
fn is_accepted(head: &RequestHead, bytes: &[u8], response_head: &ResponseHead, response: &[u8]) -> bool {
    let of = |fields: &[Field], bytes: &[u8], name: &[u8]| {
        let found = fields.iter().find(|field| field.name.of_bytes(bytes).eq_ignore_ascii_case(name));
        found.map(|field| field.value.of_bytes(bytes).to_vec())
    };
    let key = of(&head.fields, bytes, b"sec-websocket-key").unwrap_or_default();
    let expected = STANDARD.encode(Sha1::new().chain_update(key).chain_update(WEBSOCKET_GUID).finalize());
    of(&response_head.fields, response, b"sec-websocket-accept").is_some_and(|accept| accept == expected.as_bytes())
}

/// When the tunnels of a core that stops have to be told at the latest, though other requests are still under way: their own way
/// to the end takes some time, of which a short deadline leaves them half.
pub(crate) fn last_call(now: Instant, deadline: Instant) -> Instant {
    let left = deadline.saturating_duration_since(now);
    deadline - tunnel::PARTING.saturating_add(MARGIN).min(left / 2)
}

const WEBSOCKET_GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/// What a tunnel that was given up takes to be gone.
const MARGIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tunnels_are_told_in_time_whatever_the_deadline() {
        let check = |deadline: u64, told: u64| {
            let now = Instant::now();
            let last_call = last_call(now, now + Duration::from_secs(deadline));
            assert_eq!(last_call, now + Duration::from_secs(told), "{deadline}");
        };
        check(30, 24);
        check(12, 6);
        check(4, 2);
        check(0, 0);
        let now = Instant::now();
        assert_eq!(last_call(now + Duration::from_secs(1), now), now, "a deadline that has passed");
    }
}
