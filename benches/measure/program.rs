//! A program in a process of its own, on CPUs of its own, and what it has cost so far.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use rustix::thread::{CpuSet, sched_setaffinity};

use super::figures::Fault;
use super::guard::guard;

/// A child process; dropping it ends it, and so does the end of this process.
pub(crate) struct Program {
    name: String,
    child: Child,
    output: BufReader<ChildStdout>,
    /// Ends the watch over it when dropped.
    _watched: Sender<()>,
}

/// What a program has used since it started.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    /// CPU seconds of all its threads, ended ones too, and of its child processes.
    pub(crate) cpu: f64,
    /// Times that its living threads gave up or lost a CPU.
    pub(crate) switches: f64,
}

impl Program {
    /// Starts it on these CPUs.
    pub(crate) fn start(command: &mut Command, cpus: &[usize]) -> Result<Program, Fault> {
        let name = command.get_program().to_string_lossy().into_owned();
        guard(command)?.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn_on(command, cpus).map_err(Fault::of(format!("starting {name}")))?;
        let output = child.stdout.take().expect("its output was asked for");
        let _watched = watch(Pid::from_raw(child.id() as i32));
        Ok(Program { name, child, output: BufReader::new(output), _watched })
    }

    /// The next line of its output.
    pub(crate) fn line(&mut self) -> Result<String, Fault> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        match read.map_err(Fault::of(format!("reading from {}", self.name)))? {
            0 => Err(Fault::Failed(format!("{} ended without a word", self.name))),
            _ => Ok(line.trim().to_owned()),
        }
    }

    /// Interrupts it until it ends, and gives its last line of output. Once is not enough for a
    /// program that looks at the signal's mark before it goes to sleep.
    pub(crate) fn interrupt(&mut self) -> Result<String, Fault> {
        while matches!(self.child.try_wait(), Ok(None)) {
            self.signal(Signal::SIGINT);
            std::thread::sleep(Duration::from_millis(20));
        }
        self.last_line()
    }

    /// Waits until it would notice an interrupt: before that it is lost, or deadly.
    pub(crate) fn wait_for_handler(&self) -> Result<(), Fault> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let status = fs::read_to_string(format!("/proc/{}/status", self.id()));
            let status = status.map_err(Fault::of(format!("looking at {}", self.name)))?;
            let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
            let caught = caught.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
            if caught.unwrap_or(0) & (1 << (Signal::SIGINT as u64 - 1)) != 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        Err(Fault::Failed(format!("{} does not handle interrupts", self.name)))
    }

    /// Its last line of output, once it has ended.
    pub(crate) fn last_line(&mut self) -> Result<String, Fault> {
        let mut last = self.line()?;
        while let Ok(line) = self.line() {
            last = line;
        }
        Ok(last)
    }

    /// Starts a load, or asks a server for its counts.
    pub(crate) fn go(&mut self) -> Result<(), Fault> {
        let input = self.child.stdin.as_mut().expect("its input was asked for");
        input.write_all(b"go\n").map_err(Fault::of(format!("telling {} to go", self.name)))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // An error means that the program has ended already.
        let _ = kill(Pid::from_raw(self.id() as i32), signal);
    }

    pub(crate) fn spent(&self) -> Result<Spent, Fault> {
        let mut spent = Spent::default();
        for process in family(self.id()) {
            spent.cpu += cpu_seconds(process)?;
            spent.switches += switches(process);
        }
        Ok(spent)
    }

    /// Its memory in bytes, that shared with others by its share.
    pub(crate) fn memory(&self) -> Result<f64, Fault> {
        let mut bytes = 0.0;
        for process in family(self.id()) {
            let path = format!("/proc/{process}/smaps_rollup");
            let text = fs::read_to_string(&path).map_err(Fault::of(format!("reading {path}")))?;
            bytes += 1024.0 * sum(&text, |name| name == "Pss");
        }
        Ok(bytes)
    }

    /// Its resident memory in bytes, without children.
    pub(crate) fn resident(&self) -> Result<f64, Fault> {
        self.status("VmRSS")
    }

    /// The most that this was so far.
    pub(crate) fn peak(&self) -> Result<f64, Fault> {
        self.status("VmHWM")
    }

    fn status(&self, wanted: &str) -> Result<f64, Fault> {
        let path = format!("/proc/{}/status", self.id());
        let text = fs::read_to_string(&path).map_err(Fault::of(format!("reading {path}")))?;
        Ok(1024.0 * sum(&text, |name| name == wanted))
    }

    /// Waits until it accepts connections at `address`.
    pub(crate) fn wait_for(&mut self, address: SocketAddr) -> Result<(), Fault> {
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address).is_err() {
            let ended = self.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > end {
                let what = ended.map_or("did not listen".to_owned(), |how| how.to_string());
                return Err(Fault::Failed(format!("{}: {what}", self.name)));
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.signal(Signal::SIGTERM);
        let end = Instant::now() + Duration::from_secs(2);
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > end {
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl std::ops::Sub for Spent {
    type Output = Spent;

    fn sub(self, before: Spent) -> Spent {
        Spent { cpu: self.cpu - before.cpu, switches: self.switches - before.switches }
    }
}

/// A port of the loopback that no socket listens on.
pub(crate) fn free_address() -> Result<SocketAddr, Fault> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(Fault::of("looking for a port"))?;
    listener.local_addr().map_err(Fault::of("looking for a port"))
}

/// Runs it to its end and gives its output.
pub(crate) fn output(program: &str, words: &[impl AsRef<OsStr>]) -> Result<String, Fault> {
    let mut command = Command::new(program);
    let output = guard(&mut command)?.args(words).stdin(Stdio::null()).output();
    let output = output.map_err(Fault::of(format!("starting {program}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(Fault::Failed(format!(
            "{program}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        ))),
    }
}

/// A child has the CPUs of the thread that starts it, so a thread takes them on and starts it.
fn spawn_on(command: &mut Command, cpus: &[usize]) -> std::io::Result<Child> {
    let mut set = CpuSet::new();
    cpus.iter().for_each(|&cpu| set.set(cpu));
    std::thread::scope(|scope| {
        let start = move || {
            sched_setaffinity(None, &set)?;
            command.spawn()
        };
        scope.spawn(start).join().expect("starting a program does not panic")
    })
}

/// Kills a process that lives too long: a benchmark must not wait for ever.
fn watch(process: Pid) -> Sender<()> {
    let (end, ended) = channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(LIFE) == Err(RecvTimeoutError::Timeout) {
            let _ = kill(process, Signal::SIGKILL);
        }
    });
    end
}

/// The process and its children.
fn family(leader: u32) -> Vec<u32> {
    let children = fs::read_to_string(format!("/proc/{leader}/task/{leader}/children"));
    let children = children.unwrap_or_default();
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    std::iter::once(leader).chain(children).collect()
}

fn cpu_seconds(process: u32) -> Result<f64, Fault> {
    let clock = clock_getcpuclockid(Pid::from_raw(process as i32)).and_then(|clock| clock.now());
    let time = clock.map_err(Fault::of(format!("reading the CPU time of process {process}")))?;
    Ok(time.tv_sec() as f64 + time.tv_nsec() as f64 / 1e9)
}

fn switches(process: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let tasks = tasks.into_iter().flatten().flatten();
    let texts = tasks.filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    texts.map(|text| sum(&text, |name| name.ends_with("voluntary_ctxt_switches"))).sum()
}

/// The sum of the values of lines such as `Pss:  12 kB`.
fn sum(text: &str, wanted: impl Fn(&str) -> bool) -> f64 {
    let fields = text.lines().filter_map(|line| line.split_once(':'));
    let values = fields.filter(|(name, _)| wanted(name)).map(|(_, value)| value);
    values.filter_map(|value| value.split_whitespace().next()?.parse::<f64>().ok()).sum()
}

/// How long a server may take until it listens: under valgrind, some seconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long any program may live.
const LIFE: Duration = Duration::from_secs(120);
