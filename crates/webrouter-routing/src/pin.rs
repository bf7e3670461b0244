//! Pins: apps that an operator keeps at a version, whatever their sources say.
//!
//! Two layers: pins of single apps, and above them those of a rollback, which ends as a whole. What sources say is
//! kept beside what is in force, so that a pin's end lets their last word in.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use serde::{Deserialize, Serialize};

use crate::contribution::Contribution;
use crate::name::{ProcKey, ProcName};
use crate::snapshot::Generation;
use crate::version::Version;

/// Everything that is pinned.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    /// Single apps.
    pub apps: BTreeMap<String, Pin>,
    /// The table of an earlier generation; stands above `apps`.
    pub rollback: Option<Rollback>,
}

/// One app at a version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The generation whose version it is.
    pub generation: Generation,
    /// When it was pinned, in milliseconds since 1970.
    pub at: u64,
    /// Who did it.
    pub by: String,
    /// The app's procs, endpoints included; one that is not among them is not in force.
    pub procs: Vec<(ProcKey, Version)>,
}

/// A return to the table of an earlier generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rollback {
    /// Which one.
    pub generation: Generation,
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Who did it.
    pub by: String,
    /// The apps that differed.
    pub apps: BTreeMap<String, Pin>,
}

impl Pins {
    /// Whether every app follows its sources.
    pub fn is_empty(&self) -> bool {
        self.apps.is_empty() && self.rollback.as_ref().is_none_or(|rollback| rollback.apps.is_empty())
    }

    /// What an app is pinned to.
    pub fn of(&self, app: &str) -> Option<&Pin> {
        self.rollback.as_ref().and_then(|rollback| rollback.apps.get(app)).or_else(|| self.apps.get(app))
    }

    fn in_force(&self) -> impl Iterator<Item = &Pin> {
        let above = self.rollback.iter().flat_map(|rollback| &rollback.apps);
        let below = self
            .apps
            .iter()
            .filter(|(app, _)| !self.rollback.as_ref().is_some_and(|rollback| rollback.apps.contains_key(*app)));
        above.chain(below).map(|(_, pin)| pin)
    }

    /// What a source says, with the pinned apps in their versions; the cost grows with the table.
    pub fn laid_over(&self, said: &Contribution) -> Contribution {
        let mut laid = said.clone();
        let pinned: Vec<ProcName> = said.procs.keys().filter(|name| self.of(name.app()).is_some()).cloned().collect();
        for name in pinned {
            laid.procs.remove(&name);
        }
        for (key, version) in self.in_force().flat_map(|pin| &pin.procs) {
            if key.source == said.source {
                laid.procs.insert(key.name.clone(), Arc::new(version.proc()));
            }
        }
        laid
    }

    /// Brings what was laid over a source's earlier word up to its new one; the cost grows with the change.
    pub fn followed(&self, laid: &Contribution, before: &Contribution, now: &Contribution) -> Contribution {
        let mut procs = laid.procs.clone();
        for item in before.procs.diff(&now.procs) {
            match item {
                DiffItem::Add(name, proc) | DiffItem::Update { new: (name, proc), .. } => {
                    if self.of(name.app()).is_none() {
                        procs.insert(name.clone(), Arc::clone(proc));
                    }
                }
                DiffItem::Remove(name, _) => {
                    if self.of(name.app()).is_none() {
                        procs.remove(name);
                    }
                }
            }
        }
        Contribution { procs, ..now.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contribution::Proc;
    use crate::name::SourceName;

    fn name(app: &str) -> ProcName {
        ProcName::parse(&format!("{app}.web.web")).expect("a name")
    }

    fn version(port: u16) -> Version {
        Version {
            endpoints: vec![crate::endpoint::Endpoint::parse(&format!("10.0.0.1:{port}")).expect("one")],
            ..Version::default()
        }
    }

    /// `a1 b2`: app a with an endpoint at port 1.
    fn said(text: &str) -> Contribution {
        let proc = |word: &str| -> (ProcName, Arc<Proc>) {
            let (app, port) = word.split_at(1);
            (name(app), Arc::new(version(port.parse().expect("a port")).proc()))
        };
        Contribution { procs: text.split_whitespace().map(proc).collect(), ..Contribution::empty(SourceName::new("s")) }
    }

    fn told(contribution: &Contribution) -> String {
        let word = |(name, proc): (&ProcName, &Arc<Proc>)| {
            let ports = proc.endpoints.iter().map(|endpoint| endpoint.address().port().to_string());
            format!("{}{}", name.app(), ports.collect::<String>())
        };
        contribution.procs.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn pin(procs: &[(&str, u16)]) -> Pin {
        let key = |app| ProcKey { source: SourceName::new("s"), name: name(app) };
        let procs = procs.iter().map(|(app, port)| (key(app), version(*port))).collect();
        Pin { generation: Generation(1), at: 0, by: "a test".into(), procs }
    }

    #[test]
    fn a_pinned_app_stays_and_the_others_follow() {
        let mut pins = Pins::default();
        pins.apps.insert("a".into(), pin(&[("a", 7)]));
        pins.apps.insert("g".into(), pin(&[]));
        let check = |before: &str, now: &str, expected: &str| {
            let laid = pins.laid_over(&said(before));
            assert_eq!(told(&pins.followed(&laid, &said(before), &said(now))), expected, "{before} -> {now}");
            assert_eq!(told(&pins.laid_over(&said(now))), expected, "{now}");
        };
        check("a1 b1", "a2 b2", "a7 b2");
        check("a1 b1", "b1", "a7 b1");
        check("b1", "a2 c1 g1", "a7 c1");
        check("b1", "", "a7");
    }

    #[test]
    fn a_rollback_stands_above_a_pin() {
        let mut pins = Pins::default();
        pins.apps.insert("a".into(), pin(&[("a", 7)]));
        let apps = BTreeMap::from([("a".into(), pin(&[("a", 8)]))]);
        pins.rollback = Some(Rollback { generation: Generation(1), at: 0, by: "a test".into(), apps });
        assert_eq!(told(&pins.laid_over(&said("a1 b1"))), "a8 b1");
        pins.rollback = None;
        assert_eq!(told(&pins.laid_over(&said("a1 b1"))), "a7 b1");
    }
}
