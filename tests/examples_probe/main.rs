//! Examples as their readers run them: the real binaries, as child processes.

mod event_queue;
mod example;
mod start_end;
