//! A network namespace of our own: loopback only, no packet filter, no connection tracking.
//!
//! Tens of thousands of connections a second would fill the machine's connection-tracking table within seconds, and
//! then every program on it fails to connect, the proxies under test first.

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

const MARK: &str = "WEBROUTER_BENCH_NAMESPACE";
const TRACKING: &str = "/proc/sys/net/netfilter/nf_conntrack_max";

/// Starts this program again in a namespace of its own; returns when it is there already, or when there can be none.
pub(crate) fn enter() -> Result<()> {
    if std::env::var_os(MARK).is_some() {
        return Ok(());
    }
    let script = "ip link set lo up && exec \"$0\" \"$@\"";
    let mut unshare = Command::new("unshare");
    unshare.args(["--net", "sh", "-c", script]);
    let possible = Command::new("unshare")
        .args(["--net", "ip", "link", "set", "lo", "up"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !possible {
        eprintln!("no network namespace of our own (needs root, unshare and ip): measuring in the machine's");
        return Ok(());
    }
    let error = unshare.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(MARK, "own").exec();
    Err(error.into())
}

/// Refuses to open connections by the thousands where the machine would keep track of each.
pub(crate) fn must_not_track_connections() -> Result<()> {
    if std::env::var_os(MARK).is_none() && fs::exists(TRACKING)? {
        bail!(
            "`connect` and `handshake` would fill this machine's connection-tracking table and cut everybody off: run them where this program can make a network namespace"
        );
    }
    Ok(())
}
