//! The program `heist` from outside: the real binary, over real sockets and signals.

mod access;
mod admin;
mod bodies;
mod certificates;
mod child;
mod draining;
mod flags;
mod http2;
mod limits;
mod memory;
mod metrics;
mod pages;
mod prometheus;
mod proxy;
mod restarting;
mod signals;
mod starting;
mod tls;
mod tools;
mod websocket;
