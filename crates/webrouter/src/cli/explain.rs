//! `webrouter explain URL`

use std::fmt::Write as _;

use webrouter_admin_api::{
    EndpointView, Explain, Outcome, PolicyKey, RouteHealth, SetBy, StepKind, StepVerdict, paths,
};

use super::{Instance, Verdict, endpoints, print, print_json, routes, text};

pub(super) async fn explain(
    instance: &Instance,
    url: &str,
    method: &str,
    at: Option<&str>,
    generation: Option<u64>,
) -> anyhow::Result<Verdict> {
    let generation = generation.map(|generation| generation.to_string());
    let mut query = vec![("url", url), ("method", method)];
    query.extend(at.map(|at| ("at", at)));
    query.extend(generation.as_deref().map(|generation| ("generation", generation)));
    let explain: Explain = instance.get(paths::EXPLAIN, &query).await?;
    match instance.json {
        true => print_json(&explain)?,
        false => print(describe(&explain)?.as_bytes())?,
    };
    Ok(match explain.outcome {
        Outcome::Forwarded | Outcome::AddSlash => Verdict::Well,
        Outcome::NoEndpoint | Outcome::NoPath | Outcome::UnknownHost | Outcome::BadRequest => Verdict::Problem,
    })
}

fn describe(explain: &Explain) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    writeln!(out, "{} {}\n{}\n", explain.method, explain.url, explain.summary)?;
    let scope = if explain.internal { "internal" } else { "external" };
    writeln!(out, "host      {} ({scope})", explain.host)?;
    let path = explain.normal_path.as_deref().unwrap_or("none: it cannot be normalised");
    writeln!(out, "path      {} (looked up as {path})", explain.path)?;
    for listener in &explain.listeners {
        let answers = if listener.answers { "answers" } else { "does not answer: the listener is for external hosts" };
        writeln!(out, "listener  {} {answers}", listener.address)?;
    }
    if !explain.steps.is_empty() {
        let mut table = text::table(&["RULE", "SUBJECT", "VERDICT", "REASON"]);
        for step in &explain.steps {
            let kind = match step.kind {
                StepKind::Host => "host",
                StepKind::Path => "path",
            };
            let verdict = match step.verdict {
                StepVerdict::Won => "won",
                StepVerdict::Shorter => "shorter",
                StepVerdict::NoMatch => "no match",
            };
            table.add_row([kind, &step.subject, verdict, &step.reason]);
        }
        write!(out, "\n{}", text::lines(&table))?;
    }
    if let Some(route) = &explain.route {
        writeln!(out, "\nroute     {} of {} ({})", route.mountpoint, route.entry, route.source)?;
        writeln!(out, "upstream  {}: {}", route.upstream, route.endpoints.join(", "))?;
        for line in explain.health.iter().flat_map(health) {
            writeln!(out, "          {line}")?;
        }
        if let Some(pin) = &explain.pin {
            writeln!(out, "PINNED    to generation {} since {}, by {}", pin.generation, pin.since, pin.by)?;
        }
        if !route.flags.is_empty() {
            writeln!(out, "notes     {}", routes::notes(route))?;
        }
    }
    for (number, line) in policy(&explain.policy).iter().enumerate() {
        writeln!(out, "{:<9} {line}", if number == 0 { "policy" } else { "" })?;
    }
    if let Some(status) = explain.status {
        let location = explain.location.as_deref().map(|to| format!(", Location: {to}")).unwrap_or_default();
        writeln!(out, "\nanswer    {status}{location}")?;
    }
    if let Some(sent) = &explain.sent {
        writeln!(out, "\nsent to the endpoint:\n  {}", sent.request_line)?;
        for field in &sent.fields {
            writeln!(out, "  {}: {}", field.name, field.value)?;
        }
    }
    Ok(out)
}

/// How the endpoints are, with the evidence, and what is wrong with the upstream as a whole.
fn health(health: &RouteHealth) -> Vec<String> {
    let line = |endpoint: &EndpointView| {
        let told = [vec![endpoints::word(endpoint.state).to_owned()], endpoints::evidence(endpoint)].concat();
        format!("{} {}", endpoint.endpoint, told.join("; "))
    };
    let mut lines: Vec<String> = health.endpoints.iter().take(SHOWN).map(line).collect();
    let more = health.endpoints.len().saturating_sub(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more: webrouter endpoints --upstream {}", health.upstream.upstream));
    }
    lines.extend(endpoints::alarm(&health.upstream));
    lines
}

/// The keys in lines of a terminal's width; who set one is told where somebody did.
fn policy(keys: &[PolicyKey]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for PolicyKey { key, value, set_by } in keys {
        let told = match set_by {
            SetBy::Default => format!("{key}={value}"),
            SetBy::Annotation => format!("{key}={value} (annotation)"),
            SetBy::Operator => format!("{key}={value} (webrouter.toml)"),
        };
        match lines.last_mut().filter(|line| line.len() + told.len() + 2 <= LINE) {
            Some(line) => line.extend([", ", &told]),
            None => lines.push(told),
        }
    }
    lines
}

const LINE: usize = 100;
const SHOWN: usize = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_told_in_a_few_lines() {
        let key = |key: &str, value: &str, set_by| PolicyKey { key: key.to_owned(), value: value.to_owned(), set_by };
        let keys = [
            key("balance", "hash header x-user", SetBy::Annotation),
            key("queue", "5", SetBy::Operator),
            key("slow_start", "10s", SetBy::Default),
            key("drain_timeout", "1m", SetBy::Annotation),
        ];
        let expected = [
            "balance=hash header x-user (annotation), queue=5 (webrouter.toml), slow_start=10s",
            "drain_timeout=1m (annotation)",
        ];
        assert_eq!(policy(&keys), expected);
        assert!(policy(&[]).is_empty());
    }
}
