//! What a restart remembers of an endpoint's health.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcKey;

use super::endpoint::{EndpointState, Mark};

/// One endpoint as an earlier run left it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    pub(super) proc: ProcKey,
    pub(super) endpoint: Endpoint,
    #[serde(default, skip_serializing_if = "is_false")]
    unproven: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    down: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    draining: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ejected_until: Option<SystemTime>,
    #[serde(default, skip_serializing_if = "is_zero")]
    ejections: u32,
}

impl Remembered {
    /// What is to be remembered of an endpoint.
    pub(crate) fn of(proc: &ProcKey, state: &EndpointState) -> Self {
        let record = state.record();
        let left = record.ejected_until.map(|until| until.saturating_duration_since(Instant::now()));
        let ejected_until = left.filter(|left| !left.is_zero()).map(|left| SystemTime::now() + left);
        Self {
            proc: proc.clone(),
            endpoint: state.endpoint,
            unproven: state.is_marked(Mark::UNPROVEN),
            down: state.is_marked(Mark::DOWN),
            draining: state.is_marked(Mark::DRAINING),
            ejected_until: ejected_until.filter(|_| state.is_marked(Mark::EJECTED)),
            ejections: record.ejections,
        }
    }

    /// Marks the endpoint as it was; says whether it is ejected.
    pub(super) fn give_to(&self, state: &EndpointState) -> bool {
        for (set, mark) in [(self.unproven, Mark::UNPROVEN), (self.down, Mark::DOWN), (self.draining, Mark::DRAINING)] {
            if set {
                state.mark(mark);
            }
        }
        state.record().ejections = self.ejections;
        let left = self.ejected_until.and_then(|until| until.duration_since(SystemTime::now()).ok());
        let Some(left) = left.map(|left| left.min(LONGEST)) else { return false };
        state.record().ejected_until = Some(Instant::now() + left);
        state.mark(Mark::EJECTED);
        true
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// Longer than any ejection: a clock that was set back makes no eternity of one.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
