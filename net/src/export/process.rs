//! Metrics of the whole process, and of the kernel's network stack.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::family::{Family, Value, counter, gauge, seconds};
use super::netstat::Netstat;

/// Read when a page is asked for. A value that cannot be read is `None`, and not on the page.
pub(super) struct Process {
    fds: Option<u64>,
    fd_limit: Option<u64>,
    stat: Stat,
    start: Option<f64>,
    kernel: Netstat,
}

impl Process {
    pub(super) fn now() -> Process {
        let stat = fs::read_to_string("/proc/self/stat").map(|text| Stat::parse(&text));
        let stat = stat.unwrap_or_default();
        Process {
            // It never changes, and the kernel takes long to produce the file.
            start: *START.get_or_init(|| stat.started_after().and_then(start_time)),
            stat,
            fds: open_fds(Path::new("/proc/self/fd")),
            fd_limit: getrlimit(Resource::Nofile).current,
            kernel: fs::read_to_string("/proc/net/netstat")
                .map(|text| Netstat::parse(&text))
                .unwrap_or_default(),
        }
    }
}

/// The number of open descriptors. Newer kernels (from 6.2 on) report it as the directory's size:
/// that takes 2 µs instead of the 8 ms of counting 10,000, and no descriptor, so it also works when
/// none is left.
fn open_fds(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => {
            // The descriptor that reads the directory is listed, too.
            let listed = fs::read_dir(directory).ok()?.count() as u64;
            Some(listed.saturating_sub(1))
        }
        open => Some(open),
    }
}

/// The start of the process, in seconds since 1970.
static START: OnceLock<Option<f64>> = OnceLock::new();

/// The processor time of all threads, ended ones too.
pub(super) fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::from_secs(seconds) + Duration::from_nanos(time.tv_nsec.unsigned_abs())
}

/// The start of the process, in seconds since 1970, if it started `after` seconds after the
/// machine.
fn start_time(after: f64) -> Option<f64> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let boot: u64 =
        text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()?;
    Some(boot as f64 + after)
}

/// The fields of `/proc/self/stat` that are used.
#[derive(Debug, Default, PartialEq, Eq)]
struct Stat {
    threads: Option<u64>,
    /// Clock ticks from the start of the machine to that of the process.
    start: Option<u64>,
    virtual_bytes: Option<u64>,
    resident_pages: Option<u64>,
}

impl Stat {
    /// The name of the program is in brackets and may contain spaces and brackets: the fields are
    /// counted from behind the last bracket.
    fn parse(text: &str) -> Stat {
        let (_, rest) = text.rsplit_once(')').unwrap_or(("", ""));
        let fields: Vec<_> = rest.split_ascii_whitespace().collect();
        // proc_pid_stat(5) counts from 1, and the first field after the bracket is the third.
        let field = |number: usize| fields.get(number - 3)?.parse().ok();
        Stat {
            threads: field(20),
            start: field(22),
            virtual_bytes: field(23),
            resident_pages: field(24),
        }
    }

    fn resident_bytes(&self) -> Option<u64> {
        Some(self.resident_pages? * rustix::param::page_size() as u64)
    }

    /// Seconds from the start of the machine to that of the process.
    fn started_after(&self) -> Option<f64> {
        Some(self.start? as f64 / rustix::param::clock_ticks_per_second() as f64)
    }
}

/// The family of [`cpu_time`]. A table of its own: no recorder holds it, and the unbridged page
/// must not pay for the files that the other families are read from.
pub(super) const CPU: &[Family<Duration>] = &[seconds(
    "process_cpu_seconds_total",
    "Processor time of the process, in seconds.",
    |&time, s| s.one(time),
)];

pub(super) const PROCESS: &[Family<Process>] = &[
    gauge("heist_build_info", "Always 1; the label is the version of heist.", |_, s| {
        s.each(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
    }),
    gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", |p, s| {
        s.some(p.stat.resident_bytes());
    }),
    gauge("process_virtual_memory_bytes", "Address space of the process.", |p, s| {
        s.some(p.stat.virtual_bytes);
    }),
    gauge(
        "process_start_time_seconds",
        "When the process started, in seconds since 1970.",
        |p, s| s.some(p.start.map(Value::Real)),
    ),
    gauge("process_threads", "Threads of the process.", |p, s| s.some(p.stat.threads)),
    gauge("process_open_fds", "Descriptors that the process has open.", |p, s| s.some(p.fds)),
    gauge("process_max_fds", "Descriptors that the process may have open.", |p, s| {
        s.some(p.fd_limit);
    }),
    counter(
        "heist_tcp_listen_overflows_total",
        "Connections that the kernel dropped because an accept queue was full, in the whole \
         network namespace.",
        |p, s| s.some(p.kernel.listen_overflows),
    ),
    counter(
        "heist_tcp_listen_drops_total",
        "Connections that the kernel dropped at a listener for any reason, in the whole network \
         namespace.",
        |p, s| s.some(p.kernel.listen_drops),
    ),
    counter(
        "heist_tcp_backlog_drops_total",
        "Packets that the kernel dropped because the backlog of a busy socket was full, in the \
         whole network namespace.",
        |p, s| s.some(p.kernel.backlog_drops),
    ),
];

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_missing_directory_is_no_count_rather_than_zero() {
        assert_eq!(open_fds(Path::new("/proc/self/no-such-directory")), None);
    }

    #[test]
    fn name_with_brackets_and_spaces_shifts_no_field() {
        let fields = (4..=30).map(|number| (number * 10).to_string()).collect::<Vec<_>>();
        let stat = Stat::parse(&format!("17 (a) b (c)) S {}", fields.join(" ")));
        let expected = Stat {
            threads: Some(200),
            start: Some(220),
            virtual_bytes: Some(230),
            resident_pages: Some(240),
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("17 (cut off) S 1"), Stat::default());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn process_knows_its_own_size_and_age() {
        let process = Process::now();
        let resident = process.stat.resident_bytes().unwrap();
        assert!(resident > 100 * 1024, "{resident}");
        assert!(process.stat.virtual_bytes.unwrap() >= resident);
        assert!(process.stat.threads.unwrap() >= 2);
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs_f64();
        // The kernel reports the start of the machine in whole seconds.
        let start = process.start.unwrap();
        assert!(start < now + 2.0 && start > now - 86_400.0, "{start} {now}");
        let cpu = cpu_time();
        assert!(cpu_time() >= cpu && !cpu.is_zero());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn open_descriptors_are_counted() {
        let held: Vec<_> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let open = open_fds(Path::new("/proc/self/fd")).unwrap();
        assert!(open >= 3 + held.len() as u64, "{open}");
    }
}
