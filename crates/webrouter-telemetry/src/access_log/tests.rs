use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::time::Instant;

use super::*;

fn entry(file: LogFileId, user_agent: &[u8]) -> Entry<'_> {
    Entry {
        file,
        started: SystemTime::now(),
        remote_addr: Ipv4Addr::LOCALHOST.into(),
        remote_user: b"",
        host: b"demo.test",
        request: b"GET / HTTP/1.1",
        status: 200,
        body_bytes_sent: 0,
        referer: b"",
        user_agent,
        x_forwarded_for: b"",
        upstream_time: None,
        request_time: Duration::ZERO,
        bytes_received: 0,
        upstream_addr: None,
        request_id: b"",
        scheme: "http",
        route: "",
        cause: "",
        attempts: 0,
    }
}

fn start(directory: &Path) -> AccessLog {
    let destination = Destination::Directory(directory.to_owned());
    AccessLog::start(AccessLogConfig { destination, format: Format::Lain }).expect("a thread")
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn each_host_and_upstream_has_its_file_and_no_line_is_lost() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = start(directory.path());
    let routes: Vec<_> = (0..300).map(|n| log.file(&format!("h{n}.test"), "demo__upstream__web")).collect();
    assert_eq!(log.file("h0.test", "demo__upstream__web"), routes[0]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let (mut core, routes) = (log.core(), &routes);
            scope.spawn(move || {
                for _ in 0..20 {
                    routes.iter().for_each(|&file| core.record(&entry(file, b"agent")));
                }
                core.record(&entry(LogFileId::UNROUTED, b"agent"));
            });
        }
    });
    log.stop();
    assert_eq!(log.lost(), 0);
    for n in 0..300 {
        let path = directory.path().join(format!("h{n}.test___demo__upstream__web.access.log"));
        assert_eq!(lines(&path), 60, "{}", path.display());
    }
    assert_eq!(lines(&directory.path().join("unknown___none.access.log")), 3);
}

#[test]
fn a_line_is_in_its_file_soon_without_stop() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = start(directory.path());
    let mut core = log.core();
    core.record(&entry(LogFileId::UNROUTED, b"agent"));
    core.flush();
    assert!(core.is_empty());
    let path = directory.path().join("unknown___none.access.log");
    eventually("the line", || lines(&path) == 1);
    log.stop();
}

#[test]
fn reopen_follows_a_renamed_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let log = start(directory.path());
    let mut core = log.core();
    let path = directory.path().join("unknown___none.access.log");
    let rotated = directory.path().join("rotated");
    core.record(&entry(LogFileId::UNROUTED, b"before"));
    core.flush();
    eventually("the line", || lines(&path) == 1);
    fs::rename(&path, &rotated).expect("renamed");
    log.reopen();
    eventually("the flag is seen", || !log.shared.reopen.load(Ordering::Acquire));
    core.record(&entry(LogFileId::UNROUTED, b"after"));
    drop(core);
    log.stop();
    assert!(fs::read_to_string(&path).expect("a new file").contains("after"));
    assert_eq!((lines(&path), lines(&rotated), log.lost()), (1, 1, 0));
}

#[test]
fn a_directory_that_is_gone_is_made_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let logs = directory.path().join("logs");
    let log = start(&logs);
    let mut core = log.core();
    let path = logs.join("unknown___none.access.log");
    core.record(&entry(LogFileId::UNROUTED, b"before"));
    core.flush();
    eventually("the line", || lines(&path) == 1);
    fs::remove_dir_all(&logs).expect("removed");
    let deadline = Instant::now() + Duration::from_secs(10);
    while lines(&path) == 0 && Instant::now() < deadline {
        core.record(&entry(LogFileId::UNROUTED, b"after"));
        core.flush();
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(lines(&path) > 0);
    log.stop();
}

#[test]
fn lines_that_cannot_be_written_are_counted() {
    let directory = tempfile::tempdir().expect("a directory");
    let occupied = directory.path().join("file");
    fs::write(&occupied, b"").expect("written");
    let log = start(&occupied);
    let mut core = log.core();
    for _ in 0..3 {
        core.record(&entry(LogFileId::UNROUTED, b"agent"));
    }
    core.flush();
    eventually("counted", || log.lost() == 3);
    assert_eq!(log.losses().of(LossReason::Open), 3);
    log.stop();
    // The channel closes a moment after the writer said that it is done.
    let deadline = Instant::now() + Duration::from_secs(10);
    while log.losses().of(LossReason::Stopped) == 0 && Instant::now() < deadline {
        core.record(&entry(LogFileId::UNROUTED, b"agent"));
        core.flush();
    }
    assert!(log.losses().of(LossReason::Stopped) > 0);
}

#[test]
fn a_full_disk_is_counted_as_such() {
    let full = Path::new("/dev/full");
    if !full.exists() {
        assert!(std::env::var_os("CI").is_none(), "/dev/full is missing");
        eprintln!("skipped: there is no /dev/full");
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink(full, directory.path().join("unknown___none.access.log")).expect("a link");
    let log = start(directory.path());
    let mut core = log.core();
    core.record(&entry(LogFileId::UNROUTED, b"agent"));
    core.flush();
    log.stop();
    assert_eq!(log.losses().of(LossReason::DiskFull), 1);
}

#[test]
fn a_writer_that_hangs_costs_lines_and_a_bounded_amount_of_memory() {
    let config = AccessLogConfig { destination: Destination::Stdout, format: Format::Lain };
    let shared = Arc::new(Shared {
        config,
        zone: TimeZone::UTC,
        files: FileNames::default(),
        losses: Arc::default(),
        under_way: AtomicUsize::new(0),
        reopen: AtomicBool::new(false),
        stop: AtomicBool::new(false),
    });
    // Nobody reads the other end.
    let (sender, receiver) = sync_channel(MAX_BATCHES_UNDER_WAY);
    let mut core = CoreLog::new(Arc::clone(&shared), sender);
    let agent = vec![b'a'; 30 << 10];
    for _ in 0..2_000 {
        core.record(&entry(LogFileId::UNROUTED, &agent));
    }
    core.flush();
    let under_way = shared.under_way.load(Ordering::Relaxed);
    assert!(under_way <= MAX_BYTES_UNDER_WAY, "{under_way}");
    let kept: u64 = receiver
        .try_iter()
        .map(|message| match message {
            Message::Batch { batch, .. } => batch.line_count(),
            Message::Wake => 0,
        })
        .sum();
    assert_eq!(kept + shared.losses.of(LossReason::Behind), 2_000);
    assert!(kept > 100, "{kept}");
}
