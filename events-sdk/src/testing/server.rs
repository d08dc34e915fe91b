//! The thread that a test Toggle serves from, and the port it keeps.
//!
//! Each run has a thread and a runtime of its own; to stop is to drop that runtime, which closes the listener and every
//! connection at once, in the middle of calls, as the death of a process would.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::{self, JoinHandle},
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpSocket},
    runtime::{Builder, Runtime},
    sync::oneshot,
};
use tokio_stream::StreamExt;
use tonic::transport::{
    Server,
    server::{ServerTlsConfig, TcpIncoming},
};

use super::{
    service::{RodentService, State},
    socket::Socket,
};

/// How often binding a port again is tried. Together with the pause a second: what closes the old listener is done
/// before that, so a port that stays taken is somebody else's.
const BIND_ATTEMPTS: u32 = 50;

/// The pause between two attempts to bind.
const BIND_PAUSE: Duration = Duration::from_millis(20);

/// HTTP/2 flow control windows: a message of the usual limit passes without waiting for the reader.
const WINDOW_BYTES: u32 = 4 * 1024 * 1024;

/// A server that runs.
pub(super) struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Serves on this listener until stopped.
    pub(super) fn start(
        listener: StdListener,
        state: Arc<State>,
        tls: Option<ServerTlsConfig>,
    ) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let mut server = Server::builder()
            .initial_stream_window_size(WINDOW_BYTES)
            .initial_connection_window_size(WINDOW_BYTES);
        if let Some(tls) = tls {
            server = server.tls_config(tls).map_err(io::Error::other)?;
        }
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("test-toggle".to_owned()).spawn(move || {
            serve(&runtime, server, listener, state, stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self { stop, thread })
    }

    /// Closes the listener and all connections, and returns when they are closed.
    pub(super) fn stop(self) {
        // Either end may be gone already, and then there is nothing to stop.
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

fn serve(
    runtime: &Runtime,
    server: Server,
    listener: StdListener,
    state: Arc<State>,
    stopped: oneshot::Receiver<()>,
) {
    runtime.block_on(async move {
        let listener = match TcpListener::from_std(listener) {
            Ok(listener) => listener,
            Err(error) => {
                tracing::error!(%error, "the test Toggle cannot listen");
                return;
            }
        };
        // Nagle's algorithm would be measured instead of the sender; tonic applies its own setting only to listeners
        // that it binds itself.
        let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
        let sockets = incoming.map(|stream| stream.map(Socket::new));
        tokio::select! {
            _ = stopped => {}
            ended = server.serve_with_incoming(RodentService(state), sockets) => {
                if let Err(error) = ended {
                    tracing::error!(%error, "the test Toggle has stopped");
                }
            }
        }
    });
}

/// Listens on a free port of the loopback, or on this one again.
pub(super) fn listen(port: u16) -> io::Result<StdListener> {
    // The standard library sets SO_REUSEADDR where connections of the run before would keep the port taken.
    again(|| StdListener::bind(loopback(port)))
}

/// Keeps a port while nobody listens on it: connecting to it is refused, and neither another server nor the kernel,
/// choosing a port for some connection, can take it in the meantime.
pub(super) fn hold(port: u16) -> io::Result<TcpSocket> {
    again(|| {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind(loopback(port))?;
        Ok(socket)
    })
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn again<T>(mut bind: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    let mut attempt = 1;
    loop {
        match bind() {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && attempt < BIND_ATTEMPTS => {
                attempt += 1;
                thread::sleep(BIND_PAUSE);
            }
            result => return result,
        }
    }
}
