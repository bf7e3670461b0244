//! What each value means: raw sections and environment into a [`Config`].

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipnet::IpNet;
use toml::Value;
use webrouter_admin::doctor::DockerHost;
use webrouter_routing::host::Host;
use webrouter_routing::table::Subdomains;
use webrouter_telemetry::graphite::GraphiteConfig;

use super::environment::{
    DEPLOYD_POD_INSTANCE_NO, Environment, GRAPHITE_HOST, GRAPHITE_PORT, LAIN_DOMAIN, LAINLET_ADDR, LAINLET_PORT,
    NGINX_LOG_PATH, NGINX_SSL_PATH,
};
use super::error::{ConfigError, Mistake, Place};
use super::leaf::{Offence, Reader, listen_address, shown};
use super::raw::{RawAccessLog, RawConfig, RawEngine, RawGraphite, RawLainlet, RawLimits, RawListen};
use super::{
    AccessLog, AccessLogFormat, AccessLogSink, Cluster, Config, Guard, LainletSource, Limits, Listen, Routing, Threads,
    Timeouts, UnknownHost,
};
use super::{policies, tls};

/// Resolves a file's sections under an environment.
pub(super) fn resolve(
    raw: RawConfig,
    path: &Path,
    text: &str,
    environment: &Environment,
) -> Result<Config, ConfigError> {
    let mut reader = Reader::new(path, text);
    let mut config = sections(&mut reader, raw);
    let mut mistakes = reader.mistakes;
    override_by(environment, &mut config, &mut mistakes);
    match mistakes.is_empty() {
        true => Ok(config),
        false => Err(ConfigError::Mistakes(mistakes)),
    }
}

fn sections(reader: &mut Reader<'_>, mut raw: RawConfig) -> Config {
    let policies = policies::resolve(reader, &mut raw);
    let listen = listen(reader, raw.listen);
    let tls = tls::resolve(reader, raw.tls, &listen);
    Config {
        listen,
        cluster: Cluster {
            domain: reader.value(raw.cluster.domain, None, |value| host(value).map(Some)),
            extra_domains: reader.list(raw.cluster.extra_domains, Vec::new(), "[\"example.com\"]", host),
        },
        routing: Routing {
            subdomains: match reader.switch(raw.routing.subdomains, true) {
                true => Subdomains::Follow,
                false => Subdomains::Ignore,
            },
            unknown_host: reader.word(
                raw.routing.unknown_host,
                UnknownHost::NotFound,
                &[("404", UnknownHost::NotFound), ("close", UnknownHost::Close)],
            ),
        },
        lainlet: raw.source.lainlet.map(|raw| lainlet(reader, raw)),
        file: raw.source.file.map(|raw| reader.path(raw.path).unwrap_or_else(|| PathBuf::from("apps.toml"))),
        threads: engine(reader, raw.engine),
        tls,
        access_log: access_log(reader, raw.access_log),
        timeouts: Timeouts {
            request_header: reader.duration(raw.timeouts.request_header, MINUTE, MILLISECOND),
            request_body: reader.duration(raw.timeouts.request_body, MINUTE, MILLISECOND),
            keep_alive: reader.duration(raw.timeouts.keep_alive, Duration::from_secs(65), MILLISECOND),
        },
        policies,
        limits: limits(reader, raw.limits),
        trusted_proxies: reader.list(raw.forwarding.trusted_proxies, private_networks(), NETWORKS, network),
        docker: reader.value(raw.docker.host, None, |value| docker_host(value).map(Some)),
        admin: reader.value(raw.admin.listen, loopback(9080), listen_address),
        admin_names: reader.list(raw.admin.names, Vec::new(), "[\"webrouter.example.com\"]", host),
        admin_token_file: reader.path(raw.admin.token_file),
        graphite: raw.graphite.map(|raw| graphite(reader, raw)),
        state: reader.path(raw.state.directory).unwrap_or_else(|| PathBuf::from("/var/lib/webrouter")),
        guard: Guard {
            max_loss: reader.share(raw.guard.max_loss, 0.5, MAX_LOSS_FIX),
            grace: reader.duration(raw.guard.grace, MINUTE, MILLISECOND),
        },
        stop_notice: reader.duration(raw.stop.notice, Duration::ZERO, Duration::ZERO),
        stop_deadline: reader.duration(raw.stop.deadline, Duration::from_secs(30), MILLISECOND),
    }
}

fn listen(reader: &mut Reader<'_>, raw: RawListen) -> Listen {
    const EXAMPLE: &str = "[\"0.0.0.0:80\"]";
    const TLS_EXAMPLE: &str = "[\"0.0.0.0:443\"]";
    let http_is_default = raw.http.is_none();
    let mut http = reader.list(raw.http, Vec::new(), EXAMPLE, listen_address);
    if http_is_default {
        http.push(std::net::SocketAddr::from(([0, 0, 0, 0], 80)));
    }
    Listen {
        http,
        https: reader.list(raw.https, Vec::new(), TLS_EXAMPLE, listen_address),
        external_http: reader.list(raw.external_http, Vec::new(), EXAMPLE, listen_address),
        external_https: reader.list(raw.external_https, Vec::new(), TLS_EXAMPLE, listen_address),
        h2c: reader.switch(raw.h2c, false),
        proxy_protocol: reader.list(raw.proxy_protocol, Vec::new(), NETWORKS, network),
    }
}

fn lainlet(reader: &mut Reader<'_>, raw: RawLainlet) -> LainletSource {
    let default = default_lainlet();
    let timeout_span = raw.read_timeout.as_ref().or(raw.heartbeat.as_ref()).map(toml::Spanned::span);
    let source = LainletSource {
        address: reader.value(raw.address, default.address, |value| {
            let text = value.as_str().unwrap_or_default();
            address(text, LAINLET_PORT_DEFAULT).ok_or_else(|| not_lainlet(&shown(value)))
        }),
        heartbeat: reader.duration(raw.heartbeat, default.heartbeat, SECOND),
        read_timeout: reader.duration(raw.read_timeout, default.read_timeout, SECOND),
        refresh: reader.duration(raw.refresh, default.refresh, SECOND),
    };
    check_heartbeat(reader, &source, timeout_span);
    source
}

/// lainlet counts heartbeats in whole seconds, and a watch that is given up before one can come never lives.
fn check_heartbeat(reader: &mut Reader<'_>, source: &LainletSource, span: Option<Range<usize>>) {
    let Some(span) = span else { return };
    if source.heartbeat.subsec_nanos() != 0 {
        let fix = "write whole seconds: heartbeat = \"5s\"".to_owned();
        reader.add(span, (format!("lainlet cannot send a heartbeat every {:?}", source.heartbeat), fix));
    } else if source.read_timeout <= source.heartbeat {
        let problem = format!(
            "read_timeout ({:?}) is not longer than heartbeat ({:?}): every watch would be given up",
            source.read_timeout, source.heartbeat
        );
        reader.add(span, (problem, "make read_timeout about three times heartbeat".to_owned()));
    }
}

fn engine(reader: &mut Reader<'_>, raw: RawEngine) -> Threads {
    reader.value(raw.kind, (), |value| match value.as_str() {
        Some("built-in") => Ok(()),
        Some("tengine") => {
            let fix = "write kind = \"built-in\", or remove the line".to_owned();
            Err(("the Tengine engine is not in this version".to_owned(), fix))
        }
        _ => Err((format!("{} is not an engine", shown(value)), "write kind = \"built-in\"".to_owned())),
    });
    reader.value(raw.threads, Threads::Cores, |value| match value {
        Value::String(text) if text == "cores" => Ok(Threads::Cores),
        Value::Integer(number @ 1..=MAX_THREADS) => Ok(Threads::Fixed(usize::try_from(*number).unwrap_or(1))),
        _ => Err((
            format!("{} is not a number of threads", shown(value)),
            format!("write a number from 1 to {MAX_THREADS}, or \"cores\" for one a core"),
        )),
    })
}

fn access_log(reader: &mut Reader<'_>, raw: RawAccessLog) -> AccessLog {
    let span = raw.directory.as_ref().map(toml::Spanned::span);
    let directory = reader.path(raw.directory);
    let stdout = reader.switch(raw.stdout, false);
    if let (Some(span), true) = (span, stdout) {
        let fix = "keep one of `directory` and `stdout = true`".to_owned();
        reader.add(span, ("the access log goes to a directory or to stdout, not to both".to_owned(), fix));
    }
    let format = reader.word(
        raw.format,
        AccessLogFormat::Lain,
        &[("lain", AccessLogFormat::Lain), ("json", AccessLogFormat::Json)],
    );
    let sink = match stdout {
        true => AccessLogSink::Stdout,
        false => AccessLogSink::Directory(directory.unwrap_or_else(|| PathBuf::from("/var/log/nginx"))),
    };
    AccessLog { sink, format }
}

fn limits(reader: &mut Reader<'_>, raw: RawLimits) -> Limits {
    const KIB: usize = 1024;
    Limits {
        request_head_bytes: reader.size(raw.request_head_bytes, 64 * KIB, KIB, 16 * KIB * KIB),
        request_headers: reader.size(raw.request_headers, 128, 8, 4096),
        request_target_bytes: reader.size(raw.request_target_bytes, 16 * KIB, 256, 16 * KIB * KIB),
        request_body_bytes: reader.limit(raw.request_body_bytes, 0),
        response_head_bytes: reader.size(raw.response_head_bytes, 64 * KIB, KIB, 16 * KIB * KIB),
        connections: reader.limit(raw.connections, 1).map(|count| usize::try_from(count).unwrap_or(usize::MAX)),
    }
}

fn override_by(environment: &Environment, config: &mut Config, mistakes: &mut Vec<Mistake>) {
    let mut refuse = |name: &'static str, value: &str, (problem, fix): Offence| {
        mistakes.push(Mistake { problem, fix, place: Place::Variable { name, value: value.to_owned() } });
    };
    if let Some(text) = environment.value(LAIN_DOMAIN) {
        match host(&Value::String(text.to_owned())) {
            Ok(domain) => config.cluster.domain = Some(domain),
            Err(offence) => refuse(LAIN_DOMAIN, text, offence),
        }
    }
    let mut port = None;
    if let Some(text) = environment.value(LAINLET_PORT) {
        port = text.parse::<u16>().ok().filter(|port| *port != 0);
        if port.is_none() {
            let fix = "set a number from 1 to 65535".to_owned();
            refuse(LAINLET_PORT, text, (format!("`{}` is not a port", text.escape_debug()), fix));
        }
    }
    if let Some(text) = environment.value(LAINLET_ADDR) {
        match address(text, port.unwrap_or(LAINLET_PORT_DEFAULT)) {
            Some(address) => config.lainlet.get_or_insert_with(default_lainlet).address = address,
            None => refuse(LAINLET_ADDR, text, not_lainlet(&format!("`{}`", text.escape_debug()))),
        }
    } else if let Some(port) = port {
        let address = &mut config.lainlet.get_or_insert_with(default_lainlet).address;
        let name = address.rsplit_once(':').map_or(address.as_str(), |(name, _)| name);
        *address = format!("{name}:{port}");
    }
    if let Some(host) = environment.value(GRAPHITE_HOST) {
        let text = environment.value(GRAPHITE_PORT).map_or(host.to_owned(), |port| format!("{host}:{port}"));
        match address(&text, GRAPHITE_PORT_DEFAULT) {
            Some(address) => config.graphite.get_or_insert_with(default_graphite).address = address,
            None => refuse(GRAPHITE_HOST, &text, not_graphite(&format!("`{}`", text.escape_debug()))),
        }
    }
    if let Some(graphite) = &mut config.graphite {
        graphite.instance = environment.value(DEPLOYD_POD_INSTANCE_NO).map_or(graphite.instance.clone(), str::to_owned);
        graphite.domain = config.cluster.domain.as_ref().map_or(graphite.domain.clone(), ToString::to_string);
    }
    if let Some(text) = environment.value(NGINX_SSL_PATH) {
        config.tls.certificates = PathBuf::from(text);
    }
    // A log that is sent to stdout has no directory to override.
    if let (Some(text), AccessLogSink::Directory(directory)) =
        (environment.value(NGINX_LOG_PATH), &mut config.access_log.sink)
    {
        *directory = PathBuf::from(text);
    }
}

fn graphite(reader: &mut Reader<'_>, raw: RawGraphite) -> GraphiteConfig {
    let default = default_graphite();
    GraphiteConfig {
        address: reader.value(raw.address, default.address, |value| {
            let text = value.as_str().unwrap_or_default();
            address(text, GRAPHITE_PORT_DEFAULT).ok_or_else(|| not_graphite(&shown(value)))
        }),
        instance: reader.value(raw.instance, default.instance, |value| {
            let offence = || (format!("{} is not a name", shown(value)), "write a text: instance = \"1\"".to_owned());
            value.as_str().map(str::to_owned).ok_or_else(offence)
        }),
        interval: reader.duration(raw.interval, default.interval, SECOND),
        ..default
    }
}

fn not_graphite(shown: &str) -> Offence {
    let fix = "write host:port, for example \"graphite.example.com:2003\"".to_owned();
    (format!("{shown} is not the address of a Graphite"), fix)
}

fn default_graphite() -> GraphiteConfig {
    let (address, instance) = (format!("localhost:{GRAPHITE_PORT_DEFAULT}"), "0".to_owned());
    GraphiteConfig { address, domain: "lain".to_owned(), instance, interval: MINUTE }
}

fn default_lainlet() -> LainletSource {
    LainletSource {
        address: format!("{LAINLET_HOST}:{LAINLET_PORT_DEFAULT}"),
        heartbeat: Duration::from_secs(10),
        read_timeout: Duration::from_secs(30),
        refresh: Duration::from_secs(30),
    }
}

/// `host:port`, also with a scheme in front or without the port, as clusters write it; then it is at `port`.
fn address(text: &str, port: u16) -> Option<String> {
    let text = text.strip_prefix("http://").unwrap_or(text).trim_end_matches('/');
    if text.parse::<std::net::SocketAddr>().is_ok() {
        return Some(text.to_owned());
    }
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, port),
    };
    Host::parse(name).ok().map(|name| format!("{name}:{port}"))
}

fn not_lainlet(shown: &str) -> Offence {
    (
        format!("{shown} is not the address of a lainlet"),
        "write host:port, for example \"lainlet.lain:9001\"".to_owned(),
    )
}

pub(super) fn host(value: &Value) -> Result<Host, Offence> {
    let fix = || "write a domain without scheme, port or `*`, for example \"lain.local\"".to_owned();
    let Some(text) = value.as_str() else { return Err((format!("{} is not a domain", shown(value)), fix())) };
    Host::parse(text).map_err(|error| (error.to_string(), fix()))
}

fn network(value: &Value) -> Result<IpNet, Offence> {
    let text = value.as_str().unwrap_or_default();
    let network = text.parse::<IpNet>().or_else(|_| text.parse::<std::net::IpAddr>().map(IpNet::from));
    let fix = "write an address or a network: \"10.0.0.0/8\", \"192.168.1.7\", \"fd00::/8\"";
    network.map_err(|_| (format!("{} is neither an address nor a network", shown(value)), fix.to_owned()))
}

fn docker_host(value: &Value) -> Result<DockerHost, Offence> {
    value.as_str().and_then(DockerHost::parse).ok_or_else(|| {
        let fix = "write \"unix:///var/run/docker.sock\", or \"tcp://host:port\" without TLS";
        (format!("{} is not the address of a Docker Engine", shown(value)), fix.to_owned())
    })
}

fn private_networks() -> Vec<IpNet> {
    ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "::1/128"]
        .iter()
        .map(|text| text.parse().expect("a network in this source parses"))
        .collect()
}

fn loopback(port: u16) -> std::net::SocketAddr {
    std::net::SocketAddr::from(([127, 0, 0, 1], port))
}

const NETWORKS: &str = "[\"10.0.0.0/8\", \"127.0.0.1\"]";
const LAINLET_HOST: &str = "lainlet.lain";
const LAINLET_PORT_DEFAULT: u16 = 9001;
const GRAPHITE_PORT_DEFAULT: u16 = 2003;
const MAX_LOSS_FIX: &str = "write a fraction: 0.5 lets an update take away half; 1.0 turns the guard off";
const MINUTE: Duration = Duration::from_secs(60);
const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const MAX_THREADS: i64 = 1024;
