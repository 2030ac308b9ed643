//! A connection per request.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::client::{self, Watch};
use crate::mix;

/// Keeps so many connections going; each asks once and reads until the server closes.
pub(crate) fn run(address: SocketAddr, connections: usize, seconds: f64) -> io::Result<()> {
    let watch = Watch::new()?;
    let request = mix::get("close");
    let ask = |index: usize| -> io::Result<TcpStream> {
        let mut stream = client::connect(address)?;
        stream.write_all(request.as_bytes())?;
        watch.add(&stream, index)?;
        Ok(stream)
    };
    crate::ready()?;
    let mut streams = (0..connections).map(ask).collect::<io::Result<Vec<_>>>()?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(seconds);
    let (mut requests, mut errors) = (0_u64, 0_u64);
    while Instant::now() < end {
        watch.sleep(Duration::from_millis(10))?;
        for index in watch.ready()? {
            match client::read(&streams[index]) {
                Ok(Some(_)) => continue,
                Ok(None) => requests += 1,
                Err(_) => errors += 1,
            }
            streams[index] = ask(index)?;
        }
    }
    let rate = requests as f64 / start.elapsed().as_secs_f64();
    crate::say(&format!("{{\"requests\": {requests}, \"errors\": {errors}, \"rate\": {rate:.1}}}"))
}
