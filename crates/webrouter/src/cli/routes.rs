//! `webrouter routes`

use webrouter_admin_api::{Route, RouteFlag, Routes, paths};

use super::{Instance, Verdict, print, print_json, text};

pub(super) async fn routes(instance: &Instance, host: Option<String>, app: Option<String>) -> anyhow::Result<Verdict> {
    let mut query = vec![("limit", PAGE)];
    query.extend(host.as_deref().map(|host| ("host", host)));
    query.extend(app.as_deref().map(|app| ("app", app)));
    // One page, so that the list is of one generation.
    let routes: Routes = instance.get(paths::ROUTES, &query).await?;
    show(instance, &routes)
}

fn show(instance: &Instance, routes: &Routes) -> anyhow::Result<Verdict> {
    if instance.json {
        return print_json(routes);
    }
    if routes.routes.is_empty() {
        return print(format!("no routes (generation {})\n", routes.generation).as_bytes());
    }
    let mut table = text::table(&["MOUNTPOINT", "UPSTREAM", "SOURCE", "ENDPOINTS", "NOTES"]);
    for route in &routes.routes {
        table.add_row([&route.mountpoint, &route.upstream, &route.source, &endpoints(route), &notes(route)]);
    }
    let shown = match routes.routes.len() {
        all if all == routes.total => String::new(),
        some => format!(", the first {some} are shown; narrow them with --host or --app"),
    };
    let count = format!("{} routes, generation {}{shown}\n", routes.total, routes.generation);
    print((text::lines(&table) + &count).as_bytes())
}

fn endpoints(route: &Route) -> String {
    match route.endpoints.is_empty() {
        true => "-".to_owned(),
        false => route.endpoints.join(","),
    }
}

/// What an operator should know, in a few words.
pub(super) fn notes(route: &Route) -> String {
    let word = |flag: &RouteFlag| match flag {
        RouteFlag::NoEndpoint => "no endpoint (503)",
        RouteFlag::Quarantined => "quarantined",
        RouteFlag::HttpsNotServed => "https_only, but nothing serves https",
    };
    route.flags.iter().map(word).collect::<Vec<_>>().join(", ")
}

/// As many as an instance tells at once.
const PAGE: &str = "100000";
