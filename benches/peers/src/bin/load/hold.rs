//! Connections that are held open and ask nothing more.

use std::io;

use crate::client::{self, Client};
use crate::target::Target;

/// Holds `few` connections until the start signal, then `many` of them until the next line of input.
/// Each has asked once and is answered.
pub(crate) fn run(target: &Target, few: usize, many: usize) -> io::Result<()> {
    let request = target.wire.get("");
    let length = client::answer_length(target, &request)?;
    let mut clients = Vec::with_capacity(many);
    let mut grow = |count: usize| {
        while clients.len() < count {
            let mut client = Client::connect(target, length)?;
            client.await_answer(&request)?;
            clients.push(client);
        }
        Ok(())
    };
    grow(few).map_err(failed(few))?;
    crate::ready()?;
    grow(many).map_err(failed(many))?;
    crate::print(&format!("{{\"requests\": {many}}}"))
}

fn failed(count: usize) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let attempt = "connections (`ulimit -n` has to be more than twice that)";
        io::Error::new(error.kind(), format!("holding {count} {attempt}: {error}"))
    }
}
