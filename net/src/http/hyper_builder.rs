//! hyper as a server wants it.

use hyper::server::conn::http1;

use crate::server::Limits;

/// hyper with the limits that it enforces itself. It sets no timer, as its time for a head also runs
/// while a connection idles. It buffers so many bytes at most.
pub(super) fn bounded(limits: &Limits, buffer_bytes: usize) -> http1::Builder {
    let mut hyper = http1::Builder::new();
    hyper
        .header_read_timeout(None)
        // The transport notices a reset while a service works. An end of the input is not one.
        .half_close(true)
        .max_header_size(limits.header_bytes)
        .max_buf_size(buffer_bytes.max(limits.header_bytes));
    // The guard holds the bound. hyper has to allow as many, and for a number of its own it fills two
    // tables of that length at each request.
    if limits.headers > HYPER_HEADERS {
        hyper.max_headers(limits.headers.min(Limits::MOST_HEADERS));
    }
    hyper
}

/// The most fields of a head that hyper allows unless told otherwise.
const HYPER_HEADERS: usize = 100;

/// The most that hyper buffers for one connection in each direction. It begins with 8 KiB and
/// grows for uploads that fill it, which halves their reads.
pub(super) const BUFFER_BYTES: usize = 64 * 1024;

/// The same where a large body comes, and the server's budget allows it. Beyond this more costs as much.
pub(super) const BULK_BUFFER_BYTES: usize = 256 * 1024;
