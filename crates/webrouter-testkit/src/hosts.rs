//! Other hosts: network namespaces joined to this one by a cable (veth), which can be made to lose everything.
//!
//! Needs root and `ip`; where they are missing a test says so and is skipped, and fails where `CI=true`.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::process::Command;

/// Another host; it goes, with its cable, when dropped.
pub struct Host {
    name: String,
    /// Our end of the cable.
    ours: Ipv4Addr,
    theirs: Ipv4Addr,
}

impl Host {
    /// A host that is reached and reaches us, or `None` where there can be none.
    #[track_caller]
    pub fn start() -> Option<Host> {
        match Host::try_start() {
            Ok(host) => Some(host),
            Err(why) => {
                let loud = format!("SKIPPED: no network namespace (root and `ip` are needed): {why}");
                assert!(std::env::var("CI").as_deref() != Ok("true"), "{loud}");
                eprintln!("{loud}");
                None
            }
        }
    }

    fn try_start() -> Result<Host, String> {
        // Whoever makes the namespace owns its number, and with it the addresses: tests run beside each other.
        let mut last = String::new();
        for number in 0..NUMBERS {
            let number = (number + std::process::id()) % NUMBERS;
            let name = format!("webrouter-{number}");
            match ip(&["netns", "add", &name]) {
                Ok(()) => return Host::wire(name, number),
                Err(why) if why.contains("File exists") => last = why,
                Err(why) => return Err(why),
            }
        }
        Err(last)
    }

    /// Lays the cable; what is half made goes with the host.
    fn wire(name: String, number: u32) -> Result<Host, String> {
        // 198.18.0.0/15 is for such tests (RFC 2544, RFC 6890), a /30 for each.
        let first = u32::from(Ipv4Addr::new(198, 18, 0, 0)) + number * 4;
        let (ours, theirs) = (Ipv4Addr::from(first + 1), Ipv4Addr::from(first + 2));
        let host = Host { name, ours, theirs };
        let (cable, name) = (format!("wr{number}"), host.name.as_str());
        // A cable of a host that a killed test left behind.
        let _ = ip(&["link", "del", &cable]);
        ip(&["link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", name])?;
        ip(&["addr", "add", &format!("{ours}/30"), "dev", &cable])?;
        ip(&["link", "set", &cable, "up"])?;
        ip(&["-n", name, "addr", "add", &format!("{theirs}/30"), "dev", "eth0"])?;
        ip(&["-n", name, "link", "set", "eth0", "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(host)
    }

    /// Its address, as we reach it.
    pub fn addr(&self) -> Ipv4Addr {
        self.theirs
    }

    /// A program to run on it.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// From now on it answers nothing, and no error either: not a SYN, not a packet of an open connection.
    #[track_caller]
    pub fn fall_silent(&self) {
        let silenced = ip(&["-n", &self.name, "route", "add", "blackhole", &format!("{}/32", self.ours)]);
        assert_eq!(silenced, Ok(()));
    }

    /// It answers again.
    #[track_caller]
    pub fn speak_again(&self) {
        let heard = ip(&["-n", &self.name, "route", "del", "blackhole", &format!("{}/32", self.ours)]);
        assert_eq!(heard, Ok(()));
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("ip").args(arguments).output().map_err(|error| format!("ip: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim()))
}

/// How many hosts there can be: as many /30 as the network has.
const NUMBERS: u32 = 1 << 15;

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener, TcpStream};
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_silent_host_neither_accepts_nor_refuses() {
        let Some(host) = Host::start() else { return };
        let nobody = SocketAddr::from((host.addr(), 9));
        let connect = || TcpStream::connect_timeout(&nobody, Duration::from_millis(500)).map_err(|error| error.kind());
        assert_eq!(connect().err(), Some(std::io::ErrorKind::ConnectionRefused));
        host.fall_silent();
        assert_eq!(connect().err(), Some(std::io::ErrorKind::TimedOut));
        host.speak_again();
        assert_eq!(connect().err(), Some(std::io::ErrorKind::ConnectionRefused));
    }

    #[test]
    fn hosts_do_not_share_addresses() {
        let (Some(one), Some(two)) = (Host::start(), Host::start()) else { return };
        assert_ne!(one.addr(), two.addr());
        assert!(TcpListener::bind((one.addr(), 0)).is_err(), "its address is not ours");
    }
}
