use std::os::unix::fs::PermissionsExt;

use webrouter_routing::annotation::Annotation;
use webrouter_routing::contribution::{Claims, Contribution};
use webrouter_routing::merge::merge;
use webrouter_routing::mountpoint::Mountpoint;
use webrouter_routing::name::{ProcKey, ProcName};
use webrouter_routing::policy::Policy;
use webrouter_routing::rejection::Reason;

use super::*;
use crate::lainlet::translate::Translator;

fn lainlet() -> SourceName {
    SourceName::new("lainlet")
}

/// `a=x.lain` is app a with that mountpoint.
fn contribution(apps: &str) -> Contribution {
    let entry = |app: &str| {
        let (app, mountpoint) = app.split_once('=').expect("app=mountpoint");
        format!(
            r#""{app}.web.web":{{"PodInfos":[{{"Annotation":"{{\"mountpoint\":[\"{mountpoint}\"]}}","ContainerInfos":[{{"ContainerIp":"10.0.0.1","Expose":80}}]}}]}}"#
        )
    };
    let entries: Vec<String> = apps.split_whitespace().map(entry).collect();
    let mut translator = Translator::default();
    translator.update(format!("{{{}}}", entries.join(",")).into()).expect("a state");
    Contribution { procs: translator.procs().clone(), ..Contribution::empty(lainlet()) }
}

fn applied(before: &Arc<Snapshot>, contribution: Contribution) -> Arc<Snapshot> {
    Arc::new(merge(before, &[contribution], &Defaults::default()))
}

fn empty() -> Arc<Snapshot> {
    Arc::new(Snapshot::empty(&Defaults::default()))
}

async fn open(directory: &Path) -> (LastGood, Option<Loaded>) {
    LastGood::open(directory.to_owned(), Defaults::default(), vec![lainlet()]).await.expect("not in use")
}

#[tokio::test]
async fn a_table_comes_back_with_its_owners_and_its_quarantined() {
    let directory = tempfile::tempdir().expect("a folder");
    let first = applied(&empty(), contribution("b=x.lain"));
    let mut second = contribution("a=x.lain b=x.lain c=c.lain");
    let name = ProcName::parse("c.web.web").expect("a name");
    let mut bad = second.procs.get(&name).map(|proc| (**proc).clone()).expect("c");
    bad.claims = Claims::Unreadable(Reason::UnreadableAnnotation("it".into()));
    let second_in_force = applied(&first, second.clone());
    second.procs.insert(name, Arc::new(bad));
    let third = applied(&second_in_force, second);
    let (mut last_good, loaded) = open(directory.path()).await;
    assert!(loaded.is_none());
    for snapshot in [&first, &third] {
        last_good.write(Arc::clone(snapshot)).await.expect("stored");
    }
    drop(last_good);
    let mode = std::fs::metadata(directory.path().join("webrouter.redb")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let (_last_good, loaded) = open(directory.path()).await;
    let loaded = loaded.expect("stored").snapshot;
    assert_eq!(loaded.generation(), third.generation());
    let owner = |snapshot: &Snapshot| snapshot.owner(&Mountpoint::parse("x.lain").expect("one")).cloned();
    assert_eq!(owner(&loaded), owner(&third));
    assert_eq!(owner(&loaded).map(|owner| owner.name.to_string()).as_deref(), Some("b.web.web"));
    assert_eq!((loaded.route_count(), loaded.endpoint_count()), (2, 3));
}

#[tokio::test]
async fn wishes_come_back_and_meet_the_defaults_of_the_new_run() {
    let directory = tempfile::tempdir().expect("a folder");
    let name = ProcName::parse("a.web.web").expect("a name");
    let mut wishing = contribution("a=a.lain b=b.lain");
    let mut proc = wishing.procs.get(&name).map(|proc| (**proc).clone()).expect("a");
    let text = r#"{"mountpoint":["a.lain"],"queue":7,"balance":"hash header X-User","request_timeout":"off"}"#;
    proc.claims = Claims::Readable(Arc::new(Annotation::parse(text).expect("readable").0));
    wishing.procs.insert(name.clone(), Arc::new(proc));
    let stored = applied(&empty(), wishing.clone());
    let (mut last_good, _) = open(directory.path()).await;
    last_good.write(Arc::clone(&stored)).await.expect("stored");
    drop(last_good);
    let policy = Policy { endpoint_wait: Duration::from_secs(1), ..Policy::default() };
    let defaults = Defaults { policy: Arc::new(policy), ..Defaults::default() };
    let opened = LastGood::open(directory.path().to_owned(), defaults.clone(), vec![lainlet()]).await;
    let loaded = opened.expect("not in use").1.expect("stored").snapshot;
    let upstream = |snapshot: &Snapshot, app: &str| {
        let name = ProcName::parse(&format!("{app}.web.web")).expect("a name");
        Arc::clone(&snapshot.proc(&ProcKey { source: lainlet(), name }).expect("in force").upstream)
    };
    assert_eq!(upstream(&loaded, "a").annotation, upstream(&stored, "a").annotation);
    let expected = Policy { endpoint_wait: Duration::from_secs(1), ..Policy::clone(&upstream(&stored, "a").policy) };
    assert_eq!(*upstream(&loaded, "a").policy, expected);
    assert!(Arc::ptr_eq(&upstream(&loaded, "b").policy, &defaults.policy));
    // What the source says after the restart is what it said before: nothing is new.
    let after = merge(&loaded, &[wishing], &defaults);
    assert!(Arc::ptr_eq(&upstream(&after, "a"), &upstream(&loaded, "a")));
}

#[tokio::test]
async fn a_write_carries_what_changed_and_what_went() {
    let directory = tempfile::tempdir().expect("a folder");
    let (mut last_good, _) = open(directory.path()).await;
    let mut snapshot = empty();
    for apps in ["a=a.lain b=b.lain", "b=b.lain c=c.lain", "c=d.lain"] {
        snapshot = applied(&snapshot, contribution(apps));
        last_good.write(Arc::clone(&snapshot)).await.expect("stored");
    }
    drop(last_good);
    let (mut last_good, loaded) = open(directory.path()).await;
    let loaded = loaded.expect("stored").snapshot;
    let names = |snapshot: &Snapshot| snapshot.routes().map(|r| r.mountpoint.to_string()).collect::<Vec<_>>();
    assert_eq!(names(&loaded), ["d.lain"]);
    // From a loaded one on, too.
    last_good.write(applied(&loaded, contribution("c=d.lain e=e.lain"))).await.expect("stored");
    drop(last_good);
    let (_, loaded) = open(directory.path()).await;
    assert_eq!(names(&loaded.expect("stored").snapshot), ["d.lain", "e.lain"]);
}

#[tokio::test]
async fn a_second_instance_is_told_whose_folder_it_is() {
    let directory = tempfile::tempdir().expect("a folder");
    let _first = open(directory.path()).await;
    let second = LastGood::open(directory.path().to_owned(), Defaults::default(), vec![lainlet()]).await;
    let error = second.err().expect("in use");
    assert!(matches!(&error, StartError::StateInUse { path } if path.ends_with("webrouter.redb")), "{error}");
}

#[tokio::test]
async fn a_corrupt_store_is_moved_aside_and_a_new_one_works() {
    let directory = tempfile::tempdir().expect("a folder");
    std::fs::write(directory.path().join("webrouter.redb"), "not a database, and long enough to look".repeat(500))
        .expect("written");
    let (mut last_good, loaded) = open(directory.path()).await;
    assert!(loaded.is_none());
    let error = lock(&last_good.error).clone().expect("told");
    assert_eq!(error.kind, "corrupt", "{error:?}");
    let aside = std::fs::read_dir(directory.path()).expect("a folder").filter_map(Result::ok);
    let aside: Vec<_> = aside.filter(|file| file.file_name().to_string_lossy().contains("corrupt")).collect();
    assert_eq!(aside.len(), 1);
    last_good.write(applied(&empty(), contribution("a=a.lain"))).await.expect("stored");
    drop(last_good);
    assert!(open(directory.path()).await.1.is_some());
}

#[tokio::test]
async fn a_store_found_corrupt_at_a_write_is_moved_aside_and_a_new_one_written() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("webrouter.redb");
    let (mut last_good, _) = open(directory.path()).await;
    let mut snapshot = applied(&empty(), contribution("a=a.lain"));
    last_good.write(Arc::clone(&snapshot)).await.expect("stored");
    // As after a failed write: it is opened anew.
    last_good.store = None;
    std::fs::write(&path, "not a database, and long enough to look".repeat(500)).expect("written");
    snapshot = applied(&snapshot, contribution("a=a.lain b=b.lain"));
    last_good.write(Arc::clone(&snapshot)).await.expect("stored");
    assert_eq!(lock(&last_good.error).as_ref().map(|error| error.kind), Some("corrupt"));
    drop(last_good);
    assert_eq!(open(directory.path()).await.1.expect("stored").snapshot.route_count(), 2);
}

#[tokio::test]
async fn what_happens_to_the_file_under_an_open_store_ends_in_a_stored_table() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("webrouter.redb");
    let (mut last_good, _) = open(directory.path()).await;
    let mut snapshot = empty();
    for harm in [Harm::Truncated, Harm::Overwritten, Harm::Removed] {
        for apps in ["a=a.lain", "a=a.lain b=b.lain"] {
            snapshot = applied(&snapshot, contribution(apps));
            last_good.write(Arc::clone(&snapshot)).await.expect("stored");
        }
        match harm {
            Harm::Truncated => std::fs::write(&path, "").expect("truncated"),
            Harm::Overwritten => {
                let length = std::fs::metadata(&path).expect("there").len();
                std::fs::write(&path, vec![0xa5; usize::try_from(length).expect("small")]).expect("overwritten");
            }
            Harm::Removed => std::fs::remove_dir_all(directory.path()).expect("removed"),
        }
        for apps in ["c=c.lain", "c=c.lain d=d.lain e=e.lain"] {
            snapshot = applied(&snapshot, contribution(apps));
            // Whether it is noticed at once is up to the store; it neither panics nor stays so.
            let _ = last_good.write(Arc::clone(&snapshot)).await;
        }
        drop(last_good);
        let loaded;
        (last_good, loaded) = open(directory.path()).await;
        if let Some(loaded) = loaded {
            assert_eq!(loaded.snapshot.route_count(), 3, "{harm:?}");
        } else {
            assert_eq!(lock(&last_good.error).as_ref().map(|error| error.kind), Some("corrupt"), "{harm:?}");
        }
        assert!(!matches!(harm, Harm::Removed) || lock(&last_good.error).is_none());
    }
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Truncated,
    Overwritten,
    Removed,
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_a_store_error() {
    let directory = tempfile::tempdir().expect("a folder");
    let blocked = directory.path().join("file");
    std::fs::write(&blocked, "").expect("written");
    let (mut last_good, loaded) = open(&blocked).await;
    assert!(loaded.is_none());
    assert_eq!(lock(&last_good.error).as_ref().map(|error| (error.kind, error.count)), Some(("io", 1)));
    last_good.write(applied(&empty(), contribution("a=a.lain"))).await.expect_err("still blocked");
    assert_eq!(lock(&last_good.error).as_ref().map(|error| (error.kind, error.count)), Some(("io", 2)));
}

#[tokio::test]
async fn a_reader_changes_nothing_and_says_why_it_cannot_read() {
    let directory = tempfile::tempdir().expect("a folder");
    let directory = directory.path();
    let read_stored = |directory: &Path| read(directory, &Defaults::default(), &[lainlet()]);
    let gone = directory.join("gone");
    assert!(matches!(read_stored(&gone), Err(ReadError::Io(_))));
    assert!(!gone.exists(), "it was made");
    let (mut last_good, _) = open(directory).await;
    last_good.write(applied(&empty(), contribution("a=a.lain b=b.lain"))).await.expect("stored");
    assert!(matches!(read_stored(directory), Err(ReadError::InUse(_))));
    // What a power cut leaves: never closed.
    let crashed = tempfile::tempdir().expect("a folder");
    let file = crashed.path().join("webrouter.redb");
    std::fs::copy(directory.join("webrouter.redb"), &file).expect("copied");
    let before = std::fs::read(&file).expect("readable");
    drop(last_good);
    for directory in [directory, crashed.path()] {
        let stored = read_stored(directory).expect("readable").expect("stored");
        assert_eq!(stored.snapshot.route_count(), 2, "{}", directory.display());
    }
    assert!(std::fs::read(&file).expect("readable") == before, "it was written");
    std::fs::write(&file, "no store").expect("written");
    assert!(matches!(read_stored(crashed.path()), Err(ReadError::Unreadable(_))));
}
