//! `webrouter routes`

use webrouter_admin_api::{Route, RouteFlag, Routes, paths};

use super::{Instance, Verdict, print, print_json, text};

pub(super) async fn routes(instance: &Instance, host: Option<String>, app: Option<String>) -> anyhow::Result<Verdict> {
    let mut all: Option<Routes> = None;
    loop {
        let offset = all.as_ref().map_or(0, |all| all.routes.len()).to_string();
        let mut query = vec![("offset", offset.as_str()), ("limit", PAGE)];
        query.extend(host.as_deref().map(|host| ("host", host)));
        query.extend(app.as_deref().map(|app| ("app", app)));
        let page: Routes = instance.get(paths::ROUTES, &query).await?;
        let last = page.routes.is_empty();
        let all = match &mut all {
            // The table changed between two pages: begin again, so that the list is of one generation.
            Some(all) if all.generation != page.generation => {
                *all = Routes { routes: Vec::new(), ..page };
                continue;
            }
            Some(all) => {
                all.routes.extend(page.routes);
                all
            }
            None => all.insert(page),
        };
        if last || all.routes.len() >= all.total {
            return show(instance, all);
        }
    }
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
    let count = format!("{} routes, generation {}\n", routes.total, routes.generation);
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

const PAGE: &str = "1000";
