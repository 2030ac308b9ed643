//! What is true of the whole process, and of the kernel under it.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

use super::family::{Family, counter, gauge};
use super::netstat::Netstat;

/// Read when a page is asked for. What cannot be read is `None`, and not on the page.
pub(super) struct Process {
    fds: Option<u64>,
    fd_limit: Option<u64>,
    kernel: Netstat,
}

impl Process {
    pub(super) fn now() -> Process {
        Process {
            fds: open_fds(Path::new("/proc/self/fd")),
            fd_limit: getrlimit(Resource::Nofile).current,
            kernel: fs::read_to_string("/proc/net/netstat")
                .map(|text| Netstat::parse(&text))
                .unwrap_or_default(),
        }
    }
}

/// How many descriptors are open. Newer kernels (from 6.2 on) say it in the directory's size: that
/// takes 2 µs instead of the 8 ms of counting 10,000, and no descriptor to ask, so there is an
/// answer also when none is left.
fn open_fds(directory: &Path) -> Option<u64> {
    match fs::metadata(directory).ok()?.len() {
        0 => {
            // The one that reads the directory is listed there too.
            let listed = fs::read_dir(directory).ok()?.count() as u64;
            Some(listed.saturating_sub(1))
        }
        open => Some(open),
    }
}

pub(super) const PROCESS: &[Family<Process>] = &[
    gauge("heist_build_info", "Always 1; the label is the version of heist.", |_, s| {
        s.each(&[("version", env!("CARGO_PKG_VERSION"))], 1_u64);
    }),
    gauge("heist_fds", "Descriptors that the process has open.", |p, s| s.some(p.fds)),
    gauge("heist_fd_limit", "Descriptors that the process may have open.", |p, s| {
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

    #[cfg(target_os = "linux")]
    #[test]
    fn open_descriptors_are_counted() {
        let held: Vec<_> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let open = open_fds(Path::new("/proc/self/fd")).unwrap();
        assert!(open >= 3 + held.len() as u64, "{open}");
    }
}
