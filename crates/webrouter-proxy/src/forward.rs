//! From a routed request to the endpoint's answer, streamed back.
//!
//! The request's body goes up while the answer comes down: an early answer reaches the client, and a client that goes
//! away ends the endpoint's work.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;

use tokio::io::{AsyncReadExt, ReadBuf};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::Instant;
use webrouter_routing::route::Route;

use crate::body::{Body, BodyError, Patience, Sink, write_all};
use crate::connection::Client;
use crate::core::Core;
use crate::deadline::Deadline;
use crate::error::{BadRequest, BadResponse, ProxyError};
use crate::exchange::{Next, Record, Scratch, finish};
use crate::headers::{self, Delivery, Origin, Outgoing, received_request_id};
use crate::http1::encode;
use crate::http1::head::{Framing, HeadScanner, ResponseHead, Version};
use crate::request::{Method, Request};
use crate::upgrade;
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
    let consumed = record.head_len + body.absorb(at_hand, &mut scratch.outbound).map_err(|e| upload_error(&e))?;
    record.consumed = consumed;

    let replayable = body.is_done() && request.method.is_idempotent();
    let mut freshness = if replayable { Freshness::Any } else { Freshness::Recent };
    loop {
        let (connection, attempts) = connect::connection(core, &state, &route.upstream, freshness).await?;
        record.attempts = record.attempts.saturating_add(attempts);
        record.endpoint = Some(connection.endpoint.address());
        let reused = connection.reused;
        let attempt = Attempt { core, state: &state, request, record, scratch };
        match attempt.run(client, connection, &mut body).await {
            Err(ProxyError::UpstreamClosed | ProxyError::UpstreamReset)
                if reused && replayable && !record.answered && scratch.response.is_empty() =>
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
        let sent_at = Instant::now();
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
            let head_read = read_final_head(core, request, scratch, &upload, &mut reader, &mut client_writer, deadline);
            let head_len = background.alongside(head_read).await.map_err(|e| upload_error(&e))??;
            record.upstream_time = Some(sent_at.elapsed());
            if scratch.response_head.status == 101 {
                Ended::Switched { head_len }
            } else {
                let delivery = delivery(core, request, scratch, record, &upload);
                let down = Down { core, scratch, record, delivery, head_len };
                let relayed = background.alongside(down.run(&mut reader, &mut client_writer, deadline)).await;
                let relayed = relayed.map_err(|error| upload_error(&error)).flatten();
                record.leftover = upload.leftover.take();
                record.upstream_time = Some(sent_at.elapsed());
                Ended::Answered { relayed, upload: upload.state.get(), delivery }
            }
        };
        record.bytes_received = body.sent;
        match ended {
            Ended::Switched { head_len } => upgrade::run(core, client, connection, scratch, record, head_len).await,
            Ended::Answered { relayed: Err(error), delivery, .. } => {
                if delivery.framing == Framing::UntilClose {
                    // The connection's end would pass for the body's: only a reset says that it was cut.
                    let _ = socket2::SockRef::from(&client.stream).set_linger(Some(std::time::Duration::ZERO));
                }
                Err(error)
            }
            Ended::Answered { relayed: Ok(tail), upload, .. } => {
                let answer = &scratch.response_head;
                let reusable = answer.connection.persists(answer.version) && tail == Tail::Clean;
                if reusable && upload == UploadState::Done {
                    connection.reused = true;
                    state.pool.put(connection);
                }
                record.keep_alive &= upload == UploadState::Done;
                let consumed = record.consumed;
                Ok(finish(record, consumed))
            }
        }
    }
}

/// How an attempt ended.
enum Ended {
    Switched { head_len: usize },
    Answered { relayed: Result<Tail, ProxyError>, upload: UploadState, delivery: Delivery },
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
        core.with_date(|date| headers::write_response(response_head, response, head.version, delivery, date, reply));
        let sink = if delivery.framing == Framing::Chunked { Sink::Chunked } else { Sink::Plain };
        let framing = if delivery.framing == Framing::None { Framing::None } else { response_head.framing };
        let mut body = Body::new(framing, sink, None);
        let at_hand = response.get_mut(head_len..).unwrap_or_default();
        let taken = body.absorb(at_hand, reply);
        let extra = taken.as_ref().is_ok_and(|taken| *taken < at_hand.len());
        record.answered = true;
        let patience = Patience { read: patience, write: patience };
        let relayed = async {
            write_all(client_writer, reply, patience.write, deadline).await?;
            taken?;
            body.relay(reader, client_writer, response, patience, deadline).await
        };
        let relayed = relayed.await;
        record.bytes_sent = body.sent;
        relayed.map_err(|error| down_error(&error))?;
        let ended = framing == Framing::UntilClose;
        Ok(if extra || ended { Tail::Spoilt } else { Tail::Clean })
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

/// Reads up to the final response head, passing interim ones on; says how long it is.
async fn read_final_head(
    core: &Core,
    request: &Request,
    scratch: &mut Scratch,
    upload: &Upload,
    reader: &mut ReadHalf<'_>,
    client_writer: &mut WriteHalf<'_>,
    deadline: &mut Deadline,
) -> Result<usize, ProxyError> {
    let limits = &core.config.limits;
    let Scratch { response, response_head, head, reply, .. } = scratch;
    let mut interim_bytes = 0;
    loop {
        let head_len = read_response_head(core, response, upload, reader, deadline).await?;
        let bytes = response.get(..head_len).unwrap_or_default();
        response_head.parse(bytes, limits.request_headers).map_err(BadResponse::from)?;
        match response_head.status {
            101 if request.upgrade.is_none() => return Err(BadResponse::UnaskedUpgrade.into()),
            101 | 200.. => return Ok(head_len),
            _ => {}
        }
        interim_bytes += head_len;
        if interim_bytes > limits.response_head_bytes {
            return Err(BadResponse::HeadTooLarge.into());
        }
        if head.version == Version::Http11 {
            write_interim(response_head, bytes, reply);
            write_all(client_writer, reply, core.config.timeouts.upstream, deadline)
                .await
                .map_err(|error| down_error(&error))?;
        }
        response.drain(..head_len);
    }
}

fn write_interim(head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    encode::status_line(out, head.status, head.reason.of_bytes(bytes));
    headers::write_response_fields(head, bytes, out);
    out.extend_from_slice(b"\r\n");
}

async fn read_response_head(
    core: &Core,
    response: &mut Vec<u8>,
    upload: &Upload,
    reader: &mut ReadHalf<'_>,
    deadline: &mut Deadline,
) -> Result<usize, ProxyError> {
    let mut scanner = HeadScanner::default();
    response.reserve(FIRST_READ);
    loop {
        if let Some(head_len) = scanner.scan(response).map_err(BadResponse::from)? {
            return Ok(head_len);
        }
        if response.len() >= core.config.limits.response_head_bytes {
            return Err(BadResponse::HeadTooLarge.into());
        }
        let at = Instant::now() + core.config.timeouts.upstream;
        match deadline.until(at, reader.read_buf(response)).await {
            Err(_) if upload.state.get() == UploadState::Running => {}
            Err(_) => return Err(ProxyError::UpstreamTimeout),
            Ok(Ok(0)) => return Err(ProxyError::UpstreamClosed),
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Err(ProxyError::UpstreamReset),
        }
    }
}

/// The request's body on its way up, and after it the watch for a client that goes away.
struct Upload {
    state: Cell<UploadState>,
    leftover: RefCell<Vec<u8>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum UploadState {
    Running,
    Done,
    /// The endpoint takes no more; it may still answer.
    Refused,
}

impl Upload {
    fn new(state: UploadState) -> Self {
        Self { state: Cell::new(state), leftover: RefCell::default() }
    }

    async fn run(
        &self,
        body: &mut Body,
        reader: &mut ReadHalf<'_>,
        writer: &mut WriteHalf<'_>,
        patience: Patience,
    ) -> Result<(), BodyError> {
        if self.state.get() == UploadState::Running {
            let mut buffer = Vec::new();
            match body.relay(reader, writer, &mut buffer, patience, &mut Deadline::new()).await {
                Ok(()) => self.state.set(UploadState::Done),
                Err(BodyError::WriteFailed | BodyError::WriteTimeout) => self.state.set(UploadState::Refused),
                Err(error) => return Err(error),
            }
            if !buffer.is_empty() {
                *self.leftover.borrow_mut() = buffer;
                return Ok(());
            }
        }
        if self.state.get() == UploadState::Refused {
            return Ok(());
        }
        // A client that only ends its own side still waits for the answer; one that resets does not.
        let mut byte = [0];
        match poll_fn(|context| reader.as_ref().poll_peek(context, &mut ReadBuf::new(&mut byte))).await {
            Ok(_) => Ok(()),
            Err(_) => Err(BodyError::ReadCut),
        }
    }
}

/// The upload beside whatever else is done.
struct Background<'a, F> {
    upload: Pin<&'a mut F>,
    over: bool,
}

impl<F: Future<Output = Result<(), BodyError>>> Background<'_, F> {
    /// Runs `main` to its end while the upload goes on; an upload that fails ends both.
    async fn alongside<T>(&mut self, main: impl Future<Output = T>) -> Result<T, BodyError> {
        let mut main = pin!(main);
        poll_fn(|context| {
            if let Poll::Ready(output) = main.as_mut().poll(context) {
                return Poll::Ready(Ok(output));
            }
            if !self.over
                && let Poll::Ready(ended) = self.upload.as_mut().poll(context)
            {
                self.over = true;
                if let Err(error) = ended {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Pending
        })
        .await
    }
}

fn upload_error(error: &BodyError) -> ProxyError {
    match error {
        BodyError::ReadCut => ProxyError::ClientClosed,
        BodyError::ReadTimeout => ProxyError::ClientBodyTimeout,
        BodyError::Malformed(malformed) => BadRequest::Body(*malformed).into(),
        BodyError::OverLimit => BadRequest::BodyTooLarge.into(),
        BodyError::WriteFailed | BodyError::WriteTimeout => ProxyError::UpstreamReset,
    }
}

fn down_error(error: &BodyError) -> ProxyError {
    match error {
        BodyError::WriteFailed => ProxyError::ClientClosed,
        BodyError::WriteTimeout => ProxyError::ClientWriteTimeout,
        BodyError::ReadTimeout => ProxyError::UpstreamTimeout,
        BodyError::ReadCut | BodyError::Malformed(_) | BodyError::OverLimit => ProxyError::BodyCut,
    }
}

const FIRST_READ: usize = 4 * 1024;
