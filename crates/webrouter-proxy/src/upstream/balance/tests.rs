use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use webrouter_routing::name::{ProcKey, ProcName, SourceName};
use webrouter_routing::policy::{HashKey, Policy};
use webrouter_routing::route::{Upstream, UpstreamId};

use super::*;
use crate::fleet::endpoint::Mark;
use crate::fleet::{Fleet, FleetConfig};

/// The nth endpoint of a network where nobody is.
pub(super) fn endpoint(nth: u32) -> Endpoint {
    Endpoint::parse(&format!("10.0.{}.{}:8000", nth / 256, nth % 256)).expect("an endpoint")
}

/// So many endpoints, all ready.
pub(super) fn view(endpoints: u32, policy: Policy) -> Rc<View> {
    view_of(&(0..endpoints).collect::<Vec<_>>(), policy)
}

fn view_of(endpoints: &[u32], policy: Policy) -> Rc<View> {
    let fleet = Fleet::new(FleetConfig::default(), Vec::new());
    let upstream = upstream(&endpoints.iter().map(|nth| endpoint(*nth)).collect::<Vec<_>>(), policy);
    Rc::new(View::new(&upstream, &fleet.upstream(&upstream), &fleet, None, 0))
}

/// The upstream of these.
pub(crate) fn upstream(endpoints: &[Endpoint], policy: Policy) -> Arc<Upstream> {
    let name = ProcName::parse("demo.web.web").expect("a name");
    Arc::new(Upstream {
        id: UpstreamId(0),
        proc: ProcKey { source: SourceName::new("test"), name },
        name: "demo__upstream__web".to_owned(),
        endpoints: endpoints.into(),
        annotation: Arc::default(),
        policy: Arc::new(policy),
    })
}

fn by(balance: Balance) -> Policy {
    Policy { balance, ..Policy::default() }
}

fn weighing(balance: Balance, weights: &[u32]) -> Policy {
    let weights = (0..).zip(weights).map(|(nth, weight)| (endpoint(nth), *weight)).collect();
    Policy { balance, weights, ..Policy::default() }
}

/// Asks a view, with the same luck every time.
struct Asker {
    view: Rc<View>,
    random: RefCell<fastrand::Rng>,
}

impl Asker {
    fn new(view: Rc<View>) -> Self {
        Self { view, random: RefCell::new(fastrand::Rng::with_seed(42)) }
    }

    /// Who is chosen of those that are not tried and have room.
    fn choose(
        &self,
        affinity: Affinity,
        tried: &[Endpoint],
        has_room: impl Fn(Endpoint) -> bool,
    ) -> Result<Endpoint, Refusal> {
        let ask = Ask { tried, affinity, random: &self.random };
        self.view.choose(&ask, |seat| has_room(seat.shared.endpoint).then_some(seat.shared.endpoint))
    }

    fn next(&self, affinity: Affinity) -> Endpoint {
        self.choose(affinity, &[], |_| true).expect("an endpoint")
    }

    /// How many of so many requests each gets, in the table's order.
    fn spread(&self, requests: u32) -> Vec<u32> {
        let mut counts = BTreeMap::new();
        for _ in 0..requests {
            *counts.entry(self.next(Affinity::None)).or_insert(0) += 1;
        }
        self.view.seats.iter().map(|seat| counts.get(&seat.shared.endpoint).copied().unwrap_or(0)).collect()
    }

    fn mark(&self, nth: usize, mark: Mark) {
        self.view.seats[nth].shared.mark(mark);
    }
}

#[test]
fn round_robin_is_even_whoever_is_out() {
    let check = |endpoints: u32, sick: &[usize], expected: &[u32]| {
        let asker = Asker::new(view(endpoints, Policy::default()));
        sick.iter().for_each(|nth| asker.mark(*nth, Mark::DOWN));
        assert_eq!(asker.spread(120), expected, "{sick:?} of {endpoints}");
    };
    check(1, &[], &[120]);
    check(3, &[], &[40, 40, 40]);
    check(3, &[1], &[60, 0, 60]);
    check(4, &[1, 3], &[60, 0, 60, 0]);
    check(4, &[0, 2], &[0, 60, 0, 60]);
    check(4, &[0, 1, 2], &[0, 0, 0, 120]);
    check(6, &[1, 3, 5], &[40, 0, 40, 0, 40, 0]);
    check(3, &[0, 1, 2], &[40, 40, 40]);
}

#[test]
fn weights_are_exact_over_a_cycle_and_smooth_within() {
    let check = |weights: &[u32], expected: &[usize]| {
        let endpoints = u32::try_from(weights.len()).expect("few");
        let asker = Asker::new(view(endpoints, weighing(Balance::RoundRobin, weights)));
        for cycle in 0..1000 {
            let order: Vec<Endpoint> = expected.iter().map(|_| asker.next(Affinity::None)).collect();
            let expected: Vec<Endpoint> = expected.iter().map(|nth| endpoint(*nth as u32)).collect();
            assert_eq!(order, expected, "{weights:?}, cycle {cycle}");
        }
    };
    check(&[5, 1, 1], &[0, 0, 1, 0, 2, 0, 0]);
    check(&[3, 1], &[0, 0, 1, 0]);
    check(&[2, 2, 1], &[0, 1, 2, 0, 1]);
    let asker = Asker::new(view(3, weighing(Balance::RoundRobin, &[256, 128, 1])));
    assert_eq!(asker.spread(3850), [2560, 1280, 10]);
}

#[test]
fn who_had_no_room_makes_up_for_nothing_later() {
    let asker = Asker::new(view(2, weighing(Balance::RoundRobin, &[3, 1])));
    for _ in 0..1000 {
        let chosen = asker.choose(Affinity::None, &[], |asked| asked != endpoint(0));
        assert_eq!(chosen, Ok(endpoint(1)));
    }
    assert_eq!(asker.spread(40), [30, 10]);
}

#[tokio::test(start_paused = true)]
async fn a_cold_endpoint_takes_its_share_gradually_and_no_neighbour_gets_the_rest() {
    let check = async |balance: Balance, weights: &[u32], full: f64| {
        let policy = weighing(balance.clone(), weights);
        let asker = Asker::new(view(4, policy));
        let cold = &asker.view.seats[1].shared;
        cold.warm_up(&mut cold.record(), Duration::from_secs(10));
        let began = cold.record().warming_since;
        let mut before = 0.0;
        for (second, warmth) in [(0, 0.1), (3, 0.3), (6, 0.6), (9, 0.9), (11, 1.0)] {
            tokio::time::sleep_until(began + Duration::from_secs(second)).await;
            let counts = asker.spread(40_000);
            let share = f64::from(counts[1]) / 40_000.0;
            // What a weight of so much less gets.
            let weights: f64 = weights.iter().map(|weight| f64::from(*weight)).sum();
            let own = full * weights;
            let expected = match balance {
                Balance::RoundRobin if own == 1.0 && weights == 4.0 => full * warmth,
                _ => own * warmth / (weights - own + own * warmth),
            };
            assert!((share - expected).abs() < 0.02, "{balance:?} after {second} s: {share}, not {expected}");
            assert!(share > before, "{balance:?} after {second} s: {share}");
            before = share;
            let warm = [counts[0], counts[2], counts[3]];
            let (least, most) = (warm.iter().min().expect("three"), warm.iter().max().expect("three"));
            assert!(f64::from(*most) < 1.1 * f64::from(*least), "{balance:?} after {second} s: {counts:?}");
        }
    };
    check(Balance::RoundRobin, &[1, 1, 1, 1], 0.25).await;
    check(Balance::RoundRobin, &[1, 3, 1, 1], 0.5).await;
    check(Balance::LeastRequests, &[1, 1, 1, 1], 0.25).await;
}

/// Requests end in the order in which they began, so many are under way.
fn under_way(
    asker: &Asker,
    at_once: usize,
    requests: u32,
    mut ends: impl FnMut(Endpoint) -> bool,
) -> BTreeMap<Endpoint, u32> {
    let mut counts = BTreeMap::new();
    let mut open: std::collections::VecDeque<Rc<Seat>> = std::collections::VecDeque::new();
    for _ in 0..requests {
        let ask = Ask { tried: &[], affinity: Affinity::None, random: &asker.random };
        let seat =
            asker.view.choose(&ask, |seat| seat.shared.try_enter(u32::MAX).then(|| Rc::clone(seat))).expect("one");
        *counts.entry(seat.shared.endpoint).or_insert(0) += 1;
        open.push_back(seat);
        if open.len() > at_once {
            let at = open.iter().position(|seat| ends(seat.shared.endpoint)).unwrap_or(0);
            open.remove(at).expect("it is there").shared.leave();
        }
    }
    counts
}

#[test]
fn least_requests_spares_who_does_not_get_done() {
    let asker = Asker::new(view(4, by(Balance::LeastRequests)));
    // The first never ends a request, as long as another does.
    let counts = under_way(&asker, 16, 4000, |endpoint| endpoint != self::endpoint(0));
    assert!(counts[&endpoint(0)] < 40, "{counts:?}");
    for nth in 1..4 {
        assert!((1000..1700).contains(&counts[&endpoint(nth)]), "{counts:?}");
    }
}

#[test]
fn least_requests_follows_weights_idle_or_busy() {
    let asker = Asker::new(view(3, weighing(Balance::LeastRequests, &[4, 2, 2])));
    let check = |at_once: usize| {
        let counts = under_way(&asker, at_once, 8000, |_| true);
        let share = f64::from(counts[&endpoint(0)]) / 8000.0;
        assert!((share - 0.5).abs() < 0.06, "{at_once} at once: {share}");
        asker.view.seats.iter().for_each(|seat| {
            while seat.shared.in_flight() > 0 {
                seat.shared.leave()
            }
        });
    };
    check(0);
    check(64);
}

/// Who has each of so many keys.
fn owners(asker: &Asker, keys: u32) -> Vec<Endpoint> {
    (0..keys).map(|key| asker.next(Affinity::Hash(hash::of(format!("user{key}").as_bytes())))).collect()
}

const KEYS: u32 = 20_000;

fn by_hash() -> Policy {
    by(Balance::Hash(HashKey::Client))
}

#[test]
fn keys_stay_with_who_stays() {
    let check = |before: &[u32], after: &[u32]| {
        let changed = (before.len().abs_diff(after.len())) as f64 / before.len().max(after.len()) as f64;
        let (was, is) = (
            owners(&Asker::new(view_of(before, by_hash())), KEYS),
            owners(&Asker::new(view_of(after, by_hash())), KEYS),
        );
        let moved = was.iter().zip(&is).filter(|(was, is)| was != is).count() as f64 / f64::from(KEYS);
        assert!((moved - changed).abs() < 0.02, "{moved} moved, not {changed}");
        let stays = |owner: &Endpoint| before.iter().chain(after).filter(|nth| endpoint(**nth) == *owner).count() == 2;
        assert!(was.iter().zip(&is).all(|(was, is)| was == is || !stays(was) || !stays(is)), "one moved in vain");
    };
    check(&[0, 1, 2, 3, 4], &[0, 1, 3, 4]);
    check(&[0, 1, 3, 4], &[0, 1, 2, 3, 4]);
    check(&[0, 1, 2], &[2, 1, 0]);
    check(&[0, 1, 2, 3], &[4, 3, 2, 1, 0]);
}

#[test]
fn keys_are_spread_by_weight() {
    let check = |weights: &[u32]| {
        let endpoints = u32::try_from(weights.len()).expect("few");
        let owners = owners(&Asker::new(view(endpoints, weighing(Balance::Hash(HashKey::Client), weights))), KEYS);
        let whole: u32 = weights.iter().sum();
        for (nth, weight) in (0..).zip(weights) {
            let share = owners.iter().filter(|owner| **owner == endpoint(nth)).count() as f64 / f64::from(KEYS);
            let expected = f64::from(*weight) / f64::from(whole);
            assert!((share - expected).abs() < 0.015, "{weights:?}: {nth} has {share}, not {expected}");
        }
    };
    check(&[1, 1, 1, 1, 1]);
    check(&[3, 1]);
    check(&[8, 4, 2, 1, 1]);
}

#[test]
fn more_weight_takes_keys_and_moves_none_among_the_others() {
    let light = owners(&Asker::new(view(4, weighing(Balance::Hash(HashKey::Client), &[1, 2, 2, 2]))), KEYS);
    let heavy = owners(&Asker::new(view(4, weighing(Balance::Hash(HashKey::Client), &[3, 2, 2, 2]))), KEYS);
    assert!(light.iter().zip(&heavy).all(|(was, is)| was == is || *is == endpoint(0)));
}

#[test]
fn a_key_whose_owner_cannot_take_it_goes_to_the_next_bidder() {
    let asker = Asker::new(view(5, by_hash()));
    for key in 0..200_u64 {
        let affinity = Affinity::Hash(hash::of(&key.to_be_bytes()));
        let owner = asker.next(affinity);
        let next = asker.choose(affinity, &[owner], |_| true);
        assert!(next.is_ok_and(|next| next != owner));
        assert_eq!(asker.choose(affinity, &[], |asked| asked != owner), next, "full");
        let seat = asker.view.seats.iter().find(|seat| seat.shared.endpoint == owner).expect("it is there");
        seat.shared.mark(Mark::DOWN);
        assert_eq!(asker.choose(affinity, &[], |_| true), next, "sick");
        seat.shared.unmark(Mark::DOWN);
        assert_eq!(asker.next(affinity), owner, "and back");
    }
}

#[test]
fn without_a_key_or_a_cookie_requests_are_spread_in_turn() {
    for balance in [Balance::Hash(HashKey::Client), Balance::Sticky("node".to_owned())] {
        assert_eq!(Asker::new(view(3, by(balance.clone()))).spread(30), [10, 10, 10], "{balance:?}");
        assert_eq!(Asker::new(view(2, weighing(balance.clone(), &[2, 1]))).spread(30), [20, 10], "{balance:?}");
    }
}

#[test]
fn a_cookie_leads_where_it_can() {
    let asker = Asker::new(view(3, by(Balance::Sticky("node".to_owned()))));
    let led = Affinity::Sticky(Some(1));
    for _ in 0..10 {
        assert_eq!(asker.next(led), endpoint(1));
    }
    assert_ne!(asker.choose(led, &[endpoint(1)], |_| true), Ok(endpoint(1)), "tried");
    assert!(asker.choose(led, &[], |asked| asked != endpoint(1)).is_ok(), "full");
    for mark in [Mark::DOWN, Mark::EJECTED, Mark::UNPROVEN, Mark::DRAINING] {
        asker.mark(1, mark);
        assert_ne!(asker.next(led), endpoint(1), "{mark:?}");
        asker.view.seats[1].shared.unmark(mark);
    }
    asker.mark(1, Mark::WARMING);
    assert_eq!(asker.next(led), endpoint(1), "a session is where it is, warm or not");
    // All are sick: it is as good as any.
    (0..3).for_each(|nth| asker.mark(nth, Mark::DOWN));
    assert_eq!(asker.next(led), endpoint(1));
}

/// Each endpoint is `r`eady, `u`nproven, `s`ick or `d`rained; capital letters are full, `-` are tried.
#[test]
fn the_best_standing_serves() {
    let ways = || {
        let weighted = weighing(Balance::RoundRobin, &[1, 2, 3, 4]);
        let sticky = by(Balance::Sticky("node".to_owned()));
        [Policy::default(), weighted, by(Balance::LeastRequests), by_hash(), sticky]
    };
    let check = |endpoints: &str, expected: Result<&[usize], Refusal>| {
        for policy in ways() {
            let count = u32::try_from(endpoints.len()).expect("few");
            let asker = Asker::new(view(count, policy));
            let mut tried = Vec::new();
            for (nth, letter) in endpoints.chars().enumerate() {
                match letter.to_ascii_lowercase() {
                    'u' => asker.mark(nth, Mark::UNPROVEN),
                    's' => asker.mark(nth, if nth % 2 == 0 { Mark::DOWN } else { Mark::EJECTED }),
                    'd' => asker.mark(nth, Mark::DRAINING),
                    '-' => tried.push(endpoint(nth as u32)),
                    _ => {}
                }
            }
            let letters: Vec<char> = endpoints.chars().collect();
            let has_room =
                |asked| (0_u32..).zip(&letters).all(|(nth, letter)| endpoint(nth) != asked || !letter.is_uppercase());
            let asked = Cell::new(0);
            for key in 0..64_u64 {
                let affinity = match asker.view.upstream.policy.balance {
                    Balance::Hash(_) => Affinity::Hash(hash::of(&key.to_be_bytes())),
                    Balance::Sticky(_) => Affinity::Sticky(Some(key as usize % letters.len().max(1))),
                    _ => Affinity::None,
                };
                let chosen = asker.choose(affinity, &tried, |endpoint| {
                    asked.set(asked.get() + 1);
                    has_room(endpoint)
                });
                match expected {
                    Ok(some) => {
                        assert!(some.iter().any(|nth| chosen == Ok(endpoint(*nth as u32))), "{endpoints}: {chosen:?}")
                    }
                    Err(refusal) => assert_eq!(chosen, Err(refusal), "{endpoints}"),
                }
                assert!(asked.take() <= letters.len() + 1, "{endpoints}: nobody is asked again and again");
            }
        }
    };
    check("rrrr", Ok(&[0, 1, 2, 3]));
    check("srus", Ok(&[1]));
    check("sus", Ok(&[1]));
    check("suu", Ok(&[1, 2]));
    check("sss", Ok(&[0, 1, 2]));
    check("ddr", Ok(&[2]));
    check("dsd", Ok(&[1]));
    check("Rrr", Ok(&[1, 2]));
    check("R-r", Ok(&[2]));
    check("-us", Ok(&[1]));
    check("--s", Ok(&[2]));
    check("RRR", Err(Refusal::Full));
    check("Rus", Err(Refusal::Full));
    check("-Us", Err(Refusal::Full));
    check("SsS", Ok(&[1]));
    check("SSS", Err(Refusal::Full));
    check("---", Err(Refusal::Nobody));
    check("ddd", Err(Refusal::Nobody));
    check("d-d", Err(Refusal::Nobody));
    check("", Err(Refusal::Nobody));
}
