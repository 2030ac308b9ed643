//! The example `http_upload` as its users see it: the real binary, real clients and real files.

mod answers;
mod bounds;
mod curl;
mod draining;
mod given_up;
mod grammar;
mod input;
mod left_over;
mod names;
mod refused;
mod server;
mod storage;

#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../examples_probe/example.rs"]
mod example;

#[path = "../../examples/http_upload/header.rs"]
mod header;
#[path = "../../examples/http_upload/multipart.rs"]
mod multipart;
#[path = "../../examples/http_upload/part.rs"]
mod part;
