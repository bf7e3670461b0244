//! The page at `/`: the state at a glance, and where to read more.

use std::fmt::{self, Write};

use webrouter_admin_api::{EndpointState, EndpointView, Endpoints, Source, SourceState, Status, TableFrom, paths};

/// The whole page; every text of the state goes through [`Text`].
pub(crate) fn render(status: &Status, unwell: &Endpoints) -> String {
    let mut page = String::with_capacity(4096);
    // Writing to a String does not fail.
    let _ = write_page(status, unwell, &mut page);
    page
}

fn write_page(status: &Status, unwell: &Endpoints, page: &mut String) -> fmt::Result {
    write!(page, "{HEAD}<h1>webrouter <small>{}</small></h1>", Text(&status.version))?;
    match &status.not_ready_because {
        None => page.push_str("<p class=good>Ready: a full table is in force.</p>"),
        Some(reason) => write!(page, "<p class=bad>Not ready: {}</p>", Text(reason))?,
    }
    if let Some(hold) = &status.hold {
        write!(
            page,
            "<p class=bad>Update {} of {} is held: {}. Routes {} → {}, endpoints {} → {}. Decide with \
             <code>webrouter hold accept</code> or <code>webrouter hold refuse</code>.</p>",
            hold.id,
            Text(&hold.source),
            Text(&hold.reason),
            hold.routes_before,
            hold.routes_after,
            hold.endpoints_before,
            hold.endpoints_after
        )?;
    }
    write_alarms(&status.fail_open, "Every endpoint is sick, so all are tried (fail-open)", page)?;
    write_alarms(&status.breakers_open, "Circuit breaker open", page)?;
    write_numbers(status, page)?;
    write_unwell(unwell, page)?;
    page.push_str("<h2>Sources</h2><table><tr><th>Source<th>State<th>Since<th>Last news<th>Last error");
    status.sources.iter().try_for_each(|source| write_source(source, page))?;
    page.push_str("</table><h2>Listeners</h2><ul>");
    for listener in &status.listeners {
        let tls = if listener.tls { " TLS" } else { "" };
        write!(page, "<li><code>{}</code>{tls}", Text(&listener.address))?;
    }
    page.push_str("</ul>");
    write_certificates(status, page)?;
    page.push_str("<h2>Read more</h2><ul>");
    for (path, what) in LINKS {
        write!(page, "<li><a href=\"{path}\">{path}</a> {what}")?;
    }
    page.push_str("</ul>\n");
    Ok(())
}

fn write_numbers(status: &Status, page: &mut String) -> fmt::Result {
    let from = match status.table_from {
        TableFrom::Source => "the sources",
        TableFrom::LastGood => "the last good table on disk, in part",
    };
    let present = status.endpoints_by_state.iter().filter(|(_, count)| **count > 0);
    let by_state: Vec<String> = present.map(|(state, count)| format!("{count} {}", word(*state).0)).collect();
    let rows = [
        ("Generation", status.generation.to_string()),
        ("In force since", status.applied_at.clone()),
        ("From", from.to_owned()),
        ("Routes", status.routes.to_string()),
        ("Procs", status.procs.to_string()),
        ("Endpoints", status.endpoints.to_string()),
        ("Endpoints by state", by_state.join(", ")),
        ("Rejections", status.rejections.to_string()),
        ("Access log lines lost", status.access_log.lost_total.to_string()),
        ("Up since", status.started_at.clone()),
    ];
    page.push_str("<table>");
    for (name, value) in rows {
        write!(page, "<tr><th>{name}<td>{}", Text(&value))?;
    }
    page.push_str("</table>");
    Ok(())
}

fn write_alarms(upstreams: &[String], what: &str, page: &mut String) -> fmt::Result {
    if upstreams.is_empty() {
        return Ok(());
    }
    write!(page, "<p class=bad>{what}: ")?;
    for (nth, name) in upstreams.iter().take(SHOWN).enumerate() {
        write!(page, "{}<code>{}</code>", if nth == 0 { "" } else { ", " }, Text(name))?;
    }
    match upstreams.len().saturating_sub(SHOWN) {
        0 => write!(page, ".</p>"),
        more => write!(page, " and {more} more.</p>"),
    }
}

fn write_unwell(unwell: &Endpoints, page: &mut String) -> fmt::Result {
    if unwell.endpoints.is_empty() {
        return Ok(());
    }
    page.push_str(
        "<h2>Endpoints that are sick or drain</h2><table><tr><th>Endpoint<th>Upstream<th>State<th>Since\
         <th>Requests<th>Last health check<th>Last failure",
    );
    for endpoint in &unwell.endpoints {
        let (state, class) = word(endpoint.state);
        write!(
            page,
            "<tr><td><code>{}</code><td>{}<td class={class}>{state}<td>{}<td>{}<td>{}<td>{}",
            Text(&endpoint.endpoint),
            Text(&endpoint.upstream),
            Text(endpoint.since.as_deref().unwrap_or("an earlier run")),
            endpoint.in_flight,
            Text(&last_probe(endpoint)),
            Text(&last_failure(endpoint))
        )?;
    }
    page.push_str("</table>");
    match unwell.total.saturating_sub(unwell.endpoints.len()) {
        0 => Ok(()),
        more => write!(page, "<p>And {more} more: <a href=\"{0}\">{0}</a>.</p>", paths::ENDPOINTS),
    }
}

/// The word of a state, and how it looks.
fn word(state: EndpointState) -> (&'static str, &'static str) {
    match state {
        EndpointState::Up => ("up", "good"),
        EndpointState::Unproven => ("unproven", "none"),
        EndpointState::Down => ("down", "bad"),
        EndpointState::Ejected => ("ejected", "bad"),
        EndpointState::Draining => ("draining", "none"),
        EndpointState::Leaving => ("leaving", "none"),
    }
}

fn last_probe(endpoint: &EndpointView) -> String {
    let Some(probe) = &endpoint.last_probe else { return "none".to_owned() };
    match (probe.status, &probe.error) {
        (Some(status), _) => format!("{}: status {status}", probe.at),
        (None, Some(error)) => format!("{}: {error}", probe.at),
        (None, None) => probe.at.clone(),
    }
}

fn last_failure(endpoint: &EndpointView) -> String {
    let told = endpoint.last_failure.as_ref().map(|failure| match failure.status {
        Some(status) => format!("{}: status {status}", failure.at),
        None => format!("{}: {}", failure.at, failure.cause),
    });
    told.unwrap_or_else(|| "none".to_owned())
}

fn write_source(source: &Source, page: &mut String) -> fmt::Result {
    let (state, class) = match source.state {
        SourceState::Connecting => ("connecting", "none"),
        SourceState::Following => ("following", "good"),
        SourceState::Failing => ("failing", "bad"),
    };
    let error = source.last_error.as_ref().map(|error| format!("{} {}: {}", error.at, error.kind, error.message));
    write!(
        page,
        "<tr><td>{} <code>{}</code><td class={class}>{state}<td>{}<td>{}<td>{}",
        Text(&source.name),
        Text(&source.target),
        Text(&source.since),
        Text(source.last_news_at.as_deref().unwrap_or("never")),
        Text(error.as_deref().unwrap_or("none"))
    )
}

/// The certificates that somebody must look at, and how many there are.
fn write_certificates(status: &Status, page: &mut String) -> fmt::Result {
    let Some(folder) = &status.certificate_folder else { return Ok(()) };
    let count = status.certificates.iter().filter(|certificate| certificate.in_force).count();
    write!(page, "<h2>Certificates</h2><p>{count} in force, from <code>{}</code>.", Text(&folder.folder))?;
    let bad = |file: &str, what: &str, page: &mut String| {
        write!(page, "<p class=bad><code>{}</code>: {}.</p>", Text(file), Text(what))
    };
    let of_clients = folder.client_certificates.iter().filter_map(|ca| ca.problem.as_ref());
    let of_pairs = status.certificates.iter().flat_map(|certificate| &certificate.problems);
    for problem in folder.problem.iter().chain(of_clients).chain(of_pairs).take(SHOWN) {
        bad(&problem.file, &problem.reason, page)?;
    }
    for certificate in status.certificates.iter().filter(|certificate| certificate.ends_soon).take(SHOWN) {
        let what = format!("ends at {}", certificate.not_after.as_deref().unwrap_or_default());
        bad(&certificate.stem, &what, page)?;
    }
    Ok(())
}

/// A text in HTML.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c if c.is_control() => write!(f, "{}", c.escape_default())?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

const SHOWN: usize = 20;
const LINKS: [(&str, &str); 8] = [
    (paths::STATUS, "how the instance is doing"),
    (paths::ROUTES, "the routes in force"),
    (paths::ENDPOINTS, "how each endpoint is"),
    (paths::REJECTIONS, "what is not taken, and why"),
    (paths::SNAPSHOT, "the snapshot in force"),
    (paths::METRICS, "metrics for Prometheus"),
    (paths::READYZ, "whether requests should be sent here"),
    (paths::OPENAPI, "the description of this API"),
];

const HEAD: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>webrouter</title>\
<meta name=viewport content=\"width=device-width\"><style>\
:root{color-scheme:light dark;--good:light-dark(#176b2c,#6fd08a);--bad:light-dark(#a3200d,#ff9a85);\
--line:light-dark(#ccc,#444)}\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}\
table{border-collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid var(--line);\
vertical-align:top;overflow-wrap:anywhere}th{font-weight:600}small{font-weight:400}\
.good{color:var(--good)}.bad{color:var(--bad)}</style>";

#[cfg(test)]
mod tests {
    use super::Text;

    #[test]
    fn foreign_text_stays_text() {
        let text = Text("<script>\"'&\u{1b}é").to_string();
        assert_eq!(text, "&lt;script&gt;&quot;&#39;&amp;\\u{1b}é");
    }
}
