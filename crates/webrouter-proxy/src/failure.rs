//! What the flight recorder keeps of a request that failed.

use std::time::{Duration, SystemTime};

use webrouter_telemetry::flight_recorder::{FailedRequest, shown};

use crate::core::Core;
use crate::exchange::{Record, Scratch};
use crate::headers::received_request_id;

/// Keeps it, with what became of each attempt.
#[cold]
pub(crate) fn remember(core: &Core, scratch: &Scratch, record: &mut Record, took: Duration) {
    let (head, bytes) = (&scratch.head, scratch.inbound.as_slice());
    let target = head.target.of_bytes(bytes);
    let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
    let (state, logged) = record.upstream.as_ref().map(|(state, logged)| (state, logged)).unzip();
    core.failures.record(FailedRequest {
        id: shown(received_request_id(head, bytes).unwrap_or(record.made_id.as_bytes())),
        at: SystemTime::now().checked_sub(took).unwrap_or(SystemTime::UNIX_EPOCH),
        client: record.client,
        method: shown(head.method.of_bytes(bytes)),
        host: shown(head.host.of_bytes(bytes)),
        path: shown(path),
        status: record.status,
        cause: record.cause,
        route: logged.map(|logged| logged.text.clone()).unwrap_or_default(),
        upstream: state.map(|state| state.shared.name.clone()).unwrap_or_default(),
        endpoint: record.endpoint,
        took,
        upstream_time: record.upstream_time,
        attempts: std::mem::take(&mut record.failed),
    });
}
