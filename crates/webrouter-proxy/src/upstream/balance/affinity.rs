//! What a request brings that decides where it goes: a key to be hashed, or a cookie that leads back. Only a policy that asks
//! for it has it looked for.

use std::net::IpAddr;

use webrouter_routing::policy::{Balance, HashKey};

use super::hash;
use crate::http1::cookie;
use crate::http1::head::RequestHead;
use crate::sticky::{StickyKey, Tag};
use crate::upstream::view::View;

/// What a request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Affinity {
    /// Nothing that counts here.
    None,
    /// The hash of its key.
    Hash(u64),
    /// The place of the seat that its cookie leads to, if any does.
    Sticky(Option<usize>),
}

impl View {
    /// What a request brings, as far as the upstream's way of balancing asks for it.
    pub(crate) fn affinity(&self, head: &RequestHead, bytes: &[u8], client: IpAddr, key: &StickyKey) -> Affinity {
        match &self.upstream.policy.balance {
            Balance::RoundRobin | Balance::LeastRequests => Affinity::None,
            Balance::Hash(what) => hashed(what, head, bytes, client).map_or(Affinity::None, Affinity::Hash),
            Balance::Sticky(name) => Affinity::Sticky(self.led_to(name, head, bytes, key)),
        }
    }

    /// Of several cookies of the name the first that leads anywhere counts: another one may have been set by an app, or
    /// for another mountpoint of the host.
    fn led_to(&self, name: &str, head: &RequestHead, bytes: &[u8], key: &StickyKey) -> Option<usize> {
        let presented = cookies(head, bytes, name.as_bytes()).take(MAX_COOKIES).filter(|value| Tag::is_possible(value));
        let place = |value| self.seats.iter().position(|seat| seat.tag(key).is(value));
        presented.into_iter().find_map(place)
    }
}

/// A key that is missing or empty says nothing.
fn hashed(what: &HashKey, head: &RequestHead, bytes: &[u8], client: IpAddr) -> Option<u64> {
    let is_said = |value: &&[u8]| !value.is_empty();
    match what {
        HashKey::Header(name) => fields(head, bytes, name.as_bytes()).find(is_said).map(hash::of),
        HashKey::Cookie(name) => cookies(head, bytes, name.as_bytes()).find(is_said).map(hash::of),
        HashKey::Client => Some(match client.to_canonical() {
            IpAddr::V4(v4) => hash::of(&v4.octets()),
            IpAddr::V6(v6) => hash::of(&v6.octets()),
        }),
    }
}

fn cookies<'a>(head: &'a RequestHead, bytes: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    fields(head, bytes, b"cookie").flat_map(move |field| cookie::values(field, name))
}

fn fields<'a>(head: &'a RequestHead, bytes: &'a [u8], name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let named = head.fields.iter().filter(move |field| field.name.of_bytes(bytes).eq_ignore_ascii_case(name));
    named.map(|field| field.value.of_bytes(bytes))
}

/// Each is compared with every endpoint: a client must not make that costly.
const MAX_COOKIES: usize = 4;

#[cfg(test)]
mod tests;
