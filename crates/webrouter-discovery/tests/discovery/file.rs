use std::path::Path;

use webrouter_discovery::status::SourceState::{Failing, Following};
use webrouter_discovery::{Discovery, DiscoveryConfig, FileConfig};

use crate::scene::{eventually, has_error, is, ready, routes, source};

fn apps(names: &[&str]) -> String {
    let app = |name: &&str| {
        format!("[apps.\"{name}.web.web\"]\nmountpoint = [\"{name}.lain\"]\nendpoints = [\"127.0.0.1:1\"]\n")
    };
    names.iter().map(app).collect()
}

fn config(path: &Path) -> DiscoveryConfig {
    DiscoveryConfig { file: Some(FileConfig { path: path.to_owned() }), ..DiscoveryConfig::default() }
}

#[tokio::test]
async fn edits_in_place_and_by_rename_are_followed() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("apps.toml");
    std::fs::write(&path, apps(&["a"])).expect("written");
    let discovery = ready(config(&path)).await;
    assert_eq!(routes(&discovery), "a.lain");
    std::fs::write(&path, apps(&["a", "b"])).expect("written");
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
    let other = directory.path().join("apps.toml.new");
    std::fs::write(&other, apps(&["a", "b", "c"])).expect("written");
    std::fs::rename(&other, &path).expect("renamed");
    eventually("c is routed", || routes(&discovery) == "a.lain b.lain c.lain").await;
}

#[tokio::test]
async fn a_swapped_link_is_followed() {
    let directory = tempfile::tempdir().expect("a folder");
    let inside = |name: &str| directory.path().join(name);
    for (version, names) in [("v1", &["a"][..]), ("v2", &["a", "b"])] {
        std::fs::create_dir(inside(version)).expect("made");
        std::fs::write(inside(version).join("apps.toml"), apps(names)).expect("written");
    }
    std::os::unix::fs::symlink("v1", inside("..data")).expect("linked");
    std::os::unix::fs::symlink("..data/apps.toml", inside("apps.toml")).expect("linked");
    let discovery = ready(config(&inside("apps.toml"))).await;
    assert_eq!(routes(&discovery), "a.lain");
    std::os::unix::fs::symlink("v2", inside("..new")).expect("linked");
    std::fs::rename(inside("..new"), inside("..data")).expect("swapped");
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain").await;
}

#[tokio::test]
async fn a_broken_edit_keeps_what_is_in_force_and_says_where() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("apps.toml");
    std::fs::write(&path, apps(&["a"])).expect("written");
    let discovery = ready(config(&path)).await;
    std::fs::write(&path, format!("{}[apps.\"b.web.web\"]\nmountpoints = []\n", apps(&["a"]))).expect("written");
    eventually("it fails", || is(&discovery, Failing)).await;
    let error = source(&discovery).last_error.expect("an error");
    assert_eq!(error.kind, "bad_toml");
    assert!(error.message.contains("apps.toml:5:1: unknown field"), "{}", error.message);
    assert_eq!(routes(&discovery), "a.lain");
    std::fs::write(&path, apps(&["a", "b"])).expect("written");
    eventually("b is routed", || routes(&discovery) == "a.lain b.lain" && is(&discovery, Following)).await;
}

#[tokio::test]
async fn a_missing_file_is_waited_for() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("apps.toml");
    let discovery = Discovery::start(config(&path)).await.expect("started");
    eventually("it is missing", || has_error(&discovery, "missing") && is(&discovery, Failing)).await;
    assert!(!discovery.is_ready());
    std::fs::write(&path, apps(&["a"])).expect("written");
    eventually("ready", || discovery.is_ready()).await;
    assert_eq!(routes(&discovery), "a.lain");
}

#[tokio::test]
async fn a_bad_app_hurts_only_itself() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("apps.toml");
    let bad = "[apps.\"b.web.web\"]\nmountpoint = [\"b b\", \"b.lain\"]\nendpoints = [\"127.0.0.1:0\"]\n[apps.bad]\n";
    std::fs::write(&path, format!("{}{bad}", apps(&["a"]))).expect("written");
    let discovery = ready(config(&path)).await;
    assert_eq!(routes(&discovery), "a.lain b.lain");
    let table = discovery.table();
    let kinds: Vec<_> = table.rejections().iter().map(|rejection| rejection.reason.kind()).collect();
    assert_eq!(kinds, ["bad_name", "bad_mountpoint", "bad_endpoint"]);
}

#[tokio::test]
async fn what_is_no_file_is_not_waited_for() {
    let directory = tempfile::tempdir().expect("a folder");
    let path = directory.path().join("apps.toml");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs");
    assert!(made.success());
    let discovery = Discovery::start(config(&path)).await.expect("started");
    eventually("a pipe is seen", || has_error(&discovery, "not_a_file") && is(&discovery, Failing)).await;
    std::fs::remove_file(&path).expect("removed");
    std::fs::create_dir(&path).expect("made");
    eventually("a folder is seen", || source(&discovery).errors.get("not_a_file").is_some_and(|count| *count > 1))
        .await;
    std::fs::remove_dir(&path).expect("removed");
    std::fs::write(&path, apps(&["a"])).expect("written");
    eventually("a is routed", || routes(&discovery) == "a.lain" && is(&discovery, Following)).await;
}
