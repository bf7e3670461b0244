//! From a routed request to the endpoint's answer: which endpoint, and which next when one fails.
//!
//! A connection that cannot be opened costs nothing and is always tried elsewhere. After bytes were sent only what is
//! idempotent, whole at hand and unanswered is tried again, within the retry budget.

use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;
use webrouter_routing::policy::{Policy, Protocol};
use webrouter_routing::route::Route;
use webrouter_telemetry::flight_recorder::FailedAttempt;

use crate::attempt::{Attempt, Ended};
use crate::body::{Body, Sink};
use crate::connection::Client;
use crate::core::Core;
use crate::error::{BadRequest, ProxyError};
use crate::exchange::{Next, Record, Scratch, finish};
use crate::fleet::upstream::Fault;
use crate::headers::{self, Origin, Outgoing, received_request_id};
use crate::http1::head::Framing;
use crate::policy;
use crate::request::Request;
use crate::upstream::UpstreamState;
use crate::upstream::connect::{Connector, Freshness};
use crate::upstream::pool::UpstreamConnection;

/// Forwards a request and its answer.
pub(crate) async fn run(
    core: &Rc<Core>,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    request: &Request,
    origin: &Origin,
    route: &Route,
) -> Result<Forwarded, ProxyError> {
    let Some((state, _)) = record.upstream.clone() else {
        return Err(ProxyError::NoPath);
    };
    let framing = scratch.head.framing;
    let limit = core.config.limits.request_body_bytes;
    if matches!((framing, limit), (Framing::Length(length), Some(limit)) if length > limit) {
        return Err(BadRequest::BodyTooLarge.into());
    }
    write_request_head(core, client, scratch, record, request, origin, route);
    let sink = match (route.upstream.policy.protocol, framing) {
        (Protocol::H2c, Framing::Chunked | Framing::Stream) => Sink::Stream,
        (Protocol::Http1, Framing::Chunked | Framing::Stream) => Sink::Chunked,
        (_, Framing::None | Framing::Length(_) | Framing::UntilClose) => Sink::Plain,
    };
    let mut body = Body::new(framing, sink, limit);
    let at_hand = scratch.inbound.get_mut(record.head_len..).unwrap_or_default();
    let consumed =
        record.head_len + body.absorb(at_hand, &mut scratch.outbound).map_err(|e| ProxyError::of_upload(&e))?;
    record.consumed = consumed;

    let policy = &route.upstream.policy;
    if record.admission.is_none() {
        record.admission = policy::admit(policy, &state)?;
    }
    let forwarding = Forwarding { core, state: &state, route, request, origin };
    client.deadline.limit(policy.timeouts.request.map(|limit| record.started + limit));
    let answered = forwarding.run(client, scratch, record, &mut body).await;
    client.deadline.limit(None);
    let (mut connection, ended) = answered?;
    Ok(match ended {
        Ended::Switched { head_len } => {
            connection.unguard();
            Forwarded::Switched(Box::new(Switched { policy: Arc::clone(policy), connection, head_len }))
        }
        Ended::Answered { reusable } => {
            if let Some(kept_for) = reusable {
                connection.keep(kept_for, policy.timeouts.connect);
            }
            Forwarded::Answered(finish(record, consumed, scratch.inbound.len()))
        }
    })
}

/// What became of a forwarded request.
pub(crate) enum Forwarded {
    Answered(Next),
    /// The endpoint switches protocols; a tunnel is to be made, which keeps no table.
    Switched(Box<Switched>),
}

/// What a tunnel is made of.
pub(crate) struct Switched {
    pub(crate) policy: Arc<Policy>,
    pub(crate) connection: UpstreamConnection,
    pub(crate) head_len: usize,
}

/// A request on its way to an answer.
struct Forwarding<'a> {
    core: &'a Core,
    state: &'a Rc<UpstreamState>,
    route: &'a Route,
    request: &'a Request,
    origin: &'a Origin,
}

impl Forwarding<'_> {
    /// Asks one endpoint after another, as far as that may be done, until one answers.
    async fn run(
        self,
        client: &mut Client,
        scratch: &mut Scratch,
        record: &mut Record,
        body: &mut Body,
    ) -> Result<(UpstreamConnection, Ended), ProxyError> {
        let Self { core, state, route, request, origin } = self;
        let whole = body.is_done();
        let mut freshness = if whole && request.method.is_idempotent() { Freshness::Any } else { Freshness::Recent };
        let view = state.view(&route.upstream, &core.fleet);
        let head = scratch.inbound.get(..record.head_len).unwrap_or_default();
        let affinity = view.affinity(&scratch.head, head, origin.client, &core.config.sticky_key);
        let mut connector =
            Connector { core, state, view, affinity, tried: Vec::new(), unreachable: Vec::new(), attempts: 0 };
        loop {
            let Client { stream, deadline, .. } = &mut *client;
            let connection = match deadline.limited() {
                None => connector.connect(freshness, stream).await,
                Some(limit) => {
                    let connecting = deadline.until(limit, connector.connect(freshness, stream));
                    Box::pin(connecting).await.unwrap_or(Err(ProxyError::RequestTimeout))
                }
            };
            record.attempts = connector.attempts;
            record.failed.append(&mut connector.unreachable);
            let mut connection = connection?;
            let (seat, reused) = (Rc::clone(&connection.flight.seat), connection.reused);
            let endpoint = &seat.shared;
            record.endpoint = Some(endpoint.endpoint.address());
            connector.write_cookie(&seat, origin.scheme, &route.mountpoint, &mut scratch.own_fields);
            headers::write_hsts(&route.upstream.policy, origin.scheme, &mut scratch.own_fields);
            let began = connection.last;
            let attempt = Attempt { core, policy: &route.upstream.policy, request, record, scratch };
            let ended = attempt.run(client, &mut connection, body).await;
            connection.last = Instant::now();
            let took = connection.last.saturating_duration_since(began);
            record.upstream_time = Some(record.upstream_time.unwrap_or_default() + took);
            let error = match ended {
                Ok(ended) => {
                    match record.status {
                        502..=504 => state.shared.failed(endpoint, Fault::Status(record.status), &core.fleet),
                        _ => endpoint.succeeded(),
                    }
                    return Ok((connection, ended));
                }
                Err(error) => error,
            };
            drop(connection);
            let (cause, address) = (error.verdict().cause, endpoint.endpoint.address());
            record.failed.push(FailedAttempt { endpoint: address, cause, took: Some(took) });
            let untouched = !record.answered && !record.interim && scratch.response.is_empty();
            // An idle connection that its peer closed says nothing about the endpoint.
            let stale = reused && untouched && error.is_stale_connection();
            if let Some(cause) = error.endpoint_fault().filter(|_| !stale) {
                let unreachable = matches!(error, ProxyError::HostSilent);
                let fault = if unreachable { Fault::Unreachable(cause) } else { Fault::Broken(cause) };
                state.shared.failed(endpoint, fault, &core.fleet);
            }
            let error =
                if client.deadline.is_over() && error.is_timeout() { ProxyError::RequestTimeout } else { error };
            let safe = request.method.is_idempotent() || error.is_unprocessed();
            let may_repeat = whole && safe && untouched && error.may_be_repeated();
            if may_repeat && stale && freshness != Freshness::New {
                core.metrics.upstream_stale.increment();
                freshness = Freshness::New;
                continue;
            }
            connector.tried.push(endpoint.endpoint);
            if !may_repeat || !connector.has_another() {
                return Err(error);
            }
            if !state.shared.may_retry(&core.fleet) {
                core.metrics.upstream_retries_denied.increment();
                return Err(error);
            }
            core.metrics.upstream_retries.increment();
            let cause = error.verdict().cause.as_str();
            tracing::debug!(endpoint = %endpoint.endpoint, cause, "request tried again elsewhere");
        }
    }
}

fn write_request_head(
    core: &Core,
    client: &Client,
    scratch: &mut Scratch,
    record: &Record,
    request: &Request,
    origin: &Origin,
    route: &Route,
) {
    let Scratch { inbound, head, normal_path, outbound, outbound_head_len, .. } = scratch;
    let bytes = inbound.get(..record.head_len).unwrap_or_default();
    outbound.clear();
    Outgoing {
        bytes,
        normal_path: request.target.normal_path(bytes, normal_path),
        head,
        request,
        origin,
        peer: client.peer.address,
        certificate: client.peer.certificate_for(core.tls.as_ref(), request.host.as_str()),
        request_id: received_request_id(head, bytes),
        made_id: &record.made_id,
        span_id: core.random_id().1,
    }
    .write(route, outbound);
    *outbound_head_len = outbound.len();
}
