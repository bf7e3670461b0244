//! Programs that are not ours, run to their end: what the field uses to look at a server.
//!
//! Where one is missing a test says so and is skipped, and fails where `CI=true`.

use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::eventually::until;

/// What a program did.
#[derive(Debug, Clone)]
pub struct Ran {
    /// The exit code; `None` when it was killed.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub out: String,
    /// What it wrote to standard error.
    pub err: String,
}

impl Ran {
    /// All it wrote.
    pub fn said(&self) -> String {
        format!("{}{}", self.out, self.err)
    }
}

/// Whether a program is there; says so loudly where it is not.
#[track_caller]
pub fn have(program: &str) -> bool {
    let there = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
    if !there {
        let loud = format!("SKIPPED: {program} is not installed");
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{loud}");
        eprintln!("{loud}");
    }
    there
}

/// Runs a program to its end with this standard input, or kills it after a minute; `None` where it is missing.
#[track_caller]
pub fn run(program: &str, arguments: &[&str], input: &str) -> Option<Ran> {
    if !have(program) {
        return None;
    }
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    Some(finish(child, input))
}

fn finish(mut child: Child, input: &str) -> Ran {
    if let Some(mut stdin) = child.stdin.take() {
        let _ = stdin.write_all(input.as_bytes());
    }
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = (thread::spawn(move || text(out)), thread::spawn(move || text(err)));
    let exit = until(PATIENCE, || child.try_wait().ok().flatten());
    if exit.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let joined = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ran { code: exit.and_then(|exit| exit.code()), out: joined(out), err: joined(err) }
}

fn text(source: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut source) = source {
        let _ = source.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_what_a_program_did() {
        let ran = run("sh", &["-c", "cat; echo oops >&2; exit 3"], "hello").expect("a shell is there");
        assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (Some(3), "hello", "oops\n"));
    }
}
