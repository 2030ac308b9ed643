//! Asking an HTTP tracker for peers (BEP 3, compact answers by BEP 23 and 7).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bendy::decoding::{Decoder, DictDecoder, Object};
use bytes::Bytes;
use heist::net::TcpStream;
use heist::protocol::Error;
use heist::time::timeout;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper::{Request, StatusCode, Uri};

use crate::torrent::{DEPTH, Torrent};
use crate::wire::PeerId;

/// The peers that the tracker at `url` knows, at most [`MAX_PEERS`], if it names them within
/// `time`.
pub(crate) async fn peers(
    url: &str,
    torrent: &Torrent,
    id: &PeerId,
    time: Duration,
) -> Result<Vec<SocketAddr>, Error> {
    let answer = timeout(time, announce(url, torrent, id, "started")).await;
    let answer = answer.map_err(|_elapsed| format!("no answer in {time:?}"))??;
    // Or the tracker would send others here. The peers count even if it does not answer this.
    let _ = timeout(time.min(TIME_TO_LEAVE), announce(url, torrent, id, "stopped")).await;
    let mut peers = parse(&answer)?;
    // This program itself, and addresses that cannot be connected to.
    peers.retain(|peer| peer.port() != PORT && peer.port() != 0);
    peers.truncate(MAX_PEERS);
    Ok(peers)
}

/// One request. The answer is bencode.
async fn announce(url: &str, torrent: &Torrent, id: &PeerId, event: &str) -> Result<Bytes, Error> {
    let uri: Uri = url.parse()?;
    let (Some("http"), Some(host)) = (uri.scheme_str(), uri.host()) else {
        return Err("only http:// is supported".into());
    };
    let port = uri.port_u16().unwrap_or(80);
    let request = Request::get(target(&uri, torrent, id, event))
        // Not the whole authority, which may hold a user and a password.
        .header("Host", format!("{host}:{port}"))
        .header("User-Agent", "heist-peer-probe")
        .header("Connection", "close")
        .body(Empty::<Bytes>::new())?;

    let host = host.trim_start_matches('[').trim_end_matches(']');
    let stream = TcpStream::connect((host, port)).await?;
    let (mut sender, connection) = http1::handshake(stream).await?;
    // hyper splits a client in two: this half reads and writes, while the other one is asked.
    heist::spawn(connection);
    let response = sender.send_request(request).await?;
    if response.status() != StatusCode::OK {
        return Err(format!("it answered {}", response.status()).into());
    }
    let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?;
    Ok(body.to_bytes())
}

fn target(uri: &Uri, torrent: &Torrent, id: &PeerId, event: &str) -> String {
    let separator = if uri.query().is_some() { '&' } else { '?' };
    let left = torrent.piece_length.saturating_mul(torrent.pieces as u64);
    format!(
        "{}{separator}info_hash={}&peer_id={}&port={PORT}&uploaded=0&downloaded=0&left={left}\
         &compact=1&numwant=200&event={event}",
        uri.path_and_query().map_or("/", |path| path.as_str()),
        percent(&torrent.info_hash),
        percent(id),
    )
}

fn percent(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

fn parse(answer: &[u8]) -> Result<Vec<SocketAddr>, Error> {
    let mut decoder = Decoder::new(answer).with_max_depth(DEPTH);
    let Ok(Some(Object::Dict(mut root))) = decoder.next_object() else {
        return Err("its answer is no bencoded dictionary".into());
    };
    let mut peers = Vec::new();
    while let Some((key, value)) = root.next_pair()? {
        match (key, value) {
            (b"failure reason", Object::Bytes(reason)) => {
                let reason = String::from_utf8_lossy(&reason[..reason.len().min(MAX_REASON)]);
                return Err(format!("it refused: {reason}").into());
            }
            (b"peers", Object::Bytes(compact)) => peers.extend(unpack::<4, 6>(compact)?),
            (b"peers6", Object::Bytes(compact)) => peers.extend(unpack::<16, 18>(compact)?),
            (b"peers", Object::List(mut list)) => {
                while let Some(Object::Dict(peer)) = list.next_object()? {
                    peers.extend(read_peer(peer)?);
                }
            }
            _ => {}
        }
    }
    Ok(peers)
}

/// An entry of a list; `None` if it has no address to connect to.
fn read_peer(mut peer: DictDecoder<'_, '_>) -> Result<Option<SocketAddr>, Error> {
    let (mut ip, mut port) = (None::<IpAddr>, None::<u16>);
    while let Some((key, value)) = peer.next_pair()? {
        match (key, value) {
            (b"ip", Object::Bytes(text)) => ip = String::from_utf8_lossy(text).parse().ok(),
            (b"port", Object::Integer(digits)) => port = digits.parse().ok(),
            _ => {}
        }
    }
    Ok(ip.zip(port).map(SocketAddr::from))
}

/// Addresses of `IP` bytes and a port, `PEER` bytes together, one after the other.
fn unpack<const IP: usize, const PEER: usize>(compact: &[u8]) -> Result<Vec<SocketAddr>, Error>
where
    IpAddr: From<[u8; IP]>,
{
    let (peers, rest) = compact.as_chunks::<PEER>();
    if !rest.is_empty() {
        return Err(format!("its list of peers is cut off ({} bytes)", compact.len()).into());
    }
    let address = |peer: &[u8; PEER]| {
        let ip: [u8; IP] = peer[..IP].try_into().expect("a peer begins with its IP");
        SocketAddr::new(ip.into(), u16::from_be_bytes([peer[IP], peer[IP + 1]]))
    };
    Ok(peers.iter().map(address).collect())
}

/// The port that an announce must name, though nothing listens here: that of `discard`.
const PORT: u16 = 9;

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 1 << 20;

/// How many peers of one tracker are probed. It is asked for 200.
const MAX_PEERS: usize = 1000;

/// As much of a refusal as is worth reading, in bytes.
const MAX_REASON: usize = 400;

/// How long a tracker may take to accept `stopped`.
const TIME_TO_LEAVE: Duration = Duration::from_secs(5);
