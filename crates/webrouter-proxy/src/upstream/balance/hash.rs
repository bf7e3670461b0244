//! Weighted rendezvous hashing: each endpoint bids for a key, the highest bid has it. When an endpoint leaves only its own keys
//! move, each to its next bidder; when one comes it takes a share from each of the others.
//!
//! Every instance, of every version, finds the same, so the hash is fixed: FNV-1a (64 bits) over the bytes, and over an
//! endpoint's address as text (`10.0.0.1:80`, `[::1]:80`), each finished with MurmurHash3's `fmix64`; a bid is `fmix64(key ^ endpoint)`,
//! read as a fraction u of 1 and weighted as `-weight / ln u`. It is no secret, so a client that chooses its key chooses
//! its endpoint.

use crate::upstream::view::{Seat, View};

impl View {
    /// The highest bidder of the candidates. A slow start does not count: a key belongs where it belongs.
    pub(super) fn highest_bidder(&self, candidates: &[usize], key: u64) -> usize {
        let bid = |place: usize| {
            let bid = mix(key ^ self.seats.get(place).map_or(0, |seat| seat.hash()));
            (weighted(bid, self.weight(place)), bid)
        };
        let mut highest = (0, (f64::MIN, 0));
        for (nth, place) in candidates.iter().enumerate() {
            let bid = bid(*place);
            if bid > highest.1 {
                highest = (nth, bid);
            }
        }
        highest.0
    }
}

impl Seat {
    fn hash(&self) -> u64 {
        *self.hash.get_or_init(|| of(self.shared.endpoint.to_string().as_bytes()))
    }
}

/// The hash of a key.
pub(super) fn of(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(FNV_OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME)))
}

/// Spreads what differs in a few bits over all of them (`fmix64`).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    bits ^ (bits >> 33)
}

/// Grows with the bid, and so with the weight that an endpoint wins that share of the keys. In 0 < u < 1 it is finite.
fn weighted(bid: u64, weight: u32) -> f64 {
    let fraction = ((bid >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -f64::from(weight) / fraction.ln()
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;

#[cfg(test)]
mod tests {
    use super::*;

    /// Other instances, and other versions, must find the same.
    #[test]
    fn hashes_stay_as_they_are() {
        let check = |bytes: &[u8], expected: u64| assert_eq!(of(bytes), expected, "{}", bytes.escape_ascii());
        check(b"", 0xefd0_1f60_ba99_2926);
        check(b"alice", 0x3507_d047_a67c_08f4);
        check(b"10.0.0.1:80", 0x5ed8_f827_5e47_a14a);
        check(&[192, 0, 2, 1], 0x8039_3182_6a22_88ea);
    }

    #[test]
    fn a_bid_is_finite_whatever_it_is() {
        for bid in [0, 1, u64::MAX / 2, u64::MAX] {
            assert!(weighted(bid, 1).is_finite() && weighted(bid, 256) > weighted(bid, 1), "{bid}");
        }
    }
}
