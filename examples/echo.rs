//! An echo server with `async` sockets: `cargo run --example echo`, then `nc 127.0.0.1 7000`.

use std::io;

use heist::net::{AcceptErrorKind, TcpListener, TcpStream, accept_error_kind};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:7000".into()).parse()?;
    heist::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind(address)?;
        eprintln!("echoing on {}", listener.local_addr()?);
        loop {
            match listener.accept().await {
                Ok((stream, _peer)) => drop(heist::spawn(echo(stream))),
                // One connection was lost before it was taken; the others are well.
                Err(error) if accept_error_kind(&error) == AcceptErrorKind::Connection => {}
                Err(error) => return Err(error.into()),
            }
        }
    })
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}
