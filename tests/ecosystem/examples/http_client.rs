//! Fetches pages with a pooled HTTP client: HTTP/1.1 and HTTP/2, TLS, and time-outs everywhere.
//!
//! ```sh
//! cargo run --manifest-path tests/ecosystem/Cargo.toml --example http_client -- https://example.org/
//! ```

use std::error::Error;
use std::time::Duration;

use bytes::Bytes;
use heist::time::timeout;
use heist::tls::ClientConfig;
use heist_hyper_util::{Connector, client};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::Uri;
use hyper_util::client::legacy::Client;

type Requests = Client<Connector, Empty<Bytes>>;

fn main() -> Result<(), Box<dyn Error>> {
    let config = ClientConfig::builder().roots("/etc/ssl/certs/ca-certificates.crt").build()?;
    // 10 s to connect, 50 s for an idle connection. Clones share the pool.
    let client: Requests = client(Connector::new().tls(config));

    heist::Runtime::new()?.block_on(async {
        let mut pages = Vec::new();
        for uri in std::env::args().skip(1) {
            pages.push((uri.clone(), heist::spawn(fetch(client.clone(), uri.parse()?))));
        }
        for (uri, page) in pages {
            match page.await? {
                Ok(text) => println!("{uri}: {text}"),
                Err(error) => eprintln!("{uri}: {error}"),
            }
        }
        Ok(())
    })
}

/// A line about the page. All of it takes 30 s at most, and its body may have 10 MiB.
async fn fetch(client: Requests, uri: Uri) -> Result<String, Box<dyn Error + Send + Sync>> {
    timeout(Duration::from_secs(30), async {
        let response = client.get(uri).await?;
        let (status, version) = (response.status(), response.version());
        let body = Limited::new(response.into_body(), 10 << 20).collect().await?.to_bytes();
        Ok(format!("{version:?} {status}, {} bytes", body.len()))
    })
    .await?
}
