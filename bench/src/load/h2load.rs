//! h2load, one process for each connection: it asks one authority only, as a browser does on one connection.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{LOAD_CORE, Placement, Program};
use crate::proxies::Setting;

/// Asks each host so many times on a connection of its own; how long all of it took.
///
/// A number and not a time: h2load forgets the streams under way when its time is over, and a connection that is not
/// open by then never ends.
pub(crate) fn run(
    setting: &Setting<'_>,
    target: SocketAddr,
    hosts: &[String],
    requests: u64,
    body: usize,
) -> Result<Duration> {
    let started = Instant::now();
    let mut programs = Vec::new();
    for (number, host) in hosts.iter().enumerate() {
        let mut command = Command::new("h2load");
        command
            .args(["-c1", &format!("-m{STREAMS}"), &format!("-n{requests}")])
            // As the other loads over TLS.
            .args(["--groups=X25519", "--tls13-ciphers=TLS_AES_256_GCM_SHA384"])
            .arg(format!("--connect-to={target}"))
            .arg(format!("https://{host}/"));
        let output = setting.directory.join(format!("h2load-{number}.out"));
        programs.push(Program::start("h2load", Placement::Core(LOAD_CORE), &command, &output, setting.groups)?);
    }
    for (program, host) in programs.into_iter().zip(hosts) {
        let output = program.finish(AT_MOST)?;
        check(&output, requests, body).with_context(|| format!("h2load for {host}: {output}"))?;
    }
    Ok(started.elapsed())
}

/// Whether h2load reports so many right answers and no other, over HTTP/2 and TLS 1.3.
fn check(output: &str, requests: u64, body: usize) -> Result<()> {
    for line in ["TLS Protocol: TLSv1.3", "Application protocol: h2"] {
        if !output.lines().any(|it| it == line) {
            bail!("not {line:?}");
        }
    }
    let (done, statuses) = (line(output, "requests: ")?, line(output, "status codes: ")?);
    if count(done, " succeeded")? != requests || count(statuses, " 2xx")? != requests {
        bail!("answers were wrong or missing");
    }
    let (_, data) = line(output, "traffic: ")?.rsplit_once('(').context("no bytes of bodies")?;
    if data != format!("{}) data", requests * body as u64) {
        bail!("bodies of another length");
    }
    Ok(())
}

fn line<'a>(output: &'a str, start: &str) -> Result<&'a str> {
    output.lines().find_map(|line| line.strip_prefix(start)).with_context(|| format!("no {start:?}"))
}

fn count(line: &str, unit: &str) -> Result<u64> {
    let count = line.split(", ").find_map(|part| part.strip_suffix(unit)).with_context(|| format!("no {unit:?}"))?;
    Ok(count.parse()?)
}

/// Concurrent streams of a connection.
const STREAMS: usize = 8;
/// How long a connection's requests may take: what is slower is not worth waiting for.
const AT_MOST: Duration = Duration::from_secs(300);

#[cfg(test)]
mod tests {
    use super::check;

    const OUTPUT: &str = "TLS Protocol: TLSv1.3
Cipher: TLS_AES_256_GCM_SHA384
Application protocol: h2

finished in 1.00s, 2000.00 req/s, 281.38KB/s
requests: 2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored, 0 timeout
status codes: 2000 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 390.00KB (399360) total, 95.70KB (98000) headers (space savings 50.51%), 250.00KB (256000) data
";

    #[test]
    fn right_answers_are_right() {
        check(OUTPUT, 2000, 128).unwrap();
    }

    #[test]
    fn whatever_is_wrong_is_an_error() {
        let refuse = |from: &str, to: &str| {
            assert!(OUTPUT.contains(from), "{from}");
            assert!(check(&OUTPUT.replace(from, to), 2000, 128).is_err(), "{from} as {to}");
        };
        refuse("protocol: h2", "protocol: http/1.1");
        refuse("TLSv1.3", "TLSv1.2");
        refuse("2000 succeeded, 0 failed", "1999 succeeded, 1 failed");
        refuse("2000 2xx, 0 3xx", "1999 2xx, 1 3xx");
        refuse("(256000) data", "(255999) data");
        refuse("traffic", "tragic");
    }
}
