//! The header is taken off the socket, and no byte behind it.

use std::future::poll_fn;

use super::*;
use crate::{Runtime, TcpListener, TcpStream, UnixStream};

/// The same client in both versions, also with additions up to the greatest length.
fn headers() -> [Vec<u8>; 4] {
    let rest = |length: usize| {
        let mut rest = vec![0xEE; length];
        rest[..12].copy_from_slice(&[192, 0, 2, 1, 198, 51, 100, 2, 0x10, 0xE1, 1, 0xBB]);
        let length = u16::try_from(length).unwrap().to_be_bytes();
        [b"\r\n\r\n\0\r\nQUIT\n\x21\x11", &length[..], &rest].concat()
    };
    let line = b"PROXY TCP4 192.0.2.1 198.51.100.2 4321 443\r\n".to_vec();
    [line, rest(12), rest(300), rest(4096)]
}

async fn tcp_pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// Both ends of a connection of each family.
async fn pairs() -> [(Stream, Stream); 2] {
    let (near, far) = tcp_pair().await;
    let (here, there) = UnixStream::pair().unwrap();
    [(near.into(), far.into()), (here.into(), there.into())]
}

async fn read(stream: &mut Stream) -> Result<Option<SocketAddr>, CloseReason> {
    let mut reader = HeaderReader::default();
    poll_fn(|cx| reader.poll_read(cx, stream)).await
}

/// Failure: bytes of the request were lost behind a header, or a header that was cut was not read.
#[test]
fn header_is_read_wherever_it_is_cut_and_the_request_stays() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for header in headers() {
            let all = [&header[..], b"GET / HTTP/1.1\r\n"].concat();
            let ends = (0..=header.len()).filter(|&end| end < 64 || end % 97 == 0);
            for end in ends.chain([header.len(), all.len()]) {
                for (mut near, mut far) in pairs().await {
                    far.write_all(&all[..end]).await.unwrap();
                    let mut reader = HeaderReader::default();
                    let early = poll_fn(|cx| Poll::Ready(reader.poll_read(cx, &mut near))).await;
                    far.write_all(&all[end..]).await.unwrap();
                    let client = match early {
                        Poll::Ready(client) => client,
                        Poll::Pending => poll_fn(|cx| reader.poll_read(cx, &mut near)).await,
                    };
                    assert_eq!(client.unwrap(), Some("192.0.2.1:4321".parse().unwrap()));
                    let mut request = [0; 16];
                    near.read_exact(&mut request).await.unwrap();
                    assert_eq!(&request, b"GET / HTTP/1.1\r\n");
                }
            }
        }
    });
}

/// Failure: a part of a header that stayed in the socket was looked at over and over, as no edge tells
/// of it again.
#[test]
fn header_is_read_byte_by_byte() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        for header in headers().into_iter().take(3) {
            for (mut near, mut far) in pairs().await {
                let mut reader = HeaderReader::default();
                for (index, byte) in header.iter().enumerate() {
                    far.write_all(std::slice::from_ref(byte)).await.unwrap();
                    let read = poll_fn(|cx| match reader.poll_read(cx, &mut near) {
                        Poll::Pending if reader.header.len() == index + 1 => Poll::Ready(Ok(None)),
                        read => read,
                    });
                    let client = read.await.unwrap();
                    assert_eq!(client.is_some(), index + 1 == header.len());
                }
            }
        }
    });
}

#[test]
fn failures_are_handshakes_that_say_why() {
    let runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let too_long = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xFF\xFF";
        for (bytes, expected) in [
            (&b""[..], ProxyHeaderError::Ended),
            (b"PROXY TCP4 192.0.2.1", ProxyHeaderError::Ended),
            (b"GET / HTTP/1.1\r\n", ProxyHeaderError::Missing),
            (b"PROXY TCP4 192.0.2.1\r\n", ProxyHeaderError::Malformed),
            (&[b'P'; 1], ProxyHeaderError::Ended),
            (too_long, ProxyHeaderError::TooLong { limit: 4112 }),
        ] {
            for (mut near, mut far) in pairs().await {
                far.write_all(bytes).await.unwrap();
                drop(far);
                match read(&mut near).await.unwrap_err() {
                    CloseReason::Handshake(error) => {
                        assert_eq!(error.downcast_ref(), Some(&expected));
                    }
                    reason => panic!("{reason:?}"),
                }
            }
        }
    });
}

/// Failure: with one operation a poll, the look at the header was all that a poll could do, for ever.
#[test]
fn budget_of_operations_that_ends_in_between_loses_nothing() {
    for budget in 1..6 {
        let builder = crate::Builder::new().ignore_environment().workers(1);
        let runtime = builder.budget(budget).start().unwrap();
        let task = runtime.spawn(async {
            let [_, _, header, _] = headers();
            for (mut near, mut far) in pairs().await {
                far.write_all(&[&header[..], b"rest"].concat()).await.unwrap();
                let client = read(&mut near).await.unwrap();
                assert_eq!(client, Some("192.0.2.1:4321".parse().unwrap()));
                let mut rest = [0; 4];
                near.read_exact(&mut rest).await.unwrap();
                assert_eq!(&rest, b"rest");
            }
        });
        runtime.block_on(task).unwrap();
    }
}
