//! A hand-written loop: one epoll instance a thread, SO_REUSEPORT, edge-triggered, and a read that
//! did not fill its buffer ends the drain. A connection is read before it is registered, so one that
//! closes after its first request takes no more system calls than it must. With `HEIST_PEERS_ONE_LISTENER` in the environment only
//! the first thread listens, so that all connections are its own.

use std::net::SocketAddr;

fn main() {
    let (workers, address) = heist_peers::arguments();
    let threads: Vec<_> =
        (0..listeners(workers)).map(|_| std::thread::spawn(move || serve(address))).collect();
    for thread in threads {
        let _ = thread.join();
    }
}

/// A thread without a connection has nothing to do, so it need not be there.
fn listeners(workers: usize) -> usize {
    match std::env::var_os("HEIST_PEERS_ONE_LISTENER") {
        Some(_) => 1,
        None => workers,
    }
}

fn check(result: libc::c_int) -> libc::c_int {
    if result < 0 {
        panic!("{}", std::io::Error::last_os_error());
    }
    result
}

fn listen(address: SocketAddr) -> libc::c_int {
    let SocketAddr::V4(address) = address else { panic!("IPv4 only") };
    let one: libc::c_int = 1;
    let size = size_of::<libc::c_int>() as libc::socklen_t;
    let ip = u32::from_ne_bytes(address.ip().octets());
    let name = libc::sockaddr_in {
        sin_family: libc::AF_INET as _,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr { s_addr: ip },
        sin_zero: [0; 8],
    };
    // SAFETY: plain system calls; each pointer is to a live local of the size that is passed.
    unsafe {
        let fd = check(libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_NONBLOCK, 0));
        for (level, option) in [
            (libc::SOL_SOCKET, libc::SO_REUSEPORT),
            (libc::SOL_SOCKET, libc::SO_REUSEADDR),
            (libc::IPPROTO_TCP, libc::TCP_NODELAY),
        ] {
            check(libc::setsockopt(fd, level, option, (&raw const one).cast(), size));
        }
        let length = size_of_val(&name) as libc::socklen_t;
        check(libc::bind(fd, (&raw const name).cast(), length));
        check(libc::listen(fd, 4096));
        fd
    }
}

fn add(epoll: libc::c_int, fd: libc::c_int) {
    let events = (libc::EPOLLIN | libc::EPOLLRDHUP | libc::EPOLLET) as u32;
    let mut event = libc::epoll_event { events, u64: fd as u64 };
    // SAFETY: `event` lives through the call.
    check(unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event) });
}

fn serve(address: SocketAddr) {
    let listener = listen(address);
    // SAFETY: takes no pointer.
    let epoll = check(unsafe { libc::epoll_create1(0) });
    add(epoll, listener);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 1024];
    let mut input = vec![0_u8; 64 * 1024];
    let mut output = Vec::with_capacity(64 * 1024);
    loop {
        // SAFETY: the buffer holds as many events as are asked for.
        let count = unsafe { libc::epoll_wait(epoll, events.as_mut_ptr(), 1024, -1) };
        for event in &events[..count.max(0) as usize] {
            let fd = event.u64 as libc::c_int;
            if fd != listener {
                drain(fd, &mut input, &mut output);
                continue;
            }
            while let Some(fd) = accept(listener) {
                if drain(fd, &mut input, &mut output) {
                    add(epoll, fd);
                }
            }
        }
    }
}

/// The next connection that waits. Asks whether one does: an accept in vain costs the system more.
fn accept(listener: libc::c_int) -> Option<libc::c_int> {
    let mut waits = libc::pollfd { fd: listener, events: libc::POLLIN, revents: 0 };
    let (none, flags) = (std::ptr::null_mut(), libc::SOCK_NONBLOCK);
    // SAFETY: one entry, which lives through the call; the address is not asked for.
    unsafe {
        match libc::poll(&mut waits, 1, 0) {
            1 => Some(libc::accept4(listener, none, none.cast(), flags)).filter(|fd| *fd >= 0),
            _ => None,
        }
    }
}

/// Answers what there is to read. Whether the connection is still open.
fn drain(fd: libc::c_int, input: &mut [u8], output: &mut Vec<u8>) -> bool {
    loop {
        // SAFETY: the pointer and the length are those of the buffer.
        let count = unsafe { libc::read(fd, input.as_mut_ptr().cast(), input.len()) };
        if count <= 0 {
            let again = std::io::Error::last_os_error().kind() == std::io::ErrorKind::WouldBlock;
            return (count < 0 && again) || close(fd);
        }
        let answered = heist_peers::answer(&input[..count as usize], output);
        // The end goes out in one packet with the last answer.
        let more = if answered.close { libc::MSG_MORE } else { 0 };
        let flags = libc::MSG_NOSIGNAL | more;
        // SAFETY: as above.
        unsafe { libc::send(fd, output.as_ptr().cast(), output.len(), flags) };
        output.clear();
        if answered.close {
            return close(fd);
        }
        if (count as usize) < input.len() {
            return true;
        }
    }
}

/// Always false: the connection is not open any more.
fn close(fd: libc::c_int) -> bool {
    // SAFETY: the descriptor is not used any more.
    unsafe { libc::close(fd) };
    false
}
