//! The life of a request: read, understand, route, forward or answer, log. Each step is one file.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use webrouter_routing::route::Route;
use webrouter_routing::table::Outcome;
use webrouter_telemetry::access_log::{Entry, LogFileId};
use webrouter_telemetry::cause::Cause;
use webrouter_telemetry::flight_recorder::FailedAttempt;

use crate::basic_auth;
use crate::config::{Scope, UnknownHost};
use crate::connection::Client;
use crate::core::Core;
use crate::deadline::at_once;
use crate::error::{Answer, BadRequest, ProxyError};
use crate::failure;
use crate::forward::{self, Forwarded};
use crate::headers::{Origin, Scheme, TraceId, received_request_id};
use crate::http1::field::Known;
use crate::http1::head::{Framing, HeadScanner, RequestHead, ResponseHead};
use crate::http2;
use crate::policy::{self, Admission};
use crate::redirect;
use crate::request::Request;
use crate::response;
use crate::stream::Stream;
use crate::tls::handshake::Standing;
use crate::upgrade;
use crate::upstream::{LoggedRoute, UpstreamState};

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// The next request has begun to arrive.
    Pipelined,
    /// Nothing is there; wait.
    Idle,
    /// Nothing was there: no request has begun since the last wait.
    NotBegun,
    /// Close once the client has read the answer.
    Linger,
    Close,
}

/// The buffers of one request, used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The client's bytes: the head, and what came with it.
    pub(crate) inbound: Vec<u8>,
    pub(crate) head: RequestHead,
    pub(crate) normal_path: Vec<u8>,
    /// To the endpoint.
    pub(crate) outbound: Vec<u8>,
    pub(crate) outbound_head_len: usize,
    /// The endpoint's bytes.
    pub(crate) response: Vec<u8>,
    pub(crate) response_head: ResponseHead,
    /// Fields that we add to the head of an app's final answer, as they are written.
    pub(crate) own_fields: Vec<u8>,
    /// To the client.
    pub(crate) reply: Vec<u8>,
}

impl Scratch {
    /// Gives back what an unusually large request took.
    pub(crate) fn shrink(&mut self) {
        for buffer in
            [&mut self.inbound, &mut self.outbound, &mut self.response, &mut self.reply, &mut self.normal_path]
        {
            buffer.clear();
            buffer.shrink_to(BUFFER_KEPT);
        }
    }
}

/// What the access log and the metrics will say of a request.
pub(crate) struct Record {
    pub(crate) started: Instant,
    pub(crate) status: u16,
    pub(crate) head_len: usize,
    pub(crate) bytes_received: u64,
    pub(crate) bytes_sent: u64,
    pub(crate) upstream_time: Option<Duration>,
    pub(crate) endpoint: Option<std::net::SocketAddr>,
    pub(crate) attempts: u8,
    /// The attempts that failed.
    pub(crate) failed: Vec<FailedAttempt>,
    pub(crate) cause: Option<Cause>,
    pub(crate) client: IpAddr,
    pub(crate) scheme: Scheme,
    pub(crate) made_id: TraceId,
    pub(crate) upstream: Option<(Rc<UpstreamState>, Rc<LoggedRoute>)>,
    /// Whether the response has begun: then an error can only cut it.
    pub(crate) answered: bool,
    pub(crate) keep_alive: bool,
    /// Whether an endpoint has sent a 1xx: it has begun to process.
    pub(crate) interim: bool,
    /// Whether the request had no body, or all of it was read.
    pub(crate) body_read: bool,
    /// What the circuit breaker waits to be told.
    pub(crate) admission: Option<Admission>,
    /// How many of the inbound bytes were this request's.
    pub(crate) consumed: usize,
    /// What arrived behind a body that was streamed.
    pub(crate) leftover: Vec<u8>,
}

/// Serves one request.
pub(crate) async fn run(core: &Rc<Core>, client: &mut Client, scratch: &mut Scratch) -> Next {
    let (random, _) = core.random_id();
    let mut record = Record {
        started: Instant::now(),
        status: 0,
        head_len: 0,
        bytes_received: 0,
        bytes_sent: 0,
        upstream_time: None,
        endpoint: None,
        attempts: 0,
        failed: Vec::new(),
        cause: None,
        client: client.peer.address,
        scheme: Scheme::Http,
        made_id: TraceId::new(random),
        upstream: None,
        answered: false,
        keep_alive: false,
        interim: false,
        body_read: false,
        admission: None,
        consumed: 0,
        leftover: Vec::new(),
    };
    scratch.head.clear();
    let _under_way = core.clients.begin_exchange();
    core.metrics.requests_open.increment();
    let next = match serve(core, client, scratch, &mut record).await {
        Ok(Served::Answered(next)) => next,
        Ok(Served::Nothing(next)) => {
            core.metrics.requests_open.decrement();
            return next;
        }
        Err(error) => fail(core, client, scratch, &mut record, &error).await,
    };
    core.metrics.requests_open.decrement();
    log(core, scratch, &mut record);
    advance(scratch, &mut record, next)
}

/// What became of a wake-up.
enum Served {
    Answered(Next),
    /// There was no request.
    Nothing(Next),
}

/// The steps in order.
async fn serve(
    core: &Rc<Core>,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
) -> Result<Served, ProxyError> {
    let limits = &core.config.limits;
    if let Stream::Http2(flow) = &client.stream {
        record.head_len = http2::head::receive(flow, limits, core.random_id().0, scratch)?;
    } else {
        match read_head(core, client, &mut scratch.inbound).await? {
            Arrival::Head(head_len) => record.head_len = head_len,
            Arrival::Nothing(next) => return Ok(Served::Nothing(next)),
        }
        let bytes = scratch.inbound.get(..record.head_len).unwrap_or_default();
        scratch.head.parse(bytes, limits.request_headers).map_err(BadRequest::from)?;
    }
    let bytes = scratch.inbound.get(..record.head_len).unwrap_or_default();
    if scratch.head.target.of_bytes(bytes).len() > limits.request_target_bytes {
        return Err(BadRequest::TargetTooLong.into());
    }
    record.body_read = scratch.head.framing == Framing::None;
    let request = Request::understand(&scratch.head, bytes, &mut scratch.normal_path)?;
    let origin = Origin::of(&scratch.head, bytes, &client.peer, &core.config.trusted_proxies);
    if origin.hops > MAX_HOPS {
        return Err(BadRequest::Loop.into());
    }
    record.client = origin.client;
    record.scheme = origin.scheme;
    record.keep_alive = scratch.head.connection.persists(scratch.head.version) && !core.clients.is_stopping();

    loop {
        match route(core, client, scratch, record, &request, &origin).await {
            // The table may be another one by then.
            Err(error) if policy::may_wait(&error, &request, &scratch.head, record) => {
                Box::pin(tokio::time::sleep(policy::WAIT_STEP)).await;
            }
            Ok(Forwarded::Switched(switched)) => {
                return Box::pin(upgrade::run(core, *switched, client, scratch, record)).await.map(Served::Answered);
            }
            Ok(Forwarded::Answered(next)) => return Ok(Served::Answered(next)),
            Err(error) => {
                if let Some(admission) = record.admission.take() {
                    admission.tell_error(&error);
                }
                return Err(error);
            }
        }
    }
}

/// Finds what the request is for, and has it served there.
async fn route(
    core: &Rc<Core>,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    request: &Request,
    origin: &Origin,
) -> Result<Forwarded, ProxyError> {
    let table = core.table();
    let host = request.host.as_str();
    if client.peer.scope == Scope::External && table.domains().is_internal(host) {
        return Err(ProxyError::OutOfScope);
    }
    let path = request.target.normal_path(&scratch.inbound, &scratch.normal_path);
    let outcome = table.table().lookup(host, path);
    if let Outcome::Route(route) | Outcome::AddSlash(route) = outcome
        && redirect::must_be_https(core, &table, route, origin, host)
    {
        note_route(core, record, route);
        return redirect::to_https(core, client, scratch, record, request).await.map(Forwarded::Answered);
    }
    // RFC 9110 §15.5.20.
    let standing = core.tls.as_ref().map(|tls| tls.standing(client.peer.demand.as_ref(), host));
    if standing == Some(Standing::Unchecked) {
        return Err(ProxyError::Misdirected);
    }
    match outcome {
        Outcome::NoHost => Err(ProxyError::UnknownHost),
        Outcome::NoPath => Err(ProxyError::NoPath),
        Outcome::AddSlash(route) => {
            note_route(core, record, route);
            redirect::add_slash(core, client, scratch, record, request).await.map(Forwarded::Answered)
        }
        Outcome::Route(route) => {
            note_route(core, record, route);
            forward::run(core, client, scratch, record, request, origin, route).await
        }
    }
}

fn note_route(core: &Core, record: &mut Record, route: &Arc<Route>) {
    let state = core.upstream(&route.upstream);
    let logged = state.logged(route, &core.access_log);
    record.upstream = Some((state, logged));
}

/// What a client's bytes amount to.
enum Arrival {
    /// A head of this length.
    Head(usize),
    /// No request has begun.
    Nothing(Next),
}

/// Reads until the head is whole.
async fn read_head(core: &Core, client: &mut Client, inbound: &mut Vec<u8>) -> Result<Arrival, ProxyError> {
    let limits = &core.config.limits;
    let at = Instant::now() + core.config.timeouts.request_header;
    let mut scanner = HeadScanner::default();
    inbound.reserve(FIRST_READ);
    loop {
        if let Some(head_len) = scanner.scan(inbound).map_err(BadRequest::from)?
            && head_len <= limits.request_head_bytes
        {
            return Ok(Arrival::Head(head_len));
        }
        if inbound.len() >= limits.request_head_bytes {
            let line_ended = memchr::memchr(b'\n', inbound).is_some();
            let too_large = if line_ended { BadRequest::HeadTooLarge } else { BadRequest::TargetTooLong };
            return Err(too_large.into());
        }
        inbound.reserve(1);
        let Client { stream, deadline, .. } = &mut *client;
        let mut reader = stream.reader();
        let read = if inbound.is_empty() {
            // A new connection counts as readable until it was tried: the head's time begins with its first byte.
            match at_once(reader.read_buf(inbound)) {
                Some(read) => Ok(read),
                None => return Ok(Arrival::Nothing(Next::NotBegun)),
            }
        } else {
            deadline.until(at, reader.read_buf(inbound)).await
        };
        match read {
            Err(_) => return Err(ProxyError::ClientHeadTimeout),
            Ok(Ok(0)) | Ok(Err(_)) if inbound.iter().all(|byte| matches!(byte, b'\r' | b'\n')) => {
                return Ok(Arrival::Nothing(Next::Close));
            }
            Ok(Ok(0)) | Ok(Err(_)) => return Err(ProxyError::ClientClosed),
            Ok(Ok(_)) => {}
        }
    }
}

/// Tells the client what went wrong, if it can be told.
async fn fail(
    core: &Core,
    client: &mut Client,
    scratch: &mut Scratch,
    record: &mut Record,
    error: &ProxyError,
) -> Next {
    let verdict = error.verdict();
    record.cause = Some(verdict.cause);
    note_cause(core, error, verdict.cause, record.answered);
    let silent = matches!(error, ProxyError::UnknownHost | ProxyError::OutOfScope)
        && core.config.unknown_host == UnknownHost::Close;
    if record.answered {
        // What was sent before has its turn first.
        tokio::task::yield_now().await;
        client.stream.cut();
        return Next::Close;
    }
    record.status = verdict.status;
    if verdict.answer == Answer::Close || silent {
        client.stream.cut();
        return Next::Close;
    }
    let Scratch { inbound, head, reply, .. } = scratch;
    record.keep_alive &= verdict.answer == Answer::Page && record.body_read;
    reply.clear();
    response::write_page(error, &verdict, record, head, inbound, core.date.borrow().as_bytes(), reply);
    match response::send(core, client, reply, record).await {
        Ok(()) => finish(record, record.head_len, inbound.len()),
        Err(_) => {
            client.stream.cut();
            Next::Close
        }
    }
}

fn note_cause(core: &Core, error: &ProxyError, cause: Cause, answered: bool) {
    match error {
        ProxyError::BadRequest(_) => core.metrics.protocol_error(cause),
        ProxyError::ClientClosed => core.metrics.failed_exchange(cause),
        _ if answered => core.metrics.failed_exchange(cause),
        _ => core.metrics.made_response(cause),
    }
    tracing::debug!(%error, cause = cause.as_str(), answered, "request not answered by an app");
}

/// Ends a request that was answered: `consumed` bytes of what arrived were its own.
pub(crate) fn finish(record: &mut Record, consumed: usize, arrived: usize) -> Next {
    record.consumed = consumed;
    match record.keep_alive {
        true => Next::Idle,
        // Nothing more of the client's is known to be under way.
        false if consumed == arrived && record.body_read => Next::Close,
        false => Next::Linger,
    }
}

/// Takes the request's bytes away; what is left is the next one's.
fn advance(scratch: &mut Scratch, record: &mut Record, next: Next) -> Next {
    if next != Next::Idle {
        return next;
    }
    if record.leftover.is_empty() {
        scratch.inbound.drain(..record.consumed.min(scratch.inbound.len()));
    } else {
        scratch.inbound = std::mem::take(&mut record.leftover);
    }
    if scratch.inbound.is_empty() { Next::Idle } else { Next::Pipelined }
}

fn log(core: &Core, scratch: &Scratch, record: &mut Record) {
    let elapsed = record.started.elapsed();
    if record.status >= 500 || record.cause.is_some_and(Cause::is_failure) {
        failure::remember(core, scratch, record, elapsed);
    }
    let logged = record.upstream.as_ref().map(|(_, logged)| logged);
    core.metrics.client_received_bytes.add(record.bytes_received);
    core.metrics.client_sent_bytes.add(record.bytes_sent);
    match &record.upstream {
        Some((state, _)) => {
            state.metrics.record(record.status, elapsed, record.bytes_received, record.bytes_sent);
        }
        None if record.cause == Some(Cause::UnknownHost) => core.metrics.requests_unknown_host.increment(),
        None => {}
    }
    let bytes = scratch.inbound.as_slice();
    let head = &scratch.head;
    let field = |known| head.field(known).unwrap_or_default().of_bytes(bytes);
    let mut user = [0; basic_auth::LONGEST_USER];
    core.log.borrow_mut().record(&Entry {
        file: logged.map_or(LogFileId::UNROUTED, |logged| logged.file),
        started: SystemTime::now().checked_sub(elapsed).unwrap_or(SystemTime::UNIX_EPOCH),
        remote_addr: record.client,
        remote_user: basic_auth::user(field(Known::Authorization), &mut user),
        host: head.host.of_bytes(bytes),
        request: first_line(head, bytes),
        status: record.status,
        body_bytes_sent: record.bytes_sent,
        referer: field(Known::Referer),
        user_agent: field(Known::UserAgent),
        x_forwarded_for: field(Known::XForwardedFor),
        upstream_time: record.upstream_time,
        request_time: elapsed,
        bytes_received: record.bytes_received,
        upstream_addr: record.endpoint,
        request_id: received_request_id(head, bytes).unwrap_or(record.made_id.as_bytes()),
        scheme: record.scheme.as_str(),
        route: logged.map_or("", |logged| &logged.text),
        cause: record.cause.map_or("", Cause::as_str),
        attempts: record.attempts,
    });
}

/// The request line, or what there is of it when it could not be parsed.
fn first_line<'a>(head: &RequestHead, bytes: &'a [u8]) -> &'a [u8] {
    let line = head.line.of_bytes(bytes);
    if !line.is_empty() {
        return line;
    }
    let end = bytes.iter().take(LONGEST_BAD_LINE).position(|byte| matches!(byte, b'\r' | b'\n'));
    bytes.get(..end.unwrap_or(LONGEST_BAD_LINE.min(bytes.len()))).unwrap_or_default()
}

/// More proxies than any request passes that does not go round in a circle.
const MAX_HOPS: usize = 32;
const FIRST_READ: usize = 4 * 1024;
const BUFFER_KEPT: usize = 64 * 1024;
const LONGEST_BAD_LINE: usize = 512;
