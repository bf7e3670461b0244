//! `webrouter why ID`: what became of a request that a client complains of.

use std::fmt::Write as _;

use webrouter_admin_api::{FailedRequest, Failures, paths};

use super::text::{lines, span, table};
use super::{Instance, Verdict, print, print_json};

/// Tells of the request with this id, or lists the last ones that failed. Well when it is known, or none failed.
pub(super) async fn why(instance: &Instance, id: Option<&str>, app: Option<&str>) -> anyhow::Result<Verdict> {
    let query: Vec<(&str, &str)> = id.map(|id| ("id", id)).into_iter().chain(app.map(|app| ("app", app))).collect();
    let found: Failures = instance.get(paths::FAILURES, &query).await?;
    let told = match (instance.json, id) {
        (true, _) => print_json(&found)?,
        (false, Some(id)) if found.failures.is_empty() => print(unknown(id).as_bytes())?,
        (false, Some(_)) => {
            let stories: Vec<String> = found.failures.iter().map(story).collect();
            print(stories.join("\n").as_bytes())?
        }
        (false, None) => print(list(&found.failures).as_bytes())?,
    };
    // Asked by id, to find nothing is the problem; asked for a list, to find something is.
    Ok(if found.failures.is_empty() == id.is_some() { Verdict::Problem } else { told })
}

fn unknown(id: &str) -> String {
    format!(
        "no request {id:?} is among those that failed here lately: it may have been well, be too long ago, or another \
         instance's; search the access log for it\n"
    )
}

fn story(failure: &FailedRequest) -> String {
    let FailedRequest { id, method, host, path, status, client, at, .. } = failure;
    let mut text = format!("{status} {method} {host}{path}\n");
    let cause = failure.cause.as_deref().unwrap_or("app");
    let _ = write!(text, "  why       {cause}: {}\n  when      {at}, {} ago\n", failure.meaning, span(failure.age_s));
    let _ = writeln!(text, "  client    {client}\n  id        {id}");
    if !failure.route.is_empty() {
        let _ = writeln!(text, "  route     {} → {}", failure.route, failure.upstream);
    }
    let upstream = failure.upstream_s.map(|seconds| format!(", {} of it at endpoints", span(seconds)));
    let _ = writeln!(text, "  took      {}{}", span(failure.took_s), upstream.unwrap_or_default());
    for attempt in &failure.attempts {
        let took = attempt.took_s.map_or("no connection".to_owned(), |seconds| format!("after {}", span(seconds)));
        let _ = writeln!(text, "  tried     {}: {}, {took}", attempt.endpoint, attempt.cause);
    }
    if let (Some(endpoint), true) = (&failure.endpoint, failure.attempts.is_empty()) {
        let _ = writeln!(text, "  endpoint  {endpoint}");
    }
    let _ = writeln!(text, "  next      {}", failure.advice);
    text
}

fn list(failures: &[FailedRequest]) -> String {
    if failures.is_empty() {
        return "no request failed lately\n".to_owned();
    }
    let mut rows = table(&["AGO", "STATUS", "CAUSE", "REQUEST", "UPSTREAM", "ID"]);
    for failure in failures {
        rows.add_row([
            span(failure.age_s),
            failure.status.to_string(),
            failure.cause.clone().unwrap_or_else(|| "app".to_owned()),
            format!("{} {}{}", failure.method, failure.host, failure.path),
            failure.upstream.clone(),
            failure.id.clone(),
        ]);
    }
    lines(&rows)
}
