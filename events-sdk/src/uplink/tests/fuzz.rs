//! Answers, tokens and certificates that no Toggle and no operator would give. See [`crate::fuzz`].

use std::{
    convert::Infallible,
    fs,
    future::{Ready, ready},
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, uri::PathAndQuery};
use http_body::Frame;
use tempfile::TempDir;
use tonic::{
    Status,
    body::Body,
    codec::{Codec, CompressionEncoding},
    codegen::Service,
};
use tonic_prost::ProstCodec;

use super::{super::*, *};
use crate::{
    fuzz::{Choices, INPUTS, MOST_EDITS, edit, target},
    uplink::{
        codec::BatchCodec,
        config::encoding,
        grpc::client,
        status::{describe, kind_of, pushback, says_no_to_compression},
        token::bearer,
    },
};

/// The longest text that an answer may bring into a log: what is quoted of it, as UTF-8, and what is said around it.
const LONGEST: usize = 4 * 600 + 400;

/// Compressed answers, and ones that are small on the way and large afterwards.
const COMPRESSED: [&[u8]; 4] = [
    include_bytes!("../../fuzz/seeds/answer.gz"),
    include_bytes!("../../fuzz/seeds/answer.zst"),
    include_bytes!("../../fuzz/seeds/bomb.gz"),
    include_bytes!("../../fuzz/seeds/bomb.zst"),
];

const HEADERS: [&str; 6] = [
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "grpc-encoding",
    "grpc-retry-pushback-ms",
    "content-type",
];

const VALUES: [&[u8]; 24] = [
    b"",
    b"0",
    b"3",
    b"8",
    b"16",
    b"17",
    b"-1",
    b"99999999999999999999",
    b"18446744073709551615",
    b"no",
    b"%e2%82%ac%00%1b[31m",
    b"%ff%fe",
    b"%",
    b"gzip",
    b"zstd",
    b"identity",
    b"br",
    b"application/grpc",
    b"text/html",
    b"CAgSBnNsb3dlchoyCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgYKBAgDEGQ=",
    b"CAgSBnNsb3dlchoyCih0eXBlLmdvb2dsZWFwaXMuY29tL2dvb2dsZS5ycGMuUmV0cnlJbmZvEgYKBAgDEGQ",
    b"%%%",
    b"\xff\xfe",
    b"received message larger than max",
];

static RUNTIME: LazyLock<Runtime> = LazyLock::new(runtime);

static UPLINK: LazyLock<GrpcUplink> =
    LazyLock::new(|| GrpcUplink::new(GrpcConfig::new("http://127.0.0.1:1")).unwrap());

/// An answer that was made up beforehand, for the one call that is made.
#[derive(Default)]
struct Canned {
    response: Option<Response<Body>>,
}

impl Service<Request<Body>> for Canned {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        ready(Ok(self.response.take().unwrap_or_default()))
    }
}

/// Frames, and perhaps an end in the middle; the last comes first.
struct Frames(Vec<Result<Frame<Bytes>, Status>>);

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.pop())
    }
}

fn headers(choices: &mut Choices<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for _ in 0..choices.below(4) {
        let mut value = choices.of(&VALUES).to_vec();
        if choices.below(4) == 0 {
            edit(&mut value, 0..usize::MAX, choices);
        }
        if let Ok(value) = HeaderValue::from_bytes(&value) {
            headers.append(HeaderName::from_static(choices.word(&HEADERS)), value);
        }
    }
    headers
}

/// The bytes of a message behind gRPC's head, both perhaps damaged.
fn body(choices: &mut Choices<'_>) -> Vec<u8> {
    let message = proto::EventBatchResponse { success: choices.yes(), message: "because".to_owned() };
    let is_compressed = choices.below(3) == 0;
    let mut message = if is_compressed { choices.of(&COMPRESSED).to_vec() } else { message.encode_to_vec() };
    for _ in 0..choices.below(MOST_EDITS).saturating_sub(2) {
        edit(&mut message, 0..usize::MAX, choices);
    }
    let mut body = vec![u8::from(is_compressed)];
    body.extend((message.len() as u32).to_be_bytes());
    body.extend(message);
    if choices.below(4) == 0 {
        edit(&mut body, 0..8, choices);
    }
    body
}

fn response(choices: &mut Choices<'_>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    if choices.below(8) == 0 {
        let status = choices.below(1000) as u16;
        *response.status_mut() = http::StatusCode::from_u16(status).unwrap_or_default();
    }
    if choices.below(8) != 0 {
        response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    }
    if choices.yes() {
        response.headers_mut().extend(headers(choices));
    }
    let mut frames = Vec::new();
    for _ in 0..choices.below(3) {
        let body = body(choices);
        let cut = choices.below(body.len() + 1);
        frames.push(Ok(Frame::data(Bytes::copy_from_slice(&body[..cut]))));
        if choices.below(4) == 0 {
            frames.push(Err(Status::cancelled("reset")));
        }
        frames.push(Ok(Frame::data(Bytes::copy_from_slice(&body[cut..]))));
    }
    if choices.below(4) != 0 {
        frames.push(Ok(Frame::trailers(headers(choices))));
    }
    frames.reverse();
    *response.body_mut() = Body::new(Frames(frames));
    response
}

/// The answer to one call. What may go into a log is one bounded line.
fn call<C>(
    response: Response<Body>,
    message: C::Encode,
    codec: C,
    compression: Option<CompressionEncoding>,
) -> Option<C::Decode>
where
    C: Codec<Encode: Sync, Decode: Sync>,
{
    let answer = RUNTIME.block_on(async {
        let mut client = client(Canned { response: Some(response) }, compression);
        client.ready().await.unwrap();
        client.unary(tonic::Request::new(message), PathAndQuery::from_static("/x"), codec).await
    });
    let status = match answer {
        Ok(answer) => return Some(answer.into_inner()),
        Err(status) => status,
    };
    let _ = (kind_of(&status), pushback(&status), says_no_to_compression(&status));
    one_line(&describe(&status));
    let error = UPLINK.failure("/rodent.RodentService/SendEvents", status, compression);
    one_line(&error.to_string());
    None
}

fn one_line(text: &str) {
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert!(text.len() <= LONGEST, "{} bytes", text.len());
}

fn an_answer(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let compressions =
        [Compression::None, Compression::Gzip, Compression::Zstd].map(|it| encoding(it).ok().flatten());
    let compression = *choices.of(&compressions);
    if choices.below(4) == 0 {
        let codec = ProstCodec::<proto::RegisterRequest, proto::RegisterResponse>::default();
        let answer = call(response(&mut choices), proto::RegisterRequest::default(), codec, compression);
        let _registration = answer.map(crate::toggle::Registration::from);
    } else {
        let answer = call(response(&mut choices), batch(1), BatchCodec::plain(100), compression);
        assert!(answer.is_none_or(|answer| answer.message.len() <= 1024 * 1024), "a bomb");
    }
}

fn a_token(bytes: &[u8]) {
    match bearer(bytes) {
        Ok(header) => {
            assert_eq!(header.as_encoded_bytes(), [b"Bearer ", bytes.trim_ascii()].concat());
            assert_eq!(format!("{header:?}"), "Sensitive");
        }
        Err(text) => {
            one_line(&text);
            let token = String::from_utf8_lossy(bytes);
            assert!(token.trim().len() < 8 || !text.contains(token.trim()), "the token shows");
        }
    }
}

struct Certificates {
    folder: TempDir,
    ca: String,
    certificate: String,
    key: String,
}

static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let authority = tls::Authority::new();
    let (certificate, key) = authority.issue("toggle");
    Certificates { folder: tempfile::tempdir().unwrap(), ca: authority.pem(), certificate, key }
});

/// The files of an encrypted connection, one of them damaged.
fn certificates(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let Certificates { folder, ca, certificate, key } = &*CERTIFICATES;
    let mut files = [ca, certificate, key].map(|text| text.as_bytes().to_vec());
    let which = choices.below(files.len());
    match choices.below(8) {
        0 => files[which] = bytes.to_vec(),
        1 => files.swap(which, 2),
        _ => {
            for _ in 0..choices.below(MOST_EDITS) {
                edit(&mut files[which], 0..usize::MAX, &mut choices);
            }
        }
    }
    let file = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        Some(path)
    };
    let tls = TlsConfig {
        ca_file: file("ca.pem", &files[0]),
        client_cert_file: file("cert.pem", &files[1]),
        client_key_file: file("key.pem", &files[2]),
        domain_name: choices.yes().then(|| String::from_utf8_lossy(bytes).into_owned()),
    };
    let config = GrpcConfig { tls, ..GrpcConfig::new("https://127.0.0.1:1") };
    if let Err(error) = config.to_endpoint() {
        let text = error.to_string();
        assert!(!text.contains(&key[40..80]), "the key shows: {text}");
        one_line(&text);
    }
}

#[test]
fn any_answer_is_a_verdict_or_a_reason_in_one_line() {
    target!("answers", 160, an_answer);
}

#[test]
fn any_bytes_are_a_token_or_refused_without_showing_it() {
    target!("tokens", 64, a_token);
}

#[test]
fn any_certificate_files_are_used_or_refused() {
    target!("certificates", 64, certificates, INPUTS / 5);
}
