//! Peers that are no Toggle, or a strange one.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body::Frame;
use tonic::{
    Status,
    body::Body,
    codegen::Service,
    transport::{Server, server::TcpIncoming},
};

use super::*;

/// Serves HTTP/2 as this function says.
#[derive(Clone)]
struct Peer(fn(&Request<Body>) -> Response<Body>);

impl Service<Request<Body>> for Peer {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        ready(Ok((self.0)(&request)))
    }
}

/// A body of these bytes and trailers.
struct Answer(Vec<Frame<Bytes>>);

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

/// An answer with this message and these trailers, in gRPC's framing.
fn answer(message: &proto::EventBatchResponse, trailers: &[(&'static str, &'static str)]) -> Response<Body> {
    let message = message.encode_to_vec();
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    let trailers: HeaderMap = trailers
        .iter()
        .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
        .collect();
    let frames = vec![Frame::trailers(trailers), Frame::data(framed.into())];
    let mut response = Response::new(Body::new(Answer(frames)));
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}

fn ok() -> proto::EventBatchResponse {
    proto::EventBatchResponse { success: true, message: String::new() }
}

/// Sends to such a peer, and then again.
fn try_twice(
    compression: Compression,
    peer: fn(&Request<Body>) -> Response<Body>,
) -> [Result<(), SendError>; 2] {
    runtime().block_on(async {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let endpoint = format!("http://{}", incoming.local_addr().unwrap());
        let server = tokio::spawn(Server::builder().serve_with_incoming(Peer(peer), incoming));
        let uplink =
            GrpcUplink::new(GrpcConfig { timeout: LONG, compression, ..GrpcConfig::new(endpoint) }).unwrap();
        let results = [uplink.send(batch(10)).await, uplink.send(batch(10)).await];
        server.abort();
        results
    })
}

#[test]
fn details_that_are_not_base64_cause_no_panic() {
    let in_headers = try_twice(Compression::None, |_| {
        let mut response: Response<Body> = Status::invalid_argument("no").into_http();
        let garbage = HeaderValue::from_static("%%%");
        response.headers_mut().insert("grpc-status-details-bin", garbage);
        response
    });
    let in_trailers = try_twice(Compression::None, |_| {
        answer(&ok(), &[("grpc-status", "3"), ("grpc-message", "no"), ("grpc-status-details-bin", "%%%")])
    });
    for result in in_headers.into_iter().chain(in_trailers) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Refused, "{error}");
        assert!(error.to_string().ends_with("INVALID_ARGUMENT: no"), "{error}");
    }
}

#[test]
fn a_pause_that_is_named_in_the_details_is_kept_to() {
    // `google.rpc.Status` with a `RetryInfo` of three seconds and a hundred nanoseconds.
    const DETAILS: &str =
        "CAgSBnNsb3dlchoyCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgYKBAgDEGQ";
    let in_headers = try_twice(Compression::None, |_| {
        let mut response: Response<Body> = Status::resource_exhausted("slower").into_http();
        response.headers_mut().insert("grpc-status-details-bin", HeaderValue::from_static(DETAILS));
        response
    });
    let in_trailers = try_twice(Compression::None, |_| {
        answer(
            &ok(),
            &[("grpc-status", "8"), ("grpc-message", "slower"), ("grpc-status-details-bin", DETAILS)],
        )
    });
    for result in in_headers.into_iter().chain(in_trailers) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Busy, "{error}");
        assert_eq!(error.retry_after(), Some(Duration::new(3, 100)), "{error}");
    }
}

#[test]
fn an_answer_without_a_final_status_is_no_acknowledgement() {
    for result in try_twice(Compression::None, |_| answer(&ok(), &[])) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Unavailable, "{error}");
    }
    for result in try_twice(Compression::None, |_| answer(&ok(), &[("grpc-status", "0")])) {
        result.unwrap();
    }
}

#[test]
fn a_web_server_is_no_toggle() {
    for (status, kind, says) in [
        (404, SendErrorKind::Unavailable, "address of a Toggle"),
        (413, SendErrorKind::TooLarge, "max_message_bytes"),
        (401, SendErrorKind::Unauthenticated, "no token is configured"),
        (502, SendErrorKind::Unavailable, "502"),
    ] {
        // A function pointer cannot capture; the number travels in the closure's own code.
        let peer: fn(&Request<Body>) -> Response<Body> = match status {
            404 => |_| Response::builder().status(404).body(Body::empty()).unwrap(),
            413 => |_| Response::builder().status(413).body(Body::empty()).unwrap(),
            401 => |_| Response::builder().status(401).body(Body::empty()).unwrap(),
            _ => |_| Response::builder().status(502).body(Body::empty()).unwrap(),
        };
        for result in try_twice(Compression::None, peer) {
            let error = result.unwrap_err();
            assert_eq!(error.kind(), kind, "{status}: {error}");
            assert!(error.to_string().contains(says), "{status}: {error}");
        }
    }
}

#[test]
fn an_answer_that_is_no_message_is_no_acknowledgement() {
    let results = try_twice(Compression::None, |_| {
        let mut response = answer(&ok(), &[("grpc-status", "0")]);
        let frames =
            vec![Frame::trailers(HeaderMap::new()), Frame::data(Bytes::from_static(b"\0\0\0\0\x02\xff\xff"))];
        *response.body_mut() = Body::new(Answer(frames));
        response
    });
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Failed, "{error}");
        assert!(error.to_string().contains("is not the message"), "{error}");
    }
}

#[test]
fn an_answer_that_is_too_long_does_not_blame_the_batch() {
    let results = try_twice(Compression::None, |_| {
        let long = proto::EventBatchResponse { message: "x".repeat(2 << 20), ..ok() };
        answer(&long, &[("grpc-status", "0")])
    });
    for result in results {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("that is the answer"), "{error}");
    }
}

#[test]
fn a_peer_that_says_the_same_of_the_batch_is_believed() {
    const TEXT: &str = "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes";
    let in_headers = try_twice(Compression::None, |_| Status::out_of_range(TEXT).into_http());
    let in_trailers =
        try_twice(Compression::None, |_| answer(&ok(), &[("grpc-status", "11"), ("grpc-message", TEXT)]));
    for result in in_headers.into_iter().chain(in_trailers) {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::TooLarge, "{error}");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn a_toggle_that_cannot_decompress_is_sent_plain_batches() {
    let [first, second] = try_twice(Compression::Gzip, |request| {
        if request.headers().contains_key("grpc-encoding") {
            Status::unimplemented("grpc: Decompressor is not installed for grpc-encoding \"gzip\"")
                .into_http()
        } else {
            answer(&ok(), &[("grpc-status", "0")])
        }
    });
    let error = first.unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Unavailable);
    assert!(error.to_string().contains("without compression"), "{error}");
    second.unwrap();
}

#[test]
fn each_call_names_its_deadline_and_its_sender() {
    for result in try_twice(Compression::None, |request| {
        let header = |name| request.headers().get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let complete = header("grpc-timeout").is_some()
            && header("user-agent").is_some_and(|agent| agent.starts_with("events-sdk/"))
            && request.uri().path() == "/rodent.RodentService/SendEvents";
        answer(&proto::EventBatchResponse { success: complete, ..ok() }, &[("grpc-status", "0")])
    }) {
        result.unwrap();
    }
}
