//! The file of apps as lainlet's JSON: one fragment a proc, made again only when its lines changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use serde::Deserialize;
use webrouter_discovery::file::{AppEndpoint, AppOf, AppsFile};

use super::json::push_string;
use crate::config::{ConfigError, toml_mistake};

/// A file of apps that is read again and again.
#[derive(Debug)]
pub(crate) struct Apps {
    path: PathBuf,
    file: AppsFile,
    told: Told,
}

/// What a file says: web procs and cluster settings. Cloning is cheap.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) procs: OrdMap<Arc<str>, Arc<Proc>>,
    /// The keys of `/lain/config` with their texts.
    pub(super) settings: Arc<BTreeMap<String, String>>,
}

/// One web proc on the wire.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Proc {
    /// `"demo.web.web":{"PodInfos":[…]}`
    pub(super) fragment: String,
    pub(super) pods: usize,
    /// Pods that have an address.
    pub(super) alive: usize,
}

/// The file as a whole, for what is not told piece by piece: settings, and mistakes with their places.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    apps: BTreeMap<String, AppOf<RawEndpoint>>,
    #[serde(default)]
    config: toml::Table,
}

/// `ip:port`; an empty ip is a container that has no address. lainlet has no word for a weight.
#[derive(Debug, Deserialize)]
#[serde(try_from = "AppEndpoint")]
struct RawEndpoint {
    ip: String,
    port: u16,
}

impl Apps {
    /// A file that has not been read yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), file: AppsFile::new(path), told: Told::default() }
    }

    /// Reads the file again; after an error what it said last stays.
    pub(crate) fn read(&mut self) -> Result<(), ConfigError> {
        let bytes = std::fs::read(&self.path);
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        let text = text.map_err(|error| ConfigError::Unreadable { path: self.path.clone(), error })?;
        self.parse(&text).map_err(|error| toml_mistake(&error, &self.path, &text))
    }

    /// Takes a new text of the file.
    pub(super) fn parse(&mut self, text: &str) -> Result<(), toml::de::Error> {
        if self.parse_changes(text).is_some() {
            return Ok(());
        }
        // Settings behind apps, or wrong: the whole file decides, and reports with true places.
        let file: RawFile = toml::from_str(text)?;
        self.file = AppsFile::new(&self.path);
        let web = file.apps.iter().filter(|(name, _)| is_web(name));
        let procs = web.map(|(name, app)| (Arc::from(name.as_str()), Arc::new(render(name, app)))).collect();
        self.told = Told { procs, settings: settings(file.config) };
        Ok(())
    }

    /// What the last good text says.
    pub(super) fn told(&self) -> &Told {
        &self.told
    }

    /// How many web procs there are.
    pub(super) fn len(&self) -> usize {
        self.told.procs.len()
    }

    /// Renders the apps that changed; `None` when the file is not settings first and apps behind them.
    fn parse_changes(&mut self, text: &str) -> Option<()> {
        let first_app =
            if text.starts_with(FIRST_APP) { 0 } else { memchr::memmem::find(text.as_bytes(), NEXT_APP)? + 1 };
        let (head, apps) = text.split_at_checked(first_app)?;
        let head: RawFile = toml::from_str(head).ok().filter(|head: &RawFile| head.apps.is_empty())?;
        let known = self.file.text().is_empty();
        let changes = self.file.update(apps.to_owned()).ok()?;
        let mut procs = if known { OrdMap::new() } else { self.told.procs.clone() };
        for change in changes.iter().filter(|change| is_web(&change.name)) {
            match &change.app {
                Some(app) => {
                    let proc = render(&change.name, &app.try_map_endpoints(RawEndpoint::try_from).ok()?);
                    procs.insert(change.name.as_str().into(), Arc::new(proc));
                }
                None => drop(procs.remove(change.name.as_str())),
            }
        }
        self.told.procs = procs;
        let settings = settings(head.config);
        if settings != self.told.settings {
            self.told.settings = settings;
        }
        Some(())
    }
}

fn render(name: &str, app: &AppOf<RawEndpoint>) -> Proc {
    let mut annotation = String::from("{\"mountpoint\":[");
    for (number, mountpoint) in app.mountpoint.iter().enumerate() {
        annotation.push_str(if number == 0 { "" } else { "," });
        push_plain(&mut annotation, mountpoint);
    }
    annotation.push(']');
    if app.https_only {
        annotation.push_str(",\"https_only\":true");
    }
    if let Some(healthcheck) = &app.healthcheck {
        annotation.push_str(",\"healthcheck\":");
        push_plain(&mut annotation, healthcheck);
    }
    for (key, value) in &app.wishes {
        let value = serde_json::to_string(value).expect("texts and numbers are JSON");
        annotation.push_str(&format!(",\"{key}\":{value}"));
    }
    annotation.push('}');

    let mut fragment = String::new();
    push_string(&mut fragment, name);
    fragment.push_str(":{\"PodInfos\":[");
    for (number, endpoint) in app.endpoints.iter().enumerate() {
        fragment.push_str(if number == 0 { "{\"Annotation\":" } else { ",{\"Annotation\":" });
        push_string(&mut fragment, &annotation);
        fragment.push_str(",\"ContainerInfos\":[{\"ContainerIp\":");
        push_string(&mut fragment, &endpoint.ip);
        fragment.push_str(&format!(",\"Expose\":{}}}]}}", endpoint.port));
    }
    fragment.push_str("]}");
    let alive = app.endpoints.iter().filter(|endpoint| !endpoint.ip.is_empty()).count();
    Proc { fragment, pods: app.endpoints.len(), alive }
}

impl TryFrom<AppEndpoint> for RawEndpoint {
    type Error = String;

    fn try_from(AppEndpoint { address: text, .. }: AppEndpoint) -> Result<Self, String> {
        let parts = text.rsplit_once(':').and_then(|(ip, port)| Some((ip, port.parse().ok()?)));
        let Some((ip, port)) = parts else {
            return Err(format!("endpoint `{}` is not of the form ip:port", text.escape_debug()));
        };
        Ok(Self { ip: ip.trim_start_matches('[').trim_end_matches(']').to_owned(), port })
    }
}

/// Only procs named `<app>.web.<proc>` are web procs; the rest is not told.
fn is_web(name: &str) -> bool {
    let mut parts = name.rsplit('.').skip(1);
    parts.next() == Some("web") && parts.next().is_some()
}

/// A text stays as it is, anything else becomes JSON, as operators write it into etcd.
fn setting_text(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

/// A JSON string inside the annotation; its `<`, `>`, `&` are escaped with the annotation as a whole.
fn push_plain(out: &mut String, text: &str) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn settings(config: toml::Table) -> Arc<BTreeMap<String, String>> {
    Arc::new(config.into_iter().map(|(key, value)| (key, setting_text(&value))).collect())
}

const FIRST_APP: &str = "[apps.";
const NEXT_APP: &[u8] = b"\n[apps.";
