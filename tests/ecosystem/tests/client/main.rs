//! HTTP clients on heist: hyper-util's pool, hyper by hand, hyper-rustls and tonic's channel, with servers of
//! heist as their peers.

mod grpc;
mod hands;
mod pool;
mod site;
mod tls;
