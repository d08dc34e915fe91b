//! `events spool …`: one module for each command.

pub(super) mod accounts;
pub(super) mod cat;
pub(super) mod export;
mod hold;
pub(super) mod ls;
pub(super) mod prune;
pub(super) mod repair;
pub(super) mod requeue;
mod rewrite;
pub(super) mod stats;
pub(super) mod verify;
mod waiting;
