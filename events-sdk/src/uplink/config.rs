//! How to reach Toggle over gRPC, and the check of it.
//!
//! Everything that can be wrong without a network is found here, when the uplink is made, and named: a broken URL, a
//! certificate file that is none, a compression that was not compiled in. Nothing here connects.

use std::{
    error::Error,
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use http::Uri;
use tonic::{
    codec::CompressionEncoding,
    transport::{Certificate, ClientTlsConfig, Endpoint, Identity},
};

use super::token::{FileStamp, bearer};
use crate::config::{Compression, ToggleConfig, TokenSource};

/// One attempt, from connecting to the answer. Toggle answers in milliseconds; after ten seconds it is better to spill
/// and try again than to hold a place among the batches in flight.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The TCP connection, and after it the TLS handshake. Half an attempt, so that what is reported is the cause ("connect
/// timed out") and not just the attempt's end.
pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Silence on the connection after which it is probed. Below the minute or more after which address translators and
/// load balancers forget an idle connection.
pub const DEFAULT_KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// How long the answer to an HTTP/2 ping may take. Below [`DEFAULT_TIMEOUT`], so that a dead connection is closed before
/// the next attempt runs into it.
pub const DEFAULT_KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);

/// gRPC servers refuse messages of more than 4 MiB unless told otherwise; the 64 KiB below that leave room for whatever
/// a proxy or a newer version of ours adds.
pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024 - 64 * 1024;

/// A bound below which `max_message_bytes` would hardly let a single event pass.
const MIN_MAX_MESSAGE_BYTES: usize = 1024;

/// The longest file of certificates. All that browsers trust takes a quarter of a mebibyte.
const MAX_PEM_BYTES: u64 = 8 << 20;

/// How to reach Toggle.
///
/// ```
/// use std::time::Duration;
/// use events_sdk::{TokenSource, uplink::{GrpcConfig, TlsConfig}};
///
/// let config = GrpcConfig {
///     token: TokenSource::File("/etc/rodent/token".into()),
///     tls: TlsConfig { ca_file: Some("/etc/rodent/ca.pem".into()), ..TlsConfig::default() },
///     timeout: Duration::from_secs(5),
///     ..GrpcConfig::new("https://toggle.example:50051")
/// };
/// assert_eq!(config.endpoint, "https://toggle.example:50051");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrpcConfig {
    /// Where Toggle is: `https://host:port`, or `http://host:port` for development.
    pub endpoint: String,
    /// Certificates, for `https`.
    pub tls: TlsConfig,
    /// The bearer token.
    pub token: TokenSource,
    /// One attempt, from connecting to the answer: [`DEFAULT_TIMEOUT`].
    pub timeout: Duration,
    /// The TCP connection, and after it the TLS handshake: [`DEFAULT_CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// Silence after which the connection is probed, [`DEFAULT_KEEPALIVE_INTERVAL`]: by TCP whenever it is idle, by
    /// an HTTP/2 ping while a batch is under way.
    pub keepalive_interval: Duration,
    /// How long the answer to an HTTP/2 ping may take before the connection is given up:
    /// [`DEFAULT_KEEPALIVE_TIMEOUT`].
    pub keepalive_timeout: Duration,
    /// HTTP/2 pings also while nothing is under way. Off by default, because servers built on grpc-go close a
    /// connection for it (`too_many_pings`) unless they were set up to allow it.
    pub keepalive_while_idle: bool,
    /// The longest message sent, before compression: [`DEFAULT_MAX_MESSAGE_BYTES`].
    pub max_message_bytes: usize,
    /// The compression of batches.
    pub compression: Compression,
}

impl GrpcConfig {
    /// The defaults for this endpoint: no token, no compression, and for `https` the system's roots.
    pub fn new(endpoint: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            tls: TlsConfig::default(),
            token: TokenSource::None,
            timeout: DEFAULT_TIMEOUT,
            connect_timeout: DEFAULT_CONNECT_TIMEOUT,
            keepalive_interval: DEFAULT_KEEPALIVE_INTERVAL,
            keepalive_timeout: DEFAULT_KEEPALIVE_TIMEOUT,
            keepalive_while_idle: false,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            compression: Compression::None,
        }
    }

    /// What an operator has configured.
    ///
    /// # Errors
    ///
    /// When there is no endpoint.
    pub fn from_toggle(toggle: &ToggleConfig) -> Result<Self, GrpcConfigError> {
        let endpoint = toggle.endpoint.clone().ok_or_else(|| {
            GrpcConfigError::new(
                "no endpoint is configured; set `toggle.endpoint` under `events` in rodent.yml, or RODENT_EVENTS_TOGGLE_ENDPOINT, to https://host:port (a rodent.yml that is not there counts as empty)",
            )
        })?;
        Ok(Self {
            endpoint,
            tls: TlsConfig {
                ca_file: toggle.ca_file.clone(),
                client_cert_file: toggle.client_cert_file.clone(),
                client_key_file: toggle.client_key_file.clone(),
                domain_name: toggle.domain.clone(),
            },
            token: toggle.token.clone(),
            timeout: toggle.timeout,
            connect_timeout: toggle.connect_timeout,
            keepalive_interval: toggle.keepalive_interval,
            keepalive_timeout: toggle.keepalive_timeout,
            compression: toggle.compression,
            keepalive_while_idle: false,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
        })
    }

    /// Checks everything that needs no network, and gives what tonic connects with.
    pub(crate) fn to_endpoint(&self) -> Result<Endpoint, GrpcConfigError> {
        let uri = self.uri()?;
        for (key, value) in [
            ("timeout", self.timeout),
            ("connect_timeout", self.connect_timeout),
            ("keepalive_interval", self.keepalive_interval),
            ("keepalive_timeout", self.keepalive_timeout),
        ] {
            if value.is_zero() {
                return Err(GrpcConfigError::new(format!("{key} is zero; give it at least a millisecond")));
            }
        }
        if self.max_message_bytes < MIN_MAX_MESSAGE_BYTES {
            return Err(GrpcConfigError::new(format!(
                "max_message_bytes is {}; it must be at least {MIN_MAX_MESSAGE_BYTES}",
                self.max_message_bytes
            )));
        }
        if let TokenSource::Value(token) = &self.token {
            bearer(token.as_bytes()).map_err(|what| GrpcConfigError::new(format!("the token {what}")))?;
        }
        encoding(self.compression)?;

        let secure = uri.scheme_str() == Some("https");
        let endpoint = Endpoint::from(uri)
            .user_agent(concat!("events-sdk/", env!("CARGO_PKG_VERSION")))
            .map_err(|error| GrpcConfigError::new("the user agent is no header value").because(error))?
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(self.keepalive_interval))
            .http2_keep_alive_interval(self.keepalive_interval)
            .keep_alive_timeout(self.keepalive_timeout)
            .keep_alive_while_idle(self.keepalive_while_idle);
        if secure {
            endpoint.tls_config(self.tls.to_tonic()?.timeout(self.connect_timeout)).map_err(|error| {
                GrpcConfigError::new(format!("TLS for {} cannot be set up", self.endpoint)).because(error)
            })
        } else if self.tls == TlsConfig::default() {
            Ok(endpoint)
        } else {
            Err(GrpcConfigError::new(format!(
                "TLS is configured, but {} is not encrypted; write https://",
                self.endpoint
            )))
        }
    }

    fn uri(&self) -> Result<Uri, GrpcConfigError> {
        let wrong = |what: &str| {
            // A password has no business in a log, so an address that may hold one is not repeated.
            let shown = if self.endpoint.contains('@') { "(not shown)" } else { &self.endpoint };
            GrpcConfigError::new(format!("endpoint {shown:?} {what}; write https://host:port"))
        };
        let uri: Uri = self.endpoint.parse().map_err(|error| wrong("is not a URL").because(error))?;
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("has a user or password in it, which would not be used"));
        }
        match uri.scheme_str() {
            Some("http" | "https") => {}
            Some(_) => return Err(wrong("is neither http nor https")),
            None => return Err(wrong("does not say http:// or https://")),
        }
        if authority.host().is_empty() {
            return Err(wrong("names no host"));
        }
        if self.endpoint.contains('#') {
            return Err(wrong("has a fragment, which gRPC does not use"));
        }
        if uri.path_and_query().is_some_and(|path| path.as_str() != "/") {
            return Err(wrong("has a path, which gRPC does not use"));
        }
        Ok(uri)
    }
}

/// The certificates of an `https` connection.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsConfig {
    /// Trust the certificates in this PEM file, and nobody else. Without it: the system's roots.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate chain, PEM. Goes with `client_key_file`.
    pub client_cert_file: Option<PathBuf>,
    /// The key of the client's certificate, PEM.
    pub client_key_file: Option<PathBuf>,
    /// The name that Toggle's certificate must be for, where it is not the host of the endpoint.
    pub domain_name: Option<String>,
}

impl TlsConfig {
    fn to_tonic(&self) -> Result<ClientTlsConfig, GrpcConfigError> {
        let mut tls = ClientTlsConfig::new();
        tls = match &self.ca_file {
            Some(path) => {
                tls.ca_certificate(Certificate::from_pem(pem(path, "ca_file", "CERTIFICATE-----")?))
            }
            None => tls.with_native_roots(),
        };
        if let Some(name) = &self.domain_name {
            tls = tls.domain_name(name);
        }
        match (&self.client_cert_file, &self.client_key_file) {
            (None, None) => Ok(tls),
            (Some(cert), Some(key)) => Ok(tls.identity(Identity::from_pem(
                pem(cert, "client_cert_file", "CERTIFICATE-----")?,
                pem(key, "client_key_file", "PRIVATE KEY-----")?,
            ))),
            (Some(_), None) => {
                Err(GrpcConfigError::new("client_cert_file is set without client_key_file; set both or none"))
            }
            (None, Some(_)) => {
                Err(GrpcConfigError::new("client_key_file is set without client_cert_file; set both or none"))
            }
        }
    }

    /// What the files look like now, to notice that they were renewed.
    pub(crate) fn stamps(&self) -> [Option<FileStamp>; 3] {
        [&self.ca_file, &self.client_cert_file, &self.client_key_file].map(|path| {
            let metadata = fs::metadata(path.as_deref()?).ok()?;
            Some(FileStamp::of(&metadata))
        })
    }
}

/// Reads a PEM file and looks for what it must hold: rustls takes a file without a certificate for "trust nobody".
fn pem(path: &Path, key: &str, marker: &str) -> Result<Vec<u8>, GrpcConfigError> {
    let bytes = read_bounded(path).map_err(|error| {
        GrpcConfigError::new(format!("{key} {} cannot be read", path.display())).because(error)
    })?;
    if bytes.windows(marker.len()).any(|window| window == marker.as_bytes()) {
        Ok(bytes)
    } else {
        let what = marker.trim_end_matches('-').to_ascii_lowercase();
        Err(GrpcConfigError::new(format!("{key} {} holds no {what} in PEM form", path.display())))
    }
}

/// Reads a file, unless that would have no end: a device, or a pipe to which nobody writes.
fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_PEM_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_PEM_BYTES {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is larger than 8 MiB"));
    }
    Ok(bytes)
}

/// What tonic calls a compression, where it is compiled in.
pub(crate) fn encoding(compression: Compression) -> Result<Option<CompressionEncoding>, GrpcConfigError> {
    match compression {
        Compression::None => Ok(None),
        #[cfg(feature = "gzip")]
        Compression::Gzip => Ok(Some(CompressionEncoding::Gzip)),
        #[cfg(feature = "zstd")]
        Compression::Zstd => Ok(Some(CompressionEncoding::Zstd)),
        #[cfg(not(feature = "gzip"))]
        Compression::Gzip => Err(GrpcConfigError::not_compiled_in("gzip")),
        #[cfg(not(feature = "zstd"))]
        Compression::Zstd => Err(GrpcConfigError::not_compiled_in("zstd")),
    }
}

/// Something in a [`GrpcConfig`] cannot work.
#[derive(Debug)]
pub struct GrpcConfigError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl GrpcConfigError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    #[cfg(not(all(feature = "gzip", feature = "zstd")))]
    fn not_compiled_in(name: &str) -> Self {
        Self::new(format!(
            "compression {name} is not compiled in; build events-sdk with its cargo feature \"{name}\", or choose none"
        ))
    }

    fn because(mut self, cause: impl Error + Send + Sync + 'static) -> Self {
        // The cause belongs in the text: tonic's own says no more than "transport error".
        let mut error: Option<&dyn Error> = Some(&cause);
        while let Some(link) = error {
            let text = link.to_string();
            if text != "transport error" && !self.message.contains(&text) {
                self.message = format!("{}: {text}", self.message);
            }
            error = link.source();
        }
        self.source = Some(Box::new(cause));
        self
    }
}

impl fmt::Display for GrpcConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for GrpcConfigError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}
