//! Which endpoint is asked, and which next when it refuses: round robin.

use webrouter_routing::endpoint::Endpoint;

use super::UpstreamState;

/// The endpoints in the order in which one request tries them.
pub(crate) fn round_robin<'a>(
    state: &UpstreamState,
    endpoints: &'a [Endpoint],
) -> impl Iterator<Item = Endpoint> + use<'a> {
    let turn = state.turn.get();
    state.turn.set(turn.wrapping_add(1));
    let start = turn.checked_rem(endpoints.len()).unwrap_or(0);
    let (later, first) = endpoints.split_at_checked(start).unwrap_or((&[], endpoints));
    first.iter().chain(later).copied()
}
