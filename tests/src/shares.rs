//! A test that goes through a long list and waits a lot, in several processes at a time: what it breaks is broken for a whole process,
//! so threads would not do.

use std::{
    env,
    process::{Command, Stdio},
};

/// Says to a process which share is its own, as `0/4`.
const SHARE: &str = "EVENTS_TEST_SHARE";

/// Two for each processor that tests can count on.
const SHARES: usize = 4;

/// What of the list this process is to go through. In the process of the test that is nothing: it starts one for each share, which runs
/// this `test` alone, and waits until they are done.
///
/// # Panics
///
/// When one of them fails, with what it said.
pub fn share_of<T>(all: Vec<T>, test: &str) -> Vec<T> {
    if let Ok(share) = env::var(SHARE) {
        let (own, of) = share.split_once('/').expect("a share");
        let (own, of): (usize, usize) = (own.parse().expect("a number"), of.parse().expect("a number"));
        return all.into_iter().skip(own).step_by(of).collect();
    }
    let program = env::current_exe().expect("the path of this test");
    let run = |share| {
        Command::new(&program)
            .args([test, "--exact", "--nocapture"])
            .env(SHARE, format!("{share}/{SHARES}"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the test itself")
    };
    let shares: Vec<_> = (0..SHARES).map(run).collect();
    let ended: Vec<_> = shares.into_iter().map(|share| share.wait_with_output().expect("its end")).collect();
    for output in ended {
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        // A name that fits no test is a test that passes.
        assert!(output.status.success() && said.contains("1 passed"), "{test}: {said}");
    }
    Vec::new()
}
