//! Containers of the machine's Docker Engine: of one static program, without any image that would have to be fetched.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use webrouter_testkit::programs::{have, run};
use webrouter_testkit::{HttpOrigin, Lainlet, eventually};

use super::{SOON, builder, doctor, finds, following, lines};

const DOCKER: &str = "[docker]\nhost = \"unix:///var/run/docker.sock\"";

/// Answers 200 to whatever it is sent, on port 8000; ends at SIGTERM.
const ORIGIN: &str = r#"
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
static void end(int number) { (void)number; _exit(0); }
int main(void) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";
    struct sockaddr_in all = {.sin_family = AF_INET, .sin_port = htons(8000)};
    char bytes[4096];
    signal(SIGTERM, end);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (struct sockaddr *)&all, sizeof all) || listen(listener, 16)) return 1;
    for (;;) {
        int client = accept(listener, 0, 0);
        if (client < 0) continue;
        if (read(client, bytes, sizeof bytes) > 0 && write(client, answer, sizeof answer - 1) < 0) return 1;
        close(client);
    }
}
"#;

/// A container, and the image that it alone is of; both go when dropped.
struct Container {
    name: String,
    image: String,
}

impl Container {
    /// Starts one, or `None` where there is no Docker.
    #[track_caller]
    fn start(name: &str) -> Option<Container> {
        if !have("cc") || !have("docker") {
            return None;
        }
        let engine = run("docker", &["version"], "")?;
        if engine.code != Some(0) {
            let loud = format!("SKIPPED: no Docker Engine answers: {}", engine.err.trim());
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{loud}");
            eprintln!("{loud}");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let image = format!("webrouter-test-{}", name.replace('.', "-"));
        let container = Container { name: name.to_owned(), image };
        container.make_image(folder.path());
        docker(&["run", "-d", "--name", name, &container.image]);
        Some(container)
    }

    #[track_caller]
    fn make_image(&self, folder: &Path) {
        let path = |name: &str| folder.join(name).display().to_string();
        fs::write(path("origin.c"), ORIGIN).expect("written");
        let built = run("cc", &["-static", "-O1", "-o", &path("origin"), &path("origin.c")], "").expect("cc");
        assert_eq!(built.code, Some(0), "{}", built.said());
        let packed = run("tar", &["-C", &folder.display().to_string(), "-cf", &path("image.tar"), "origin"], "");
        assert_eq!(packed.and_then(|packed| packed.code), Some(0));
        docker(&["import", "-c", "CMD [\"/origin\"]", &path("image.tar"), &self.image]);
    }

    #[track_caller]
    fn address(&self) -> SocketAddr {
        let template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        let told = docker(&["inspect", "-f", template, &self.name]);
        SocketAddr::new(told.trim().parse::<IpAddr>().expect("an address"), 8000)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = run("docker", &["rm", "-f", &self.name], "");
        let _ = run("docker", &["rmi", "-f", &self.image], "");
    }
}

#[track_caller]
fn docker(arguments: &[&str]) -> String {
    let ran = run("docker", arguments, "").expect("docker is there");
    assert_eq!(ran.code, Some(0), "docker {}: {}", arguments.join(" "), ran.said());
    ran.out
}

#[test]
fn a_stopped_container_is_the_hop_containers() {
    let app = format!("demo{}", std::process::id());
    let Some(container) = Container::start(&format!("{app}.web.web.v1-i1-d0")) else { return };
    let address = container.address();
    let origin = HttpOrigin::start("other");
    let lainlet = Lainlet::start();
    lainlet.set_app("other.web.web", &["other.test"], &[origin.addr()]);
    lainlet.set_app(&format!("{app}.web.web"), &["demo.test"], &[address]);
    let router = following(&lainlet, builder().section(DOCKER));
    eventually(SOON, "the container is well", || doctor(&router, &[&app]).code == Some(0));
    let well = doctor(&router, &[&app]);
    assert_eq!(well.verdict("containers"), "ok", "{:#}", well.doctor);
    assert!(lines(well.hop("containers")).contains(&format!("{address}: {}", container.name)), "{:#}", well.doctor);
    docker(&["stop", "-t", "5", &container.name]);
    let seen = finds(&router, &app, "containers");
    let evidence = seen.evidence();
    assert!(evidence.contains(&format!("{address}: no running container has this address")), "{evidence}");
    assert!(evidence.contains(&format!("{} does not run: Exited (0)", container.name)), "{evidence}");
    assert!(seen.advice().contains(&format!("docker start {}", container.name)), "{}", seen.advice());
    // It is not the only one: who does not run is not reached. It is the one to begin with.
    assert_eq!(seen.all("broken"), ["containers", "reach"], "{:#}", seen.doctor);
}

#[test]
fn a_docker_that_does_not_answer_is_unknown() {
    let origin = HttpOrigin::start("demo");
    let lainlet = Lainlet::start();
    lainlet.set_app("demo.web.web", &["demo.test"], &[origin.addr()]);
    let router = following(&lainlet, builder().section("[docker]\nhost = \"unix:///nowhere/docker.sock\""));
    let seen = finds(&router, "demo", "containers");
    assert_eq!((seen.verdict("containers"), seen.all("broken").len()), ("unknown", 0), "{:#}", seen.doctor);
    assert!(seen.advice().contains("[docker] host"), "{}", seen.advice());
}
