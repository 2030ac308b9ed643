//! tonic's own server and channel, over tokio's sockets.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::http;
use http::uri::PathAndQuery;
use tonic::body::Body;
use tonic::server::{NamedService, UnaryService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;

use crate::{Beside, GUARD};

#[derive(Clone, PartialEq, prost::Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

/// Answers in capitals, and refuses what is empty. The service is by hand, as no code is generated here.
#[derive(Clone)]
struct Capitals {
    /// tonic's server runs handlers as tasks of tokio, which are not inside heist's runtime.
    heist: heist::Handle,
}

type BoxedResult<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl UnaryService<Text> for Capitals {
    type Response = Text;
    type Future = BoxedResult<Response<Text>, Status>;

    fn call(&mut self, request: Request<Text>) -> Self::Future {
        let heist = self.heist.clone();
        Box::pin(async move {
            let Text { text } = request.into_inner();
            if text.is_empty() {
                return Err(Status::invalid_argument("no text"));
            }
            let capitals = heist.spawn_blocking(move || text.to_uppercase());
            Ok(Response::new(Text { text: capitals.await.unwrap() }))
        })
    }
}

impl NamedService for Capitals {
    const NAME: &'static str = "test.Capitals";
}

impl tower::Service<http::Request<Body>> for Capitals {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxedResult<http::Response<Body>, Infallible>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let mut grpc = tonic::server::Grpc::new(ProstCodec::<Text, Text>::default());
            Ok(grpc.unary(service, request).await)
        })
    }
}

async fn ask(channel: Channel, text: &str) -> Result<String, Status> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = PathAndQuery::from_static("/test.Capitals/Ask");
    let request = Request::new(Text { text: text.to_owned() });
    let codec = ProstCodec::<Text, Text>::default();
    let answer = grpc.unary(request, path, codec).await?;
    Ok(answer.into_inner().text)
}

#[test]
fn calls_are_answered_and_the_server_shuts_down() {
    Beside::new().run(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let serving = heist::spawn(async move {
            let shutdown = async { drop(ended.await) };
            let service = Capitals { heist: heist::Handle::current() };
            let incoming = TcpIncoming::from(listener);
            let server = Server::builder().timeout(GUARD).add_service(service);
            server.serve_with_incoming_shutdown(incoming, shutdown).await
        });
        let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
        let channel = endpoint.timeout(GUARD).connect_timeout(GUARD).connect().await.unwrap();
        let asking: Vec<_> = (0..50)
            .map(|number| {
                let channel = channel.clone();
                heist::spawn(async move {
                    let answer = ask(channel, &format!("text {number}")).await.unwrap();
                    assert_eq!(answer, format!("TEXT {number}"));
                })
            })
            .collect();
        for asked in asking {
            asked.await.unwrap();
        }
        assert_eq!(ask(channel.clone(), "").await.unwrap_err().code(), Code::InvalidArgument);
        drop(channel);
        end.send(()).unwrap();
        serving.await.unwrap().unwrap();
    });
}
