//! Stands in for the handle and the global until the kernel is wired up: remove with this file's line in `lib.rs`.

use crate::{Kind, Level, Metadata, Ticket, wire::Message};

/// The handle.
#[derive(Debug, Default)]
pub struct Events;

impl Events {
    #[doc(hidden)]
    pub fn __emit<P: Message>(
        &self,
        kind: &'static Kind,
        level: Level,
        payload: &P,
        metadata: impl Metadata,
    ) -> Ticket {
        emit(kind, level, payload, metadata)
    }
}

/// What free emitters call.
pub fn emit<P: Message>(_: &'static Kind, _: Level, payload: &P, metadata: impl Metadata) -> Ticket {
    let mut out = Vec::new();
    payload.encode(&mut out);
    metadata.for_each(|_, _| {});
    Ticket::FILTERED
}
