//! The head of an endpoint's answer: interim ones pass through, the final one is kept.

use tokio::io::AsyncReadExt;
use tokio::time::Instant;
use webrouter_routing::policy::Timeouts;

use crate::core::Core;
use crate::deadline::Deadline;
use crate::error::{BadResponse, ProxyError};
use crate::exchange::{Record, Scratch};
use crate::headers;
use crate::http1::encode;
use crate::http1::head::{Framing, HeadScanner, ResponseHead, Version};
use crate::request::Request;
use crate::stream::{Opening, Reader, Writer};
use crate::upload::{Upload, UploadState};

/// What reading a head takes.
pub(crate) struct AnswerHead<'a> {
    pub(crate) core: &'a Core,
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) request: &'a Request,
    pub(crate) scratch: &'a mut Scratch,
    pub(crate) record: &'a mut Record,
    pub(crate) upload: &'a Upload,
    pub(crate) deadline: &'a mut Deadline,
}

impl AnswerHead<'_> {
    /// Reads up to the final head, passing interim ones on; says how long it is.
    pub(crate) async fn read(
        mut self,
        reader: &mut Reader<'_>,
        client_writer: &mut Writer<'_>,
    ) -> Result<usize, ProxyError> {
        let limits = &self.core.config.limits;
        let mut interim_bytes = 0;
        loop {
            let head_len = self.read_one(reader).await?;
            let Scratch { response, response_head, head, reply, .. } = &mut *self.scratch;
            let bytes = response.get(..head_len).unwrap_or_default();
            response_head.parse(bytes, limits.request_headers).map_err(BadResponse::from)?;
            if let (Reader::Http2(_), Framing::UntilClose) = (&reader, response_head.framing) {
                response_head.framing = Framing::Stream;
            }
            match response_head.status {
                101 if self.request.upgrade.is_none() => return Err(BadResponse::UnaskedUpgrade.into()),
                101 | 200.. => return Ok(head_len),
                _ => {}
            }
            interim_bytes += head_len;
            if interim_bytes > limits.response_head_bytes {
                return Err(BadResponse::HeadTooLarge.into());
            }
            self.record.interim = true;
            if head.version != Version::Http10 {
                write_interim(response_head, bytes, reply);
                let opening = Opening { bytes: reply, head_len: reply.len(), ends: false };
                client_writer
                    .open(opening, self.timeouts.upstream, self.deadline)
                    .await
                    .map_err(|error| ProxyError::of_download(&error))?;
            }
            response.drain(..head_len);
        }
    }

    /// Reads until a head is whole. While the request's body goes up, its own time-outs count.
    async fn read_one(&mut self, reader: &mut Reader<'_>) -> Result<usize, ProxyError> {
        let response = &mut self.scratch.response;
        let mut scanner = HeadScanner::default();
        response.reserve(FIRST_READ);
        loop {
            if let Some(head_len) = scanner.scan(response).map_err(BadResponse::from)? {
                return Ok(head_len);
            }
            if response.len() >= self.core.config.limits.response_head_bytes {
                return Err(BadResponse::HeadTooLarge.into());
            }
            let patience = if response.is_empty() { self.timeouts.first_byte } else { self.timeouts.upstream };
            let at = Instant::now() + patience;
            match self.deadline.until(at, reader.read_buf(response)).await {
                Err(_) if self.upload.state.get() == UploadState::Running && !self.deadline.is_over() => {}
                Err(_) if response.is_empty() => return Err(ProxyError::FirstByteTimeout),
                Err(_) => return Err(ProxyError::UpstreamTimeout),
                Ok(Ok(0)) => return Err(ProxyError::UpstreamClosed),
                Ok(Ok(_)) => {}
                Ok(Err(error)) => return Err(ProxyError::of_answer(&error)),
            }
        }
    }
}

fn write_interim(head: &ResponseHead, bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    encode::status_line(out, head.status, head.reason.of_bytes(bytes));
    headers::write_response_fields(head, bytes, out);
    out.extend_from_slice(b"\r\n");
}

const FIRST_READ: usize = 4 * 1024;
