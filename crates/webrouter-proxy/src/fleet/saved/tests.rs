use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use webrouter_routing::policy::HealthCheck;

use super::*;
use crate::fleet::endpoint::Mark;
use crate::fleet::scene::{Cluster, endpoint};
use crate::fleet::{Fleet, FleetConfig};

struct Scene {
    _directory: tempfile::TempDir,
    path: PathBuf,
    written: Vec<Remembered>,
}

impl Scene {
    /// A file with a healthy endpoint, and one each that is down, drained, ejected, unproven.
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("state/health.json");
        let mut cluster = Cluster::new(HealthCheck::default());
        cluster.with("demo", Some("/"), &(1..=5).map(endpoint).collect::<Vec<_>>());
        let fleet = Fleet::new(FleetConfig::default(), Vec::new());
        let upstream = cluster.upstream("demo");
        let states = fleet.upstream(&upstream).states(&upstream, &fleet);
        for (nth, mark) in [(1, Mark::DOWN), (2, Mark::DRAINING), (3, Mark::EJECTED)] {
            states[nth].mark(mark);
            states[nth].unmark(Mark::UNPROVEN);
        }
        states[0].unmark(Mark::UNPROVEN);
        states[3].record().ejected_until = Some(tokio::time::Instant::now() + std::time::Duration::from_secs(9));
        states[3].record().ejections = 3;
        let written: Vec<Remembered> = fleet.to_remember().collect();
        write(&path, written.iter().cloned()).expect("it is written");
        Self { _directory: directory, path, written }
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.path).expect("the file")
    }
}

/// How a file is read after something befell it.
fn check(befall: impl FnOnce(&Scene), expected: Result<(), &str>) {
    let scene = Scene::new();
    befall(&scene);
    let actual = try_read(&scene.path).map_err(|error| error.to_string());
    match expected {
        Ok(()) => assert_eq!(actual.ok().as_ref(), Some(&scene.written)),
        Err(expected) => {
            let error = actual.expect_err("it cannot be read");
            assert!(error.contains(expected), "{error}");
            assert_eq!(read(&scene.path), []);
        }
    }
}

#[test]
fn what_is_written_is_read() {
    check(|_| {}, Ok(()));
    check(|scene| write(&scene.path, scene.written.iter().cloned()).expect("again"), Ok(()));
}

#[test]
fn what_cannot_be_read_is_left_out() {
    let put = |text: &'static str| move |scene: &Scene| fs::write(&scene.path, text).expect("written");
    check(put(""), Err("damaged"));
    check(put("null"), Err("damaged"));
    check(put("\0\0\0\0"), Err("damaged"));
    check(put(r#"{"version":1}"#), Err("damaged"));
    check(put(r#"{"version":2,"endpoints":{}}"#), Err("version 2"));
    check(
        put(r#"{"version":1,"endpoints":[{"proc":{"source":"x","name":"/etc"},"endpoint":"1.2.3.4:5"}]}"#),
        Err("damaged"),
    );
    check(
        put(r#"{"version":1,"endpoints":[{"proc":{"source":"x","name":"a.b.c"},"endpoint":"1.2.3.4:0"}]}"#),
        Err("damaged"),
    );
    check(|scene| fs::remove_file(&scene.path).expect("removed"), Err("No such file"));
    let directory = |scene: &Scene| {
        fs::remove_file(&scene.path).expect("removed");
        fs::create_dir(&scene.path).expect("a directory");
    };
    check(directory, Err("directory"));
    let huge = |scene: &Scene| {
        let file = OpenOptions::new().write(true).open(&scene.path).expect("the file");
        file.set_len(MAX_BYTES + 1).expect("longer");
    };
    check(huge, Err("larger"));
}

#[test]
fn cut_short_anywhere_it_is_left_out() {
    let scene = Scene::new();
    let whole = scene.text();
    for length in 0..whole.trim_end().len() {
        fs::write(&scene.path, whole.get(..length).expect("ASCII")).expect("written");
        let error = try_read(&scene.path).expect_err("it cannot be read").to_string();
        assert!(error.contains("damaged"), "{length}: {error}");
    }
}

#[test]
fn times_that_no_clock_can_tell_are_no_trouble() {
    let far = r#"{"version":1,"endpoints":[{"proc":{"source":"test","name":"demo.web.web"},"endpoint":"10.0.0.1:8000",
        "ejections":4000000000,"ejected_until":{"secs_since_epoch":9000000000000000000,"nanos_since_epoch":0}},
        {"proc":{"source":"test","name":"demo.web.web"},"endpoint":"10.0.0.2:8000",
        "ejections":1,"ejected_until":{"secs_since_epoch":0,"nanos_since_epoch":0}}]}"#;
    let scene = Scene::new();
    fs::write(&scene.path, far).expect("written");
    let fleet = Fleet::new(FleetConfig::default(), read(&scene.path));
    let mut cluster = Cluster::new(HealthCheck::default());
    cluster.with("demo", None, &[endpoint(1), endpoint(2)]);
    let upstream = cluster.upstream("demo");
    let states = fleet.upstream(&upstream).states(&upstream, &fleet);
    let ejected: Vec<bool> = states.iter().map(|state| state.is_marked(Mark::EJECTED)).collect();
    assert_eq!(ejected, [true, false]);
    assert_eq!(fleet.to_remember().count(), 2);
}

#[test]
fn nobody_else_may_read_it_and_no_half_is_left() {
    let scene = Scene::new();
    let mode = fs::metadata(&scene.path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let new = scene.path.with_extension("json.new");
    assert!(!new.exists());
    let before = scene.text();
    fs::create_dir(&new).expect("something in the way");
    assert!(write(&scene.path, std::iter::empty()).is_err());
    assert_eq!(scene.text(), before);
}

#[test]
fn a_full_disk_is_an_error_and_the_old_file_stays() {
    let file = OpenOptions::new().write(true).open("/dev/full").expect("it is there on Linux");
    let error = write_to(file, Scene::new().written.into_iter()).expect_err("it is full");
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
}
