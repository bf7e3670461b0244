//! Requests that have to come again, at another address of the same thing.

use webrouter_routing::route::Route;
use webrouter_routing::snapshot::Snapshot;
use webrouter_telemetry::cause::Cause;

use crate::connection::Client;
use crate::core::Core;
use crate::error::ProxyError;
use crate::exchange::{Next, Record, Scratch, finish};
use crate::headers::{Origin, Scheme};
use crate::request::{Method, Request};
use crate::response;

/// Sends `/p` to `/p/`, so that relative links work (SPEC: path-absolute, so no port can be wrong).
pub(crate) async fn add_slash(
    core: &Core,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    request: &Request,
) -> Result<Next, ProxyError> {
    let Scratch { inbound, normal_path, .. } = &*scratch;
    let mut location = Vec::new();
    webrouter_routing::path::encode(request.target.normal_path(inbound, normal_path), &mut location);
    location.push(b'/');
    location.extend_from_slice(request.target.query(inbound));
    redirect(core, client, scratch, record, request, Cause::AddSlash, &location).await
}

/// Answers with a redirect that keeps the method (RFC 9110 §15.4.9).
async fn redirect(
    core: &Core,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    request: &Request,
    cause: Cause,
    location: &[u8],
) -> Result<Next, ProxyError> {
    record.status = if matches!(request.method, Method::Get | Method::Head) { 301 } else { 308 };
    record.cause = Some(cause);
    let Scratch { inbound, head, reply, .. } = scratch;
    record.keep_alive &= record.body_read;
    reply.clear();
    response::write_redirect(record, head, inbound, location, core.date.borrow().as_bytes(), reply);
    response::send(core, client, reply, record).await?;
    Ok(finish(record, record.head_len, inbound.len()))
}

/// Whether a request has to come again over https: not where no certificate or no listener serves the host over it, that would be
/// a dead end.
pub(crate) fn must_be_https(core: &Core, table: &Snapshot, route: &Route, origin: &Origin, host: &str) -> bool {
    let asked = route.https_only() && origin.scheme == Scheme::Http;
    let listens = || core.config.serves_over_tls(table, host);
    asked && listens() && core.tls.as_ref().is_some_and(|tls| tls.serves(table, host))
}

/// Sends a request to the same host and target over https, on its own port.
pub(crate) async fn to_https(
    core: &Core,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    request: &Request,
) -> Result<Next, ProxyError> {
    let mut location = b"https://".to_vec();
    location.extend_from_slice(request.host.as_str().as_bytes());
    match request.target.is_asterisk() {
        true => location.push(b'/'),
        false => request.target.write_received(&scratch.inbound, &mut location),
    }
    redirect(core, client, scratch, record, request, Cause::HttpsOnly, &location).await
}
