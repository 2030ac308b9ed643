//! Peers that play a part, in this process, most of them a bad one.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use heist_tests::hang_guard;
use socket2::{Domain, SockRef, Socket, Type};
use tempfile::TempDir;

use super::{PIECES, Told, torrent, write_torrent};

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

/// Never answers, not even with a refusal: the line of those who wait to be accepted is full, so
/// the system drops who comes.
pub(super) struct BlackHole {
    pub(super) address: SocketAddr,
    _listener: Socket,
    _in_line: Vec<TcpStream>,
}

impl BlackHole {
    pub(super) fn open() -> BlackHole {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        listener.listen(0).unwrap();
        let address = listener.local_addr().unwrap().as_socket().unwrap();
        let in_line = vec![TcpStream::connect(address).unwrap()];
        BlackHole { address, _listener: listener, _in_line: in_line }
    }
}

#[test]
fn every_peer_fails_for_its_own_reason_and_the_others_go_on() {
    let _guard = hang_guard("peer_probe: scripted");
    let (_, hash) = torrent();
    let hello = || handshake(&hash);
    let bits = || message(5, &[0xff, 0, 0]);
    let unchoke = || message(1, b"");

    let one_segment = answer([hello(), bits(), unchoke()].concat());
    let byte_by_byte = {
        let bytes = [hello(), bits(), unchoke()].concat();
        peer(move |mut stream| {
            bytes.iter().for_each(|byte| stream.write_all(&[*byte]).unwrap());
            stay(stream);
        })
    };
    let chatty = {
        let noise = [vec![0; 4], message(77, &[7; 5000]), message(9, &[0; 2]), vec![0; 4]].concat();
        answer([hello(), noise.clone(), message(4, &[0, 0, 0, 3]), noise, unchoke()].concat())
    };
    // Only unchokes those who say that they are interested.
    let polite = {
        let first = [hello(), bits()].concat();
        peer(move |mut stream| {
            stream.write_all(&first).unwrap();
            let mut said = [0; 73];
            stream.read_exact(&mut said).unwrap();
            assert_eq!(said[68..], [0, 0, 0, 1, 2]);
            stream.write_all(&message(1, b"")).unwrap();
            stay(stream);
        })
    };
    let (dead, _bound) = dead();
    let bad = [
        (dead, "could not connect"),
        (answer(handshake(&[7; 20])), "the info-hash of another torrent"),
        (answer("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak BitTorrent"),
        (answer([hello(), message(5, &[0xff; 9])].concat()), "bitfield has 9 bytes, not 3"),
        (answer([hello(), message(5, &[0xff; 3])].concat()), "pieces beyond the last"),
        (answer([hello(), vec![0x7f, 0xff, 0xff, 0xff]].concat()), "of 2147483647 bytes"),
        (answer([hello(), bits(), b"garbage, garbage".to_vec()].concat()), "announced a message"),
        (peer(hang_up), "closed the connection, waiting for its handshake"),
        (peer(reset), "waiting for its handshake"),
        {
            let half = [hello(), bits()[..5].to_vec()].concat();
            let script = move |mut stream: TcpStream| {
                stream.write_all(&half).unwrap();
                hang_up(stream);
            };
            (peer(script), "inside a message, waiting for its bitfield")
        },
    ];

    let folder = TempDir::new().unwrap();
    let good = [one_segment, byte_by_byte, chatty, polite];
    let peers = good.iter().chain(bad.iter().map(|(address, _)| address));
    let options: Vec<_> = peers.map(|address| format!("--peer={address}")).collect();
    // No limit of time is met: all that happens here happens by itself.
    let told = Told::by(&write_torrent(folder.path()), &options);

    assert_eq!(told.0["torrent"]["pieces"], PIECES);
    for address in [one_segment, byte_by_byte, polite] {
        told.assert_unchoked(address, 8);
    }
    told.assert_unchoked(chatty, 1);
    assert_eq!(told.of(chatty)["client"], "XX 0001");
    for (address, why) in bad {
        told.assert_failed(address, why);
    }
}

#[test]
fn who_does_not_answer_is_given_up_and_said_what_for() {
    let _guard = hang_guard("peer_probe: silent");
    let (_, hash) = torrent();
    let hello = handshake(&hash);
    let black_hole = BlackHole::open();
    // Accepts as a stopped process does: by its system, nobody reads.
    let paused = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = [
        (black_hole.address, "timed out connecting"),
        (paused.local_addr().unwrap(), "timed out waiting for its handshake"),
        (answer([hello, message(5, &[0, 1, 0])].concat()), "timed out waiting to be unchoked"),
    ];
    let folder = TempDir::new().unwrap();
    let peers = silent.iter().map(|(address, _)| format!("--peer={address}"));
    // One after the other is as good as all at once.
    let options: Vec<_> = peers.chain(["--timeout=2".into(), "--at-once=3".into()]).collect();
    let told = Told::by(&write_torrent(folder.path()), &options);
    for (address, why) in silent {
        told.assert_failed(address, why);
    }
}

#[test]
fn who_stops_in_the_middle_has_all_the_time_there_is() {
    let _guard = hang_guard("peer_probe: slow");
    let (_, hash) = torrent();
    let hello = handshake(&hash);
    let half = [hello.clone(), message(5, &[0; 3])[..5].to_vec()].concat();
    // The engine's own limits would have ended both before, for want of bytes.
    let slow = [
        (answer(&hello[..40]), "timed out waiting for its handshake"),
        (answer(half), "timed out waiting for its bitfield"),
    ];
    let folder = TempDir::new().unwrap();
    let peers = slow.iter().map(|(address, _)| format!("--peer={address}"));
    let options: Vec<_> = peers.chain(["--timeout=12".into()]).collect();
    let told = Told::by(&write_torrent(folder.path()), &options);
    for (address, why) in slow {
        told.assert_failed(address, why);
    }
}

fn hang_up(mut stream: TcpStream) {
    // What was received and not read would make it a reset.
    stream.read_exact(&mut [0; 68]).unwrap();
}

pub(super) fn reset(mut stream: TcpStream) {
    stream.read_exact(&mut [0; 68]).unwrap();
    SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap();
}
