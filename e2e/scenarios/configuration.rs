//! Mistakes in the configuration: exit 2, with file, line, column, the text and the fix.

use super::webrouter;

/// Runs with `section` and expects a refusal that points at line and column and quotes `text`.
fn refused(section: &str, text: &str) {
    for command in ["check", "run"] {
        let (code, out, err) = webrouter().section(section).run_to_end(&[command]);
        let said = out + &err;
        assert_eq!(code, Some(2), "{command} with {section:?}: {said}");
        assert!(said.contains("webrouter.toml"), "the file: {said}");
        let number = 1 + line_of(section, text);
        assert!(said.contains(&format!(":{number}:")), "line {number} of {text:?}: {said}");
        assert!(said.contains(text), "the text {text:?}: {said}");
    }
}

/// The line of `text`, counted after the eight lines that every configuration begins with.
fn line_of(section: &str, text: &str) -> usize {
    let at = section.find(text).expect("the mistake is in the section");
    PREAMBLE_LINES + section[..at].matches('\n').count()
}

/// listen, http, admin, listen, state, directory, access_log, directory.
const PREAMBLE_LINES: usize = 8;

#[test]
fn an_unknown_key_is_refused() {
    refused("[timeouts]\nconect = \"5s\"\n", "conect");
}

#[test]
fn a_value_of_the_wrong_type_is_refused() {
    refused("[limits]\nrequest_headers = \"many\"\n", "\"many\"");
}

#[test]
fn a_time_without_a_unit_is_refused() {
    refused("[timeouts]\nconnect = \"5 parsecs\"\n", "5 parsecs");
}

#[test]
fn an_unknown_section_is_refused() {
    refused("[tiemouts]\nconnect = \"5s\"\n", "tiemouts");
}

#[test]
fn an_address_that_is_none_is_refused() {
    refused("[source.lainlet]\naddress = \"lainlet:notaport\"\n", "lainlet:notaport");
}

#[test]
fn broken_toml_is_refused() {
    refused("[timeouts]\nconnect = \n", "connect =");
}

#[test]
fn a_bad_environment_variable_is_refused_by_name() {
    let (code, out, err) = webrouter().env("LAINLET_PORT", "notaport").run_to_end(&["check"]);
    let said = out + &err;
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("LAINLET_PORT") && said.contains("notaport"), "{said}");
}

#[test]
fn a_taken_port_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = taken.local_addr().expect("bound").to_string();
    let toml = format!("[listen]\nhttp = [\"{addr}\"]\n[admin]\nlisten = \"127.0.0.1:0\"\n");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("webrouter.toml");
    let state =
        format!("[state]\ndirectory = \"{0}/state\"\n[access_log]\ndirectory = \"{0}\"\n", dir.path().display());
    std::fs::write(dir.path().join("apps.toml"), "").expect("apps.toml");
    let source = format!("[source.file]\npath = \"{}/apps.toml\"\n", dir.path().display());
    std::fs::write(&path, toml + &state + &source).expect("webrouter.toml");
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_webrouter"))
        .args(["run", "--config"])
        .arg(&path)
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{said}");
    assert!(said.contains(&addr), "{said}");
}
