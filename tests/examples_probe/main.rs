//! Examples as their readers run them: the real binaries, as child processes.

mod event_queue;
mod example;
mod output;
mod peer_probe;
mod start_end;

// The state machine of `peer_probe` by itself: it needs no process, and no socket.
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/peer_probe/probe.rs"]
mod probe;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/peer_probe/torrent.rs"]
mod torrent;
#[allow(dead_code, reason = "the example uses all of it")]
#[path = "../../examples/peer_probe/wire.rs"]
mod wire;
