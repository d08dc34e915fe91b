//! The uplink over gRPC.
//!
//! Owns the connection: it is opened by the first call, inside the runtime that polls that call, and shared by all calls
//! in flight. Each attempt has one deadline that covers connecting, sending and the answer. What an answer means for the
//! batch is decided in `status`; when to try again is left to the caller.
//!
//! tonic connects again by itself after an error. Two things it cannot see are done here: a connection on which nothing
//! comes back is left for a new one after [`LATE_BEFORE_RECONNECT`] silent attempts, and renewed certificate files are
//! read when a connection has failed.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use http::uri::PathAndQuery;
use tokio::runtime::{self, Handle};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding},
    transport::{Channel, Endpoint},
};
use tonic_prost::ProstCodec;

use super::{
    GrpcConfig, GrpcConfigError, SendError, SendErrorKind, SendFuture, Uplink,
    codec::BatchCodec,
    config::encoding,
    guard::Guarded,
    status::{
        describe, is_answer_too_long, is_not_connected, is_ours, kind_of, pushback, quote,
        says_no_to_compression,
    },
    token::{FileStamp, Token},
};
use crate::{Batch, TokenSource, plural::counted, proto, toggle::Registration};

const SEND_EVENTS: &str = "/rodent.RodentService/SendEvents";
const REGISTER: &str = "/rodent.RodentService/Register";

/// The longest answer that is read. An answer is a sentence, a registration a few certificates; this bounds what a
/// broken peer can make us allocate.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// How many attempts in a row may run out of time before the connection itself is suspected. One late answer is a slow
/// Toggle; two look like a path that swallows packets, which TCP alone would take a quarter of an hour to notice.
const LATE_BEFORE_RECONNECT: u32 = 2;

/// Sends batches to Toggle over gRPC.
///
/// Making one needs neither a network nor a runtime; sending needs a tokio runtime with I/O and time, of any flavour.
///
/// ```
/// use events_sdk::{Uplink, uplink::{GrpcConfig, GrpcUplink}};
///
/// let uplink = GrpcUplink::new(GrpcConfig::new("http://127.0.0.1:50051"))?;
/// assert_eq!(uplink.target(), "http://127.0.0.1:50051");
///
/// let error = GrpcUplink::new(GrpcConfig::new("toggle.example:50051")).unwrap_err();
/// assert!(error.to_string().contains("write https://"));
/// # Ok::<(), events_sdk::uplink::GrpcConfigError>(())
/// ```
pub struct GrpcUplink {
    config: GrpcConfig,
    compression: Option<CompressionEncoding>,
    /// Set when Toggle has said that it cannot read our compression.
    uncompressed: AtomicBool,
    token: Arc<Token>,
    link: Mutex<Link>,
}

/// The connection, as far as there is one.
struct Link {
    endpoint: Endpoint,
    /// The certificate files when `endpoint` was made from them.
    stamps: [Option<FileStamp>; 3],
    /// A channel lives in the runtime that opened it and dies with it.
    open: Option<(runtime::Id, Channel)>,
    /// Counts the channels, so that a late failure of an old one does not close its successor.
    generation: u64,
    /// Attempts without an answer since the last one with.
    late: u32,
}

/// How an attempt ended, as far as the connection is concerned.
enum Ending {
    Answered,
    Broken,
    Late,
}

impl GrpcUplink {
    /// An uplink for this configuration.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work: a broken endpoint, a certificate file that cannot be read, a compression
    /// that is not compiled in. Whether Toggle can be reached is not tried, and a token file need not exist yet.
    pub fn new(config: GrpcConfig) -> Result<Self, GrpcConfigError> {
        let stamps = config.tls.stamps();
        let endpoint = config.to_endpoint()?;
        if config.token != TokenSource::None && travels_in_the_open(&endpoint) {
            tracing::warn!(endpoint = %config.endpoint, "the token is sent unencrypted; use https://");
        }
        Ok(Self {
            compression: encoding(config.compression)?,
            uncompressed: AtomicBool::new(false),
            token: Arc::new(Token::new(config.token.clone())),
            link: Mutex::new(Link { endpoint, stamps, open: None, generation: 0, late: 0 }),
            config,
        })
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &GrpcConfig {
        &self.config
    }

    /// Registers this node with Toggle, once.
    ///
    /// # Errors
    ///
    /// When Toggle cannot be reached or answers with an error, as for [`Uplink::send`]; with
    /// [`SendErrorKind::Declined`] and Toggle's reason when it answers `success = false`.
    pub async fn register(&self, system: proto::SystemInfo) -> Result<Registration, SendError> {
        let request = proto::RegisterRequest { system_info: Some(system) };
        let codec = ProstCodec::<proto::RegisterRequest, proto::RegisterResponse>::default();
        let answer = self.call(REGISTER, request, codec, None).await?;
        if answer.success { Ok(answer.into()) } else { Err(self.refusal(REGISTER, &answer.message)) }
    }

    async fn send_batch(&self, batch: Arc<Batch>) -> Result<(), SendError> {
        let length = batch.encoded_len();
        if length > self.config.max_message_bytes {
            return Err(SendError::new(
                SendErrorKind::TooLarge,
                format!(
                    "a batch of {} is {length} bytes long and max_message_bytes is {}; send fewer at once",
                    counted(batch.len() as u64, "event"),
                    self.config.max_message_bytes
                ),
            ));
        }
        let compression = self.compression.filter(|_| !self.uncompressed.load(Ordering::Relaxed));
        let codec = match compression {
            Some(_) => BatchCodec::compressed(),
            None => BatchCodec::plain(length),
        };
        let answer = self.call(SEND_EVENTS, batch, codec, compression).await?;
        if answer.success { Ok(()) } else { Err(self.refusal(SEND_EVENTS, &answer.message)) }
    }

    /// One attempt at a unary call.
    async fn call<C>(
        &self,
        method: &'static str,
        message: C::Encode,
        codec: C,
        compression: Option<CompressionEncoding>,
    ) -> Result<C::Decode, SendError>
    where
        C: Codec,
        C::Encode: Sync,
        C::Decode: Sync,
    {
        let Ok(runtime) = Handle::try_current() else {
            return Err(self.error(SendErrorKind::Unavailable, method, "not called from a tokio runtime"));
        };
        let mut request = Request::new(message);
        request.set_timeout(self.config.timeout);
        match self.token.header_within(self.config.timeout, &runtime).await {
            Ok(None) => {}
            Ok(Some(header)) => {
                request.metadata_mut().insert("authorization", header);
            }
            Err(what) => return Err(self.error(SendErrorKind::Unauthenticated, method, &what)),
        }

        let (channel, generation) = self.channel(runtime.id());
        let mut grpc = client(channel, compression);
        let started = Instant::now();
        let attempt = async {
            grpc.ready().await.map_err(|error| Status::from_error(Box::new(error)))?;
            grpc.unary(request, PathAndQuery::from_static(method), codec).await
        };
        let answer = tokio::time::timeout(self.config.timeout, attempt).await;
        match answer {
            Ok(Ok(answer)) => {
                self.attempt_ended(generation, &Ending::Answered);
                Ok(answer.into_inner())
            }
            // tonic watches the same deadline and may be the first to notice.
            Ok(Err(status)) if !is_late(&status, started.elapsed() >= self.config.timeout) => {
                let ending = if is_ours(&status) { Ending::Broken } else { Ending::Answered };
                self.attempt_ended(generation, &ending);
                Err(self.failure(method, status, compression))
            }
            ended @ (Ok(Err(_)) | Err(_)) => {
                // Toggle was told of the deadline, and may say that it has passed before we see that ourselves.
                let is_told = ended.is_ok_and(|answer| answer.is_err_and(|status| !is_ours(&status)));
                self.attempt_ended(generation, if is_told { &Ending::Answered } else { &Ending::Late });
                let what = format!(
                    "no answer within {:?} (connecting, sending and waiting together)",
                    self.config.timeout
                );
                Err(self.error(SendErrorKind::Unavailable, method, &what))
            }
        }
    }

    /// The channel of this runtime, opened if need be. Opening does not connect yet.
    fn channel(&self, runtime: runtime::Id) -> (Channel, u64) {
        let mut link = self.lock();
        if let Some((home, channel)) = &link.open
            && *home == runtime
        {
            return (channel.clone(), link.generation);
        }
        let channel = link.endpoint.connect_lazy();
        link.open = Some((runtime, channel.clone()));
        link.generation += 1;
        link.late = 0;
        (channel, link.generation)
    }

    /// Leaves a connection that cannot be expected to recover. The calls still under way on it keep it until they end.
    fn attempt_ended(&self, generation: u64, ending: &Ending) {
        let mut link = self.lock();
        if link.generation != generation {
            return;
        }
        match ending {
            Ending::Answered => link.late = 0,
            Ending::Late => {
                link.late += 1;
                if link.late >= LATE_BEFORE_RECONNECT {
                    tracing::debug!(endpoint = %self.config.endpoint, "no answers; opening another connection");
                    link.open = None;
                }
            }
            Ending::Broken => {
                let stamps = self.config.tls.stamps();
                if stamps != link.stamps {
                    match self.config.to_endpoint() {
                        Ok(endpoint) => {
                            link.endpoint = endpoint;
                            link.stamps = stamps;
                            link.open = None;
                        }
                        Err(error) => tracing::warn!(%error, "the renewed certificates cannot be used"),
                    }
                }
            }
        }
    }

    /// What a status comes to.
    pub(super) fn failure(
        &self,
        method: &str,
        status: Status,
        compression: Option<CompressionEncoding>,
    ) -> SendError {
        let kind = kind_of(&status);
        let mut what = describe(&status);
        if compression.is_some() && says_no_to_compression(&status) {
            self.uncompressed.store(true, Ordering::Relaxed);
            what.push_str("; going on without compression");
        } else if kind == SendErrorKind::Unauthenticated {
            self.token.forget();
            what = format!("{what}; {}", self.token.advice());
        } else if is_answer_too_long(&status) {
            what.push_str("; that is the answer, which does not tell whether Toggle has the batch; look at what answers there");
        } else if kind == SendErrorKind::TooLarge {
            what = format!(
                "{what}; the receiver takes less than max_message_bytes, which is {}",
                self.config.max_message_bytes
            );
        } else if matches!(status.code(), Code::Unimplemented | Code::NotFound) && !is_ours(&status) {
            what.push_str("; check that this is the address of a Toggle");
        }
        let error = self.error(kind, method, &what);
        let error = match pushback(&status) {
            Some(pause) => error.with_retry_after(pause),
            None => error,
        };
        let error = match is_not_connected(&status) {
            true => error.with_nothing_sent(),
            false if is_ours(&status) => error.with_answer_lost(),
            false => error,
        };
        error.with_source(status)
    }

    fn refusal(&self, method: &str, reason: &str) -> SendError {
        let reason = if reason.is_empty() { "without a reason".to_owned() } else { quote(reason) };
        self.error(SendErrorKind::Declined, method, &format!("Toggle answered success = false: {reason}"))
    }

    fn error(&self, kind: SendErrorKind, method: &str, what: &str) -> SendError {
        let method = method.rsplit('/').next().unwrap_or(method);
        SendError::new(kind, format!("{method} to {}: {what}", self.config.endpoint))
    }

    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Uplink for GrpcUplink {
    fn send(&self, batch: Arc<Batch>) -> SendFuture<'_> {
        Box::pin(self.send_batch(batch))
    }

    fn target(&self) -> String {
        self.config.endpoint.clone()
    }
}

impl fmt::Debug for GrpcUplink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrpcUplink").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A client over this channel, which bounds what it reads.
pub(super) fn client<S>(channel: S, compression: Option<CompressionEncoding>) -> Grpc<Guarded<S>> {
    let grpc = Grpc::new(Guarded(channel)).max_decoding_message_size(MAX_ANSWER_BYTES);
    match compression {
        Some(encoding) => grpc.send_compressed(encoding).accept_compressed(encoding),
        None => grpc,
    }
}

/// Whether a call ended because its time was up.
fn is_late(status: &Status, is_up: bool) -> bool {
    is_up && (is_ours(status) || matches!(status.code(), Code::Cancelled | Code::DeadlineExceeded))
}

/// Plaintext to another machine.
fn travels_in_the_open(endpoint: &Endpoint) -> bool {
    let uri = endpoint.uri();
    let host = uri.host().unwrap_or_default();
    uri.scheme_str() == Some("http") && host != "localhost" && host != "[::1]" && !host.starts_with("127.")
}
