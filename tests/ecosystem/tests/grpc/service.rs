//! A service, without generated code: messages are bytes.

use std::convert::Infallible;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use hyper::body::{Buf, Bytes};
use tonic::body::Body;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::server::{Grpc, NamedService};
use tonic::{Request, Response, Status, Streaming};
use tower::{Service, service_fn};

/// What happens to a call of `Endless`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    Dropped,
}

/// The service `test.Echo`.
#[derive(Clone)]
pub struct Echo(Sender<Event>);

impl Echo {
    pub fn new() -> (Echo, Receiver<Event>) {
        let (sender, events) = channel();
        (Echo(sender), events)
    }
}

impl NamedService for Echo {
    const NAME: &'static str = "test.Echo";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<http::Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let events = self.0.clone();
        Box::pin(async move {
            let mut grpc = Grpc::new(Raw);
            Ok(match request.uri().path() {
                "/test.Echo/Unary" => grpc.unary(service_fn(unary), request).await,
                "/test.Echo/Join" => grpc.client_streaming(service_fn(join), request).await,
                "/test.Echo/Split" => grpc.server_streaming(service_fn(split), request).await,
                "/test.Echo/Chat" => grpc.streaming(service_fn(chat), request).await,
                "/test.Echo/Endless" => {
                    let endless = service_fn(|_: Request<Bytes>| {
                        let watch = Watch(events.clone());
                        async move { Ok(Response::new(endless(watch))) }
                    });
                    grpc.server_streaming(endless, request).await
                }
                _ => Status::unimplemented("no such method").into_http(),
            })
        })
    }
}

async fn unary(request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
    if request.get_ref() == "missing" {
        return Err(Status::not_found("there is none: ä%"));
    }
    let (metadata, _, message) = request.into_parts();
    let mut response = Response::new(message);
    if let Some(value) = metadata.get("x-in") {
        response.metadata_mut().insert("x-out", value.clone());
    }
    Ok(response)
}

async fn join(request: Request<Streaming<Bytes>>) -> Result<Response<Bytes>, Status> {
    let messages: Vec<Bytes> = request.into_inner().try_collect().await?;
    Ok(Response::new(messages.concat().into()))
}

type Answers = stream::BoxStream<'static, Result<Bytes, Status>>;

async fn split(request: Request<Bytes>) -> Result<Response<Answers>, Status> {
    let message = request.into_inner();
    let bytes = (0..message.len()).map(move |at| Ok(message.slice(at..at + 1)));
    Ok(Response::new(stream::iter(bytes).boxed()))
}

async fn chat(request: Request<Streaming<Bytes>>) -> Result<Response<Answers>, Status> {
    Ok(Response::new(request.into_inner().boxed()))
}

/// One message, and then none.
fn endless(watch: Watch) -> impl Stream<Item = Result<Bytes, Status>> + Send {
    let first = stream::once(async { Ok(Bytes::from_static(b"first")) });
    first.chain(stream::pending()).map(move |message| {
        let _ = &watch;
        message
    })
}

/// Tells of the drop of a call.
struct Watch(Sender<Event>);

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.0.send(Event::Dropped);
    }
}

/// Messages as they are.
#[derive(Clone, Copy)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Raw;
    type Decoder = Raw;

    fn encoder(&mut self) -> Raw {
        Raw
    }

    fn decoder(&mut self) -> Raw {
        Raw
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put(to, item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        let length = from.remaining();
        Ok(Some(from.copy_to_bytes(length)))
    }
}
