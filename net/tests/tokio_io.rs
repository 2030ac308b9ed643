//! The traits of tokio for streams, on a runtime that knows nothing of tokio.

use std::future::poll_fn;
use std::io::{IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::pin::Pin;

use heist_net::{Runtime, Stream, UnixStream};
use heist_scheduler::spawn;
use tokio::io::{
    AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf,
};
use tokio_util::codec::{Decoder, Encoder, Framed, LinesCodec};

fn run<T>(test: impl Future<Output = T>) -> T {
    Runtime::new().unwrap().block_on(test)
}

/// Failure: `BufReader::lines` and a copy needed a compatibility layer.
#[test]
fn lines_and_copies_of_tokio_run_without_its_runtime() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let echo = spawn(async move {
            let (mut reading, mut writing) = far.into_split();
            tokio::io::copy(&mut reading, &mut writing).await
        });
        let (reading, mut writing) = near.into_split();
        AsyncWriteExt::write_all(&mut writing, b"one\ntwo\n").await.unwrap();
        AsyncWriteExt::shutdown(&mut writing).await.unwrap();
        let mut lines = BufReader::new(reading).lines();
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            seen.push(line);
        }
        assert_eq!(seen, ["one", "two"]);
        assert_eq!(echo.await.unwrap().unwrap(), 8);
    });
}

/// Sends a line and receives it, by the buffers and the codec of `Framed`.
async fn exchange<T: AsyncRead + AsyncWrite + Unpin>(near: T, far: T) {
    let mut far = Framed::new(far, LinesCodec::new());
    let mut near = Framed::new(near, LinesCodec::new());
    LinesCodec::new().encode("hello", near.write_buffer_mut()).unwrap();
    let bytes = near.write_buffer_mut().split();
    near.get_mut().write_all(&bytes).await.unwrap();
    near.get_mut().shutdown().await.unwrap();
    let mut received = Vec::new();
    let mut buffer = std::mem::take(far.read_buffer_mut());
    while far.get_mut().read_buf(&mut buffer).await.unwrap() > 0 {
        while let Some(line) = far.codec_mut().decode(&mut buffer).unwrap() {
            received.push(line);
        }
    }
    assert_eq!(received, ["hello"]);
}

#[test]
fn codecs_of_tokio_util_run_on_every_stream() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        exchange(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        exchange(Stream::from(near), Stream::from(far)).await;
    });
}

/// Failure: a read into a large buffer zeroed all of it.
#[test]
fn reading_into_a_large_buffer_touches_what_came_only() {
    run(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"hello").await.unwrap();
        let mut room = vec![MaybeUninit::uninit(); 1 << 20];
        let mut buffer = ReadBuf::uninit(&mut room);
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut near), cx, &mut buffer)).await.unwrap();
        assert_eq!(buffer.filled(), b"hello");
        assert_eq!(buffer.initialized().len(), 5);

        far.write_all(b"again").await.unwrap();
        let mut poisoned = [0xA5; 64];
        let mut buffer = ReadBuf::new(&mut poisoned);
        buffer.advance(3);
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut near), cx, &mut buffer)).await.unwrap();
        assert_eq!(buffer.filled(), b"\xA5\xA5\xA5again");
        assert!(poisoned[8..].iter().all(|&byte| byte == 0xA5));
    });
}

#[test]
fn read_into_a_full_buffer_takes_nothing() {
    run(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        far.write_all(b"x").await.unwrap();
        let mut buffer = ReadBuf::new(&mut []);
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut near), cx, &mut buffer)).await.unwrap();
        assert_eq!(near.read_u8().await.unwrap(), b'x');
    });
}

/// Failure: `tokio::io` copied the buffers of a vectored write into one.
#[test]
fn vectored_writes_are_one_call_and_halves_do_them_too() {
    run(async {
        let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        let mut near = UnixStream::from_std(near).unwrap();
        assert!(near.is_write_vectored());
        let buffers = [IoSlice::new(b"ab"), IoSlice::new(b""), IoSlice::new(b"cd")];
        assert_eq!(AsyncWriteExt::write_vectored(&mut near, &buffers).await.unwrap(), 4);
        {
            let (_reading, mut writing) = near.split_mut();
            assert!(writing.is_write_vectored());
            assert_eq!(AsyncWriteExt::write_vectored(&mut writing, &buffers).await.unwrap(), 4);
        }
        let (_reading, mut writing) = near.into_split();
        assert!(writing.is_write_vectored());
        assert_eq!(AsyncWriteExt::write_vectored(&mut writing, &buffers).await.unwrap(), 4);
        let mut received = [0; 12];
        let (front, back) = received.split_at_mut(5);
        let mut far = far;
        let mut filled = 0;
        while filled < 12 {
            let mut buffers = [IoSliceMut::new(front), IoSliceMut::new(back)];
            let mut rest = &mut buffers[..];
            IoSliceMut::advance_slices(&mut rest, filled);
            filled += far.read_vectored(rest).unwrap();
        }
        assert_eq!(&received, b"abcdabcdabcd");
    });
}

#[test]
fn shutdown_ends_the_writing_direction_alone() {
    run(async {
        let (mut near, mut far) = UnixStream::pair().unwrap();
        poll_fn(|cx| AsyncWrite::poll_shutdown(Pin::new(&mut near), cx)).await.unwrap();
        assert_eq!(AsyncReadExt::read(&mut far, &mut [0; 8]).await.unwrap(), 0);
        AsyncWriteExt::write_all(&mut far, b"still").await.unwrap();
        let mut answer = [0; 5];
        AsyncReadExt::read_exact(&mut near, &mut answer).await.unwrap();
        assert_eq!(&answer, b"still");
    });
}
