//! One hash of a name for all that is asked about it.

use std::hash::{BuildHasher, Hash, Hasher};

use equivalent::Equivalent;
use foldhash::fast::{FoldHasher, RandomState};

use crate::host::Host;

/// Hashes hosts by their text, and takes the hash of what was [`Asked`] as it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Hashing(RandomState);

pub(super) struct NameHasher {
    text: FoldHasher<'static>,
    known: Option<u64>,
}

/// A name that is looked for, with its hash.
pub(super) struct Asked<'a> {
    name: &'a str,
    hash: u64,
}

impl<'a> Asked<'a> {
    pub(super) fn new(name: &'a str, hashing: &Hashing) -> Self {
        Self { name, hash: hashing.hash_one(name) }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}

impl Hash for Asked<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Equivalent<Host> for Asked<'_> {
    fn equivalent(&self, host: &Host) -> bool {
        self.name == host.as_str()
    }
}

impl BuildHasher for Hashing {
    type Hasher = NameHasher;

    fn build_hasher(&self) -> NameHasher {
        NameHasher { text: self.0.build_hasher(), known: None }
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        self.text.write(bytes);
    }

    fn write_u8(&mut self, byte: u8) {
        self.text.write_u8(byte);
    }

    fn write_u64(&mut self, hash: u64) {
        self.known = Some(hash);
    }

    fn finish(&self) -> u64 {
        self.known.unwrap_or_else(|| self.text.finish())
    }
}
