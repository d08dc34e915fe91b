//! Requests that no agent would make. See [`crate::fuzz`].

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderValue, Request};
use http_body::Frame;
use prost::Message;
use tokio::runtime::{Builder, Runtime};
use tonic::{Status, body::Body, codegen::Service};

use super::{
    service::{Mode, RodentService, State},
    wire::outline,
};
use crate::{
    fuzz::{Choices, MOST_EDITS, edit, target},
    proto,
};

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Builder::new_current_thread().build().unwrap());

/// Those that answer at once.
const MODES: [Mode; 7] = [
    Mode::Ok,
    Mode::Unavailable,
    Mode::Unauthenticated,
    Mode::InvalidArgument,
    Mode::ResourceExhausted,
    Mode::SuccessFalse,
    Mode::StoreThenFail,
];

const PATHS: [&str; 4] = [
    "/rodent.RodentService/SendEvents",
    "/rodent.RodentService/SendEvents",
    "/rodent.RodentService/Register",
    "/x",
];

/// Headers and what stands in them.
const HEADERS: [(&str, &[u8]); 10] = [
    ("authorization", b"Bearer jwt"),
    ("authorization", b"jwt\xff"),
    ("grpc-encoding", b"gzip"),
    ("grpc-encoding", b"zstd"),
    ("grpc-encoding", b"br"),
    ("grpc-encoding", b"\xff"),
    ("grpc-timeout", b"1S"),
    ("grpc-timeout", b"99999999999H"),
    ("grpc-accept-encoding", b",,gzip"),
    ("content-type", b"text/plain"),
];

/// Messages: a batch, a registration, and compressed ones.
static MESSAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let event = proto::events::Event { event_id: "e".to_owned(), timestamp: 1, ..Default::default() };
    let batch = proto::EventBatch {
        events: vec![event; 3],
        batch_id: "b-1".to_owned(),
        batch_timestamp: 17,
        ..Default::default()
    };
    let system = proto::SystemInfo::default();
    vec![
        batch.encode_to_vec(),
        proto::RegisterRequest { system_info: Some(system) }.encode_to_vec(),
        include_bytes!("../fuzz/seeds/answer.gz").to_vec(),
        include_bytes!("../fuzz/seeds/bomb.zst").to_vec(),
    ]
});

fn a_request(bytes: &[u8]) {
    let mut choices = Choices::new(bytes);
    let state = Arc::new(State::new(1 << 20));
    state.set_mode(*choices.of(&MODES));
    if choices.below(4) == 0 {
        state.require_token(Some("jwt".to_owned()));
    }
    if choices.below(4) == 0 {
        state.refuse_when(Some(Arc::new(|event| event.timestamp == 1)));
    }
    let news = state.ledger.subscribe();
    let mut service = RodentService(Arc::clone(&state));
    let mut answered = 0;
    for _ in 0..2 {
        let mut message = choices.of(&MESSAGES).clone();
        for _ in 0..choices.below(MOST_EDITS).saturating_sub(2) {
            edit(&mut message, 0..usize::MAX, &mut choices);
        }
        let is_batch = outline(&message).is_ok();
        assert!(is_batch || proto::EventBatch::decode(message.as_slice()).is_err(), "{message:?}");
        let mut body = vec![u8::from(choices.below(4) == 0)];
        body.extend((message.len() as u32).to_be_bytes());
        body.extend(message);
        if choices.below(8) == 0 {
            edit(&mut body, 0..8, &mut choices);
        }
        let mut request = Request::post(choices.word(&PATHS)).body(Body::new(Whole(Some(body)))).unwrap();
        request.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
        for _ in 0..choices.below(3) {
            let (name, value) = *choices.of(&HEADERS);
            request.headers_mut().insert(name, HeaderValue::from_bytes(value).unwrap());
        }
        let response = RUNTIME.block_on(service.call(request)).unwrap();
        answered += usize::from(response.status().is_success());
    }
    // What is in the book is what was told to whoever asked.
    let book = state.ledger.book();
    assert!(book.calls.len() <= answered);
    let stored: usize = book.calls.iter().filter(|call| call.stored).map(|call| call.events).sum();
    assert_eq!(book.unique_events, stored);
    drop(book);
    assert_eq!(news.try_iter().count(), state.ledger.events().len());
}

/// A body in one frame.
struct Whole(Option<Vec<u8>>);

impl http_body::Body for Whole {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Poll::Ready(self.0.take().map(|body| Ok(Frame::data(body.into()))))
    }
}

#[test]
fn any_request_is_answered_and_written_down_once() {
    target!("requests", 160, a_request);
}
