//! A TCP connection that can be cut from inside a call.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};
use tonic::transport::server::Connected;

/// Cuts the connection it belongs to. Travels with each request, as tonic's connection info.
#[derive(Debug, Clone, Default)]
pub(super) struct Cut(Arc<Wire>);

#[derive(Debug, Default)]
struct Wire {
    cut: AtomicBool,
    reader: Mutex<Option<Waker>>,
}

impl Cut {
    /// The next thing the server reads is a reset, upon which it closes the socket.
    pub(super) fn cut(&self) {
        self.0.cut.store(true, Ordering::SeqCst);
        if let Some(reader) = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner).take() {
            reader.wake();
        }
    }

    /// Whether it is cut; if not, `context` is woken when it is.
    fn is_cut(&self, context: &Context<'_>) -> bool {
        let mut reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if !reader.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *reader = Some(context.waker().clone());
        }
        self.0.cut.load(Ordering::SeqCst)
    }
}

/// The server's end of a connection.
#[derive(Debug)]
pub(super) struct Socket {
    stream: TcpStream,
    cut: Cut,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, cut: Cut::default() }
    }
}

impl Connected for Socket {
    type ConnectInfo = Cut;

    fn connect_info(&self) -> Cut {
        self.cut.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.cut.is_cut(context) {
            // Closed without a farewell: the peer gets RST instead of FIN. If the option cannot be set it gets FIN,
            // which is a dropped connection too.
            drop(self.stream.set_zero_linger());
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.cut.0.cut.load(Ordering::SeqCst) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
