//! Answers that the proxy makes itself: pages that name the cause in plain words, redirects, interim responses.

use webrouter_telemetry::cause::Cause;

use crate::body::BodyError;
use crate::connection::Client;
use crate::core::Core;
use crate::error::{ProxyError, Verdict, reason_phrase};
use crate::exchange::Record;
use crate::headers::{received_request_id, write_connection};
use crate::http1::encode::{field, number_field, status_line};
use crate::http1::head::{RequestHead, Version};
use crate::stream::Opening;

/// Writes the page of an error: status, cause in words, the request's id; no address of the inside.
pub(crate) fn write_page(
    error: &ProxyError,
    verdict: &Verdict,
    record: &Record,
    head: &RequestHead,
    bytes: &[u8],
    date: &[u8],
    out: &mut Vec<u8>,
) {
    let id = received_request_id(head, bytes).unwrap_or(record.made_id.as_bytes());
    if is_grpc(head, bytes) {
        return write_grpc_status(error, verdict.status, id, date, out);
    }
    let reason = reason_phrase(verdict.status);
    let mut page =
        format!("{} {reason}\n\n{error}\n\ncause: {}\nrequest id: ", verdict.status, verdict.cause).into_bytes();
    page.extend_from_slice(id);
    page.push(b'\n');
    status_line(out, verdict.status, reason.as_bytes());
    field(out, b"Date", date);
    field(out, b"Content-Type", b"text/plain; charset=utf-8");
    number_field(out, b"Content-Length", page.len() as u64);
    field(out, b"X-Request-Id", id);
    if let Some(wait) = error.retry_after() {
        number_field(out, b"Retry-After", wait.as_secs().max(1));
    }
    if verdict.cause == Cause::NotImplemented {
        field(out, b"Allow", b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    }
    end_head(record, head, out);
    if head.method.of_bytes(bytes) != b"HEAD" {
        out.extend_from_slice(&page);
    }
}

/// gRPC reads no page: its status is a field, here of an answer that is nothing but its head (gRPC over HTTP/2,
/// "Trailers-Only").
fn write_grpc_status(error: &ProxyError, status: u16, id: &[u8], date: &[u8], out: &mut Vec<u8>) {
    // As gRPC's own table of HTTP statuses has it (http-grpc-status-mapping.md).
    let code = match status {
        400 | 431 => 13,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    };
    status_line(out, 200, b"OK");
    field(out, b"Date", date);
    field(out, b"Content-Type", b"application/grpc");
    number_field(out, b"grpc-status", code);
    field(out, b"grpc-message", error.to_string().as_bytes());
    field(out, b"X-Request-Id", id);
    out.extend_from_slice(b"\r\n");
}

fn is_grpc(head: &RequestHead, bytes: &[u8]) -> bool {
    let begins = |value: &[u8]| value.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case(b"application/grpc"));
    head.version == Version::Http2
        && head
            .fields
            .iter()
            .any(|field| field.name.of_bytes(bytes) == b"content-type" && begins(field.value.of_bytes(bytes)))
}

/// Writes a redirect without a body.
pub(crate) fn write_redirect(
    record: &Record,
    head: &RequestHead,
    bytes: &[u8],
    location: &[u8],
    date: &[u8],
    out: &mut Vec<u8>,
) {
    status_line(out, record.status, reason_phrase(record.status).as_bytes());
    field(out, b"Date", date);
    field(out, b"Location", location);
    number_field(out, b"Content-Length", 0);
    field(out, b"X-Request-Id", received_request_id(head, bytes).unwrap_or(record.made_id.as_bytes()));
    end_head(record, head, out);
}

/// Sends an answer of our own.
pub(crate) async fn send(
    core: &Core,
    client: &mut Client,
    reply: &[u8],
    record: &mut Record,
) -> Result<(), ProxyError> {
    record.answered = true;
    let head_len = memchr::memmem::find(reply, b"\r\n\r\n").map_or(reply.len(), |end| end + 4);
    record.bytes_sent = (reply.len() - head_len) as u64;
    let Client { stream, deadline, .. } = client;
    let (_, mut writer) = stream.split();
    let opening = Opening { bytes: reply, head_len, ends: true };
    writer.open(opening, core.config.timeouts.request_body, deadline).await.map_err(|error| match error {
        BodyError::WriteTimeout => ProxyError::ClientWriteTimeout,
        _ => ProxyError::ClientClosed,
    })
}

fn end_head(record: &Record, head: &RequestHead, out: &mut Vec<u8>) {
    let version = if head.line.is_empty() { Version::Http11 } else { head.version };
    write_connection(version, record.keep_alive, out);
    out.extend_from_slice(b"\r\n");
}
