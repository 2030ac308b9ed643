//! An unmodified hyper server and client on heist's sockets, executor and timer.

mod common;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use common::run;
use heist_net::{HyperExecutor, HyperTimer, TcpListener, TcpStream, UnixStream};
use heist_scheduler::spawn;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::rt::{Executor, Timer};
use hyper::service::service_fn;
use hyper::{Request, Response};

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    Ok(Response::new(Full::new(body)))
}

async fn exchange<S>(stream: S, bodies: &[Vec<u8>])
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    let connection = spawn(connection);
    for body in bodies {
        let request = Request::post("/echo")
            .header("host", "localhost")
            .body(Full::new(Bytes::from(body.clone())))
            .unwrap();
        sender.ready().await.unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(response.status().is_success());
        let answer = response.into_body().collect().await.unwrap().to_bytes();
        assert!(answer == body[..]);
    }
    drop(sender);
    connection.await.unwrap().unwrap();
}

fn bodies() -> Vec<Vec<u8>> {
    [0, 1, 1_000, 70_000, 2_000_000, 3].map(|length| vec![b'x'; length]).into()
}

#[test]
fn server_and_client_echo_bodies_over_tcp() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                drop(spawn(
                    hyper::server::conn::http1::Builder::new()
                        .timer(HyperTimer)
                        .header_read_timeout(Duration::from_secs(30))
                        .serve_connection(stream, service_fn(echo)),
                ));
            }
        }));
        let clients: Vec<_> = (0..4)
            .map(|_| {
                spawn(async move {
                    exchange(TcpStream::connect(address).await.unwrap(), &bodies()).await;
                })
            })
            .collect();
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn server_and_client_echo_bodies_over_unix() {
    run(async {
        let (near, far) = UnixStream::pair().unwrap();
        let server = spawn(
            hyper::server::conn::http1::Builder::new().serve_connection(near, service_fn(echo)),
        );
        exchange(far, &bodies()).await;
        server.await.unwrap().unwrap();
    });
}

#[test]
fn silent_client_is_cut_off_by_the_timer() {
    run(async {
        let (near, _far) = UnixStream::pair().unwrap();
        let error = hyper::server::conn::http1::Builder::new()
            .timer(HyperTimer)
            .header_read_timeout(Duration::from_millis(20))
            .serve_connection(near, service_fn(echo))
            .await
            .unwrap_err();
        assert!(error.is_timeout(), "{error}");
    });
}

#[test]
fn sleep_that_is_reset_waits_for_the_new_time() {
    run(async {
        let mut sleep = HyperTimer.sleep_until(Instant::now() + Duration::from_secs(3_600));
        std::future::poll_fn(|cx| {
            assert!(sleep.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        HyperTimer.reset(&mut sleep, Instant::now() + Duration::from_millis(5));
        sleep.await;
    });
}

#[test]
fn executor_runs_what_it_is_given() {
    /// Completes when the other task sends.
    struct Told(std::sync::mpsc::Receiver<()>);

    impl Future for Told {
        type Output = ();

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
            match self.0.try_recv() {
                Ok(()) => Poll::Ready(()),
                Err(_) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }
    }

    run(async {
        let (sender, receiver) = std::sync::mpsc::channel();
        HyperExecutor.execute(async move { sender.send(()).unwrap() });
        Told(receiver).await;
    });
}
