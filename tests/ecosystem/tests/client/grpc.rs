//! tonic's channel over heist's connector, with tonic's services on a server of heist.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{StreamExt as _, stream};
use heist::http::Http;
use heist::net::HyperExecutor;
use heist::server::{Address, Listener, Server};
use heist::time::timeout;
use heist::{Builder, Runtime};
use heist_axum::{AxumService, BuilderExt as _};
use heist_hyper_util::Connector;
use http::uri::PathAndQuery;
use tonic::client::Grpc;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::site::{GUARD, Refusing, certified, chain};

/// The message of the service.
#[derive(Clone, PartialEq, prost::Message)]
struct Number {
    #[prost(uint64, tag = "1")]
    value: u64,
}

/// What protoc would make: one call that doubles a number, one that doubles each of a stream, and one that
/// does not answer.
#[derive(Clone)]
struct Doubling;

impl NamedService for Doubling {
    const NAME: &'static str = "test.Doubling";
}

impl tower::Service<http::Request<tonic::body::Body>> for Doubling {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Number, Number>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/test.Doubling/One" => grpc.unary(tower::service_fn(one), request).await,
                "/test.Doubling/Each" => grpc.streaming(tower::service_fn(each), request).await,
                "/test.Doubling/None" => grpc.unary(tower::service_fn(none), request).await,
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn one(request: Request<Number>) -> Result<Response<Number>, Status> {
    match request.into_inner().value.checked_mul(2) {
        Some(value) => Ok(Response::new(Number { value })),
        None => Err(Status::out_of_range("too large to double")),
    }
}

type Numbers = stream::BoxStream<'static, Result<Number, Status>>;

async fn each(request: Request<Streaming<Number>>) -> Result<Response<Numbers>, Status> {
    let doubled = request.into_inner().map(|number| Ok(Number { value: 2 * number?.value }));
    Ok(Response::new(doubled.boxed()))
}

async fn none(_: Request<Number>) -> Result<Response<Number>, Status> {
    std::future::pending().await
}

struct Site {
    server: Server,
    runtime: Runtime,
    channel: Channel,
}

impl Site {
    fn new(tls: bool) -> Site {
        let runtime = Builder::new().workers(2).start().unwrap();
        let router = Routes::new(Doubling).into_axum_router();
        let builder = Server::builder()
            .listen(Listener::tcp("127.0.0.1:0".parse().unwrap()).unwrap())
            .overloaded_by(|_| false);
        let (config, roots) = certified();
        let server = match tls {
            true => builder.tls(config).axum(router).start_on(runtime.handle()),
            false => builder
                .serve(Http::new(AxumService::new(router)).prior_knowledge(true))
                .start_on(runtime.handle()),
        };
        let server = server.unwrap();
        let Address::Tcp(address) = server.addresses()[0].clone() else {
            panic!("it listens on TCP");
        };
        let scheme = if tls { "https" } else { "http" };
        let connector = Connector::new().tls(roots.with_alpn(["h2"])).connect_timeout(GUARD);
        let channel = runtime.block_on(async {
            Endpoint::from_shared(format!("{scheme}://localhost:{}", address.port()))
                .unwrap()
                .executor(HyperExecutor)
                .connect_with_connector(connector)
                .await
                .unwrap()
        });
        Site { server, runtime, channel }
    }

    fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(async { timeout(GUARD, future).await.expect("the test hangs") })
    }
}

async fn call(channel: &Channel, method: &'static str, value: u64) -> Result<u64, Status> {
    let mut grpc = Grpc::new(channel.clone());
    grpc.ready().await.unwrap();
    let codec = ProstCodec::<Number, Number>::default();
    let path = PathAndQuery::from_static(method);
    let response = grpc.unary(Request::new(Number { value }), path, codec).await?;
    Ok(response.into_inner().value)
}

const ONE: &str = "/test.Doubling/One";

#[test]
fn calls_and_streams_share_one_connection() {
    for tls in [false, true] {
        let site = Site::new(tls);
        site.run(async {
            let calls: Vec<_> = (0..100)
                .map(|value| {
                    let channel = site.channel.clone();
                    heist::spawn(async move { call(&channel, ONE, value).await })
                })
                .collect();
            for (value, doubled) in calls.into_iter().enumerate() {
                assert_eq!(doubled.await.unwrap().unwrap(), 2 * value as u64);
            }
            let error = call(&site.channel, ONE, u64::MAX).await.unwrap_err();
            assert_eq!(error.code(), Code::OutOfRange);

            let mut grpc = Grpc::new(site.channel.clone());
            grpc.ready().await.unwrap();
            let numbers = stream::iter((0..1000).map(|value| Number { value }));
            let path = PathAndQuery::from_static("/test.Doubling/Each");
            let codec = ProstCodec::<Number, Number>::default();
            let answers = grpc.streaming(Request::new(numbers), path, codec).await.unwrap();
            let answers: Vec<_> = answers.into_inner().map(|it| it.unwrap().value).collect().await;
            assert!(answers.into_iter().eq((0..1000).map(|value| 2 * value)));
        });
        assert_eq!(site.server.metrics().accepted, 1);
    }
}

/// Failure: tonic's own time-out needs the timers of tokio.
#[test]
fn call_that_is_given_up_by_a_timeout_ends_at_the_server() {
    let site = Site::new(false);
    site.run(async {
        let pending = call(&site.channel, "/test.Doubling/None", 1);
        timeout(Duration::from_millis(20), pending).await.map(drop).unwrap_err();
        while site.server.metrics().http.unwrap().in_flight > 0 {
            heist::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(call(&site.channel, ONE, 4).await.unwrap(), 8);
    });
    assert_eq!(site.server.metrics().accepted, 1);
}

#[test]
fn channel_without_a_server_says_which() {
    let refusing = Refusing::new();
    let port = refusing.port();
    let runtime = Runtime::new().unwrap();
    let error = runtime.block_on(async {
        Endpoint::from_shared(format!("http://127.0.0.1:{port}"))
            .unwrap()
            .executor(HyperExecutor)
            .connect_with_connector(Connector::new())
            .await
            .map(drop)
            .unwrap_err()
    });
    let expected = format!("cannot connect to 127.0.0.1:{port}: ");
    assert!(chain(&error).contains(&expected), "{}", chain(&error));
}
