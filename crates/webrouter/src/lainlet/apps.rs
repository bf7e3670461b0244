//! The file of apps as lainlet's JSON: one fragment a proc, made again only when its lines changed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use imbl::OrdMap;
use serde::Deserialize;

use super::json::push_string;
use crate::config::{ConfigError, toml_mistake};

/// What a file says: web procs and cluster settings. Cloning is cheap.
#[derive(Debug, Clone, Default)]
pub(crate) struct Apps {
    text: Arc<str>,
    chunks: Vec<Chunk>,
    procs: OrdMap<Arc<str>, Arc<Proc>>,
    settings: Arc<BTreeMap<String, String>>,
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

/// A piece of the file that is a TOML document by itself, from one header line to the next.
#[derive(Debug, Clone)]
struct Chunk {
    start: usize,
    end: usize,
    meaning: Arc<Meaning>,
}

#[derive(Debug, Default)]
struct Meaning {
    procs: Vec<(Arc<str>, Arc<Proc>)>,
    settings: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    #[serde(default)]
    apps: BTreeMap<String, RawApp>,
    #[serde(default)]
    config: toml::Table,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawApp {
    #[serde(default)]
    mountpoint: Vec<String>,
    #[serde(default)]
    https_only: bool,
    #[serde(default)]
    healthcheck: Option<String>,
    #[serde(default)]
    endpoints: Vec<RawEndpoint>,
}

/// `ip:port`; an empty ip is a container that has no address.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct RawEndpoint {
    ip: String,
    port: u16,
}

impl Apps {
    /// Reads the file again; what did not change since `self` is taken over.
    pub(crate) fn read(&self, path: &Path) -> Result<Self, ConfigError> {
        let bytes = std::fs::read(path);
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).map_err(std::io::Error::other));
        let text = text.map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
        self.parse(&text).map_err(|error| toml_mistake(&error, path, &text))
    }

    /// Parses a new text of the file.
    pub(super) fn parse(&self, text: &str) -> Result<Self, toml::de::Error> {
        match self.parse_chunks(text) {
            Some(apps) => Ok(apps),
            // Not divisible at the header lines, or wrong: the whole file decides, and reports with true places.
            None => {
                let meaning = Arc::new(Meaning::parse(text)?);
                let chunk = Chunk { start: 0, end: text.len(), meaning };
                Ok(Self {
                    text: text.into(),
                    procs: chunk.meaning.procs.iter().cloned().collect(),
                    settings: Arc::new(chunk.meaning.settings.clone()),
                    chunks: vec![chunk],
                })
            }
        }
    }

    /// The procs by name.
    pub(super) fn procs(&self) -> &OrdMap<Arc<str>, Arc<Proc>> {
        &self.procs
    }

    /// The keys of `/lain/config` with their texts.
    pub(super) fn settings(&self) -> &Arc<BTreeMap<String, String>> {
        &self.settings
    }

    /// How many web procs there are.
    pub(super) fn len(&self) -> usize {
        self.procs.len()
    }

    /// When every chunk is a document of its own, together they are the file, unless a name comes twice.
    fn parse_chunks(&self, text: &str) -> Option<Self> {
        let ranges = chunk_ranges(text);
        let same = |old: &Chunk, new: &(usize, usize)| self.text.get(old.start..old.end) == text.get(new.0..new.1);
        let head = self.chunks.iter().zip(&ranges).take_while(|(old, new)| same(old, new)).count();
        let rest = self.chunks.len().min(ranges.len()) - head;
        let pairs = self.chunks.iter().rev().zip(ranges.iter().rev()).take(rest);
        let tail = pairs.take_while(|(old, new)| same(old, new)).count();

        let mut procs = self.procs.clone();
        for (name, _) in self.chunks.get(head..self.chunks.len() - tail)?.iter().flat_map(|c| &c.meaning.procs) {
            procs.remove(name);
        }
        let mut chunks = Vec::with_capacity(ranges.len());
        for (number, &(start, end)) in ranges.iter().enumerate() {
            let old = match number {
                n if n < head => self.chunks.get(n),
                n if n >= ranges.len() - tail => self.chunks.get(self.chunks.len() - (ranges.len() - n)),
                _ => None,
            };
            let meaning = match old {
                Some(old) => Arc::clone(&old.meaning),
                None => Arc::new(Meaning::parse(text.get(start..end)?).ok()?),
            };
            if old.is_none() {
                for (name, proc) in &meaning.procs {
                    if procs.insert(Arc::clone(name), Arc::clone(proc)).is_some() {
                        return None;
                    }
                }
            }
            chunks.push(Chunk { start, end, meaning });
        }
        let mut settings = BTreeMap::new();
        for (key, value) in chunks.iter().flat_map(|chunk| &chunk.meaning.settings) {
            if settings.insert(key.clone(), value.clone()).is_some() {
                return None;
            }
        }
        Some(Self { text: text.into(), chunks, procs, settings: Arc::new(settings) })
    }
}

impl Meaning {
    fn parse(text: &str) -> Result<Self, toml::de::Error> {
        let file: RawFile = toml::from_str(text)?;
        let web = file.apps.iter().filter(|(name, _)| is_web(name));
        let procs = web.map(|(name, app)| (Arc::from(name.as_str()), Arc::new(app.render(name)))).collect();
        let settings = file.config.into_iter().map(|(key, value)| (key, setting_text(&value))).collect();
        Ok(Self { procs, settings })
    }
}

impl RawApp {
    fn render(&self, name: &str) -> Proc {
        let mut annotation = String::from("{\"mountpoint\":[");
        for (number, mountpoint) in self.mountpoint.iter().enumerate() {
            annotation.push_str(if number == 0 { "" } else { "," });
            push_plain(&mut annotation, mountpoint);
        }
        annotation.push(']');
        if self.https_only {
            annotation.push_str(",\"https_only\":true");
        }
        if let Some(healthcheck) = &self.healthcheck {
            annotation.push_str(",\"healthcheck\":");
            push_plain(&mut annotation, healthcheck);
        }
        annotation.push('}');

        let mut fragment = String::new();
        push_string(&mut fragment, name);
        fragment.push_str(":{\"PodInfos\":[");
        for (number, endpoint) in self.endpoints.iter().enumerate() {
            fragment.push_str(if number == 0 { "{\"Annotation\":" } else { ",{\"Annotation\":" });
            push_string(&mut fragment, &annotation);
            fragment.push_str(",\"ContainerInfos\":[{\"ContainerIp\":");
            push_string(&mut fragment, &endpoint.ip);
            fragment.push_str(&format!(",\"Expose\":{}}}]}}", endpoint.port));
        }
        fragment.push_str("]}");
        let alive = self.endpoints.iter().filter(|endpoint| !endpoint.ip.is_empty()).count();
        Proc { fragment, pods: self.endpoints.len(), alive }
    }
}

impl TryFrom<String> for RawEndpoint {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
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

/// Pieces that begin at a line with `[` in its first column.
fn chunk_ranges(text: &str) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = vec![0];
    starts.extend(memchr::memmem::find_iter(text.as_bytes(), b"\n[").map(|at| at + 1));
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).collect()
}
