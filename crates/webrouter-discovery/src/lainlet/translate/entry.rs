//! One entry of a state into a proc: the annotation of its first pod, the first container of each.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::rejection::{Reason, Reasons};

use super::text::Text;
use crate::source::excerpt;

/// Translates an entry's JSON; `known` is the proc as it was, which stands in for what cannot be known now.
pub(super) fn translate(json: &str, known: Option<&Proc>) -> Proc {
    let entry: RawEntry<'_> = match serde_json::from_str(json) {
        Ok(Object(entry)) => entry,
        Err(error) => return unreadable(Reason::UnreadableEntry(excerpt(&error.to_string())), known),
    };
    let pods = entry.pods.0;
    let (claims, reasons) = match pods.first() {
        Some(pod) => claims(pod.annotation.as_ref().map_or("", |text| text.0.as_ref())),
        None => unknown_claims(known),
    };
    let mut endpoints = Vec::with_capacity(pods.len());
    let mut seen = BTreeSet::new();
    let mut reasons = Reasons::after(reasons);
    for (at, pod) in pods.iter().enumerate() {
        // A pod that has no container yet is nothing to complain about.
        let Some(container) = &pod.containers.0 else { continue };
        let ip = container.ip.as_ref().map_or("", |text| text.0.as_ref());
        match Endpoint::from_parts(ip, container.port.unwrap_or(0)) {
            Ok(endpoint) if seen.insert(endpoint) => endpoints.push(endpoint),
            Ok(_) => {}
            Err(error) => reasons.note(|| Reason::BadEndpoint(excerpt(&format!("instance {}: {error}", at + 1)))),
        }
    }
    Proc { claims, endpoints: endpoints.into(), reasons: reasons.into_vec() }
}

/// The proc of an entry that cannot be read: as it was, and the reason.
pub(super) fn unreadable(reason: Reason, known: Option<&Proc>) -> Proc {
    let endpoints = known.map_or_else(|| Arc::from([]), |known| Arc::clone(&known.endpoints));
    Proc { claims: Claims::Unreadable(reason), endpoints, reasons: Vec::new() }
}

fn claims(text: &str) -> (Claims, Vec<Reason>) {
    if text.len() > MAX_ANNOTATION_BYTES {
        let error = format!("it is {} bytes long; at most {MAX_ANNOTATION_BYTES} are taken", text.len());
        return (Claims::Unreadable(Reason::UnreadableAnnotation(error)), Vec::new());
    }
    match Annotation::parse(text) {
        Ok((annotation, reasons)) => (Claims::Readable(Arc::new(annotation)), reasons),
        Err(Reason::UnreadableAnnotation(error)) => {
            (Claims::Unreadable(Reason::UnreadableAnnotation(excerpt(&error))), Vec::new())
        }
        Err(reason) => (Claims::Unreadable(reason), Vec::new()),
    }
}

/// The claims of an entry without pods: nothing tells them now, so they are what they were.
fn unknown_claims(known: Option<&Proc>) -> (Claims, Vec<Reason>) {
    let Some(known) = known else { return (Claims::Readable(Arc::default()), Vec::new()) };
    let of_the_annotation = |reason: &&Reason| !matches!(reason, Reason::BadEndpoint(_) | Reason::More(_));
    (known.claims.clone(), known.reasons.iter().filter(of_the_annotation).cloned().collect())
}

#[derive(Deserialize)]
struct RawEntry<'a> {
    #[serde(rename = "PodInfos", borrow, default)]
    pods: Pods<'a>,
}

#[derive(Deserialize)]
struct RawPod<'a> {
    #[serde(rename = "Annotation", borrow, default)]
    annotation: Option<Text<'a>>,
    #[serde(rename = "ContainerInfos", borrow, default)]
    containers: FirstContainer<'a>,
}

#[derive(Deserialize)]
struct RawContainer<'a> {
    #[serde(rename = "ContainerIp", borrow, default)]
    ip: Option<Text<'a>>,
    #[serde(rename = "Expose", default)]
    port: Option<i64>,
}

/// Pods, so many as may be; `null` is none.
#[derive(Default)]
struct Pods<'a>(Vec<RawPod<'a>>);

/// The first container of a pod; those behind it are sidecars and are passed over, whatever they are.
#[derive(Default)]
struct FirstContainer<'a>(Option<RawContainer<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Pods<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PodsVisitor)
    }
}

struct PodsVisitor;

impl<'de> Visitor<'de> for PodsVisitor {
    type Value = Pods<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {MAX_PODS} pods, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Pods::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut pods: Vec<RawPod<'de>> = Vec::new();
        while let Some(Object(mut pod)) = seq.next_element::<Object<RawPod<'de>>>()? {
            if pods.len() == MAX_PODS {
                return Err(serde::de::Error::invalid_length(pods.len() + 1, &self));
            }
            if !pods.is_empty() {
                // Only the first one's is read.
                pod.annotation = pod.annotation.map(|_| Text(Cow::Borrowed("")));
            }
            pods.push(pod);
        }
        Ok(Pods(pods))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for FirstContainer<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(FirstContainerVisitor)
    }
}

struct FirstContainerVisitor;

impl<'de> Visitor<'de> for FirstContainerVisitor {
    type Value = FirstContainer<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of containers, or null")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(FirstContainer::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let first = seq.next_element::<Object<RawContainer<'de>>>()?;
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(FirstContainer(first.map(|container| container.0)))
    }
}

/// A JSON object, and nothing else: a list is not taken for the fields in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Object)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map))
    }
}

const MAX_PODS: usize = 10_000;
/// Far above any real one; parsing compares each mountpoint with those before it.
const MAX_ANNOTATION_BYTES: usize = 32 * 1024;
