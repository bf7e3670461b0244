//! The operator's word on single apps and procs, and who decides what.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Policy, Wishes};
use crate::annotation::Annotation;
use crate::name::ProcName;
use crate::route::Upstream;
use crate::snapshot::Snapshot;

/// The operator's wishes, by app or by full proc name; these win over an owner's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, Wishes>);

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetBy {
    /// Nobody said anything.
    Default,
    /// The proc's owner.
    Annotation,
    /// The operator, for all procs or for this one.
    Operator,
}

/// One key of a policy in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// Its name.
    pub key: &'static str,
    /// Its value, as it is written.
    pub value: String,
    /// Who set it.
    pub set_by: SetBy,
}

impl Overrides {
    /// The wishes for each app (`demo`) or proc (`demo.web.web`).
    pub fn new(wishes: BTreeMap<String, Wishes>) -> Self {
        Self(wishes)
    }

    /// What is said of a proc: of its app, then of itself, which wins.
    fn of(&self, name: &ProcName) -> [Option<&Wishes>; 2] {
        [self.0.get(name.app()), self.0.get(name.as_str())]
    }

    /// The policy of a proc. One that nobody has wishes for shares the default, one that did not change stays the same.
    pub(crate) fn resolve(
        &self,
        default: &Arc<Policy>,
        name: &ProcName,
        annotation: &Annotation,
        known: Option<&Arc<Policy>>,
    ) -> Arc<Policy> {
        let [app, proc] = self.of(name);
        let mut wishes = [annotation.wishes.as_deref(), app, proc].into_iter().flatten().peekable();
        if wishes.peek().is_none() {
            return Arc::clone(default);
        }
        let policy = wishes.fold(Policy::clone(default), |policy, wishes| policy.with(wishes));
        let same = known.into_iter().chain([default]).find(|same| ***same == policy);
        same.map_or_else(|| Arc::new(policy), Arc::clone)
    }
}

impl Snapshot {
    /// The policy of an upstream, key by key, with who set what.
    pub fn policy_of(&self, upstream: &Upstream) -> Vec<InForce> {
        let asks = |wishes: Option<&Wishes>| -> Vec<&'static str> {
            wishes.into_iter().flat_map(Wishes::told).map(|(key, _)| key).collect()
        };
        let operator = self.overrides.of(&upstream.proc.name).map(asks).concat();
        let owner = asks(upstream.annotation.wishes.as_deref());
        let unset = Policy::default().told();
        let default = self.policy.told();
        let by_config: Vec<&str> =
            default.iter().zip(&unset).filter(|(set, unset)| set != unset).map(|((key, _), _)| *key).collect();
        let set_by = |key: &str| match () {
            () if operator.contains(&key) => SetBy::Operator,
            () if owner.contains(&key) => SetBy::Annotation,
            () if by_config.contains(&key) => SetBy::Operator,
            () => SetBy::Default,
        };
        let keys = upstream.policy.told();
        let mut told: Vec<InForce> = keys
            .into_iter()
            .map(|(key, value)| InForce { key, value: value.to_string(), set_by: set_by(key) })
            .collect();
        if !upstream.policy.weights.is_empty() {
            let weights = upstream.policy.weights.iter().map(|(endpoint, weight)| format!("{endpoint}={weight}"));
            let value = weights.collect::<Vec<_>>().join(" ");
            told.push(InForce { key: "weights", value, set_by: SetBy::Annotation });
        }
        told
    }
}
