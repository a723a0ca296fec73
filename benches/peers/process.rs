//! Processes under measurement: where they run, what they have used.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;

/// The processors that servers and load are pinned to: the first two that this process may use.
#[derive(Clone, Copy, Debug)]
pub struct Processors {
    server: usize,
    load: usize,
}

impl Processors {
    /// Finds them, and pins this process to the load's. With only one they share it.
    pub fn claim() -> Self {
        let allowed = sched_getaffinity(Pid::from_raw(0)).expect("a process may read its affinity");
        let mut usable = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        let server = usable.next().expect("one processor at least");
        let processors = Self { server, load: usable.next().unwrap_or(server) };
        pin(processors.load);
        processors
    }

    /// Whether server and load get in each other's way.
    pub fn shared(self) -> bool {
        self.server == self.load
    }

    /// Starts a process on the servers' processor: it inherits the affinity that this one has meanwhile.
    pub fn spawn(self, command: &mut Command) -> Process {
        pin(self.server);
        let child = command.spawn();
        pin(self.load);
        let child = child
            .unwrap_or_else(|error| panic!("{} does not start: {error}", command.get_program().display()));
        Process(child)
    }
}

fn pin(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu).expect("a processor that exists");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a process may choose among its processors");
}

/// The word that makes this program another one, which ends with the benchmark, however that ends.
pub const RUN: &str = "--run";

/// A command that ends with the benchmark, also where that is killed.
pub fn tied(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.arg(RUN).arg(program);
    command
}

/// What [`tied`] starts: becomes that program.
pub fn become_program(mut words: impl Iterator<Item = String>) -> ! {
    set_pdeathsig(Signal::SIGKILL).expect("a process may ask for its end");
    let program = words.next().expect("a program");
    panic!("{program} does not start: {}", Command::new(&program).args(words).exec());
}

/// Files that a process of the benchmark may need: one for each client, and some more.
const FILES: u64 = 4096;

/// Lets this process and its children open so many.
pub fn open_many_files() {
    let (now, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a process may read its limits");
    setrlimit(Resource::RLIMIT_NOFILE, now.max(FILES.min(most)), most).expect("a process may use its limits");
}

/// A child process, ended when dropped.
pub struct Process(pub Child);

impl Process {
    /// Processor time that all its threads have used so far. Its clock counts the same nanoseconds as
    /// `/proc/PID/task/*/schedstat`, but is there on every kernel.
    pub fn processor_time(&self) -> Duration {
        let clock: ClockId = clock_getcpuclockid(self.pid()).expect("a child has a clock");
        clock.now().expect("the clock can be read").into()
    }

    /// Memory in use (`VmRSS`), in KiB.
    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("its status");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id().try_into().expect("a process id"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
