//! The gRPC uplink against the test kit's Toggle, and both against misbehaviour.

mod config;
mod connection;
mod fuzz;
mod peers;
mod tls;

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prost::Message;
use tokio::runtime::{Builder, Runtime};
use uuid::Uuid;

use super::*;
use crate::{
    Compression, TokenSource, proto,
    testing::{Mode, Toggle},
};

/// Longer than anything here takes: only a hanging test meets it.
const LONG: Duration = Duration::from_secs(20);

fn event(number: u64) -> proto::events::Event {
    proto::events::Event {
        event_id: format!("event-{number}"),
        source: "test".to_owned(),
        ..Default::default()
    }
}

fn batch_of(events: &[proto::events::Event]) -> Arc<Batch> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // An `EventBatch` with nothing but events is a run of `events` entries.
    let run = proto::EventBatch { events: events.to_vec(), ..Default::default() }.encode_to_vec();
    let id = Uuid::from_u64_pair(7, NEXT.fetch_add(1, Ordering::Relaxed));
    Arc::new(Batch::new(id, 1_700_000_000_000, run, u32::try_from(events.len()).unwrap()))
}

fn batch(events: u64) -> Arc<Batch> {
    batch_of(&(0..events).map(event).collect::<Vec<_>>())
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn config(toggle: &Toggle) -> GrpcConfig {
    GrpcConfig { timeout: LONG, ..GrpcConfig::new(toggle.endpoint()) }
}

fn uplink(toggle: &Toggle) -> GrpcUplink {
    GrpcUplink::new(config(toggle)).unwrap()
}

/// Sends, and says what it came to.
fn send(runtime: &Runtime, uplink: &GrpcUplink, batch: &Arc<Batch>) -> Result<(), SendError> {
    runtime.block_on(uplink.send(Arc::clone(batch)))
}

fn failure(runtime: &Runtime, uplink: &GrpcUplink, batch: &Arc<Batch>) -> (SendErrorKind, String) {
    let error = send(runtime, uplink, batch).unwrap_err();
    (error.kind(), error.to_string())
}

#[test]
fn a_batch_arrives_as_it_is() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let batch = batch(100);
    send(&runtime, &uplink, &batch).unwrap();

    assert_eq!(toggle.unique_events(), 100);
    assert_eq!(toggle.events(), batch.decode().unwrap().events);
    let received = toggle.batches().remove(0);
    let mut sent = Vec::new();
    batch.encode(&mut sent);
    assert_eq!(received.body(), Some(sent.as_slice()));
    assert_eq!(received.batch_id, batch.id().to_string());
    assert_eq!(received.batch().unwrap().unwrap(), batch.decode().unwrap());
    assert_eq!(received.token, None);
    assert!(received.stored && received.acknowledged && !received.duplicate);
}

#[test]
fn every_mode_has_its_kind_of_failure() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    for (mode, kind, says) in [
        (Mode::Unavailable, SendErrorKind::Unavailable, "UNAVAILABLE: told to be unavailable"),
        (Mode::Unauthenticated, SendErrorKind::Unauthenticated, "no token is configured"),
        (Mode::InvalidArgument, SendErrorKind::Refused, "INVALID_ARGUMENT"),
        (Mode::ResourceExhausted, SendErrorKind::Busy, "RESOURCE_EXHAUSTED"),
        (Mode::SuccessFalse, SendErrorKind::Declined, "success = false: told to"),
        (Mode::DropConnections, SendErrorKind::Unavailable, "onnection"),
    ] {
        toggle.set_mode(mode);
        let (was, text) = failure(&runtime, &uplink, &batch(1));
        assert_eq!(was, kind, "{mode:?}: {text}");
        assert!(text.contains(says) && text.contains(&toggle.endpoint()), "{mode:?}: {text}");
    }
    assert_eq!(toggle.unique_events(), 0);
    assert_eq!(toggle.attempts(), 6);

    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch(2)).unwrap();
    toggle.set_mode(Mode::Slow(Duration::from_millis(20)));
    send(&runtime, &uplink, &batch(3)).unwrap();
    assert_eq!(toggle.unique_events(), 5);
}

#[test]
fn a_batch_that_was_stored_and_then_failed_is_recognised_when_it_comes_again() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let batch = batch(3);
    toggle.set_mode(Mode::StoreThenFail);
    assert_eq!(failure(&runtime, &uplink, &batch).0, SendErrorKind::Unavailable);
    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch).unwrap();

    assert_eq!((toggle.unique_events(), toggle.duplicates(), toggle.duplicate_events()), (3, 1, 3));
    assert_eq!((toggle.altered_repeats(), toggle.repeated_event_ids()), (0, 0));
    let seen = toggle.batches();
    assert!(seen[0].stored && !seen[0].acknowledged);
    assert!(seen[1].duplicate && seen[1].acknowledged && !seen[1].stored);
}

#[test]
fn only_what_was_sent_may_be_stored() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let may_be_stored = || send(&runtime, &uplink, &batch(3)).unwrap_err().may_be_stored();
    toggle.stop();
    assert!(!may_be_stored(), "there is no connection");
    toggle.restart().unwrap();
    for (mode, expected) in [
        (Mode::StoreThenFail, true),
        (Mode::Unavailable, true),
        (Mode::ResourceExhausted, false),
        (Mode::Unauthenticated, false),
    ] {
        toggle.set_mode(mode);
        assert_eq!(may_be_stored(), expected, "{mode:?}");
    }
    // One that breaks off.
    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch(1)).unwrap();
    toggle.set_mode(Mode::DropConnections);
    assert!(may_be_stored());
    assert_eq!(toggle.unique_events(), 4);
}

#[test]
fn a_repeat_with_other_bytes_is_noticed() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let first = batch(2);
    let forged = Arc::new(Batch::new(first.id(), first.timestamp_ms(), batch(1).events().to_vec(), 1));
    send(&runtime, &uplink, &first).unwrap();
    send(&runtime, &uplink, &forged).unwrap();
    // The same events under another id: no batch id gives that away, the events' own ids do.
    send(&runtime, &uplink, &batch(2)).unwrap();
    assert_eq!((toggle.altered_repeats(), toggle.repeated_event_ids()), (1, 2));
}

#[test]
fn one_unwelcome_event_has_the_batch_refused() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    toggle.refuse_when(|event| event.event_id == "event-3");
    let (kind, text) = failure(&runtime, &uplink, &batch(5));
    assert_eq!(kind, SendErrorKind::Refused);
    assert!(text.contains("event 3 of the batch"), "{text}");
    send(&runtime, &uplink, &batch(3)).unwrap();
    toggle.refuse_nothing();
    send(&runtime, &uplink, &batch(5)).unwrap();
    assert_eq!(toggle.unique_events(), 8);
}

#[test]
fn a_toggle_that_only_counts_counts_right() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    toggle.only_count(true);
    let batch = batch(250);
    send(&runtime, &uplink, &batch).unwrap();
    send(&runtime, &uplink, &batch).unwrap();
    assert_eq!((toggle.unique_events(), toggle.duplicate_events()), (250, 250));
    assert_eq!(toggle.events(), []);
    toggle.clear();
    assert_eq!((toggle.unique_events(), toggle.attempts()), (0, 0));
}

#[test]
fn subscribers_see_each_event_once_as_it_arrives() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let arriving = toggle.subscribe();
    drop(toggle.subscribe());
    let batch = batch(3);
    send(&runtime, &uplink, &batch).unwrap();
    send(&runtime, &uplink, &batch).unwrap();
    assert!(toggle.wait_for_events(3, LONG));
    assert!(toggle.wait_for_attempts(2, LONG));
    let ids: Vec<_> = arriving.try_iter().map(|event| event.event_id).collect();
    assert_eq!(ids, ["event-0", "event-1", "event-2"]);
    assert!(!toggle.wait_for_events(4, Duration::from_millis(1)));
}

#[test]
fn a_batch_over_our_limit_is_not_even_sent() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let huge =
        batch_of(&vec![proto::events::Event { source: "x".repeat(1024 * 1024), ..Default::default() }; 4]);
    let (kind, text) = failure(&runtime, &uplink, &huge);
    assert_eq!(kind, SendErrorKind::TooLarge);
    assert!(text.contains("max_message_bytes is 4128768"), "{text}");
    assert_eq!(toggle.attempts(), 0);
}

#[test]
fn a_batch_over_the_limit_of_the_receiver_is_too_large_and_not_refused() {
    let (toggle, runtime) = (Toggle::builder().max_message_bytes(10_000).start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let (kind, text) = failure(&runtime, &uplink, &batch(1000));
    assert_eq!(kind, SendErrorKind::TooLarge, "{text}");
    send(&runtime, &uplink, &batch(10)).unwrap();
}

#[test]
fn the_longest_message_we_send_passes_the_usual_limit_of_receivers() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let room = DEFAULT_MAX_MESSAGE_BYTES - 100;
    let large = batch_of(&[proto::events::Event { source: "x".repeat(room), ..Default::default() }]);
    assert!(large.encoded_len() > DEFAULT_MAX_MESSAGE_BYTES - 100);
    send(&runtime, &uplink, &large).unwrap();
    assert_eq!(toggle.unique_events(), 1);
}

#[test]
fn many_batches_travel_at_once() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = Arc::new(uplink(&toggle));
    runtime.block_on(async {
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..32 {
            let uplink = Arc::clone(&uplink);
            calls.spawn(async move { uplink.send(batch(100)).await });
        }
        while let Some(sent) = calls.join_next().await {
            sent.unwrap().unwrap();
        }
    });
    assert_eq!(toggle.unique_events(), 3200);
}

#[test]
fn a_rotated_token_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "old-token\n").unwrap();
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    toggle.require_token(Some("old-token"));
    let config = GrpcConfig { token: TokenSource::File(file.clone()), ..config(&toggle) };
    let uplink = GrpcUplink::new(config).unwrap();
    send(&runtime, &uplink, &batch(1)).unwrap();

    toggle.require_token(Some("new-token"));
    let (kind, text) = failure(&runtime, &uplink, &batch(1));
    assert_eq!(kind, SendErrorKind::Unauthenticated);
    assert!(text.contains(&file.display().to_string()) && !text.contains("old-token"), "{text}");

    std::fs::write(&file, "new-token\n").unwrap();
    send(&runtime, &uplink, &batch(1)).unwrap();
    let tokens: Vec<_> = toggle.batches().into_iter().filter_map(|call| call.token).collect();
    assert_eq!(tokens, ["old-token", "old-token", "new-token"]);

    std::fs::remove_file(&file).unwrap();
    let (kind, text) = failure(&runtime, &uplink, &batch(1));
    assert_eq!(kind, SendErrorKind::Unauthenticated);
    assert!(text.contains("No such file"), "{text}");
    assert_eq!(toggle.attempts(), 3);
}

#[test]
fn a_node_registers_over_the_same_configuration() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    toggle.require_token(Some("jwt"));
    let config = GrpcConfig { token: TokenSource::Value("jwt".to_owned()), ..config(&toggle) };
    let uplink = GrpcUplink::new(config).unwrap();
    let system = proto::SystemInfo { cpu_usage: 0.5, warnings: vec!["w".to_owned()], ..Default::default() };

    let registration = runtime.block_on(uplink.register(system.clone())).unwrap();
    assert_eq!(registration.domain, "node.toggle.test");
    assert_eq!(registration.private_key, "private key");
    assert_eq!(toggle.registrations(), [system]);
    send(&runtime, &uplink, &batch(1)).unwrap();

    toggle.answer_registration(proto::RegisterResponse {
        message: "unknown organisation".to_owned(),
        ..Default::default()
    });
    let error = runtime.block_on(uplink.register(proto::SystemInfo::default())).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Declined);
    assert!(error.to_string().contains("Register to http"), "{error}");
    assert!(error.to_string().contains("unknown organisation"), "{error}");
}

#[cfg(any(feature = "gzip", feature = "zstd"))]
#[test]
fn compressed_batches_arrive_whole_and_smaller() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    for (compression, name) in [
        #[cfg(feature = "gzip")]
        (Compression::Gzip, "gzip"),
        #[cfg(feature = "zstd")]
        (Compression::Zstd, "zstd"),
    ] {
        toggle.clear();
        let uplink = GrpcUplink::new(GrpcConfig { compression, ..config(&toggle) }).unwrap();
        let batch = batch(500);
        send(&runtime, &uplink, &batch).unwrap();
        assert_eq!(toggle.events(), batch.decode().unwrap().events);
        let received = toggle.batches().remove(0);
        assert_eq!(received.compression.as_deref(), Some(name));
        assert_eq!(received.bytes, batch.encoded_len());
    }
}
