//! Whether endpoints still answer: a TCP connect, and nothing is sent.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::name::ProcName;

/// Asks a sample of each proc's endpoints; returns the procs of which at least one answers.
pub(crate) async fn answering(procs: Vec<(ProcName, Arc<[Endpoint]>)>, timeout: Duration) -> BTreeSet<ProcName> {
    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut probes = JoinSet::new();
    let mut answering = BTreeSet::new();
    for (name, endpoints) in procs {
        // A permit before the task: as many tasks as permits, however many procs.
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { break };
        probes.spawn(async move {
            let answers = any_answers(&endpoints, timeout).await;
            drop(permit);
            answers.then_some(name)
        });
        while let Some(done) = probes.try_join_next() {
            answering.extend(done.ok().flatten());
        }
    }
    while let Some(done) = probes.join_next().await {
        answering.extend(done.ok().flatten());
    }
    answering
}

async fn any_answers(endpoints: &[Endpoint], timeout: Duration) -> bool {
    let mut connects = JoinSet::new();
    for endpoint in endpoints.iter().take(SAMPLE) {
        let address = endpoint.address();
        connects.spawn(async move {
            let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
            connected.is_ok_and(|connected| connected.is_ok())
        });
    }
    while let Some(connected) = connects.join_next().await {
        if connected.is_ok_and(|answers| answers) {
            return true;
        }
    }
    false
}

/// Procs that are asked at the same time.
const AT_ONCE: usize = 64;
/// Endpoints that are asked of one proc.
const SAMPLE: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_endpoint_that_answers_is_enough() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let open = Endpoint::new(listener.local_addr().expect("bound")).expect("an endpoint");
        let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let gone = Endpoint::new(closed.local_addr().expect("bound")).expect("an endpoint");
        drop(closed);
        let name = |key: &str| ProcName::parse(key).expect("a name");
        let procs = vec![
            (name("half.web.web"), Arc::from([gone, open])),
            (name("gone.web.web"), Arc::from([gone])),
            (name("none.web.web"), Arc::from([])),
        ];
        assert_eq!(answering(procs, Duration::from_secs(1)).await, BTreeSet::from([name("half.web.web")]));
    }
}
