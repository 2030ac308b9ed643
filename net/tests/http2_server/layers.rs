//! HTTP/2 on a transport that takes bytes before it has sent them.

use std::future::{Future, ready};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use heist_net::http::Http;
use heist_net::server::{Address, CloseKind, CloseReason, Limits, Listener, Peer, TransportLayer};
use heist_net::{Builder, Server, Stream, Transport};
use heist_scheduler::time::Clock;
use heist_scheduler::yield_now;

use crate::client::*;
use crate::site::Hello;

/// While it is closed, what was taken is not sent.
#[derive(Clone, Default)]
struct Valve(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    closed: bool,
    /// Something waited for it.
    waiter: Option<Waker>,
}

impl Valve {
    fn close(&self) {
        self.0.lock().unwrap().closed = true;
    }

    fn is_waited_for(&self) -> bool {
        self.0.lock().unwrap().waiter.is_some()
    }

    fn open(&self) {
        let waiter = {
            let mut state = self.0.lock().unwrap();
            state.closed = false;
            state.waiter.take()
        };
        waiter.expect("it is waited for").wake();
    }

    fn poll_open(&self, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap();
        if !state.closed {
            return Poll::Ready(());
        }
        state.waiter = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl TransportLayer for Valve {
    type Transport = Buffered;

    fn accept(
        &self,
        stream: Stream,
        _peer: &Peer,
    ) -> impl Future<Output = Result<Buffered, CloseReason>> + Send + 'static + use<> {
        ready(Ok(Buffered { stream, output: Vec::new(), valve: self.clone() }))
    }
}

struct Buffered {
    stream: Stream,
    output: Vec<u8>,
    valve: Valve,
}

impl Transport for Buffered {
    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        Transport::poll_read(&mut self.stream, cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        _cx: &mut Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let before = self.output.len();
        buffers.iter().for_each(|buffer| self.output.extend_from_slice(buffer));
        Poll::Ready(Ok(self.output.len() - before))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            ready!(self.valve.poll_open(cx));
            let count = ready!(Transport::poll_write(&mut self.stream, cx, &self.output))?;
            self.output.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        Transport::poll_shutdown(&mut self.stream, cx)
    }

    fn stream(&self) -> &Stream {
        &self.stream
    }

    fn unsent(&self) -> usize {
        self.output.len()
    }

    fn memory(&self) -> usize {
        self.output.len()
    }
}

/// Failure: a flush that had to wait left the peer counted as taking nothing, and the idle connection was
/// closed by `write_timeout`.
#[test]
fn peer_that_has_taken_an_answer_late_is_idle() {
    let (clock, hand) = Clock::manual();
    let runtime = Builder::new().ignore_environment().workers(1).clock(clock).start().unwrap();
    let settle = || {
        let turns = runtime.spawn(async {
            for _ in 0..300 {
                yield_now().await;
            }
        });
        runtime.block_on(turns).unwrap();
    };
    let valve = Valve::default();
    let server = Server::builder()
        .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
        .limits(Limits::default())
        .overloaded_by(|_| false)
        .transport(valve.clone())
        .serve(Http::new(Hello::default()).prior_knowledge(true))
        .start_on(runtime.handle())
        .unwrap();
    let Address::Tcp(address) = server.addresses()[0] else { panic!("it listens on TCP") };
    let mut client = Client::connect(address);
    client.begin(&[]);
    assert_eq!(client.get(1, "/"), (200, b"hello".to_vec()));

    valve.close();
    client.send(&request(3, "/", true));
    while !valve.is_waited_for() {
        settle();
    }
    valve.open();
    assert_eq!(client.answer(3), (200, b"hello".to_vec()));
    for _ in 0..3 {
        settle();
        hand.advance(Duration::from_secs(15));
    }
    settle();
    assert_eq!(server.metrics().closed_by(CloseKind::WriteTimeout), 0);
    assert_eq!(client.get(5, "/"), (200, b"hello".to_vec()));
}
