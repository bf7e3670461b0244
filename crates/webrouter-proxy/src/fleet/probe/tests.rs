use tokio::net::TcpListener;
use webrouter_routing::endpoint::Endpoint;
use webrouter_routing::policy::HealthCheck;

use super::*;
use crate::fleet::scene::Cluster;

/// What a server does with a connection.
enum Server {
    /// Reads the request, says this, closes.
    Says(Vec<u8>),
    /// Says this again and again.
    Repeats(&'static str),
    /// Says this and stays.
    Stays(&'static str),
    /// Closes without a word.
    Closes,
    /// Nobody listens.
    Nobody,
}
use Server::*;

fn says(text: &str) -> Server {
    Says(text.as_bytes().to_vec())
}

/// What a health check finds, and what the server read.
async fn ask(server: Server) -> (Result<u16, ProbeError>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let health = HealthCheck { timeout: Duration::from_millis(300), ..HealthCheck::default() };
    let mut cluster = Cluster::new(health);
    cluster.with("demo", Some("/health?deep=1"), &[Endpoint::new(address).expect("an endpoint")]);
    let listener = Some(listener).filter(|_| !matches!(server, Nobody));
    let serving = async {
        let Some(listener) = listener else { return String::new() };
        let (mut stream, _) = listener.accept().await.expect("a client");
        if matches!(server, Closes) {
            return String::new();
        }
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") && stream.read_buf(&mut request).await.expect("bytes") > 0 {}
        match server {
            Says(bytes) => drop(stream.write_all(&bytes).await),
            Repeats(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
            Stays(text) => {
                let _ = stream.write_all(text.as_bytes()).await;
                while stream.read_buf(&mut Vec::new()).await.is_ok_and(|read| read > 0) {}
            }
            Closes | Nobody => {}
        }
        String::from_utf8(request).expect("text")
    };
    let upstream = cluster.upstream("demo");
    let (probe, request) = tokio::join!(probe(address, &upstream), serving);
    let probe = probe.expect("it can be asked").expect("there is something to ask");
    assert!(probe.took < Duration::from_secs(5));
    (probe.result, request)
}

async fn check(server: Server, expected: Result<u16, ProbeError>) {
    assert_eq!(ask(server).await.0, expected);
}

#[tokio::test]
async fn the_request() {
    let (status, request) = ask(says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")).await;
    assert_eq!(status, Ok(200));
    let version = env!("CARGO_PKG_VERSION");
    let expected = format!(
        "GET /health?deep=1 HTTP/1.1\r\nHost: demo.test\r\nUser-Agent: webrouter-health/{version}\r\nAccept: */*\r\n\
         Connection: close\r\n\r\n"
    );
    assert_eq!(request, expected);
}

#[tokio::test]
async fn the_status_is_the_finding_and_2xx_and_3xx_are_good() {
    for (status, good) in [(200, true), (204, true), (301, true), (399, true), (404, false), (500, false), (101, false)]
    {
        let text = format!("HTTP/1.1 {status} X\r\n\r\n");
        check(Says(text.into_bytes()), Ok(status)).await;
        let probe = Probe { at: SystemTime::now(), took: Duration::ZERO, result: Ok(status) };
        assert_eq!(probe.is_good(), good, "{status}");
    }
    check(says("HTTP/1.0 200 OK\r\n\r\n"), Ok(200)).await;
    check(Stays("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx"), Ok(200)).await;
    check(
        says("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 503 X\r\n\r\n"),
        Ok(503),
    )
    .await;
}

#[tokio::test]
async fn no_answer() {
    check(Nobody, Err(ProbeError::Refused)).await;
    check(Closes, Err(ProbeError::Closed)).await;
    check(says(""), Err(ProbeError::Closed)).await;
    check(Stays(""), Err(ProbeError::TimedOut)).await;
    check(Stays("HTTP/1.1 200 OK\r\nX: y"), Err(ProbeError::TimedOut)).await;
}

#[tokio::test]
async fn what_is_not_http_is_bad() {
    check(says("HTTP/1.1 200 OK\r\nX: y"), Err(ProbeError::NotHttp)).await;
    check(says("SSH-2.0-OpenSSH_9.2\r\n\r\n"), Err(ProbeError::NotHttp)).await;
    check(says("HTTP/1.1 200 OK\n\n"), Err(ProbeError::NotHttp)).await;
    check(says("HTTP/2 200\r\n\r\n"), Err(ProbeError::NotHttp)).await;
    check(says("HTTP/1.1 999 X\r\n\r\n"), Err(ProbeError::NotHttp)).await;
    check(Says((0..=255).cycle().take(4096).collect()), Err(ProbeError::NotHttp)).await;
    check(Says(vec![0; 9]), Err(ProbeError::NotHttp)).await;
}

#[tokio::test]
async fn a_head_without_end_is_bad() {
    check(Repeats("HTTP/1.1 100 Continue\r\n\r\n"), Err(ProbeError::HeadTooLarge)).await;
    check(Says([b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'y'; 1 << 20]].concat()), Err(ProbeError::HeadTooLarge))
        .await;
    let long = format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(15_000));
    check(says(&long), Ok(200)).await;
}

#[tokio::test]
async fn an_answer_is_not_waited_for_to_its_end() {
    check(Repeats("HTTP/1.1 200 OK\r\n\r\n0123456789"), Ok(200)).await;
}
