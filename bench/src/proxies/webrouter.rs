//! webrouter with everything on: access log, metrics, state, one thread.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Entry, Setting, free_address};
use crate::site::Site;

/// Where webrouter learns of the apps.
pub(crate) enum Source<'a> {
    /// A file it follows.
    File(&'a Path),
    /// A lainlet.
    Lainlet(SocketAddr),
}

/// Where webrouter listens.
pub(crate) enum Listen<'a> {
    /// HTTP.
    Http(SocketAddr),
    /// TLS.
    Https {
        /// The address.
        address: SocketAddr,
        /// The folder of the pairs it shows.
        certificates: &'a Path,
    },
}

/// A webrouter's configuration on disk.
pub(crate) struct Webrouter {
    /// Its `webrouter.toml`.
    pub(crate) file: PathBuf,
    /// Its admin listener.
    pub(crate) admin: SocketAddr,
}

impl Webrouter {
    /// Writes the apps of the site and a configuration that follows them.
    pub(super) fn of_site(setting: &Setting<'_>, entry: Entry, address: SocketAddr, home: &Path) -> Result<Self> {
        let site = &setting.site;
        let listen = match entry {
            Entry::Plain | Entry::Upgrades => Listen::Http(address),
            Entry::Encrypted => Listen::Https { address, certificates: setting.certificate.folder() },
        };
        let apps = home.join("apps.toml");
        let mut text = String::new();
        for number in 0..site.mountpoints {
            writeln!(
                text,
                "[apps.\"app{number:05}.web.web\"]\nmountpoint = [\"{}\"]\nendpoints = [\"{}\"]",
                Site::host(number),
                site.endpoint(number)
            )?;
        }
        fs::write(&apps, text)?;
        Self::configure(home, &listen, &Source::File(&apps))
    }

    /// Writes the configuration below `home`.
    pub(crate) fn configure(home: &Path, listen: &Listen<'_>, source: &Source<'_>) -> Result<Self> {
        let (state, logs) = (home.join("state"), home.join("logs"));
        fs::create_dir_all(&state)?;
        fs::create_dir_all(&logs)?;
        let admin = free_address()?;
        let source = match source {
            Source::File(path) => format!("[source.file]\npath = {:?}", path.display().to_string()),
            Source::Lainlet(address) => format!("[source.lainlet]\naddress = \"{address}\""),
        };
        let (http, https, tls) = match listen {
            Listen::Http(address) => (format!("\"{address}\""), String::new(), String::new()),
            Listen::Https { address, certificates } => (
                String::new(),
                format!("\"{address}\""),
                format!("[tls]\ncertificates = {:?}", certificates.display().to_string()),
            ),
        };
        let text = format!(
            "[listen]
http = [{http}]
https = [{https}]
external_http = []
external_https = []

[cluster]
domain = \"bench.test\"

{source}

{tls}

[engine]
kind = \"built-in\"
threads = 1

[access_log]
directory = {:?}
format = \"lain\"

[admin]
listen = \"{admin}\"

[state]
directory = {:?}
",
            logs.display().to_string(),
            state.display().to_string()
        );
        let file = home.join("webrouter.toml");
        fs::write(&file, text)?;
        Ok(Self { file, admin })
    }

    /// The command that runs it.
    pub(crate) fn command(&self, binary: &Path) -> Command {
        let mut command = Command::new(binary);
        command.arg("run").arg("--config").arg(&self.file);
        command
    }
}
