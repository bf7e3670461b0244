//! A proc as it was in force at some time, in a form that can be stored and come in force again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::annotation::Annotation;
use crate::contribution::{Claims, Proc};
use crate::endpoint::Endpoint;
use crate::snapshot::ProcInForce;

/// What made a proc route as it did.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Version {
    /// The annotation in force.
    pub annotation: Annotation,
    /// Its containers.
    pub endpoints: Vec<Endpoint>,
    /// Why its entry was quarantined, when it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<String>,
}

impl Version {
    /// The version of a proc in force.
    pub fn of(proc: &ProcInForce) -> Self {
        Self {
            annotation: (*proc.upstream.annotation).clone(),
            endpoints: proc.upstream.endpoints.to_vec(),
            quarantine: proc.quarantine.as_ref().map(ToString::to_string),
        }
    }

    /// The same as an entry that a source could have told.
    pub fn proc(&self) -> Proc {
        Proc {
            claims: Claims::Readable(Arc::new(self.annotation.clone())),
            endpoints: self.endpoints.clone().into(),
            reasons: Vec::new(),
        }
    }
}
