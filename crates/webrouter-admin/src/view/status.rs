//! How the instance is doing.

use webrouter_admin_api::{AccessLogStatus, ErrorReport, Hold, Source, SourceKind, SourceState, Status, TableFrom};
use webrouter_discovery::status as discovery;
use webrouter_telemetry::access_log::{AccessLog, LossReason};

use super::endpoints::word;
use super::{age, certificates, history, time};
use crate::state::AdminState;

pub(crate) fn status(state: &AdminState) -> Status {
    let (snapshot, status) = (state.discovery.table(), state.discovery.status());
    let fleet = state.fleet.summary(&snapshot);
    let not_ready_because = state.not_ready_because(&status);
    let saved_at = match status.table_from {
        discovery::TableFrom::Source => None,
        discovery::TableFrom::LastGood { saved_at } => Some(saved_at),
    };
    let tls = state.certificates.as_deref();
    let unserved = tls.map_or(0, |tls| tls.rejections(&snapshot).len());
    let (certificates, certificate_folder) = tls.map(certificates::view).unzip();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: time(state.started),
        uptime_s: age(state.started),
        ready: not_ready_because.is_none(),
        not_ready_because,
        generation: snapshot.generation().0,
        applied_at: time(status.applied_at),
        last_apply_s: status.last_apply.as_secs_f64(),
        table_from: if saved_at.is_some() { TableFrom::LastGood } else { TableFrom::Source },
        last_good_saved_at: saved_at.map(time),
        last_good_age_s: saved_at.map(age),
        routes: snapshot.route_count(),
        procs: snapshot.proc_count(),
        endpoints: snapshot.endpoint_count(),
        endpoints_by_state: fleet.by_state.into_iter().map(|(state, count)| (word(state), count)).collect(),
        fail_open: fleet.fail_open,
        breakers_open: fleet.breakers_open,
        draining: fleet.draining.iter().map(ToString::to_string).collect(),
        rejections: snapshot.rejection_count() + unserved,
        sources: status.sources.iter().map(source).collect(),
        hold: status.hold.map(hold),
        pins: history::pins(&status.pins),
        listeners: state.listeners.to_vec(),
        certificates: certificates.unwrap_or_default(),
        certificate_folder,
        access_log: state.access_log.as_ref().map(access_log).unwrap_or_default(),
        store_error: status.store_error.as_ref().map(error),
    }
}

fn source(source: &discovery::SourceStatus) -> Source {
    Source {
        name: source.name.clone(),
        kind: match source.kind {
            discovery::SourceKind::Lainlet => SourceKind::Lainlet,
            discovery::SourceKind::File => SourceKind::File,
        },
        target: source.target.clone(),
        state: match source.state {
            discovery::SourceState::Connecting => SourceState::Connecting,
            discovery::SourceState::Following => SourceState::Following,
            discovery::SourceState::Failing => SourceState::Failing,
        },
        since: time(source.since),
        since_s: age(source.since),
        last_news_at: source.last_news_at.map(time),
        last_news_age_s: source.last_news_at.map(age),
        last_error: source.last_error.as_ref().map(error),
        errors: source.errors.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect(),
        events_total: source.events,
        reconnects: source.reconnects,
        deaf_watches: source.deaf_watches,
    }
}

fn error(error: &discovery::ErrorStatus) -> ErrorReport {
    let discovery::ErrorStatus { kind, message, at, count } = error;
    ErrorReport { kind: (*kind).to_owned(), message: message.clone(), at: time(*at), count: *count }
}

fn hold(hold: discovery::HoldStatus) -> Hold {
    Hold {
        id: hold.id,
        source: hold.source,
        reason: hold.reason,
        since: time(hold.since),
        applies_at: hold.applies_at.map(time),
        routes_before: hold.routes_before,
        routes_after: hold.routes_after,
        endpoints_before: hold.endpoints_before,
        endpoints_after: hold.endpoints_after,
        procs: hold.procs,
    }
}

fn access_log(log: &AccessLog) -> AccessLogStatus {
    let losses = log.losses();
    let by_reason = LossReason::ALL.into_iter().map(|reason| (reason.as_str().to_owned(), losses.of(reason)));
    AccessLogStatus { lost_total: losses.total(), lost: by_reason.filter(|(_, lines)| *lines > 0).collect() }
}
