//! Connections that end, hang, and come back.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    pin::pin,
    task::{Context, Poll, Waker},
    thread,
};

use super::*;

/// An attempt in these tests that is meant to run out of time.
const SHORT: Duration = Duration::from_millis(150);

#[test]
fn the_connection_comes_back_with_the_server() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    for round in 1..=3 {
        send(&runtime, &uplink, &batch(10)).unwrap();
        toggle.stop();
        let (kind, text) = failure(&runtime, &uplink, &batch(10));
        assert_eq!(kind, SendErrorKind::Unavailable, "{text}");
        let (kind, text) = failure(&runtime, &uplink, &batch(10));
        assert_eq!(kind, SendErrorKind::Unavailable, "{text}");
        assert!(text.contains("onnection refused"), "the cause is hidden: {text}");
        toggle.restart().unwrap();
        send(&runtime, &uplink, &batch(10)).unwrap();
        assert_eq!(toggle.unique_events(), round * 20);
    }
}

#[test]
fn stop_breaks_off_what_is_under_way() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    toggle.set_mode(Mode::Hang);
    let sent = thread::scope(|scope| {
        scope.spawn(|| {
            assert!(toggle.wait_for_attempts(1, LONG));
            toggle.stop();
        });
        send(&runtime, &uplink, &batch(1))
    });
    assert_eq!(sent.unwrap_err().kind(), SendErrorKind::Unavailable);
    // Twice is once, and a dropped Toggle that is stopped has nothing left to stop.
    toggle.stop();
    toggle.restart().unwrap();
    toggle.restart().unwrap();
    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch(1)).unwrap();
    toggle.stop();
}

#[test]
fn a_server_that_hangs_meets_the_deadline() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = GrpcUplink::new(GrpcConfig { timeout: SHORT, ..config(&toggle) }).unwrap();
    toggle.set_mode(Mode::Hang);
    for _ in 0..4 {
        let (kind, text) = failure(&runtime, &uplink, &batch(1));
        assert_eq!(kind, SendErrorKind::Unavailable);
        assert!(text.contains("no answer within 150ms"), "{text}");
    }
    toggle.set_mode(Mode::Ok);
    let patient = GrpcUplink::new(config(&toggle)).unwrap();
    let taken = batch(1);
    send(&runtime, &patient, &taken).unwrap();
    // A batch that was given up on its way may still arrive, and find a Toggle that no longer hangs.
    let id = taken.id().to_string();
    let stored = toggle.batches().iter().filter(|batch| batch.stored && batch.batch_id == id).count();
    assert_eq!((stored, toggle.duplicates()), (1, 0));
}

#[test]
fn a_connection_on_which_nothing_comes_back_is_left_for_a_new_one() {
    // Connections to it are made by the kernel, and nothing is ever said on them.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    silent.set_nonblocking(true).unwrap();
    let endpoint = format!("http://{}", silent.local_addr().unwrap());
    let uplink = GrpcUplink::new(GrpcConfig { timeout: SHORT, ..GrpcConfig::new(endpoint) }).unwrap();
    let runtime = runtime();
    for _ in 0..4 {
        let (kind, text) = failure(&runtime, &uplink, &batch(1));
        assert_eq!(kind, SendErrorKind::Unavailable);
        assert!(text.contains("no answer within"), "{text}");
    }
    let mut connections = Vec::new();
    while let Ok((connection, _)) = silent.accept() {
        connections.push(connection);
    }
    assert_eq!(connections.len(), 2);
}

#[test]
fn dropped_connections_are_replaced_call_by_call() {
    let (toggle, runtime) = (Toggle::start().unwrap(), runtime());
    let uplink = uplink(&toggle);
    let batch = batch(4);
    toggle.set_mode(Mode::DropConnections);
    for _ in 0..3 {
        assert_eq!(failure(&runtime, &uplink, &batch).0, SendErrorKind::Unavailable);
    }
    toggle.set_mode(Mode::Ok);
    send(&runtime, &uplink, &batch).unwrap();
    assert_eq!((toggle.attempts(), toggle.unique_events(), toggle.duplicates()), (4, 4, 0));
}

#[test]
fn a_runtime_that_is_gone_takes_no_uplink_with_it() {
    let toggle = Toggle::start().unwrap();
    let uplink = uplink(&toggle);
    for _ in 0..3 {
        send(&runtime(), &uplink, &batch(1)).unwrap();
    }
    assert_eq!(toggle.unique_events(), 3);
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_panic() {
    let uplink = GrpcUplink::new(GrpcConfig::new("http://127.0.0.1:1")).unwrap();
    let mut sending = pin!(uplink.send(batch(1)));
    match sending.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(Err(error)) => assert!(error.to_string().contains("tokio runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_test_toggle_keeps_its_port_while_it_is_stopped() {
    let toggle = Toggle::start().unwrap();
    let port: u16 = toggle.endpoint().rsplit(':').next().unwrap().parse().unwrap();
    toggle.stop();
    let others: Vec<_> = (0..200).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    assert!(others.iter().all(|other| other.local_addr().unwrap().port() != port));
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    toggle.restart().unwrap();
    assert!(toggle.endpoint().ends_with(&port.to_string()));
}

/// Speaks as much HTTP/2 as it takes to break a call off, once it has the whole batch, with `ENHANCE_YOUR_CALM`.
fn calms_down(listener: &TcpListener, bytes: usize) {
    let (mut stream, _) = listener.accept().unwrap();
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    stream.write_all(&settings).unwrap();
    let (mut read, mut some) = (0, [0; 4096]);
    while read < bytes {
        read += match stream.read(&mut some).unwrap() {
            0 => return,
            length => length,
        };
    }
    let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 0x0B];
    stream.write_all(&reset).unwrap();
    // Until the other side is gone.
    while stream.read(&mut some).is_ok_and(|length| length > 0) {}
}

#[test]
fn a_call_that_a_server_breaks_off_may_be_stored_though_it_asks_for_less() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let batch = batch(500);
    let bytes = batch.events().len();
    let server = thread::spawn(move || calms_down(&listener, bytes));
    let runtime = runtime();
    let uplink = GrpcUplink::new(GrpcConfig { timeout: LONG, ..GrpcConfig::new(endpoint) }).unwrap();
    let error = send(&runtime, &uplink, &batch).unwrap_err();
    assert_eq!((error.kind(), error.may_be_stored()), (SendErrorKind::Busy, true), "{error}");
    drop((uplink, runtime));
    server.join().unwrap();
}
