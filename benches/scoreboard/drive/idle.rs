//! What an idle connection costs.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::Server;
use crate::measure::bench::Bench;
use crate::measure::drive::Drive;
use crate::measure::figures::{Fault, Figures};

/// Memory between `few` and `many` connections, after one request each, and then CPU at rest.
#[derive(Clone)]
pub(crate) struct Idle {
    pub(crate) server: Server,
    pub(crate) few: usize,
    pub(crate) many: usize,
    /// How long it is watched at rest.
    pub(crate) seconds: f64,
}

impl Drive for Idle {
    fn visit(&self, bench: &Bench) -> Result<Figures, Fault> {
        let (server, address) = self.server.start(bench)?;
        let mut connections = Vec::with_capacity(self.many);
        let mut grow = |count: usize| {
            while connections.len() < count {
                connections.push(ask(address)?);
            }
            Ok(connections.len())
        };
        grow(self.few).map_err(failed(self.few))?;
        let few = server.memory()?;
        grow(self.many).map_err(failed(self.many))?;
        let many = server.memory()?;
        std::thread::sleep(SETTLE);
        let before = server.spent()?;
        std::thread::sleep(Duration::from_secs_f64(self.seconds));
        let rest = server.spent()? - before;
        Ok(Figures::from([
            ("bytes".to_owned(), (many - few) / (self.many - self.few) as f64),
            ("rest_us".to_owned(), rest.cpu * 1e6 / self.seconds),
        ]))
    }
}

fn ask(address: SocketAddr) -> std::io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
    match stream.read(&mut [0; 4096])? {
        0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(stream),
    }
}

fn failed(count: usize) -> impl FnOnce(std::io::Error) -> Fault {
    Fault::of(format!("holding {count} connections (`ulimit -n` is twice that at least)"))
}

/// More than a second, for what runs once after work: monitors, timers of the runtime itself.
const SETTLE: Duration = Duration::from_millis(1_200);
