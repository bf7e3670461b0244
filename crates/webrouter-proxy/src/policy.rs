//! What an upstream's policy does to a whole request, around its forwarding: the circuit breaker, the time it may take.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use webrouter_routing::policy::Policy;

use crate::error::ProxyError;
use crate::fleet::breaker::Pass;
use crate::fleet::upstream::SharedUpstream;
use crate::upstream::UpstreamState;

/// A request that the circuit breaker let through; dropped without a word, it says nothing.
pub(crate) struct Admission {
    breaker: Option<(Arc<SharedUpstream>, Pass, f64)>,
}

/// Asks the circuit breaker, where there is one.
pub(crate) fn admit(policy: &Policy, state: &Rc<UpstreamState>) -> Result<Admission, ProxyError> {
    let Some(share) = policy.circuit_breaker else { return Ok(Admission { breaker: None }) };
    match state.shared.ask_breaker() {
        Ok(pass) => Ok(Admission { breaker: Some((Arc::clone(&state.shared), pass, share)) }),
        Err(retry_after) => {
            Err(ProxyError::CircuitOpen { app: state.shared.proc.name.app().to_owned(), retry_after })
        }
    }
}

impl Admission {
    /// Tells the circuit breaker what the client got.
    pub(crate) fn tell(mut self, status: u16, error: Option<&ProxyError>) {
        if let Some((shared, pass, share)) = self.breaker.take() {
            let failed = match error {
                None => Some(matches!(status, 502..=504)),
                Some(error) => error.is_apps().then_some(true),
            };
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

/// Ends what takes longer than a whole request may.
pub(crate) async fn within<T>(
    limit: Option<Duration>,
    started: Instant,
    work: impl Future<Output = Result<T, ProxyError>>,
) -> Result<T, ProxyError> {
    match limit {
        None => work.await,
        Some(limit) => {
            let work = Box::pin(work);
            tokio::time::timeout_at(started + limit, work).await.unwrap_or(Err(ProxyError::RequestTimeout))
        }
    }
}
