//! The traits of tokio on a TLS connection, without a runtime of tokio.

use std::future::poll_fn;
use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::pin::Pin;

use heist_net::server::Limits;
use heist_net::tls::TlsStream;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf};

use crate::client::{Client, ClientOptions};
use crate::stage::Stage;

/// The rest of what the client gets, to an end that `close_notify` tells.
fn exchange(question: &[u8], stage: &Stage) -> String {
    let config = ClientOptions::default().config(&stage.authority);
    let mut client = Client::new(&stage.server, &config, "localhost");
    client.write_all(question).unwrap();
    client.close_notify();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn lines_are_read_and_a_shutdown_sends_close_notify() {
    async fn answer(stream: TlsStream) -> io::Result<()> {
        let mut stream = BufReader::with_capacity(7, stream);
        let mut line = String::new();
        while stream.read_line(&mut line).await? > 0 {
            stream.get_mut().write_all(line.to_uppercase().as_bytes()).await?;
            line.clear();
        }
        stream.flush().await?;
        AsyncWriteExt::shutdown(&mut stream).await
    }
    let stage = Stage::with(|config| config, Limits::default(), answer);
    assert_eq!(exchange(b"one\na longer line\nend", &stage), "ONE\nA LONGER LINE\nEND");
}

#[test]
fn large_buffers_are_not_zeroed_and_vectored_writes_are_taken() {
    async fn answer(mut stream: TlsStream) -> io::Result<()> {
        let mut room = vec![MaybeUninit::uninit(); 1 << 20];
        let mut buffer = ReadBuf::uninit(&mut room);
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut stream), cx, &mut buffer)).await?;
        let initialized = buffer.initialized().len().to_string();
        assert!(AsyncWrite::is_write_vectored(&stream));
        let buffers = [IoSlice::new(buffer.filled()), IoSlice::new(initialized.as_bytes())];
        AsyncWriteExt::write_vectored(&mut stream, &buffers).await?;
        AsyncWriteExt::shutdown(&mut stream).await
    }
    let stage = Stage::with(|config| config, Limits::default(), answer);
    assert_eq!(exchange(b"hello", &stage), "hello5");
}
