//! nginx as the old webrouter configures Tengine: a server, an upstream and a log file for each name.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::{Entry, Setting};
use crate::site::Site;

const HEAD: &str = r#"daemon off;
worker_processes 1;
worker_rlimit_nofile 20000;
pid nginx.pid;
error_log error.log warn;
events {
    worker_connections 8192;
    use epoll;
}
http {
    default_type text/plain;
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    tcp_nodelay on;
    keepalive_timeout 65s;
    keepalive_requests 1000000000;
    client_body_temp_path temp-body;
    proxy_temp_path temp-proxy;
    fastcgi_temp_path temp-fastcgi;
    uwsgi_temp_path temp-uwsgi;
    scgi_temp_path temp-scgi;
    log_format lain '$remote_addr@$remote_user@[$time_local]@$Host@"$request"@$status@$body_bytes_sent@"$http_referer"@$http_user_agent@$http_x_forwarded_for@upstream_response_time@$upstream_response_time@request_time@$request_time';
    proxy_http_version 1.1;
    proxy_connect_timeout 5s;
    proxy_read_timeout 900s;
    proxy_send_timeout 900s;
    proxy_max_temp_file_size 0;
    proxy_buffer_size 8k;
    proxy_buffers 8 256k;
    proxy_busy_buffers_size 512k;
    proxy_set_header Host $host;
    proxy_set_header X-Real-IP $remote_addr;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    proxy_set_header X-Original-URI $request_uri;
    proxy_set_header REQUEST_URI $request_uri;
"#;
const NO_UPGRADES: &str = r#"    proxy_set_header Connection "";
"#;
const UPGRADES: &str = r#"    map $http_upgrade $connection_to_app { default upgrade; "" ""; }
    proxy_set_header Connection $connection_to_app;
    proxy_set_header Upgrade $http_upgrade;
"#;

/// Writes `nginx.conf` and returns the command that serves it in the foreground.
pub(super) fn command(setting: &Setting<'_>, entry: Entry, address: SocketAddr, home: &Path) -> Result<Command> {
    let site = &setting.site;
    let mut text = HEAD.to_owned();
    text.push_str(match entry {
        Entry::Plain | Entry::Encrypted => NO_UPGRADES,
        Entry::Upgrades => UPGRADES,
    });
    let (listens, pair) = match entry {
        Entry::Plain | Entry::Upgrades => ("", String::new()),
        Entry::Encrypted => {
            let (certificate, key) = (setting.certificate.file(), setting.certificate.key_file());
            (
                " ssl http2",
                format!(
                    "ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {}; ssl_certificate_key {};",
                    certificate.display(),
                    key.display()
                ),
            )
        }
    };
    writeln!(text, "    server {{ listen {address} default_server{listens}; {pair} return 404; access_log off; }}")?;
    for number in 0..site.mountpoints {
        let (host, upstream) = (Site::host(number), Site::upstream(number));
        let endpoint = site.endpoint(number);
        writeln!(
            text,
            "    upstream {upstream} {{ server {endpoint}; keepalive 8; keepalive_requests 1000000000; keepalive_timeout 600s; }}
    server {{ listen {address}{listens}; server_name {host}; access_log logs/{host}___{upstream}.access.log lain buffer=4k flush=1s; location / {{ proxy_pass http://{upstream}; }} }}"
        )?;
    }
    text.push_str("}\n");
    let file = home.join("nginx.conf");
    fs::write(&file, text)?;
    let mut command = Command::new(&setting.binaries.nginx);
    command.arg("-p").arg(home).arg("-c").arg(file);
    Ok(command)
}
