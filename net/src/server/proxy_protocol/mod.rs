//! The PROXY protocol, versions 1 and 2: what a proxy says in front of a connection about its client.
//!
//! The specification is haproxy's `proxy-protocol.txt`. [`TrustedProxy`] is a peer whose word is
//! taken, `header` tells where a header ends and what it says, `reader` takes it off the socket, and no
//! byte behind it, and `task` gives the connection to the client.
//!
//! Additions to a header (TLVs) are skipped: neither what they say nor their checksum is looked at.

pub(super) mod header;
mod reader;
pub(super) mod task;
pub(super) mod trusted_proxies;
