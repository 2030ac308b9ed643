//! A thread per connection, with blocking calls. It has no workers: their number is not used.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

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
    let (_workers, address) = heist_peers::arguments();
    let listener = TcpListener::bind(address)?;
    heist_peers::deepen(&listener)?;
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::Builder::new().stack_size(64 * 1024).spawn(move || serve(stream))?;
    }
    Ok(())
}
