//! What is not taken, and why.

use webrouter_admin_api::{Claimant, Rejection, Rejections};
use webrouter_proxy::tls::Certificates;
use webrouter_routing::rejection::{self, Reason};
use webrouter_routing::snapshot::Snapshot;

use super::certificates;

pub(crate) fn rejections(snapshot: &Snapshot, tls: Option<&Certificates>) -> Rejections {
    let of_map = tls.map(|tls| certificates::rejections(snapshot, tls)).unwrap_or_default();
    let rejections = snapshot.rejections().iter().map(view).chain(of_map).collect();
    Rejections { generation: snapshot.generation().0, rejections }
}

fn view(rejection: &rejection::Rejection) -> Rejection {
    let rejection::Rejection { source, entry, reason } = rejection;
    let owner = match reason {
        Reason::Owned { owner, .. } => {
            Some(Claimant { source: owner.source.to_string(), entry: owner.name.to_string() })
        }
        _ => None,
    };
    Rejection {
        source: source.to_string(),
        entry: entry.clone(),
        kind: reason.kind().to_owned(),
        reason: reason.to_string(),
        owner,
        advice: reason.advice().to_owned(),
    }
}
