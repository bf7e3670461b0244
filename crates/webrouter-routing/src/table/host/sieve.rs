//! Which names may be hosts of the table: small enough to stay in the cache, never wrong when it says no.
//!
//! Most of the names that are tried for one request, a suffix at a time, are no hosts. They are told here by one word
//! of memory, without a walk through the table. (A Bloom filter whose two bits of a name are in one word.)

use std::sync::Arc;

/// Names by their hashes; what was put in is not taken out again but by making a new one.
#[derive(Debug, Clone, Default)]
pub(super) struct Sieve {
    words: Arc<[u64]>,
    /// Names put in; those that are no longer hosts count too.
    names: usize,
}

impl Sieve {
    /// A sieve of these names, with room for as many again.
    pub(super) fn of(hashes: impl ExactSizeIterator<Item = u64>) -> Self {
        let words = (hashes.len() * 2).div_ceil(NAMES_PER_WORD).next_power_of_two();
        let mut sieve = Self { words: vec![0; words].into(), names: 0 };
        hashes.for_each(|hash| sieve.put(hash));
        sieve
    }

    /// Whether another name would let too many pass that are no hosts.
    pub(super) fn is_full(&self) -> bool {
        self.names >= self.words.len() * NAMES_PER_WORD
    }

    pub(super) fn put(&mut self, hash: u64) {
        self.names += 1;
        let place = self.place(hash);
        if let Some(word) = Arc::make_mut(&mut self.words).get_mut(place) {
            *word |= bits(hash);
        }
    }

    /// False only for a name that was never put in.
    pub(super) fn may_have(&self, hash: u64) -> bool {
        self.words.get(self.place(hash)).is_some_and(|word| word & bits(hash) == bits(hash))
    }

    /// The number of words is a power of two, or nought.
    fn place(&self, hash: u64) -> usize {
        hash as usize & self.words.len().wrapping_sub(1)
    }
}

fn bits(hash: u64) -> u64 {
    1 << (hash >> 58) | 1 << ((hash >> 52) & 63)
}

/// At most; then about one in twenty of other names passes.
const NAMES_PER_WORD: usize = 8;

#[cfg(test)]
mod tests {
    use std::hash::BuildHasher;

    use super::*;

    #[test]
    fn every_name_passes_and_few_others_do() {
        let hasher = foldhash::fast::RandomState::default();
        let hash = |number: u32| hasher.hash_one(format!("app-{number}.test"));
        let mut sieve = Sieve::default();
        assert!(sieve.is_full() && !sieve.may_have(hash(0)));
        for number in 0..10_000 {
            if sieve.is_full() {
                sieve = Sieve::of((0..number).map(hash).collect::<Vec<_>>().into_iter());
            }
            sieve.put(hash(number));
        }
        assert!((0..10_000).all(|number| sieve.may_have(hash(number))));
        let others = (10_000..20_000).filter(|&number| sieve.may_have(hash(number))).count();
        assert!(others < 800, "{others} of 10,000 pass");
        assert!(sieve.words.len() * 8 <= 16 * 1024, "{} words", sieve.words.len());
    }
}
