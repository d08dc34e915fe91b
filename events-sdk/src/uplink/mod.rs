//! The way to Toggle: a small trait, so that tests and other transports can stand in for gRPC.

mod codec;
mod config;
mod grpc;
mod guard;
mod status;
#[cfg(test)]
#[cfg(feature = "testing")]
mod tests;
mod token;

use std::{error::Error, fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

pub use self::{
    config::{
        DEFAULT_CONNECT_TIMEOUT, DEFAULT_KEEPALIVE_INTERVAL, DEFAULT_KEEPALIVE_TIMEOUT,
        DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_TIMEOUT, GrpcConfig, GrpcConfigError, TlsConfig,
    },
    grpc::GrpcUplink,
};
use crate::Batch;

/// What sending a batch comes to, later.
pub type SendFuture<'a> = Pin<Box<dyn Future<Output = Result<(), SendError>> + Send + 'a>>;

/// Carries batches to Toggle.
///
/// `send` is called from the SDK's own runtime, up to the configured number of batches at a time. It returns `Ok` only
/// when Toggle has said that it has the whole batch; with anything else the batch stays ours and is offered again under
/// the same id. Deadlines per attempt are the uplink's business: a future that never ends holds its place for ever.
pub trait Uplink: Send + Sync + 'static {
    /// Sends one batch, once.
    fn send(&self, batch: Arc<Batch>) -> SendFuture<'_>;

    /// Where it sends to, for logs and statistics.
    fn target(&self) -> String;
}

/// Why a batch was not delivered, as far as it decides what happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// Toggle cannot be reached, did not answer in time, or broke off: try again later.
    Unavailable,
    /// Toggle asks for less: try again later, slower.
    Busy,
    /// The token is missing, expired or refused: hold until there is another.
    Unauthenticated,
    /// Toggle says that something is wrong with this batch (`INVALID_ARGUMENT`): perhaps it takes another.
    Refused,
    /// Toggle did not take this batch and does not say whose fault it is (`success = false`).
    Declined,
    /// Something broke in Toggle (`INTERNAL`): over this batch, if it takes others meanwhile again and again.
    Failed,
    /// The message is larger than the receiver accepts: send less at once.
    TooLarge,
}

/// A batch was not delivered.
#[derive(Debug)]
pub struct SendError {
    kind: SendErrorKind,
    message: String,
    retry_after: Option<Duration>,
    /// Whether Toggle may have stored the batch, where its kind alone does not say so.
    stored: Option<bool>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl SendError {
    /// A new error. `message` says what happened, in words for an operator.
    pub fn new(kind: SendErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, stored: None, source: None }
    }

    /// Adds what caused it.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds how long Toggle wants to be left alone.
    #[must_use]
    pub fn with_retry_after(mut self, pause: Duration) -> Self {
        self.retry_after = Some(pause);
        self
    }

    /// Adds that nothing of the batch was sent, because there was no connection.
    #[must_use]
    pub fn with_nothing_sent(mut self) -> Self {
        self.stored = Some(false);
        self
    }

    /// Adds that the batch was sent and that it was not Toggle that said what became of it.
    #[must_use]
    pub fn with_answer_lost(mut self) -> Self {
        self.stored = Some(true);
        self
    }

    /// Whether Toggle may have stored the batch all the same, because the answer was lost, or because it said that something
    /// broke. Such a batch is never changed: only under its id Toggle knows it again.
    pub fn may_be_stored(&self) -> bool {
        let says_no = matches!(self.kind, SendErrorKind::Busy | SendErrorKind::Unauthenticated);
        self.stored.unwrap_or(!says_no)
    }

    /// How long Toggle wants to be left alone, if it has said so.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// What kind of failure it was.
    pub fn kind(&self) -> SendErrorKind {
        self.kind
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
