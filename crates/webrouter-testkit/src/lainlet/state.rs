//! What lainlet knows, and the text it makes of it.

use std::net::SocketAddr;

use serde_json::{Map, Value, json};

use super::{Garbage, Mode};

/// The answer to a question about the state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Json(String),
    Lost,
    NotFound,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) procs: Map<String, Value>,
    pub(super) config: Map<String, Value>,
}

impl State {
    /// What a request for `path` with this query is answered in `mode`.
    pub(super) fn answer(&self, path: &str, query: &Query, mode: Mode) -> Answer {
        match path.trim_end_matches('/') {
            "/v2/webrouter/webprocs" => self.webprocs(query.value("appname"), mode),
            "/v2/configwatcher" => self.configuration(query.value("target").unwrap_or_default(), mode),
            _ => Answer::NotFound,
        }
    }

    fn webprocs(&self, app: Option<&str>, mode: Mode) -> Answer {
        match mode {
            Mode::Error => return Answer::Lost,
            Mode::Empty => return Answer::Json("{}".to_owned()),
            Mode::Garbage(kind) => return Answer::Json(garbage(kind)),
            _ => {}
        }
        let app = app.map(|app| app.trim_end_matches('/')).filter(|app| !app.is_empty() && *app != "*");
        let mut procs: Map<String, Value> = self.procs.clone();
        procs.retain(|key, _| app.is_none_or(|app| app_of(key) == app));
        if mode == Mode::Halved {
            let mut keep = false;
            procs.retain(|_, _| {
                keep = !keep;
                keep
            });
        }
        if lost(&procs) { Answer::Lost } else { Answer::Json(text(&procs)) }
    }

    /// The exact key alone when it is there, else every key with that beginning.
    fn configuration(&self, target: &str, mode: Mode) -> Answer {
        match mode {
            Mode::Empty => return Answer::Json("{}".to_owned()),
            Mode::Garbage(kind) => return Answer::Json(garbage(kind)),
            _ => {}
        }
        let mut found = self.config.clone();
        let exact = found.contains_key(target);
        found.retain(|key, _| if exact { key == target } else { key.starts_with(target) });
        Answer::Json(text(&found))
    }
}

/// The query of a request target.
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Query {
        let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Query(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Anything but empty, `0` and `false` asks for a watch, `watch=no` too.
    pub(super) fn is_watch(&self) -> bool {
        !matches!(self.value("watch"), None | Some("" | "0" | "false"))
    }
}

/// An entry as deployd writes it: each pod with the annotation and one container.
pub(super) fn proc(annotation: &str, endpoints: &[SocketAddr]) -> Value {
    let pods: Vec<Value> = endpoints
        .iter()
        .map(|endpoint| {
            let container = json!({ "ContainerIp": endpoint.ip().to_string(), "Expose": endpoint.port() });
            json!({ "Annotation": annotation, "ContainerInfos": [container] })
        })
        .collect();
    json!({ "PodInfos": pods })
}

/// The error condition of the real one: fewer than half of the instances have an address, or there are none.
fn lost(procs: &Map<String, Value>) -> bool {
    let pods = procs.values().filter_map(|value| value.get("PodInfos")?.as_array());
    let (mut all, mut alive) = (0, 0);
    for pod in pods.flatten() {
        all += 1;
        let address = pod.pointer("/ContainerInfos/0/ContainerIp").and_then(Value::as_str);
        alive += usize::from(address.is_some_and(|address| !address.is_empty()));
    }
    all == 0 || alive * 2 < all
}

fn app_of(key: &str) -> &str {
    key.rsplitn(3, '.').nth(2).unwrap_or(key)
}

/// Compact, sorted, with the three characters escaped that Go's encoder escapes.
fn text(map: &Map<String, Value>) -> String {
    let text = serde_json::to_string(map).unwrap_or_default();
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn garbage(kind: Garbage) -> String {
    match kind {
        Garbage::NotJson => "<html>not what you asked for".to_owned(),
        Garbage::Truncated => text(&Map::from_iter([("demo.web.web".to_owned(), proc("{}", &[]))])),
        Garbage::WrongTypes => r#"{"demo.web.web":{"PodInfos":7},"ssl":[1,2],"x":null}"#.to_owned(),
        Garbage::HugeLine => format!("{{\"demo.web.web\":\"{}\"}}", "x".repeat(50_000_000)),
    }
}
