//! The connection to Toggle: registration, and the event stream behind it.
//!
//! As in the earlier agent, a node that registers has its event system from then on, over the same connection.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use tokio::{runtime, sync::oneshot};

use crate::{
    Config, Error, ErrorKind, Events, SendError, global, proto,
    uplink::{GrpcConfig, GrpcUplink},
    worker::Worker,
};

/// A client of Toggle: one configuration, token and connection for registration and events.
///
/// ```
/// use events_sdk::{Config, ToggleConfig, proto::SystemInfo, testing, toggle};
///
/// # let directory = tempfile::tempdir()?;
/// let server = testing::Toggle::start()?;
/// let client = toggle::Client::new(Config {
///     spool_dir: directory.path().join("events"),
///     toggle: ToggleConfig { endpoint: Some(server.endpoint()), ..ToggleConfig::default() },
///     ..Config::default()
/// })?;
/// let registered = client.register_blocking(SystemInfo::default())?;
/// println!("this node is {}", registered.registration.domain);
///
/// // The event system of the process is up.
/// assert!(events_sdk::is_initialized());
/// events_sdk::shutdown(std::time::Duration::from_secs(5));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Client {
    config: Config,
    uplink: Arc<GrpcUplink>,
    runtime: runtime::Handle,
    /// Kept until the event system takes it over.
    worker: Mutex<Option<Worker>>,
}

impl Client {
    /// A client for this configuration. Toggle need not be there.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work, or the system has no thread left.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        let uplink = Arc::new(GrpcUplink::new(GrpcConfig::from_toggle(&config.toggle)?)?);
        let worker = Worker::start().map_err(Error::thread)?;
        Ok(Self { config, uplink, runtime: worker.handle().clone(), worker: Mutex::new(Some(worker)) })
    }

    /// Registers this node with Toggle, once, and on success initialises the event system of the process over the same
    /// connection, unless it is initialised already. May be awaited in any runtime.
    ///
    /// # Errors
    ///
    /// When Toggle cannot be reached, or does not register this node. It is not tried again.
    pub async fn register(&self, system: proto::SystemInfo) -> Result<Registered, Error> {
        let (done, answer) = oneshot::channel();
        self.call(system, |result| {
            // Whoever asked may have given up.
            let _ = done.send(result);
        });
        self.registered(answer.await.unwrap_or_else(|_| Err(runtime_is_gone())))
    }

    /// [`register`](Self::register) for programs without a runtime. Blocks the calling thread for at most the configured
    /// timeout of a call.
    ///
    /// # Errors
    ///
    /// As [`register`](Self::register).
    pub fn register_blocking(&self, system: proto::SystemInfo) -> Result<Registered, Error> {
        let (done, answer) = mpsc::channel();
        self.call(system, move |result| {
            // Whoever asked may have given up.
            let _ = done.send(result);
        });
        self.registered(answer.recv().unwrap_or_else(|_| Err(runtime_is_gone())))
    }

    /// Makes the call on the thread that events will be sent from: a connection belongs to the runtime it was made in.
    fn call(
        &self,
        system: proto::SystemInfo,
        done: impl FnOnce(Result<Registration, SendError>) + Send + 'static,
    ) {
        let uplink = Arc::clone(&self.uplink);
        self.runtime.spawn(async move { done(uplink.register(system).await) });
    }

    fn registered(&self, result: Result<Registration, SendError>) -> Result<Registered, Error> {
        let registration = result.map_err(Error::registration)?;
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        let events = global::set(|| {
            let worker = || match worker.take() {
                Some(worker) => Ok(worker),
                // An earlier event system took it, and has been shut down.
                None => Worker::start().map_err(Error::thread),
            };
            Events::start_on(worker, self.config.clone(), Arc::clone(&self.uplink) as _)
        });
        match &events {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyInitialized => {}
            Err(error) => tracing::warn!(%error, "this node is registered, but has no event system"),
        }
        Ok(Registered { registration, events })
    }
}

fn runtime_is_gone() -> SendError {
    SendError::new(
        crate::SendErrorKind::Unavailable,
        "the event system of this client has been shut down; make a new client to register again",
    )
}

/// A registration that succeeded, and the event system that came of it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Registered {
    /// What Toggle gave this node.
    pub registration: Registration,
    /// The event system of the process, or why there is none from this registration. Toggle gives a private key only
    /// once, so the registration stands in any case.
    pub events: Result<Events, Error>,
}

/// What Toggle gave this node on registration. `Debug` does not show the private key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Registration {
    /// The domain the node was given.
    pub domain: String,
    /// The certificate for the domain, as Toggle wrote it.
    pub certificate: String,
    /// The private key of the certificate.
    pub private_key: String,
    /// When the certificate expires, as Toggle wrote it.
    pub expires_on: String,
    /// What Toggle had to say.
    pub message: String,
}

impl From<proto::RegisterResponse> for Registration {
    fn from(answer: proto::RegisterResponse) -> Self {
        Self {
            domain: answer.domain,
            certificate: answer.certificate,
            private_key: answer.private_key,
            expires_on: answer.expires_on,
            message: answer.message,
        }
    }
}

impl fmt::Debug for Registration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registration")
            .field("domain", &self.domain)
            .field("certificate", &self.certificate)
            .field("private_key", &if self.private_key.is_empty() { "" } else { "***" })
            .field("expires_on", &self.expires_on)
            .field("message", &self.message)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_private_key_is_not_shown() {
        let registration = Registration::from(proto::RegisterResponse {
            success: true,
            domain: "node-7.example".to_owned(),
            private_key: "-----BEGIN PRIVATE KEY-----".to_owned(),
            ..proto::RegisterResponse::default()
        });
        let shown = format!("{registration:?}");
        assert!(shown.contains("node-7.example") && shown.contains("***"), "{shown}");
        assert!(!shown.contains("BEGIN"), "{shown}");
    }
}
