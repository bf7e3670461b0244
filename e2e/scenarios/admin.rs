//! Who may change something by the admin API.

use std::process::Command;

use webrouter_testkit::HttpOrigin;

use super::{entry, webrouter};

#[test]
fn where_there_is_a_token_a_change_needs_it_and_every_change_is_noted() {
    const TOKEN: &str = "not-to-be-guessed-0123456789";
    let origin = HttpOrigin::start("one");
    let builder = webrouter().file("admin.token", &format!("{TOKEN}\n"));
    let router = builder.admin("token_file = \"{dir}/admin.token\"").apps(&entry(
        "demo.web.web",
        &["demo.test"],
        &[origin.addr()],
    ));
    let router = router.start();
    router.wait_ready();
    let drain = format!("/v1/endpoints/{}/drain", origin.addr());
    let (status, text) = router.admin_act("POST", &drain);
    assert_eq!(status, 401, "{text}");
    assert_eq!(router.admin_get("/v1/status").0, 200, "reading from the machine itself needs none");
    let endpoint = origin.addr().to_string();
    let command = |token_file: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_webrouter"));
        command.args(["drain", &endpoint, "--admin", &router.admin().to_string()]);
        command.args(token_file.iter().flat_map(|file| ["--token-file", file]));
        command.output().expect("the command runs")
    };
    assert_ne!(command(None).status.code(), Some(0));
    let output = command(router.path("admin.token").to_str());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let log = router.output();
    let notes: Vec<&str> = log.lines().filter(|line| line.contains(" audit: ")).collect();
    assert_eq!(notes.len(), 3, "{log}");
    for (note, status) in notes.iter().zip([401, 401, 200]) {
        for part in ["127.0.0.1", "POST", &drain, &format!("status={status}")] {
            assert!(note.contains(part), "{part} in {note}");
        }
    }
    assert!(!log.contains(TOKEN), "{log}");
}

#[test]
fn a_token_that_cannot_be_read_is_a_clear_exit() {
    let (code, _, error) = webrouter().apps("").admin("token_file = \"{dir}/missing.token\"").run_to_end(&["run"]);
    assert_ne!(code, Some(0));
    assert!(error.contains("missing.token"), "{error}");
}
