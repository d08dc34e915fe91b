//! Keeps a malformed answer from panicking inside tonic.
//!
//! tonic 0.14 decodes the header `grpc-status-details-bin` with an `expect`, so a peer, or a proxy in between, that sends
//! anything but base64 there would take the SDK's thread down. Such a header is removed before tonic looks, from the headers
//! and from the trailers. One that is base64 stays: a server may say in it how long it wants to be left alone.
//!
//! It also marks a status that the peer sent: tonic makes some of its own, over an answer that it cannot read, which are
//! otherwise the same to the letter.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::{Frame, SizeHint};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
    metadata::MetadataMap,
};

const DETAILS: &str = "grpc-status-details-bin";

/// Stands in the metadata of a status that the peer sent.
pub(super) const RECEIVED: &str = "events-sdk-received";

/// A service, usually a channel, whose answers are safe to parse.
#[derive(Debug)]
pub(crate) struct Guarded<S>(pub(crate) S);

impl<S> Service<Request<Body>> for Guarded<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Future: Send + 'static>,
{
    type Response = Response<GuardedBody>;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let answer = self.0.call(request);
        Box::pin(async move {
            let mut answer = answer.await?;
            remove_unreadable(answer.headers_mut());
            mark(answer.headers_mut());
            Ok(answer.map(GuardedBody))
        })
    }
}

/// The body of such an answer.
#[derive(Debug)]
pub(crate) struct GuardedBody(Body);

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let mut polled = Pin::new(&mut self.0).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &mut polled
            && let Some(trailers) = frame.trailers_mut()
        {
            remove_unreadable(trailers);
            mark(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Whether the peer sent this status, rather than tonic having made it of something else.
pub(super) fn was_received(status: &Status) -> bool {
    status.metadata().contains_key(RECEIVED)
}

/// Marks what says how the call went, if that is not well.
fn mark(headers: &mut HeaderMap) {
    // It may have been put there by the peer.
    headers.remove(RECEIVED);
    if headers.get("grpc-status").is_some_and(|code| code != "0") {
        headers.insert(RECEIVED, HeaderValue::from_static("1"));
    }
}

fn remove_unreadable(headers: &mut HeaderMap) {
    let Some(details) = headers.get(DETAILS) else { return };
    // tonic has the decoding that counts.
    let alone = HeaderMap::from_iter([(http::HeaderName::from_static(DETAILS), details.clone())]);
    let alone = MetadataMap::from_headers(alone);
    if alone.get_bin(DETAILS).is_none_or(|details| details.to_bytes().is_err()) {
        headers.remove(DETAILS);
    }
}
