//! HAProxy with a map of hosts to backends, one backend for each name.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Entry, Setting};
use crate::site::Site;

const HEAD: &str = "global
    nbthread 1
    maxconn 4000
    log stdout format raw local0
defaults
    mode http
    log global
    option httplog
    option splice-auto
    http-reuse always
    timeout connect 5s
    timeout client 900s
    timeout server 900s
    timeout http-request 60s
    timeout http-keep-alive 65s
    default-server pool-purge-delay 600s
";

/// Writes `haproxy.cfg` with its map and returns the command that serves it in the foreground.
pub(super) fn command(setting: &Setting<'_>, entry: Entry, address: SocketAddr, home: &Path) -> Result<Command> {
    let site = &setting.site;
    let (scheme, bind) = match entry {
        Entry::Plain | Entry::Upgrades => ("http", address.to_string()),
        Entry::Encrypted => {
            let pair = home.join("pair.pem");
            setting.certificate.write_pair(&pair)?;
            ("https", format!("{address} ssl crt {} ssl-min-ver TLSv1.2 alpn h2,http/1.1", pair.display()))
        }
    };
    let (file, map) = (home.join("haproxy.cfg"), home.join("hosts.map"));
    let mut text = HEAD.to_owned();
    writeln!(
        text,
        "frontend entry
    bind {bind}
    option forwardfor
    http-request set-header X-Real-IP %[src]
    http-request set-header X-Forwarded-Proto {scheme}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header X-Original-URI %[pathq]
    http-request set-header REQUEST_URI %[pathq]
    use_backend %[req.hdr(host),lower,map({})]",
        map.display()
    )?;
    let mut hosts = String::new();
    for number in 0..site.mountpoints {
        let (host, upstream) = (Site::host(number), Site::upstream(number));
        writeln!(hosts, "{host} {upstream}")?;
        writeln!(text, "backend {upstream}\n    server c1 {}", site.endpoint(number))?;
    }
    fs::write(&map, hosts)?;
    fs::write(&file, text)?;
    let mut command = Command::new(&setting.binaries.haproxy);
    command.args(["-db", "-f"]).arg(file);
    Ok(command)
}
