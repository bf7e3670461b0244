//! Any sequence of updates ends where one build from scratch would.

use super::*;

/// What one source says in one step: for each of its procs, unless it is absent.
#[derive(Debug, Clone)]
struct Said {
    source: &'static str,
    procs: Vec<Option<SaidOfProc>>,
}

/// Indices of the claimed mountpoints, `None` when the annotation is unreadable; and ports.
type SaidOfProc = (Option<Vec<usize>>, Vec<u8>);

const HOSTS: [&str; 5] = ["x.test", "x.test/p", "x.test/p/q", "y.test", "z.test"];
const APPS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

fn any_step() -> impl Strategy<Value = Said> {
    let claims = prop_oneof![
        1 => Just(None),
        6 => prop::collection::vec(0..HOSTS.len(), 0..4).prop_map(Some),
    ];
    let ports = prop::collection::vec(1..5_u8, 0..3);
    let proc = prop_oneof![1 => Just(None), 3 => (claims, ports).prop_map(Some)];
    let source = prop_oneof![Just("s"), Just("r")];
    (source, prop::collection::vec(proc, APPS.len())).prop_map(|(source, procs)| Said { source, procs })
}

impl Said {
    fn contribution(&self) -> Contribution {
        let lines = APPS.iter().zip(&self.procs).filter_map(|(app, said)| {
            let (claims, ports) = said.as_ref()?;
            let ports: Vec<String> = ports.iter().map(u8::to_string).collect();
            Some(match claims {
                Some(claims) => {
                    let claims: BTreeSet<&str> = claims.iter().map(|at| HOSTS[*at]).collect();
                    let claims: Vec<&str> = claims.into_iter().collect();
                    format!("{app}: {} @ {}", claims.join(" "), ports.join(" "))
                }
                None => format!("{app}! @ {}", ports.join(" ")),
            })
        });
        let lines: Vec<String> = lines.collect();
        contribution(self.source, &lines.iter().map(String::as_str).collect::<Vec<_>>())
    }
}

/// The claim queues as a plain list of claims would keep them.
fn model_queues(queues: &mut BTreeMap<Mountpoint, Vec<ProcKey>>, snapshot: &Snapshot) {
    let wishes = |key: &ProcKey, at: &Mountpoint| {
        snapshot.proc(key).is_some_and(|proc| proc.upstream.annotation.mountpoints.contains(at))
    };
    for (at, queue) in &mut *queues {
        queue.retain(|key| wishes(key, at));
    }
    for (key, proc) in snapshot.procs() {
        for at in &proc.upstream.annotation.mountpoints {
            let queue = queues.entry(at.clone()).or_default();
            if !queue.contains(key) {
                queue.push(key.clone());
            }
        }
    }
    queues.retain(|_, queue| !queue.is_empty());
}

fn check_whole(snapshot: &Snapshot) {
    for (at, queue) in snapshot.claims() {
        let route = snapshot.table().route(at).expect("every claimed mountpoint has a route");
        assert_eq!(Some(&route.upstream.proc), queue.first());
        let owner = snapshot.proc(&route.upstream.proc).expect("an owner is in force");
        assert!(Arc::ptr_eq(&owner.upstream, &route.upstream), "a route has its owner's upstream");
    }
    assert_eq!(snapshot.table().hosts().flat_map(|(_, paths)| paths.iter()).count(), snapshot.route_count());
    assert_eq!(snapshot.routes().count(), snapshot.route_count());
    let endpoints: usize = snapshot.procs().map(|(_, proc)| proc.upstream.endpoints.len()).sum();
    assert_eq!(snapshot.endpoint_count(), endpoints);
    let flawed: Vec<&ProcKey> =
        snapshot.procs().map(|(key, _)| key).filter(|key| !snapshot.rejections_of(key).is_empty()).collect();
    assert_eq!(snapshot.flawed.iter().collect::<Vec<_>>(), flawed);
    let mut counted = crate::snapshot::Counts::default();
    snapshot.rejections().iter().for_each(|rejection| counted.add(rejection.reason.kind(), 1));
    assert_eq!(snapshot.rejected, counted);
    assert_eq!(snapshot.rejection_count(), snapshot.rejections().len());
    let ids: BTreeSet<UpstreamId> = snapshot.procs().map(|(_, proc)| proc.upstream.id).collect();
    assert_eq!(ids.len(), snapshot.proc_count());
}

proptest! {
    #[test]
    fn a_sequence_of_merges_equals_one_full_build(steps in prop::collection::vec(any_step(), 1..12)) {
        let defaults = Defaults::default();
        let mut snapshot = Snapshot::empty(&defaults);
        let mut queues = BTreeMap::new();
        let mut ids: BTreeMap<UpstreamId, ProcKey> = BTreeMap::new();
        for step in &steps {
            let next = merge(&snapshot, &[step.contribution()], &defaults);
            let same = snapshot.contributions == next.contributions;
            prop_assert_eq!(same, snapshot.generation() == next.generation());
            for (key, proc) in next.procs() {
                if let Some(known) = snapshot.proc(key) {
                    prop_assert_eq!(known.upstream.id, proc.upstream.id, "stable while known");
                } else {
                    prop_assert_eq!(ids.insert(proc.upstream.id, key.clone()), None, "never used again");
                }
            }
            model_queues(&mut queues, &next);
            prop_assert_eq!(&remembered(&next), &queues);
            check_whole(&next);
            snapshot = next;
        }
        let rebuilt =
            Snapshot::restore(&defaults, &in_force(&snapshot), &remembered(&snapshot), snapshot.generation());
        check_whole(&rebuilt);
        prop_assert_eq!(told(&rebuilt), told(&snapshot));
        prop_assert_eq!(rebuilt.generation(), snapshot.generation());
        prop_assert_eq!(rebuilt.endpoint_count(), snapshot.endpoint_count());
        prop_assert_eq!(&rebuilt.flawed, &snapshot.flawed);
        prop_assert_eq!(rebuilt.rejections(), snapshot.rejections());
        prop_assert_eq!(remembered(&rebuilt), remembered(&snapshot));
        prop_assert_eq!(diff(&rebuilt, &snapshot), []);
    }
}
