//! may's stackful coroutines.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd};

use may::go;
use may::net::{TcpListener, TcpStream};

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut input, mut output) = (vec![0; 4096], Vec::with_capacity(4096));
    let mut filled = 0;
    loop {
        let count = stream.read(&mut input[filled..])?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let answered = heist_peers::answer(&input[..filled], &mut output);
        input.copy_within(answered.taken..filled, 0);
        filled -= answered.taken;
        stream.write_all(&output)?;
        output.clear();
        if answered.close {
            return Ok(());
        }
    }
}

fn main() -> std::io::Result<()> {
    let (workers, address) = heist_peers::arguments();
    may::config().set_workers(workers);
    let listener = TcpListener::bind(address)?;
    // SAFETY: the listener lives, and with it its descriptor, until after the call.
    heist_peers::deepen(unsafe { BorrowedFd::borrow_raw(listener.as_raw_fd()) })?;
    let accepting = go!(move || {
        for stream in listener.incoming().flatten() {
            go!(move || {
                let _ = serve(stream);
            });
        }
    });
    accepting.join().map_err(|_| std::io::Error::other("accepting panicked"))
}
