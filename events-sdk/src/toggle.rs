//! The connection to Toggle: registration and the event stream behind it.

use std::{fmt, sync::Arc};

use crate::{
    SendError, proto,
    uplink::{GrpcConfig, GrpcConfigError, GrpcUplink},
};

/// A client of Toggle: one configuration, token and connection for registration and events.
#[derive(Debug, Clone)]
pub struct Client {
    uplink: Arc<GrpcUplink>,
}

impl Client {
    /// A client for this configuration. Needs neither a network nor a runtime.
    ///
    /// # Errors
    ///
    /// When the configuration cannot work; see [`GrpcUplink::new`].
    pub fn new(config: GrpcConfig) -> Result<Self, GrpcConfigError> {
        GrpcUplink::new(config).map(Arc::new).map(Self::from)
    }

    /// Registers this node with Toggle, once.
    ///
    /// # Errors
    ///
    /// When Toggle cannot be reached, or does not register us; see [`GrpcUplink::register`].
    pub async fn register(&self, system: proto::SystemInfo) -> Result<Registration, SendError> {
        self.uplink.register(system).await
    }

    /// The uplink that events take.
    pub fn uplink(&self) -> Arc<GrpcUplink> {
        Arc::clone(&self.uplink)
    }
}

impl From<Arc<GrpcUplink>> for Client {
    fn from(uplink: Arc<GrpcUplink>) -> Self {
        Self { uplink }
    }
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
