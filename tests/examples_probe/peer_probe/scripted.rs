//! Peers that play a part, in this process, most of them a bad one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use heist_tests::hang_guard;
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

use super::{PIECES, Told, torrent, with_time_limit, write_torrent};

/// Takes one connection and plays `script`.
pub(super) fn peer(script: impl FnOnce(TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        script(stream);
    });
    address
}

/// Waits for the other side to close; in order or by a reset is all the same.
pub(super) fn stay(mut stream: TcpStream) {
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
}

/// Reads the prober's handshake, then sends `bytes`, which it may not want to hear to the end.
pub(super) fn answer(bytes: impl Into<Vec<u8>>) -> SocketAddr {
    let bytes = bytes.into();
    peer(move |mut stream| {
        stream.read_exact(&mut [0; 68]).unwrap();
        let _ = stream.write_all(&bytes);
        stay(stream);
    })
}

pub(super) fn handshake(info_hash: &[u8; 20]) -> Vec<u8> {
    [b"\x13BitTorrent protocol", &[0; 8][..], info_hash, b"-XX0001-abcdefghijkl"].concat()
}

pub(super) fn message(kind: u8, payload: &[u8]) -> Vec<u8> {
    [&(payload.len() as u32 + 1).to_be_bytes()[..], &[kind], payload].concat()
}

/// An address that refuses connections for as long as the socket lives: it is bound, so that no other
/// test's socket gets its port, and does not listen.
fn dead() -> (SocketAddr, Socket) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}

/// Never answers, not even with a refusal. The accept queue is full, so the kernel drops each SYN.
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    _listener: Socket,
    _queued: TcpStream,
}

impl BlackHole {
    pub(super) fn open() -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let queued = TcpStream::connect(address).unwrap();
        BlackHole { address, _listener: listener, _queued: queued }
    }
}

/// Peers that unchoke, each with how many pieces it has.
fn good_peers(hash: &[u8; 20]) -> [(SocketAddr, usize); 4] {
    let hello = handshake(hash);
    let (bits, unchoke) = (message(5, &[0xff, 0, 0]), message(1, b""));
    let all = [&hello[..], &bits, &unchoke].concat();
    let byte_by_byte = {
        let all = all.clone();
        peer(move |mut stream| {
            all.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
            stay(stream);
        })
    };
    let noise = [vec![0; 4], message(77, &[7; 5000]), message(9, &[0; 2]), vec![0; 4]].concat();
    let chatty = [&hello[..], &noise, &message(4, &[0, 0, 0, 3]), &noise, &unchoke].concat();
    // Unchokes after `interested`.
    let polite = peer(move |mut stream| {
        stream.write_all(&[hello, bits].concat()).unwrap();
        let mut said = [0; 73];
        stream.read_exact(&mut said).unwrap();
        assert_eq!(said[68..], [0, 0, 0, 1, 2]);
        stream.write_all(&unchoke).unwrap();
        stay(stream);
    });
    [(answer(all), 8), (byte_by_byte, 8), (answer(chatty), 1), (polite, 8)]
}

/// Peers that fail, each with the reason.
fn bad_peers(hash: &[u8; 20]) -> [(SocketAddr, &'static str); 9] {
    let behind = |bytes: &[u8]| [&handshake(hash), bytes].concat();
    let bits = message(5, &[0xff, 0, 0]);
    let half = behind(&bits[..5]);
    let garbage = behind(&[&bits, &b"garbage, garbage"[..]].concat());
    let half_bitfield = peer(move |mut stream| {
        stream.write_all(&half).unwrap();
        hang_up(stream);
    });
    [
        (answer(handshake(&[7; 20])), "the info-hash of another torrent"),
        (answer("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak BitTorrent"),
        (answer(behind(&message(5, &[0xff; 9]))), "bitfield has 9 bytes, not 3"),
        (answer(behind(&message(5, &[0xff; 3]))), "pieces beyond the last"),
        (answer(behind(&[0x7f, 0xff, 0xff, 0xff])), "of 2147483647 bytes"),
        (answer(garbage), "announced a message"),
        (peer(hang_up), "closed the connection, waiting for its handshake"),
        (peer(reset), "waiting for its handshake"),
        (half_bitfield, "inside a message, waiting for its bitfield"),
    ]
}

#[test]
fn every_peer_fails_for_its_own_reason_and_the_others_go_on() {
    let _guard = hang_guard("peer_probe: scripted");
    let (_, hash) = torrent();
    let (dead, _bound) = dead();
    let (good, bad) = (good_peers(&hash), bad_peers(&hash));

    let folder = TempDir::new().unwrap();
    let peers = good.map(|(address, _)| address).into_iter().chain(bad.map(|(address, _)| address));
    let options: Vec<_> = peers.chain([dead]).map(|address| format!("--peer={address}")).collect();
    // No time limit is met.
    let told = Told::by(&write_torrent(folder.path()), &options);

    assert_eq!(told.0["torrent"]["pieces"], PIECES);
    for (address, pieces) in good {
        told.assert_unchoked(address, pieces);
        assert_eq!(told.of(address)["client"], "XX 0001");
    }
    told.assert_failed(dead, "could not connect");
    for (address, why) in bad {
        told.assert_failed(address, why);
    }
}

#[test]
fn silent_peer_times_out_with_its_stage() {
    let _guard = hang_guard("peer_probe: silent");
    with_time_limit(10, silent_peers_time_out);
}

fn silent_peers_time_out(seconds: u64) {
    let (_, hash) = torrent();
    let hello = handshake(&hash);
    let half = [&hello[..], &message(5, &[0; 3])[..5]].concat();
    let black_hole = BlackHole::open();
    // The kernel accepts; the program does not read.
    let paused = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = [
        (black_hole.address, "timed out connecting"),
        (paused.local_addr().unwrap(), "timed out waiting for its handshake"),
        (answer(half), "timed out waiting for its bitfield"),
        (answer([hello, message(5, &[0, 1, 0])].concat()), "timed out waiting to be unchoked"),
    ];
    let folder = TempDir::new().unwrap();
    let peers = silent.iter().map(|(address, _)| format!("--peer={address}"));
    let options: Vec<_> = peers.chain([format!("--timeout={seconds}")]).collect();
    let told = Told::by(&write_torrent(folder.path()), &options);
    for (address, why) in silent {
        told.assert_failed(address, why);
    }
}

fn hang_up(mut stream: TcpStream) {
    // What was received and not read would make it a reset.
    stream.read_exact(&mut [0; 68]).unwrap();
}

fn reset(mut stream: TcpStream) {
    stream.read_exact(&mut [0; 68]).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}
