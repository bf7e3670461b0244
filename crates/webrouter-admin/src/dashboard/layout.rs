//! What all pages have around their content.

use maud::{DOCTYPE, Markup, html};
use webrouter_admin_api::paths;

use super::assets::{ICON, SCRIPT, STYLE};

/// Where a page is in the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    /// An app's page is below it.
    Map,
    Rejections,
    History,
    Doctor,
}

/// A page: its title, and what stands between header and footer.
pub(super) fn page(title: &str, place: Place, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – webrouter" }
                link rel="icon" href=(ICON) type="image/svg+xml";
                link rel="stylesheet" href=(STYLE);
                script src=(SCRIPT) defer {}
            }
            body data-events=(paths::EVENTS) {
                a.skip href="#main" { "Skip to the content" }
                header.top {
                    a.brand href="/" { img src=(ICON) alt="" width="24" height="24"; "webrouter" }
                    nav aria-label="Pages" {
                        ul {
                            @for (of, path, name) in PAGES {
                                li { a href=(path) aria-current=[(of == place).then_some("page")] { (name) } }
                            }
                        }
                    }
                    p #connection .connection hidden { "live" }
                }
                main #main tabindex="-1" {
                    (content)
                    p #news .unseen role="status" aria-live="polite" {}
                }
                footer {
                    "webrouter " (env!("CARGO_PKG_VERSION"))
                    ul { @for (path, name) in DOCUMENTS { li { a href=(path) { (name) } } } }
                }
            }
        }
    }
}

/// The navigation, in order.
pub(super) const PAGES: [(Place, &str, &str); 5] = [
    (Place::Overview, "/", "Overview"),
    (Place::Map, "/map", "Map"),
    (Place::Rejections, "/rejections", "Rejections"),
    (Place::History, "/history", "History"),
    (Place::Doctor, "/doctor", "Doctor"),
];

const DOCUMENTS: [(&str, &str); 6] = [
    (paths::STATUS, "status"),
    (paths::ROUTES, "routes"),
    (paths::ENDPOINTS, "endpoints"),
    (paths::TRAFFIC, "traffic"),
    (paths::METRICS, "metrics"),
    (paths::OPENAPI, "API"),
];
