//! One attempt to have a request answered, over one connection.
//!
//! The request's body goes up while the answer comes down: an early answer reaches the client, and a client that resets
//! its connection ends the endpoint's work.

use std::pin::pin;
use std::time::Duration;

use webrouter_routing::policy::{Policy, Timeouts};

use crate::answer::AnswerHead;
use crate::body::{Body, BodyError, Patience, Sink};
use crate::connection::Client;
use crate::core::Core;
use crate::deadline::Deadline;
use crate::error::ProxyError;
use crate::exchange::{Record, Scratch};
use crate::headers::{self, Delivery};
use crate::http1::head::{Framing, Version};
use crate::request::{Method, Request};
use crate::stream::{End, Opening, Reader, Writer};
use crate::upload::{Background, Upload, UploadState};
use crate::upstream::pool::UpstreamConnection;

/// One attempt over one connection.
pub(crate) struct Attempt<'a> {
    pub(crate) core: &'a Core,
    pub(crate) policy: &'a Policy,
    pub(crate) request: &'a Request,
    pub(crate) record: &'a mut Record,
    pub(crate) scratch: &'a mut Scratch,
}

impl Attempt<'_> {
    /// Sends the request and passes the answer on; a switch of protocols is left to be made.
    pub(crate) async fn run(
        self,
        client: &mut Client,
        connection: &mut UpstreamConnection,
        body: &mut Body,
    ) -> Result<Ended, ProxyError> {
        let Self { core, policy, request, record, scratch } = self;
        let timeouts = &policy.timeouts;
        let limit = timeouts.request.map(|limit| record.started + limit);
        if !body.is_done() {
            connection.unguard();
        }
        let Client { stream, deadline, .. } = client;
        let (mut client_reader, mut client_writer) = stream.split();
        let (mut reader, mut writer) = connection.stream.split();
        scratch.response.clear();
        let Scratch { outbound, outbound_head_len, .. } = &*scratch;
        let opening = Opening { bytes: outbound, head_len: *outbound_head_len, ends: body.is_done() };
        let upload = match writer.open(opening, timeouts.upstream, deadline).await {
            Err(error @ (BodyError::WriteTimeout | BodyError::WriteLeft | BodyError::Unsayable)) => {
                return Err(ProxyError::of_upload(&error));
            }
            Err(_) => Upload::new(UploadState::Refused, limit),
            Ok(()) if body.is_done() => Upload::new(UploadState::Done, limit),
            Ok(()) => Upload::new(UploadState::Running, limit),
        };
        let patience = Patience { read: core.config.timeouts.request_body, write: timeouts.upstream };
        let ends_with_connection;
        let (kept_for, relayed) = {
            let uploading = pin!(upload.run(body, &mut client_reader, &mut writer, patience));
            let mut background = Background { upload: uploading, over: false };
            let answer = AnswerHead { core, timeouts, request, scratch, record, upload: &upload, deadline };
            let head_read = answer.read(&mut reader, &mut client_writer);
            let head_len = background.alongside(head_read).await.map_err(|e| ProxyError::of_upload(&e))??;
            if let Some(admission) = record.admission.take() {
                // Now: a stream may go on for hours, and this is what the breaker asks about.
                admission.tell(scratch.response_head.status);
            }
            if scratch.response_head.status == 101 {
                record.status = 101;
                return Ok(Ended::Switched { head_len });
            }
            let kept_for = scratch.response_head.kept_for(&scratch.response);
            let delivery = delivery(core, request, scratch, record, &upload);
            ends_with_connection = delivery.framing == Framing::UntilClose;
            if ends_with_connection {
                client_writer.set_end(End::Reset);
            }
            let down = Down { core, timeouts, scratch, record, delivery, head_len };
            let relayed = background.alongside(down.run(&mut reader, &mut client_writer, deadline)).await;
            (kept_for, relayed.map_err(|error| ProxyError::of_upload(&error)).flatten())
        };
        record.bytes_received = body.moved;
        record.leftover = upload.leftover.take();
        let tail = relayed?;
        if ends_with_connection {
            stream.set_end(End::Proper);
        }
        let uploaded = upload.state.get() == UploadState::Done;
        let answer = &scratch.response_head;
        record.body_read = uploaded && record.leftover.is_empty();
        record.keep_alive &= uploaded;
        let reusable = uploaded && answer.connection.persists(answer.version) && tail == Tail::Clean;
        Ok(Ended::Answered { reusable: reusable.then_some(kept_for) })
    }
}

/// How an attempt ended that was answered.
pub(crate) enum Ended {
    Switched {
        head_len: usize,
    },
    /// Whether the connection may serve again, and for how long the endpoint says it keeps it.
    Answered {
        reusable: Option<Option<Duration>>,
    },
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
    timeouts: &'a Timeouts,
    scratch: &'a mut Scratch,
    record: &'a mut Record,
    delivery: Delivery,
    head_len: usize,
}

impl Down<'_> {
    async fn run(
        self,
        reader: &mut Reader<'_>,
        client_writer: &mut Writer<'_>,
        deadline: &mut Deadline,
    ) -> Result<Tail, ProxyError> {
        let Self { core, timeouts, scratch, record, delivery, head_len: received_head_len } = self;
        let Scratch { response, response_head, own_fields, reply, head, .. } = scratch;
        record.status = response_head.status;
        record.keep_alive = delivery.keep_alive;
        reply.clear();
        let version = head.version;
        {
            let date = core.date.borrow();
            headers::write_response(response_head, response, own_fields, version, delivery, date.as_bytes(), reply);
        }
        let head_len = reply.len();
        let sink = match delivery.framing {
            Framing::Chunked => Sink::Chunked,
            Framing::Stream => Sink::Stream,
            Framing::None | Framing::Length(_) | Framing::UntilClose => Sink::Plain,
        };
        let framing = if delivery.framing == Framing::None { Framing::None } else { response_head.framing };
        let mut body = Body::new(framing, sink, None);
        let at_hand = response.get_mut(received_head_len..).unwrap_or_default();
        let taken = body.absorb(at_hand, reply);
        let mut extra = taken.as_ref().is_ok_and(|taken| *taken < at_hand.len());
        record.answered = true;
        let patience = Patience { read: timeouts.upstream, write: timeouts.upstream };
        let relayed = async {
            let ends = matches!(delivery.framing, Framing::None | Framing::Length(0));
            client_writer.open(Opening { bytes: reply, head_len, ends }, patience.write, deadline).await?;
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
        (_, Version::Http2) => Framing::Stream,
        (_, Version::Http10) => Framing::UntilClose,
    };
    let keep_alive = record.keep_alive
        && framing != Framing::UntilClose
        && upload.state.get() == UploadState::Done
        && !core.clients.is_stopping();
    Delivery { framing, keep_alive }
}
