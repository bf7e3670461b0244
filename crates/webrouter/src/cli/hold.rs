//! `webrouter hold accept|refuse`

use clap::ValueEnum;
use webrouter_admin_api::{HoldResolved, paths};

use super::{Instance, Verdict, print, print_json};

/// What to do with a held update.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Decision {
    /// Apply it now.
    Accept,
    /// Keep what is in force.
    Refuse,
}

pub(super) async fn hold(instance: &Instance, decision: Decision, id: Option<u64>) -> anyhow::Result<Verdict> {
    let (path, word) = match decision {
        Decision::Accept => (paths::HOLD_ACCEPT, "accepted: applied"),
        Decision::Refuse => (paths::HOLD_REFUSE, "refused: what was in force stays"),
    };
    let id = id.map(|id| id.to_string());
    let query: Vec<(&str, &str)> = id.iter().map(|id| ("id", id.as_str())).collect();
    let resolved: HoldResolved = instance.post(path, &query).await?;
    if instance.json {
        return print_json(&resolved);
    }
    print(format!("{word}; generation {} is in force\n", resolved.generation).as_bytes())
}
