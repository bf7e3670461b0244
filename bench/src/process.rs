//! Child processes: pinned to a core, in a group of their own, measured as a group, gone when dropped.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

/// The core of the proxy under test.
pub(crate) const PROXY_CORE: usize = 0;
/// The core of everything that is not the proxy.
pub(crate) const LOAD_CORE: usize = 1;

/// Where a program may run.
#[derive(Clone, Copy)]
pub(crate) enum Placement {
    /// On this core alone.
    Core(usize),
    /// Wherever the kernel likes.
    Anywhere,
}

/// The groups that are alive, shared with the thread that waits for Ctrl-C.
#[derive(Clone, Default)]
pub(crate) struct Groups(Arc<Mutex<Vec<Pid>>>);

impl Groups {
    /// Kills every group that is still there.
    pub(crate) fn kill_all(&self) {
        for group in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // A group that is gone already is what we want.
            let _ = rustix::process::kill_process_group(*group, Signal::KILL);
        }
    }

    fn add(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(group);
    }

    fn forget(&self, group: Pid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| *other != group);
    }
}

/// A running program and all processes it started.
pub(crate) struct Program {
    name: String,
    child: Child,
    group: Pid,
    groups: Groups,
    output: PathBuf,
}

impl Program {
    /// Starts `command` with its output in `output`, under this binary's `pinned` command.
    pub(crate) fn start(
        name: &str,
        placement: Placement,
        command: &Command,
        output: &Path,
        groups: &Groups,
    ) -> Result<Self> {
        let mut pinned = Command::new(std::env::current_exe()?);
        pinned.arg("pinned");
        if let Placement::Core(core) = placement {
            pinned.args(["--core", &core.to_string()]);
        }
        pinned.arg("--").arg(command.get_program()).args(command.get_args());
        let sink = File::create(output)
            .with_context(|| format!("cannot write the output of {name} to {}", output.display()))?;
        let child = pinned
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(sink.try_clone()?)
            .stderr(sink)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let group = Pid::from_child(&child);
        groups.add(group);
        Ok(Self { name: name.to_owned(), child, group, groups: groups.clone(), output: output.to_owned() })
    }

    /// Waits until `ready` says so; fails when the program ends before, or after `at_most`.
    pub(crate) fn wait_until(
        &mut self,
        at_most: Duration,
        pause: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + at_most;
        while !ready() {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.name, self.last_words());
            }
            if Instant::now() > deadline {
                bail!("{} is not ready after {at_most:?}: {}", self.name, self.last_words());
            }
            std::thread::sleep(pause);
        }
        Ok(())
    }

    /// Waits for the program's own end and returns what it wrote.
    pub(crate) fn finish(mut self, at_most: Duration) -> Result<String> {
        let deadline = Instant::now() + at_most;
        loop {
            match self.child.try_wait()? {
                Some(status) if status.success() => break,
                Some(status) => bail!("{} ended with {status}: {}", self.name, self.last_words()),
                None if Instant::now() > deadline => bail!("{} does not end", self.name),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Ok(fs::read_to_string(&self.output)?)
    }

    /// User and system time of the whole group, all threads.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in self.processes()? {
            ticks += process.ticks;
        }
        let per_second = rustix::param::clock_ticks_per_second();
        Ok(Duration::from_nanos(ticks * (1_000_000_000 / per_second)))
    }

    /// Resident and proportional set size of the whole group, in KiB.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory::default();
        for process in self.processes()? {
            let rollup = fs::read_to_string(format!("/proc/{}/smaps_rollup", process.pid))?;
            let kib = |key: &str| -> u64 {
                rollup
                    .lines()
                    .find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok())
                    .unwrap_or(0)
            };
            memory.rss_kib += kib("Rss:");
            memory.pss_kib += kib("Pss:");
        }
        Ok(memory)
    }

    fn processes(&self) -> Result<Vec<Process>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            // A process that ended meanwhile is not of ours: ours are alive while they are measured.
            let Ok(stat) = fs::read_to_string(entry.path().join("stat")) else {
                continue;
            };
            if let Some((group, ticks)) = parse_stat(&stat)
                && group == self.group.as_raw_nonzero().get()
            {
                found.push(Process { pid, ticks });
            }
        }
        if found.is_empty() {
            bail!("{} is gone: {}", self.name, self.last_words());
        }
        Ok(found)
    }

    fn last_words(&self) -> String {
        let text = fs::read_to_string(&self.output).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Errors mean that the group is gone already.
        let _ = rustix::process::kill_process_group(self.group, Signal::TERM);
        let deadline = Instant::now() + Duration::from_secs(2);
        while Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = rustix::process::kill_process_group(self.group, Signal::KILL);
        let _ = self.child.wait();
        self.groups.forget(self.group);
    }
}

/// Memory of a group of processes.
#[derive(Clone, Copy, Default)]
pub(crate) struct Memory {
    /// Resident, pages shared between its processes counted for each.
    pub(crate) rss_kib: u64,
    /// Proportional, shared pages counted once.
    pub(crate) pss_kib: u64,
}

struct Process {
    pid: u32,
    ticks: u64,
}

/// Takes the core, the limits and the tie to the parent, then becomes the program.
pub(crate) fn become_program(core: Option<usize>, command: &[String]) -> Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM))?;
    let most = rustix::process::getrlimit(Resource::Nofile).maximum;
    let all = Rlimit { current: most, maximum: most };
    rustix::process::setrlimit(Resource::Nofile, all)?;
    if let Some(core) = core {
        pin(core)?;
    }
    let (program, arguments) = command.split_first().context("no program given")?;
    let error = Command::new(program).args(arguments).exec();
    Err(error).with_context(|| format!("cannot start {program}"))
}

/// Pins the calling thread, and what it starts from now on, to a core.
pub(crate) fn pin(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores)
        .with_context(|| format!("cannot pin to core {core}: two cores are needed"))
}

/// The process group and the CPU ticks in a line of `/proc/PID/stat`, proc(5).
fn parse_stat(stat: &str) -> Option<(i32, u64)> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let group = fields.nth(2)?.parse().ok()?;
    let user: u64 = fields.nth(8)?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some((group, user + system))
}

#[cfg(test)]
mod tests {
    use super::parse_stat;

    #[test]
    fn a_stat_line_gives_group_and_ticks_even_with_a_name_like_a_stat_line() {
        let line = "7 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 30 12 5 6 20 0 3 0 100 0 0";
        assert_eq!(parse_stat(line), Some((42, 42)));
    }
}
