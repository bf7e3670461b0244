//! From a routed request to the endpoint's answer, streamed back.
//!
//! The request's body goes up while the answer comes down: an early answer reaches the client, and a client that resets
//! its connection ends the endpoint's work.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;
use webrouter_routing::route::Route;

use crate::answer::AnswerHead;
use crate::body::{Body, BodyError, Patience, Sink, write_all};
use crate::connection::Client;
use crate::core::Core;
use crate::deadline::Deadline;
use crate::error::{BadRequest, ProxyError};
use crate::exchange::{Next, Record, Scratch, finish};
use crate::headers::{self, Delivery, Origin, Outgoing, received_request_id};
use crate::http1::head::{Framing, Version};
use crate::request::{Method, Request};
use crate::upgrade;
use crate::upload::{Background, Upload, UploadState};
use crate::upstream::UpstreamState;
use crate::upstream::connect::{self, Freshness};
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
) -> Result<Next, ProxyError> {
    let Some((state, _)) = record.upstream.clone() else {
        return Err(ProxyError::NoPath);
    };
    let framing = scratch.head.framing;
    let limit = core.config.limits.request_body_bytes;
    if matches!((framing, limit), (Framing::Length(length), Some(limit)) if length > limit) {
        return Err(BadRequest::BodyTooLarge.into());
    }
    write_request_head(core, client, scratch, record, request, origin, route);
    let sink = if framing == Framing::Chunked { Sink::Chunked } else { Sink::Plain };
    let mut body = Body::new(framing, sink, limit);
    let at_hand = scratch.inbound.get_mut(record.head_len..).unwrap_or_default();
    let consumed =
        record.head_len + body.absorb(at_hand, &mut scratch.outbound).map_err(|e| ProxyError::of_upload(&e))?;
    record.consumed = consumed;

    let replayable = body.is_done() && request.method.is_idempotent();
    let mut freshness = if replayable { Freshness::Any } else { Freshness::Recent };
    loop {
        let (connection, attempts) = connect::connection(core, &state, &route.upstream, freshness).await?;
        record.attempts = record.attempts.saturating_add(attempts);
        record.endpoint = Some(connection.endpoint.address());
        let reused = connection.reused;
        let began = Instant::now();
        let attempt = Attempt { core, state: &state, request, record, scratch };
        let ended = attempt.run(client, connection, &mut body).await;
        record.upstream_time = Some(record.upstream_time.unwrap_or_default() + began.elapsed());
        match ended {
            Err(ProxyError::UpstreamClosed | ProxyError::UpstreamReset)
                if reused && replayable && !record.answered && !record.interim && scratch.response.is_empty() =>
            {
                core.metrics.upstream_stale.increment();
                freshness = Freshness::New;
            }
            ended => return ended,
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
    let Scratch { inbound, head, normal_path, outbound, .. } = scratch;
    let bytes = inbound.get(..record.head_len).unwrap_or_default();
    outbound.clear();
    Outgoing {
        bytes,
        normal_path: request.target.normal_path(bytes, normal_path),
        head,
        request,
        origin,
        peer: client.peer,
        request_id: received_request_id(head, bytes),
        made_id: &record.made_id,
        span_id: core.random_id().1,
    }
    .write(route, outbound);
}

/// One attempt over one connection.
struct Attempt<'a> {
    core: &'a Rc<Core>,
    state: &'a UpstreamState,
    request: &'a Request,
    record: &'a mut Record,
    scratch: &'a mut Scratch,
}

impl Attempt<'_> {
    async fn run(
        self,
        client: &mut Client,
        mut connection: UpstreamConnection,
        body: &mut Body,
    ) -> Result<Next, ProxyError> {
        let Self { core, state, request, record, scratch } = self;
        let timeouts = core.config.timeouts;
        let ended = {
            let Client { stream, deadline, .. } = &mut *client;
            let (mut client_reader, mut client_writer) = stream.split();
            let (mut reader, mut writer) = connection.stream.split();
            scratch.response.clear();
            let upload = match write_all(&mut writer, &scratch.outbound, timeouts.upstream, deadline).await {
                Err(BodyError::WriteTimeout) => return Err(ProxyError::UpstreamTimeout),
                Err(_) => Upload::new(UploadState::Refused),
                Ok(()) if body.is_done() => Upload::new(UploadState::Done),
                Ok(()) => Upload::new(UploadState::Running),
            };
            let patience = Patience { read: timeouts.request_body, write: timeouts.upstream };
            let uploading = pin!(upload.run(body, &mut client_reader, &mut writer, patience));
            let mut background = Background { upload: uploading, over: false };
            let answer = AnswerHead { core, request, scratch, record, upload: &upload, deadline };
            let head_read = answer.read(&mut reader, &mut client_writer);
            let head_len = background.alongside(head_read).await.map_err(|e| ProxyError::of_upload(&e))??;
            if scratch.response_head.status == 101 {
                Ended::Switched { head_len }
            } else {
                let delivery = delivery(core, request, scratch, record, &upload);
                if delivery.framing == Framing::UntilClose {
                    set_end(client_writer.as_ref(), End::Reset);
                }
                let down = Down { core, scratch, record, delivery, head_len };
                let relayed = background.alongside(down.run(&mut reader, &mut client_writer, deadline)).await;
                let relayed = relayed.map_err(|error| ProxyError::of_upload(&error)).flatten();
                record.leftover = upload.leftover.take();
                Ended::Answered { relayed, upload: upload.state.get() }
            }
        };
        record.bytes_received = body.moved;
        match ended {
            Ended::Switched { head_len } => upgrade::run(core, client, connection, scratch, record, head_len).await,
            Ended::Answered { relayed: Err(error), .. } => Err(error),
            Ended::Answered { relayed: Ok(tail), upload } => {
                set_end(&client.stream, End::Proper);
                let answer = &scratch.response_head;
                let reusable = answer.connection.persists(answer.version) && tail == Tail::Clean;
                if reusable && upload == UploadState::Done {
                    connection.reused = true;
                    state.pool.put(connection);
                }
                record.body_read = upload == UploadState::Done && record.leftover.is_empty();
                record.keep_alive &= upload == UploadState::Done;
                let consumed = record.consumed;
                Ok(finish(record, consumed, scratch.inbound.len()))
            }
        }
    }
}

/// How an attempt ended.
enum Ended {
    Switched { head_len: usize },
    Answered { relayed: Result<Tail, ProxyError>, upload: UploadState },
}

/// How the close of a client's connection will look to it.
enum End {
    Proper,
    /// Where the connection's end is the body's, only a reset says that it was cut, whatever cuts it.
    Reset,
}

fn set_end(stream: &TcpStream, end: End) {
    let linger = match end {
        End::Proper => None,
        End::Reset => Some(Duration::ZERO),
    };
    // On a socket that is broken already it makes no difference.
    let _ = SockRef::from(stream).set_linger(linger);
}

/// What follows a relayed answer on the endpoint's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tail {
    Clean,
    /// Bytes that nobody asked for, or the connection's end: not to be used again.
    Spoilt,
}

/// The answer on its way to the client.
struct Down<'a> {
    core: &'a Core,
    scratch: &'a mut Scratch,
    record: &'a mut Record,
    delivery: Delivery,
    head_len: usize,
}

impl Down<'_> {
    async fn run(
        self,
        reader: &mut ReadHalf<'_>,
        client_writer: &mut WriteHalf<'_>,
        deadline: &mut Deadline,
    ) -> Result<Tail, ProxyError> {
        let Self { core, scratch, record, delivery, head_len } = self;
        let Scratch { response, response_head, reply, head, .. } = scratch;
        let patience = core.config.timeouts.upstream;
        record.status = response_head.status;
        record.keep_alive = delivery.keep_alive;
        reply.clear();
        let version = head.version;
        headers::write_response(response_head, response, version, delivery, core.date.borrow().as_bytes(), reply);
        let sink = if delivery.framing == Framing::Chunked { Sink::Chunked } else { Sink::Plain };
        let framing = if delivery.framing == Framing::None { Framing::None } else { response_head.framing };
        let mut body = Body::new(framing, sink, None);
        let at_hand = response.get_mut(head_len..).unwrap_or_default();
        let taken = body.absorb(at_hand, reply);
        let mut extra = taken.as_ref().is_ok_and(|taken| *taken < at_hand.len());
        record.answered = true;
        let patience = Patience { read: patience, write: patience };
        let relayed = async {
            write_all(client_writer, reply, patience.write, deadline).await?;
            taken?;
            response.clear();
            body.relay(reader, client_writer, response, patience, deadline).await?;
            extra |= !response.is_empty();
            Ok(())
        };
        let relayed: Result<(), BodyError> = relayed.await;
        record.bytes_sent = body.moved;
        relayed.map_err(|error| ProxyError::of_download(&error))?;
        // A body that was announced and must not come (HEAD, 304, 204) may come all the same, as the next answer.
        let announced =
            framing == Framing::None && !matches!(response_head.framing, Framing::Length(0) | Framing::UntilClose);
        let ended = framing == Framing::UntilClose;
        Ok(if extra || announced || ended { Tail::Spoilt } else { Tail::Clean })
    }
}

/// How the answer's body will be framed for this client, and whether the connection lives on.
fn delivery(core: &Core, request: &Request, scratch: &Scratch, record: &Record, upload: &Upload) -> Delivery {
    let response = &scratch.response_head;
    let bodiless = request.method == Method::Head || matches!(response.status, 204 | 304);
    let framing = match (response.framing, scratch.head.version) {
        _ if bodiless => Framing::None,
        (Framing::Length(length), _) => Framing::Length(length),
        (_, Version::Http11) => Framing::Chunked,
        (_, Version::Http10) => Framing::UntilClose,
    };
    let keep_alive = record.keep_alive
        && framing != Framing::UntilClose
        && upload.state.get() == UploadState::Done
        && !core.clients.is_stopping();
    Delivery { framing, keep_alive }
}
