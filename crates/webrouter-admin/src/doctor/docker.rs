//! What a Docker Engine knows of its containers, and a Swarm manager of its tasks, at one moment.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum, IpamConfig, Network, Task, TaskState};
use bollard::query_parameters::{ListContainersOptions, ListNetworksOptions, ListTasksOptions};
use bollard::{API_DEFAULT_VERSION, Docker};
use ipnet::IpNet;
use tokio::time::timeout;
use webrouter_routing::name::ProcName;

use super::PROBE_WITHIN;
use super::hop::foreign;

/// Where a Docker Engine, or Swarm manager, listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DockerHost {
    /// A socket of this machine.
    Unix(PathBuf),
    /// `host:port`, without TLS.
    Tcp(String),
}

impl DockerHost {
    /// Reads `unix:///path` or `tcp://host:port`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(path) = text.strip_prefix("unix://") {
            return path.starts_with('/').then(|| Self::Unix(PathBuf::from(path)));
        }
        let (host, port) = text.strip_prefix("tcp://")?.rsplit_once(':')?;
        let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
        let is_host = !host.is_empty() && !host.contains(|c: char| c == '/' || c == '@' || c.is_whitespace());
        (is_port && is_host).then(|| Self::Tcp(format!("{host}:{port}")))
    }
}

impl fmt::Display for DockerHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// What runs there.
#[derive(Debug, Default)]
pub(super) struct Engine {
    /// Containers, and tasks of a Swarm, whose addresses are not told.
    pub(super) containers: Vec<Container>,
    /// Subnets out of which this Engine alone gives addresses.
    pub(super) subnets: Vec<IpNet>,
    /// Addresses in them that are this machine's own.
    gateways: Vec<IpAddr>,
}

/// A container, or a task of a Swarm.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Container {
    /// Its name, escaped.
    pub(super) name: String,
    pub(super) is_running: bool,
    /// How it is, in Docker's words, escaped.
    pub(super) state: String,
    pub(super) addresses: Vec<IpAddr>,
    /// What it was labelled with.
    labels: Vec<String>,
}

impl Container {
    /// Whether it is of a proc: by its name, which begins with the entry's, or by a label that is the entry's name.
    pub(super) fn is_of(&self, proc: &ProcName) -> bool {
        let by_name =
            self.name.strip_prefix(proc.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']));
        by_name || self.labels.iter().any(|label| label == proc.as_str())
    }
}

impl Engine {
    /// Whether this Engine alone gives this address.
    pub(super) fn gives(&self, address: IpAddr) -> bool {
        self.subnets.iter().any(|subnet| subnet.contains(&address)) && !self.gateways.contains(&address)
    }

    /// The running container that has this address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Container> {
        self.containers.iter().find(|container| container.is_running && container.addresses.contains(&address))
    }
}

/// Asks what runs; an error in words.
pub(super) async fn look(host: &DockerHost) -> Result<Engine, String> {
    let patience = PROBE_WITHIN.as_secs();
    let late = |_| format!("no answer from {host} within {PROBE_WITHIN:?}");
    let told = |error: bollard::errors::Error| format!("{host}: {}", foreign(&error.to_string()));
    let docker = match host {
        DockerHost::Unix(path) => Docker::connect_with_unix(&path.display().to_string(), patience, API_DEFAULT_VERSION),
        DockerHost::Tcp(address) => {
            Docker::connect_with_http(&format!("tcp://{address}"), patience, API_DEFAULT_VERSION)
        }
    };
    let asked = async {
        let docker = docker?.negotiate_version().await?;
        let all = ListContainersOptions { all: true, ..ListContainersOptions::default() };
        let running = HashMap::from([("desired-state".to_owned(), vec!["running".to_owned()])]);
        let tasks = ListTasksOptions { filters: Some(running) };
        let (containers, networks, tasks) = tokio::join!(
            docker.list_containers(Some(all)),
            docker.list_networks(None::<ListNetworksOptions>),
            docker.list_tasks(Some(tasks)),
        );
        // An Engine that is no manager of a Swarm knows no tasks.
        Ok((containers?, networks?, tasks.unwrap_or_default()))
    };
    let (containers, networks, tasks) = timeout(PROBE_WITHIN, asked).await.map_err(late)?.map_err(told)?;
    let containers = containers.into_iter().map(container).chain(tasks.into_iter().map(task)).collect();
    let local: Vec<IpamConfig> = networks.into_iter().flat_map(local).collect();
    Ok(Engine {
        containers,
        gateways: local.iter().filter_map(|config| config.gateway.as_ref()?.parse().ok()).collect(),
        subnets: local.iter().filter_map(|config| config.subnet.as_ref()?.parse().ok()).collect(),
    })
}

fn container(summary: ContainerSummary) -> Container {
    let name = summary.names.unwrap_or_default().into_iter().next().or(summary.id).unwrap_or_default();
    let networks = summary.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let addresses = networks.into_values().flat_map(|end| [end.ip_address, end.global_ipv6_address]);
    Container {
        name: foreign(name.trim_start_matches('/')),
        is_running: summary.state == Some(ContainerSummaryStateEnum::RUNNING),
        state: foreign(&summary.status.unwrap_or_default()),
        addresses: addresses.flatten().filter_map(|address| address.parse().ok()).collect(),
        labels: summary.labels.unwrap_or_default().into_values().collect(),
    }
}

fn task(task: Task) -> Container {
    let state = task.status.as_ref().and_then(|status| status.state);
    let word = state.map(|state| state.to_string()).unwrap_or_default();
    let why = task.status.and_then(|status| status.err).unwrap_or_default();
    let spec = task.spec.and_then(|spec| spec.container_spec);
    let labels = spec.and_then(|spec| spec.labels).unwrap_or_default().into_values();
    Container {
        name: format!("task {}", foreign(&task.name.or(task.id).unwrap_or_default())),
        is_running: state == Some(TaskState::RUNNING),
        state: foreign(&format!("{word} {why}")),
        addresses: Vec::new(),
        labels: labels.chain(task.labels.unwrap_or_default().into_values()).collect(),
    }
}

/// Those of a network of this Engine alone: in others, other machines have addresses, too.
fn local(network: Network) -> Vec<IpamConfig> {
    if network.scope.as_deref() != Some("local") {
        return Vec::new();
    }
    network.ipam.and_then(|ipam| ipam.config).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_a_socket_or_an_address() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(DockerHost::parse(text).map(|host| host.to_string()).as_deref(), expected, "{text}");
        };
        check("unix:///var/run/docker.sock", Some("unix:///var/run/docker.sock"));
        check("tcp://127.0.0.1:2375", Some("tcp://127.0.0.1:2375"));
        check("tcp://[::1]:2375", Some("tcp://[::1]:2375"));
        for bad in ["", "unix://docker.sock", "/var/run/docker.sock", "tcp://x", "tcp://x:0", "tcp://:1", "http://x:1"]
        {
            check(bad, None);
        }
    }

    #[test]
    fn containers_are_known_by_name_or_label() {
        let check = |name: &str, label: &str, expected: bool| {
            let container = container(ContainerSummary {
                names: Some(vec![format!("/{name}")]),
                labels: Some(HashMap::from([("pg_name".to_owned(), label.to_owned())])),
                ..ContainerSummary::default()
            });
            assert_eq!(container.is_of(&ProcName::parse("demo.web.web").expect("a name")), expected, "{name} {label}");
        };
        check("demo.web.web", "", true);
        check("demo.web.web.v3-i1-d0", "", true);
        check("demo.web.web-1", "", true);
        check("demo.web.web_canary", "", false);
        check("x", "demo.web.web", true);
        check("x", "demo", false);
    }

    #[test]
    fn a_task_that_does_not_run_says_why() {
        let json = r#"{"ID":"t1","Spec":{"ContainerSpec":{"Labels":{"proc":"demo.web.web"}}},
            "Status":{"State":"rejected","Err":"no such\nimage"}}"#;
        let task = task(serde_json::from_str(json).expect("a task"));
        assert_eq!((task.name.as_str(), task.is_running), ("task t1", false));
        assert_eq!(task.state, "rejected no such\\nimage");
        assert!(task.is_of(&ProcName::parse("demo.web.web").expect("a name")));
    }
}
