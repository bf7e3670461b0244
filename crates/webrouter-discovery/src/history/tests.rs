use proptest::prelude::*;
use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution, Proc};
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::merge::{Defaults, merge};
use webrouter_routing::name::{ProcName, SourceName};

use super::table::Bounds;
use super::*;

/// For each of four apps: which of three hosts it claims, and a port; `None` where it is absent.
type Said = Vec<Option<(Vec<usize>, u16)>>;

fn contribution(said: &Said) -> Contribution {
    let procs = ["a", "b", "c", "d"].iter().zip(said).filter_map(|(app, said)| {
        let (hosts, port) = said.as_ref()?;
        let hosts: BTreeSet<String> = hosts.iter().map(|host| format!("\"h{host}.test\"")).collect();
        let hosts = hosts.into_iter().collect::<Vec<_>>().join(",");
        let annotation = Annotation::parse(&format!("{{\"mountpoint\":[{hosts}]}}")).expect("readable").0;
        let endpoint = Endpoint::parse(&format!("10.0.0.1:{port}")).expect("one");
        let proc =
            Proc { claims: Claims::Readable(Arc::new(annotation)), endpoints: [endpoint].into(), reasons: Vec::new() };
        Some((ProcName::parse(&format!("{app}.web.web")).expect("a name"), Arc::new(proc)))
    });
    Contribution { procs: procs.collect(), ..Contribution::empty(SourceName::new("s")) }
}

/// Routes with their endpoints, and the claim queues.
fn told(snapshot: &Snapshot) -> String {
    let routes = snapshot.routes().map(|route| format!("{} {:?}\n", route.mountpoint, route.upstream.endpoints));
    let queues = snapshot.claims().map(|(mountpoint, queue)| format!("{mountpoint} {queue:?}\n"));
    routes.chain(queues).collect()
}

fn cause() -> Cause {
    Cause::Source { sources: vec!["s".to_owned()] }
}

proptest! {
    #[test]
    fn differences_lead_back_to_each_earlier_table(
        steps in prop::collection::vec(
            prop::collection::vec(prop::option::of((prop::collection::vec(0..3_usize, 0..3), 1..4_u16)), 4),
            1..12,
        ),
    ) {
        let defaults = Defaults::default();
        let mut tables = vec![Arc::new(Snapshot::empty(&defaults))];
        let history = History::new(Arc::clone(&tables[0]), Pins::default());
        for said in &steps {
            let last = tables.last().cloned().expect("one");
            let next = Arc::new(merge(&last, &[contribution(said)], &defaults));
            if next.generation() > last.generation() {
                history.note(Arc::clone(&next), cause(), &Arc::default());
                tables.push(next);
            }
        }
        for table in tables.iter().skip(1) {
            let (newest, past, generation) = history.past(When::Generation(table.generation())).expect("recorded");
            prop_assert_eq!(told(&past.table(&newest, generation, &defaults)), told(table));
        }
    }
}

#[test]
fn what_waits_for_the_disk_is_bounded_and_counted() {
    let snapshot = Arc::new(Snapshot::empty(&Defaults::default()));
    let history = History::new(Arc::clone(&snapshot), Pins::default());
    for _ in 0..MAX_PENDING + 3 {
        history.note(Arc::clone(&snapshot), cause(), &Arc::default());
    }
    assert_eq!((history.unwritten().pending.len(), history.lost()), (MAX_PENDING, 3));
}

#[test]
fn the_oldest_records_go_beyond_the_bounds() {
    let check = |bounds: Bounds, expected: &[u64]| {
        let backend = redb::backends::InMemoryBackend::new();
        let database = Database::builder().create_with_backend(backend).expect("a database");
        let snapshot = Snapshot::empty(&Defaults::default());
        for id in 1..=5 {
            let transaction = database.begin_write().expect("begun");
            let record = Record::between(&snapshot, &snapshot, &Occasion { at: 1, cause: Cause::Restart });
            table::append(&transaction, &[(id, record)], bounds).expect("appended");
            transaction.commit().expect("committed");
        }
        let mut ids = Vec::new();
        table::walk(&database, u64::MAX, |entry| {
            ids.push(entry.id);
            ControlFlow::Continue(())
        })
        .expect("read");
        assert_eq!(ids, expected);
        assert_eq!(table::last_id(&database).expect("read"), 5);
    };
    check(Bounds::default(), &[5, 4, 3, 2, 1]);
    check(Bounds { records: 2, ..Bounds::default() }, &[5, 4]);
    check(Bounds { bytes: 1, ..Bounds::default() }, &[5]);
}
