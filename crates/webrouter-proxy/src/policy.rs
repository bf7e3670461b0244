//! What an upstream's policy does to a whole request, around its forwarding: the circuit breaker, the wait for an endpoint.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use webrouter_routing::policy::Policy;

use crate::error::ProxyError;
use crate::exchange::Record;
use crate::fleet::breaker::Pass;
use crate::fleet::upstream::SharedUpstream;
use crate::http1::head::{Framing, RequestHead};
use crate::request::Request;
use crate::upstream::UpstreamState;

/// A request that the circuit breaker let through; dropped without a word, it says nothing.
pub(crate) struct Admission {
    breaker: Option<(Arc<SharedUpstream>, Pass, f64)>,
}

/// Asks the circuit breaker, where there is one.
pub(crate) fn admit(policy: &Policy, state: &Rc<UpstreamState>) -> Result<Option<Admission>, ProxyError> {
    let Some(share) = policy.circuit_breaker else { return Ok(None) };
    match state.shared.ask_breaker() {
        Ok(pass) => Ok(Some(Admission { breaker: Some((Arc::clone(&state.shared), pass, share)) })),
        Err(retry_after) => Err(ProxyError::CircuitOpen { app: state.shared.proc.name.app().to_owned(), retry_after }),
    }
}

impl Admission {
    /// Tells the circuit breaker the status of the app's answer.
    pub(crate) fn tell(self, status: u16) {
        self.tell_of(Some(matches!(status, 502..=504)));
    }

    /// Tells the circuit breaker that there is no answer.
    pub(crate) fn tell_error(self, error: &ProxyError) {
        self.tell_of(error.is_apps().then_some(true));
    }

    fn tell_of(mut self, failed: Option<bool>) {
        if let Some((shared, pass, share)) = self.breaker.take() {
            shared.tell_breaker(pass, failed, share);
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some((shared, pass, share)) = self.breaker.take() {
            shared.tell_breaker(pass, None, share);
        }
    }
}

/// Whether a request that found no endpoint to serve it waits for one: only if nothing of it was sent, or taken in.
pub(crate) fn may_wait(error: &ProxyError, request: &Request, head: &RequestHead, record: &Record) -> bool {
    matches!(error, ProxyError::NoEndpoint { .. } | ProxyError::Drained { .. } | ProxyError::Unreachable { .. })
        && request.method.is_idempotent()
        && record.upstream_time.is_none()
        // Chunks that are at hand were decoded in their place.
        && head.framing != Framing::Chunked
        && record.upstream.as_ref().is_some_and(|(state, _)| record.started.elapsed() < state.policy().endpoint_wait)
}

/// How often a request that waits looks for an endpoint.
pub(crate) const WAIT_STEP: Duration = Duration::from_millis(50);
