//! How long a change takes from the last byte of its event to the published snapshot, over a real socket.
//!
//! Each update changes one app and changes the one before back, so two entries differ, far apart.
//!
//! `cargo bench -p webrouter-discovery --bench update -- [apps]`

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use webrouter_discovery::file::AppsFile;
use webrouter_discovery::lainlet::translate::Translator;
use webrouter_discovery::{Discovery, DiscoveryConfig, LainletConfig};

fn main() {
    let apps = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(10_000);
    let first = state(apps, None);
    println!("{apps} apps x 2 endpoints, state of {} bytes", first.len());
    translate(apps, &first);
    edit(apps);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let directory = tempfile::tempdir().expect("a folder");
    for (what, stored) in [("without a store", false), ("with a store", true)] {
        let (address, commands) = lainlet(first.clone());
        let mut lainlet = LainletConfig::new(address);
        lainlet.refresh = Duration::from_secs(3600);
        let config = DiscoveryConfig {
            lainlet: Some(lainlet),
            state_directory: stored.then(|| directory.path().to_owned()),
            ..DiscoveryConfig::default()
        };
        let began = Instant::now();
        let discovery = runtime.block_on(async {
            let discovery = Discovery::start(config).await.expect("started");
            discovery.ready().await;
            discovery
        });
        println!("{what}: ready after {:?}, {} routes", began.elapsed(), discovery.table().route_count());
        let followed = discovery.clone();
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        thread::scope(|scope| {
            let runtime = &runtime;
            let running = scope.spawn(move || runtime.block_on(async { stopped.await.ok() }));
            let mut rounds = Rounds::default();
            for round in 0..ROUNDS {
                let before = followed.table().generation();
                let at = (round * 7919) % apps;
                let (told, sent) = channel();
                commands.send((state(apps, Some((at, round))), told)).expect("the lainlet lives");
                let sent: Sent = sent.recv().expect("sent");
                let published = loop {
                    if followed.table().generation() > before {
                        break Instant::now();
                    }
                    std::hint::spin_loop();
                };
                rounds.last_byte.push(published.saturating_duration_since(sent.last_byte));
                rounds.applied.push(followed.status().last_apply);
                thread::sleep(Duration::from_millis(10));
            }
            rounds.print(what);
            drop(stop);
            running.join().expect("no panic");
        });
        runtime.block_on(discovery.stop());
    }
}

/// One app changed in the text: the translation alone.
fn translate(apps: usize, first: &str) {
    let mut translator = Translator::default();
    let began = Instant::now();
    translator.update(first.to_owned().into()).expect("a state");
    println!("translate, whole: {:?}", began.elapsed());
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let next = state(apps, Some(((round * 7919) % apps, round)));
        let began = Instant::now();
        translator.update(next.into()).expect("a state");
        took.push(began.elapsed());
    }
    print("translate, two apps changed far apart", &mut took);
}

/// One app changed in an apps.toml: the parse alone.
fn edit(apps: usize) {
    let text = |changed: Option<(usize, usize)>| -> String {
        let app = |at| {
            let port = port(at, changed);
            format!(
                "[apps.\"app{at:06}.web.web\"]\nmountpoint = [\"app{at:06}.lain.local\"]\nhttps_only = false\nendpoints = [\"127.0.0.1:{port}\", \"127.0.0.2:{port}\"]\n\n"
            )
        };
        (0..apps).map(app).collect()
    };
    let mut file = AppsFile::new("apps.toml");
    let first = text(None);
    let bytes = first.len();
    let began = Instant::now();
    file.update(first).expect("a good file");
    println!("apps.toml of {bytes} bytes, whole: {:?}", began.elapsed());
    let mut took = Vec::new();
    for round in 0..ROUNDS {
        let next = text(Some(((round * 7919) % apps, round)));
        let began = Instant::now();
        let changes = file.update(next).expect("a good file");
        took.push(began.elapsed());
        assert!(!changes.is_empty());
    }
    print("apps.toml, two apps changed far apart", &mut took);
}

#[derive(Default)]
struct Rounds {
    last_byte: Vec<Duration>,
    applied: Vec<Duration>,
}

impl Rounds {
    fn print(&mut self, what: &str) {
        print(&format!("{what}: last byte to published"), &mut self.last_byte);
        print(&format!("{what}: of that guard, merge, publish"), &mut self.applied);
    }
}

fn print(what: &str, took: &mut [Duration]) {
    took.sort_unstable();
    let at = |share: usize| took.get(took.len().saturating_sub(1) * share / 100).copied().unwrap_or_default();
    println!("{what}: median {:?}, p99 {:?}, max {:?}", at(50), at(99), at(100));
}

fn port(at: usize, changed: Option<(usize, usize)>) -> usize {
    match changed {
        Some((app, round)) if app == at => 20_000 + round,
        _ => 8000,
    }
}

/// A state in the shape of a real one.
fn state(apps: usize, changed: Option<(usize, usize)>) -> String {
    let entry = |at: usize| {
        let port = port(at, changed);
        let pod = |ip: u8| {
            format!(
                r#"{{"Annotation":"{{\"mountpoint\":[\"app{at:06}.lain.local\"],\"https_only\":false}}","ContainerInfos":[{{"ContainerIp":"127.0.0.{ip}","Expose":{port}}}]}}"#
            )
        };
        format!(r#""app{at:06}.web.web":{{"PodInfos":[{},{}]}}"#, pod(1), pod(2))
    };
    format!("{{{}}}", (0..apps).map(entry).collect::<Vec<_>>().join(","))
}

struct Sent {
    last_byte: Instant,
}

/// Answers watches; sends each state it is told as an update, its last byte apart.
fn lainlet(first: String) -> (String, Sender<(String, Sender<Sent>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    let (commands, told) = channel();
    thread::spawn(move || {
        let mut told = Some(told);
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let webprocs = head(&mut stream).contains("webprocs");
            let state = if webprocs { first.as_str() } else { "{}" };
            let head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nVary: Accept-Encoding\r\n\r\n";
            stream.write_all(format!("{head}id: 1\nevent: init\ndata: {state}\n\n").as_bytes()).expect("written");
            let told = if webprocs { told.take() } else { None };
            thread::spawn(move || updates(stream, told));
        }
    });
    (address, commands)
}

fn updates(mut stream: TcpStream, told: Option<Receiver<(String, Sender<Sent>)>>) {
    stream.set_nodelay(true).expect("a socket");
    for (state, done) in told.into_iter().flatten() {
        stream.write_all(format!("id: 2\nevent: update\ndata: {state}\n").as_bytes()).expect("written");
        thread::sleep(Duration::from_millis(20));
        let last_byte = Instant::now();
        stream.write_all(b"\n").expect("written");
        done.send(Sent { last_byte }).expect("somebody waits");
    }
    // The connection stays open for as long as the other side wants it.
    let _ = stream.read(&mut [0; 1]);
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0; 1];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("readable") == 1 {
        head.extend_from_slice(&byte);
    }
    String::from_utf8_lossy(&head).into_owned()
}

const ROUNDS: usize = 200;
