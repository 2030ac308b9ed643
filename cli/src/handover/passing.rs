//! Sockets on their way from one process to the next.
//!
//! They travel as a message in a Unix socket that is the new process's standard input, rather than
//! as descriptors with agreed numbers: a number is only a claim, and turning it into an owned
//! descriptor cannot be done in safe code. The message is sent before the new process exists, so it
//! never waits for it.

use std::env;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use rustix::io::FdFlags;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Makes `command` start with copies of `sockets`; returns this process's end of the channel.
pub(super) fn send(sockets: &[BorrowedFd<'_>], command: &mut Command) -> io::Result<UnixStream> {
    let count = u8::try_from(sockets.len()).ok().filter(|&count| count <= MOST);
    let count = count.ok_or_else(|| {
        let refusal = format!("more than {MOST} sockets cannot be passed on");
        io::Error::new(io::ErrorKind::InvalidInput, refusal)
    })?;
    let (ours, theirs) = UnixStream::pair()?;
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() {
        let fits = rights.push(SendAncillaryMessage::ScmRights(sockets));
        debug_assert!(fits, "{SPACE} bytes hold {MOST} descriptors");
    }
    sendmsg(&ours, &[IoSlice::new(&[count])], &mut rights, SendFlags::empty())?;
    command.stdin(Stdio::from(OwnedFd::from(theirs)));
    command.env(PREDECESSOR, std::process::id().to_string());
    Ok(ours)
}

/// Receives the sockets from the process before this one, if there is one, and this process's end
/// of the channel.
///
/// Standard input is empty from then on.
pub(super) fn receive() -> io::Result<Option<(Vec<OwnedFd>, UnixStream)>> {
    if !has_predecessor() {
        return Ok(None);
    }
    let channel = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null")?)?;
    let (mut count, mut sockets) = ([0], Vec::new());
    let mut space = [MaybeUninit::uninit(); SPACE];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let waiting = RecvFlags::DONTWAIT;
    let received = recvmsg(&channel, &mut [IoSliceMut::new(&mut count)], &mut rights, waiting)?;
    for message in rights.drain() {
        if let RecvAncillaryMessage::ScmRights(passed) = message {
            sockets.extend(passed);
        }
    }
    if received.bytes == 0 || sockets.len() != usize::from(count[0]) {
        let came = format!(
            "{} of {} arrived; is the limit on descriptors reached?",
            sockets.len(),
            count[0]
        );
        return Err(io::Error::new(io::ErrorKind::InvalidData, came));
    }
    for socket in &sockets {
        rustix::io::fcntl_setfd(socket, FdFlags::CLOEXEC)?;
    }
    Ok(Some((sockets, channel)))
}

/// Whether the parent process passes sockets. The variable must name the parent: other descendants
/// inherit it.
fn has_predecessor() -> bool {
    let predecessor = env::var(PREDECESSOR).ok().and_then(|pid| pid.parse::<i32>().ok());
    let parent = rustix::process::getppid().map(rustix::process::Pid::as_raw_pid);
    predecessor.is_some() && predecessor == parent
}

/// The byte that reports: this process serves.
pub(super) const READY: u8 = b'R';

/// In the environment of the new process: the process id of the old one.
const PREDECESSOR: &str = "HEIST_PREDECESSOR";

/// The most that the kernel passes in one message.
const MOST: u8 = 253;

const SPACE: usize = rustix::cmsg_space!(ScmRights(MOST as usize));
