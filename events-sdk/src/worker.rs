//! The SDK's own thread with its own runtime, so that the program may have any runtime or none.

use std::{cell::Cell, io, sync::mpsc, thread};

use tokio::{runtime, sync::mpsc as tokio_mpsc};

thread_local! {
    static OWN: Cell<bool> = const { Cell::new(false) };
}

/// The calling thread is one of the SDK's own.
pub(crate) fn own() {
    OWN.set(true);
}

/// Whether the calling thread is one of the SDK's own, which runs code of the program's here and there, a subscriber of the log
/// for one: what it waits for may be its own work.
pub(crate) fn is_own() -> bool {
    // While a thread is being torn down nobody knows.
    OWN.try_with(Cell::get).unwrap_or(true)
}

/// A thread that runs tasks until it is dropped, and until those are done that hold a [`Lease`].
#[derive(Debug)]
pub(crate) struct Worker {
    handle: runtime::Handle,
    thread: thread::ThreadId,
    lease: Lease,
}

/// As long as one is there the thread goes on.
#[derive(Debug, Clone)]
pub(crate) struct Lease(#[allow(dead_code, reason = "held, not read")] tokio_mpsc::Sender<()>);

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no file descriptors for it.
    pub(crate) fn start() -> io::Result<Self> {
        // Made and dropped on its own thread: a runtime must not be dropped inside another one.
        let (started, start) = mpsc::channel();
        let (lease, mut leases) = tokio_mpsc::channel(1);
        let thread = thread::Builder::new().name("events-delivery".into()).spawn(move || {
            own();
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // Whoever started it waits for this.
                    let _ = started.send(Err(error));
                    return;
                }
            };
            if started.send(Ok(runtime.handle().clone())).is_ok() {
                // Nothing is ever said: it is over when nobody is left who could.
                let _ = runtime.block_on(leases.recv());
            }
            runtime.shutdown_background();
        })?;
        let handle = start.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
        Ok(Self { handle, thread: thread.thread().id(), lease: Lease(lease) })
    }

    /// Where tasks are spawned.
    pub(crate) fn handle(&self) -> &runtime::Handle {
        &self.handle
    }

    /// For a task that is to be done when the worker is dropped.
    pub(crate) fn lease(&self) -> Lease {
        self.lease.clone()
    }

    /// Whether the caller is that thread: it must not wait for itself.
    pub(crate) fn is_current(&self) -> bool {
        thread::current().id() == self.thread
    }
}
