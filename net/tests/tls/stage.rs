//! Servers for the tests.

use std::future::Future;
use std::io;
use std::time::{Duration, Instant};

use heist_net::server::{Limits, Listener, TlsMetrics};
use heist_net::tls::{Config, ConfigBuilder, TlsStream};
use heist_net::{Runtime, Server, Transport};

use crate::authority::{Authority, Issued};
use crate::common::{GUARD, runtime};

/// A server, and the authority that its certificate is of.
pub(crate) struct Stage {
    pub(crate) server: Server,
    pub(crate) authority: Authority,
    // Behind the server, which runs on it.
    _runtime: Runtime,
}

impl Stage {
    /// Echoes what comes.
    pub(crate) fn echo() -> Stage {
        Stage::with(|config| config, Limits::default(), echo)
    }

    pub(crate) fn with<F>(
        settings: impl FnOnce(ConfigBuilder) -> ConfigBuilder,
        limits: Limits,
        handler: impl Fn(TlsStream) -> F + Send + Sync + 'static,
    ) -> Stage
    where
        F: Future<Output = io::Result<()>> + Send + 'static,
    {
        let authority = Authority::new();
        let certificate = authority.issue(&["localhost"]);
        let config = settings(plain_config(&certificate)).build().unwrap();
        let runtime = runtime();
        let server = serve(&runtime, config, limits, handler);
        Stage { server, authority, _runtime: runtime }
    }

    pub(crate) fn metrics(&self) -> TlsMetrics {
        self.server.metrics().tls.expect("it speaks TLS")
    }
}

/// The certificate, and all defaults.
pub(crate) fn plain_config(certificate: &Issued) -> ConfigBuilder {
    Config::builder().certificate(certificate.for_server())
}

/// Limits for real time: no handshake takes too long, however slow the machine is.
pub(crate) fn patient(limits: Limits) -> Limits {
    Limits { handshake_timeout: 60 * GUARD, ..limits }
}

/// Serves on real time.
pub(crate) fn serve<F>(
    runtime: &Runtime,
    config: Config,
    limits: Limits,
    handler: impl Fn(TlsStream) -> F + Send + Sync + 'static,
) -> Server
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    serve_within(runtime, config, patient(limits), handler)
}

/// Serves with exactly these limits.
pub(crate) fn serve_within<F>(
    runtime: &Runtime,
    config: Config,
    limits: Limits,
    handler: impl Fn(TlsStream) -> F + Send + Sync + 'static,
) -> Server
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap();
    let builder = Server::builder().listen(listener).limits(limits).overloaded_by(|_| false);
    builder
        .tls(config)
        .handler(move |stream, _peer| handler(stream))
        .start_on(runtime.handle())
        .unwrap()
}

/// Sends back what comes, and finishes when the client does.
pub(crate) async fn echo(mut stream: TlsStream) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.finish().await,
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Waits until `condition` holds, which other threads make true.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < GUARD, "it never happened");
        std::thread::sleep(Duration::from_millis(1));
    }
}
