//! The RPCs of a test Toggle, and how each mode answers them.
//!
//! Written against raw bytes rather than the generated server: a batch is counted and kept as it came, and decoded only
//! when somebody looks.

use std::{
    convert::Infallible,
    future::pending,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use prost::Message;
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{BoxFuture, Service},
    server::{Grpc, UnaryService},
};

use super::{
    ledger::{Call, Fate, Ledger},
    raw::RawCodec,
    socket::Cut,
    wire::outline,
};
use crate::proto;

/// How a test Toggle answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mode {
    /// Stores and acknowledges.
    #[default]
    Ok,
    /// The same, so much later. A call that is given up earlier leaves no trace.
    Slow(Duration),
    /// `UNAVAILABLE`, nothing stored.
    Unavailable,
    /// `UNAUTHENTICATED`, nothing stored.
    Unauthenticated,
    /// `INVALID_ARGUMENT`, nothing stored.
    InvalidArgument,
    /// `RESOURCE_EXHAUSTED`, nothing stored.
    ResourceExhausted,
    /// An answer with `success = false`, nothing stored.
    SuccessFalse,
    /// Stores, and then answers `UNAVAILABLE`: the sender has to send again, and the repeat is recognised.
    StoreThenFail,
    /// Never answers.
    Hang,
    /// Resets the connection that the call came on.
    DropConnections,
}

type Predicate = Arc<dyn Fn(&proto::events::Event) -> bool + Send + Sync>;
type Watcher = Arc<dyn Fn(&[u8]) + Send + Sync>;

/// What the handle and the server share.
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) only_count: AtomicBool,
    pub(super) max_message_bytes: usize,
    orders: Mutex<Orders>,
}

/// A rate that the server does not go beyond.
struct Limit {
    per_second: f64,
    pushback: Option<Duration>,
    /// What may be taken at once, and the moment up to which it was counted. A tenth of a second can be saved up.
    credit: (f64, Instant),
}

impl Limit {
    fn takes(&mut self) -> bool {
        let now = Instant::now();
        let earned = now.saturating_duration_since(self.credit.1).as_secs_f64() * self.per_second;
        self.credit = ((self.credit.0 + earned).min((self.per_second / 10.0).max(1.0)), now);
        let takes = self.credit.0 >= 1.0;
        if takes {
            self.credit.0 -= 1.0;
        }
        takes
    }

    fn refusal(&self) -> Status {
        let mut status = Status::resource_exhausted("told to take less");
        if let Some(pause) = self.pushback {
            status.metadata_mut().insert("grpc-retry-pushback-ms", (pause.as_millis() as u64).into());
        }
        status
    }
}

/// What the handle has told the server to do.
struct Orders {
    mode: Mode,
    required_token: Option<String>,
    refuse_when: Option<Predicate>,
    watcher: Option<Watcher>,
    limit: Option<Limit>,
    registration: proto::RegisterResponse,
}

impl State {
    pub(super) fn new(max_message_bytes: usize) -> Self {
        let registration = proto::RegisterResponse {
            success: true,
            message: "registered".to_owned(),
            domain: "node.toggle.test".to_owned(),
            certificate: "certificate".to_owned(),
            private_key: "private key".to_owned(),
            expires_on: "2100-01-01T00:00:00Z".to_owned(),
        };
        Self {
            ledger: Ledger::default(),
            only_count: AtomicBool::new(false),
            max_message_bytes,
            orders: Mutex::new(Orders {
                mode: Mode::Ok,
                required_token: None,
                refuse_when: None,
                watcher: None,
                limit: None,
                registration,
            }),
        }
    }

    pub(super) fn set_mode(&self, mode: Mode) {
        self.with_orders(|orders| orders.mode = mode);
    }

    pub(super) fn require_token(&self, token: Option<String>) {
        self.with_orders(|orders| orders.required_token = token);
    }

    pub(super) fn refuse_when(&self, predicate: Option<Predicate>) {
        self.with_orders(|orders| orders.refuse_when = predicate);
    }

    pub(super) fn watch(&self, watcher: Watcher) {
        self.with_orders(|orders| orders.watcher = Some(watcher));
    }

    pub(super) fn limit(&self, per_second: Option<f64>, pushback: Option<Duration>) {
        let limit =
            per_second.map(|per_second| Limit { per_second, pushback, credit: (1.0, Instant::now()) });
        self.with_orders(|orders| orders.limit = limit);
    }

    pub(super) fn answer_registration(&self, answer: proto::RegisterResponse) {
        self.with_orders(|orders| orders.registration = answer);
    }

    fn with_orders<R>(&self, f: impl FnOnce(&mut Orders) -> R) -> R {
        f(&mut self.orders.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn send_events(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let caller = Caller::of(&request);
        let body = request.into_inner();
        let outline =
            outline(&body).map_err(|what| Status::invalid_argument(format!("not an EventBatch: {what}")))?;
        let call = Call {
            batch_id: outline.batch_id,
            events: outline.events,
            body,
            token: caller.token.clone(),
            compression: caller.compression.clone(),
        };
        let only_count = self.only_count.load(Ordering::Relaxed);
        let body = call.body.clone();
        let record = |fate| {
            let watcher = self.with_orders(|orders| orders.watcher.clone());
            if let Some(watcher) = watcher.filter(|_| fate != Fate::Turned) {
                watcher(&call.body);
            }
            self.ledger.record(call, fate, only_count);
        };

        let mode = match self.gate(&caller).and_then(|mode| self.spare().map(|()| mode)) {
            Ok(mode) => mode,
            Err(status) => {
                record(Fate::Turned);
                return Err(status);
            }
        };
        if let Mode::Slow(delay) = mode {
            tokio::time::sleep(delay).await;
        }
        if let Some(status) = self.poison(body) {
            record(Fate::Turned);
            return Err(status);
        }
        match mode {
            Mode::SuccessFalse => {
                record(Fate::Turned);
                Ok(answer(false, "told to answer success = false"))
            }
            Mode::Hang | Mode::DropConnections => {
                record(Fate::Turned);
                caller.silence(mode).await
            }
            Mode::StoreThenFail => {
                record(Fate::StoredThenFailed);
                Err(Status::unavailable("told to store and then fail"))
            }
            _ => {
                record(Fate::Stored);
                Ok(answer(true, ""))
            }
        }
    }

    async fn register(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Status> {
        let caller = Caller::of(&request);
        let message = proto::RegisterRequest::decode(request.into_inner())
            .map_err(|error| Status::invalid_argument(format!("not a RegisterRequest: {error}")))?;
        let mode = self.gate(&caller)?;
        match mode {
            Mode::Hang | Mode::DropConnections => return caller.silence(mode).await,
            Mode::Slow(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        self.ledger.register(message.system_info.unwrap_or_default());
        match mode {
            Mode::StoreThenFail => Err(Status::unavailable("told to store and then fail")),
            Mode::SuccessFalse => {
                let answer = proto::RegisterResponse {
                    message: "told to answer success = false".to_owned(),
                    ..Default::default()
                };
                Ok(Response::new(answer.encode_to_vec().into()))
            }
            _ => {
                let answer = self.with_orders(|orders| orders.registration.clone());
                Ok(Response::new(answer.encode_to_vec().into()))
            }
        }
    }

    /// What every call meets first: the token, then the modes that turn it away whatever it holds.
    fn gate(&self, caller: &Caller) -> Result<Mode, Status> {
        let (mode, required) = self.with_orders(|orders| (orders.mode, orders.required_token.clone()));
        if required.is_some() && caller.token != required {
            return Err(Status::unauthenticated("the token is not the required one"));
        }
        match mode {
            Mode::Unavailable => Err(Status::unavailable("told to be unavailable")),
            Mode::Unauthenticated => Err(Status::unauthenticated("told to refuse the token")),
            Mode::InvalidArgument => Err(Status::invalid_argument("told to refuse the argument")),
            Mode::ResourceExhausted => Err(Status::resource_exhausted("told to be exhausted")),
            _ => Ok(mode),
        }
    }

    /// Whether another batch may come now.
    fn spare(&self) -> Result<(), Status> {
        self.with_orders(|orders| match &mut orders.limit {
            Some(limit) => {
                if limit.takes() {
                    Ok(())
                } else {
                    Err(limit.refusal())
                }
            }
            None => Ok(()),
        })
    }

    /// Looks for an event that the test has declared unwelcome.
    fn poison(&self, body: Bytes) -> Option<Status> {
        let predicate = self.with_orders(|orders| orders.refuse_when.clone())?;
        match proto::EventBatch::decode(body) {
            Ok(batch) => {
                let place = batch.events.iter().position(|event| predicate(event))?;
                Some(Status::invalid_argument(format!("event {place} of the batch is unwelcome")))
            }
            Err(error) => Some(Status::invalid_argument(format!("not an EventBatch: {error}"))),
        }
    }
}

fn answer(success: bool, message: &str) -> Response<Bytes> {
    let answer = proto::EventBatchResponse { success, message: message.to_owned() };
    Response::new(answer.encode_to_vec().into())
}

/// Who calls, as the headers and the connection tell.
struct Caller {
    token: Option<String>,
    compression: Option<String>,
    cut: Option<Cut>,
}

impl Caller {
    fn of(request: &Request<Bytes>) -> Self {
        let header = |name| Some(request.metadata().get(name)?.to_str().ok()?.to_owned());
        Self {
            token: header("authorization").map(|value| match value.strip_prefix("Bearer ") {
                Some(token) => token.to_owned(),
                None => value,
            }),
            compression: header("grpc-encoding"),
            cut: request.extensions().get::<Cut>().cloned(),
        }
    }

    /// Says nothing, for ever or until the connection is gone.
    async fn silence<T>(&self, mode: Mode) -> T {
        if let (Mode::DropConnections, Some(cut)) = (mode, &self.cut) {
            cut.cut();
        }
        pending().await
    }
}

/// `/rodent.RodentService`, as tonic serves it.
#[derive(Clone)]
pub(super) struct RodentService(pub(super) Arc<State>);

impl Service<http::Request<Body>> for RodentService {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let state = Arc::clone(&self.0);
        Box::pin(async move {
            let method = match request.uri().path() {
                "/rodent.RodentService/SendEvents" => Method::SendEvents,
                "/rodent.RodentService/Register" => Method::Register,
                path => {
                    return Ok(Status::unimplemented(format!("{path} is not served here")).into_http());
                }
            };
            let mut grpc = Grpc::new(RawCodec).max_decoding_message_size(state.max_message_bytes);
            #[cfg(feature = "gzip")]
            {
                grpc = grpc.accept_compressed(tonic::codec::CompressionEncoding::Gzip);
            }
            #[cfg(feature = "zstd")]
            {
                grpc = grpc.accept_compressed(tonic::codec::CompressionEncoding::Zstd);
            }
            Ok(grpc.unary(Handler { state, method }, request).await)
        })
    }
}

#[derive(Clone, Copy)]
enum Method {
    SendEvents,
    Register,
}

struct Handler {
    state: Arc<State>,
    method: Method,
}

impl UnaryService<Bytes> for Handler {
    type Response = Bytes;
    type Future = BoxFuture<Response<Bytes>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let (state, method) = (Arc::clone(&self.state), self.method);
        Box::pin(async move {
            match method {
                Method::SendEvents => state.send_events(request).await,
                Method::Register => state.register(request).await,
            }
        })
    }
}
