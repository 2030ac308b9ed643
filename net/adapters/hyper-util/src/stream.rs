//! A connection, as hyper and its pool have it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use heist_net::tls::TlsStream;
use heist_net::{Stream, Transport as _};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};

/// A connection of a [`Connector`](crate::Connector): a socket, or a TLS session over one.
#[derive(Debug)]
pub struct HttpStream {
    transport: Transport,
    info: Option<HttpInfo>,
}

/// The addresses of a connection over TCP; in the extensions of each response.
///
/// hyper-util's connector has a type of this name with the same methods.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpInfo {
    remote: SocketAddr,
    local: SocketAddr,
}

#[derive(Debug)]
enum Transport {
    Plain(Stream),
    Tls(TlsStream),
}

impl HttpInfo {
    pub(crate) fn new(remote: SocketAddr, local: SocketAddr) -> HttpInfo {
        HttpInfo { remote, local }
    }

    /// The address of the server.
    pub fn remote_addr(&self) -> SocketAddr {
        self.remote
    }

    /// The address of this end.
    pub fn local_addr(&self) -> SocketAddr {
        self.local
    }
}

impl HttpStream {
    pub(crate) fn plain(stream: Stream, info: Option<HttpInfo>) -> HttpStream {
        HttpStream { transport: Transport::Plain(stream), info }
    }

    pub(crate) fn tls(stream: TlsStream, info: Option<HttpInfo>) -> HttpStream {
        HttpStream { transport: Transport::Tls(stream), info }
    }

    /// The addresses of both ends, over TCP.
    pub fn info(&self) -> Option<HttpInfo> {
        self.info
    }

    /// The protocol that the server has chosen (ALPN), if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(stream) => stream.alpn(),
        }
    }
}

impl Connection for HttpStream {
    fn connected(&self) -> Connected {
        let mut connected = Connected::new();
        if let Some(info) = self.info {
            connected = connected.extra(info);
        }
        if let Transport::Tls(stream) = &self.transport {
            connected = connected.extra(Arc::clone(stream.info()));
        }
        match self.alpn() {
            Some(b"h2") => connected.negotiated_h2(),
            _ => connected,
        }
    }
}

impl Read for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Read::poll_read(Pin::new(stream), cx, cursor),
            Transport::Tls(stream) => Read::poll_read(Pin::new(stream), cx, cursor),
        }
    }
}

impl Write for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Write::poll_write(Pin::new(stream), cx, bytes),
            Transport::Tls(stream) => Write::poll_write(Pin::new(stream), cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Write::poll_flush(Pin::new(stream), cx),
            Transport::Tls(stream) => Write::poll_flush(Pin::new(stream), cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(stream) => Write::poll_shutdown(Pin::new(stream), cx),
            Transport::Tls(stream) => Write::poll_shutdown(Pin::new(stream), cx),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.transport {
            Transport::Plain(stream) => Write::poll_write_vectored(Pin::new(stream), cx, buffers),
            Transport::Tls(stream) => Write::poll_write_vectored(Pin::new(stream), cx, buffers),
        }
    }
}
