//! `webrouter status`

mod certificates;

use std::fmt::Write as _;

use webrouter_admin_api::{ListenerScope, Rejections, Source, SourceKind, SourceState, Status, TableFrom, paths};

use super::{Instance, Verdict, endpoints, print, print_json, text};

pub(super) async fn status(instance: &Instance) -> anyhow::Result<Verdict> {
    let status: Status = instance.get(paths::STATUS, &[]).await?;
    if instance.json {
        print_json(&status)?;
    } else {
        let rejections: Option<Rejections> = match status.rejections {
            0 => None,
            _ => Some(instance.get(paths::REJECTIONS, &[]).await?),
        };
        print(describe(&status, rejections.as_ref())?.as_bytes())?;
    }
    let failing = status.sources.iter().any(|source| source.state == SourceState::Failing);
    let served_well = status.fail_open.is_empty() && status.breakers_open.is_empty();
    let served_well = served_well && certificates::are_well(&status);
    let well = status.ready && !failing && status.hold.is_none() && status.store_error.is_none() && served_well;
    Ok(if well { Verdict::Well } else { Verdict::Problem })
}

fn describe(status: &Status, rejections: Option<&Rejections>) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let ready = match &status.not_ready_because {
        Some(why) => format!("NOT READY: {why}"),
        None if status.ready => "ready".to_owned(),
        None => "NOT READY".to_owned(),
    };
    writeln!(out, "webrouter {}, {ready}, up {}", status.version, text::span(status.uptime_s))?;
    writeln!(
        out,
        "table     generation {}: {} routes, {} procs, {} endpoints; since {}",
        status.generation, status.routes, status.procs, status.endpoints, status.applied_at
    )?;
    if status.table_from == TableFrom::LastGood {
        let age = status.last_good_age_s.map(|age| format!(", {} old", text::span(age))).unwrap_or_default();
        writeln!(out, "          from an earlier run{age}: not every source has been heard")?;
    }
    describe_endpoints(&mut out, status)?;
    for listener in &status.listeners {
        let scope = match listener.scope {
            ListenerScope::All => "every host",
            ListenerScope::External => "external hosts",
        };
        let tls = if listener.tls { ", TLS" } else { "" };
        writeln!(out, "listener  {} for {scope}{tls}", listener.address)?;
    }
    certificates::describe(&mut out, status)?;
    for source in &status.sources {
        describe_source(&mut out, source)?;
    }
    if let Some(hold) = &status.hold {
        writeln!(out, "HOLD {}    an update of {} is kept back: {}", hold.id, hold.source, hold.reason)?;
        writeln!(
            out,
            "          routes {} -> {}, endpoints {} -> {}",
            hold.routes_before, hold.routes_after, hold.endpoints_before, hold.endpoints_after
        )?;
        if !hold.procs.is_empty() {
            writeln!(out, "          procs: {}", hold.procs.join(", "))?;
        }
        match &hold.applies_at {
            Some(at) => writeln!(out, "          applied at {at}; decide with: webrouter hold accept|refuse")?,
            None => writeln!(out, "          waits for a decision; let it through with: webrouter hold accept")?,
        }
    }
    for pin in status.pins.iter().take(SHOWN) {
        let what = if pin.rollback { "rolled back" } else { "pinned" };
        writeln!(
            out,
            "PIN       {} {what} to generation {} since {}, by {}",
            pin.app, pin.generation, pin.since, pin.by
        )?;
    }
    if let Some(error) = &status.store_error {
        let what = match error.kind.as_str() {
            "corrupt" => "the stored table was unreadable",
            _ => "not stored",
        };
        writeln!(out, "STATE     {what}: {} ({} times, last {})", error.message, error.count, error.at)?;
    }
    if status.access_log.lost_total > 0 {
        writeln!(
            out,
            "log       {} access log lines lost: {:?}",
            status.access_log.lost_total, status.access_log.lost
        )?;
    }
    if let Some(rejections) = rejections.filter(|list| !list.rejections.is_empty()) {
        writeln!(out, "\n{} rejections:", rejections.rejections.len())?;
        for rejection in rejections.rejections.iter().take(SHOWN) {
            writeln!(out, "  {} ({}): {}", rejection.entry, rejection.source, rejection.reason)?;
            writeln!(out, "    {}", rejection.advice)?;
        }
        if rejections.rejections.len() > SHOWN {
            writeln!(out, "  and more: GET {}", paths::REJECTIONS)?;
        }
    }
    Ok(out)
}

fn describe_endpoints(out: &mut String, status: &Status) -> std::fmt::Result {
    let present = status.endpoints_by_state.iter().filter(|(_, count)| **count > 0);
    let counts: Vec<String> = present.map(|(state, count)| format!("{count} {}", endpoints::word(*state))).collect();
    if !counts.is_empty() {
        writeln!(out, "endpoints {}", counts.join(", "))?;
    }
    if !status.fail_open.is_empty() {
        writeln!(out, "FAIL-OPEN every endpoint is sick, so all are tried: {}", some_of(&status.fail_open))?;
    }
    if !status.breakers_open.is_empty() {
        writeln!(out, "BREAKER   open: {}", some_of(&status.breakers_open))?;
    }
    if !status.draining.is_empty() {
        writeln!(out, "draining  {}", some_of(&status.draining))?;
    }
    Ok(())
}

fn some_of(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn describe_source(out: &mut String, source: &Source) -> std::fmt::Result {
    let kind = match source.kind {
        SourceKind::Lainlet => "lainlet",
        SourceKind::File => "file",
    };
    let state = match source.state {
        SourceState::Connecting => "connecting",
        SourceState::Following => "following",
        SourceState::Failing => "FAILING",
    };
    let news = source.last_news_age_s.map_or("no news yet".to_owned(), |age| format!("news {} old", text::span(age)));
    writeln!(out, "source    {kind} {}: {state} for {}, {news}", source.target, text::span(source.since_s))?;
    if let (Some(error), SourceState::Failing) = (&source.last_error, source.state) {
        writeln!(out, "          {} ({} times, last {})", error.message, error.count, error.at)?;
    }
    Ok(())
}

const SHOWN: usize = 20;
