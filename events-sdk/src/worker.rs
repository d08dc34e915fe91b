//! The SDK's own thread with its own runtime, so that the program may have any runtime or none.

use std::{io, sync::mpsc, thread};

use tokio::{runtime, sync::oneshot};

/// A thread that runs tasks until it is dropped.
#[derive(Debug)]
pub(crate) struct Worker {
    handle: runtime::Handle,
    thread: thread::ThreadId,
    stop: Option<oneshot::Sender<()>>,
}

impl Worker {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no file descriptors for it.
    pub(crate) fn start() -> io::Result<Self> {
        // Made and dropped on its own thread: a runtime must not be dropped inside another one.
        let (started, start) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("events-delivery".into()).spawn(move || {
            let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(error) => {
                    // Whoever started it waits for this.
                    let _ = started.send(Err(error));
                    return;
                }
            };
            if started.send(Ok(runtime.handle().clone())).is_ok() {
                // Either the word to stop or the end of whoever could have said it.
                let _ = runtime.block_on(stopped);
            }
            runtime.shutdown_background();
        })?;
        let handle = start.recv().unwrap_or_else(|_| Err(io::Error::other("the thread ended at once")))?;
        Ok(Self { handle, thread: thread.thread().id(), stop: Some(stop) })
    }

    /// Where tasks are spawned.
    pub(crate) fn handle(&self) -> &runtime::Handle {
        &self.handle
    }

    /// Whether the caller is that thread: it must not wait for itself.
    pub(crate) fn is_current(&self) -> bool {
        thread::current().id() == self.thread
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
    }
}
