//! The endpoints of an upstream as one core sees them under one snapshot, each with this core's idle connections.

use std::cell::{Cell, OnceCell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use webrouter_routing::route::Upstream;

use super::pool::Idle;
use crate::fleet::Fleet;
use crate::fleet::endpoint::EndpointState;
use crate::fleet::upstream::SharedUpstream;
use crate::http2::origin::Shared;
use crate::sticky::Tag;

/// One endpoint and what this core has of it; lives for as long as a connection or a snapshot needs it.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) shared: Arc<EndpointState>,
    pub(crate) upstream: Arc<SharedUpstream>,
    /// Kept for the next request; the last one put back is the first taken.
    pub(super) idle: RefCell<Vec<Idle>>,
    /// Connections that requests share, where it speaks HTTP/2.
    pub(super) shared_connections: RefCell<Vec<Shared>>,
    /// Connections to it that do not come up.
    pub(super) late: Cell<u32>,
    /// What stands for it where requests are spread by a hash; made when first needed.
    pub(super) hash: OnceCell<u64>,
    /// The cookie's value that leads to it; made when first needed.
    pub(super) tag: OnceCell<Box<Tag>>,
}

impl Seat {
    fn new(shared: Arc<EndpointState>, upstream: Arc<SharedUpstream>) -> Self {
        Self {
            shared,
            upstream,
            idle: RefCell::default(),
            shared_connections: RefCell::default(),
            late: Cell::new(0),
            hash: OnceCell::new(),
            tag: OnceCell::new(),
        }
    }
}

/// The endpoints in the table's order.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) seats: Vec<Rc<Seat>>,
    /// The weights where they are not all the same; else empty.
    pub(super) weights: Vec<u32>,
    /// How far each is ahead in a weighted round.
    pub(super) credits: RefCell<Vec<f32>>,
    /// Where the next round begins.
    pub(super) turn: Cell<usize>,
    /// Who is next to take a turn that its owner cannot take.
    pub(super) spare_turn: Cell<usize>,
}

impl View {
    /// `before` gives its seats, with their connections, to the endpoints that stay.
    pub(super) fn new(
        upstream: &Arc<Upstream>,
        shared: &Arc<SharedUpstream>,
        fleet: &Fleet,
        before: Option<&Self>,
        turn: usize,
    ) -> Self {
        let seats = shared.states(upstream, fleet).into_iter().map(|state| {
            let mut known = before.into_iter().flat_map(|before| &before.seats);
            match known.find(|seat| Arc::ptr_eq(&seat.shared, &state)) {
                Some(seat) => Rc::clone(seat),
                None => Rc::new(Seat::new(state, Arc::clone(shared))),
            }
        });
        let seats: Vec<Rc<Seat>> = seats.collect();
        let given = &upstream.policy.weights;
        let weight = |seat: &Rc<Seat>| given.get(&seat.shared.endpoint).copied().unwrap_or(1).max(1);
        let mut weights: Vec<u32> = if given.is_empty() { Vec::new() } else { seats.iter().map(weight).collect() };
        if weights.iter().all(|weight| Some(weight) == weights.first()) {
            weights.clear();
        }
        let credits = RefCell::new(vec![0.0; weights.len()]);
        let (turn, spare_turn) = (Cell::new(turn), Cell::new(turn));
        Self { upstream: Arc::clone(upstream), seats, weights, credits, turn, spare_turn }
    }

    /// The weight of the seat at a place.
    pub(super) fn weight(&self, at: usize) -> u32 {
        self.weights.get(at).copied().unwrap_or(1)
    }
}
