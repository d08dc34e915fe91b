//! The fault table, small. `cargo run --release -p events-tests --bin faults` runs it at full length.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test's helpers fail the test, and say what they saw"
)]

use events_tests::faults::{ROWS, Scale, Verdict, row};

fn shows(name: &str) {
    let row = row(name).expect("a row");
    let scale = Scale { quick: true, program: env!("CARGO_BIN_EXE_faults").into() };
    let outcome = row.run(&scale);
    println!("{name}: {}", outcome.remarks());
    assert!(outcome.verdict() != Verdict::Failed, "{}: {outcome:#?}", row.about);
}

macro_rules! rows {
    ($($test:ident: $name:literal;)*) => {
        $(#[test]
        fn $test() {
            shows($name);
        })*

        #[test]
        fn every_row_of_the_table_is_a_test() {
            let names: Vec<_> = ROWS.iter().map(|row| row.name).collect();
            assert_eq!(names, [$($name),*]);
        }
    };
}

rows! {
    toggle_is_down_from_the_start: "toggle-down";
    toggle_is_killed_for_a_while: "toggle-killed";
    toggle_answers_unavailable: "unavailable";
    toggle_answers_success_false: "success-false";
    toggle_stores_and_then_fails_and_repeats_carry_the_same_batch_id: "store-then-fail";
    toggle_hangs: "hang";
    toggle_drops_connections: "drop-connections";
    toggle_does_not_accept_the_token_for_a_while: "token-refused";
    the_token_expires_until_a_new_file_comes: "token-expires";
    one_event_in_each_thousand_is_refused: "poison";
    a_trickle_of_events_through_an_outage: "long-outage";
    what_a_shutdown_left_on_disk_is_delivered_by_the_next_start: "restart";
    the_disk_is_full: "disk-full";
    the_spool_cannot_be_written: "spool-unwritable";
    the_spool_directory_is_removed: "spool-removed";
    a_file_lies_in_the_place_of_the_spool: "spool-replaced";
    the_clock_steps_back_an_hour: "clock-back";
    processes_are_terminated_at_random_moments: "sigterm";
    processes_are_killed_at_random_moments_and_lose_nothing: "sigkill-process";
    processes_that_sync_are_killed_at_random_moments_and_lose_nothing: "sigkill-power";
    processes_without_durability_are_killed_and_nothing_comes_twice: "sigkill-memory";
    spill_files_with_random_damage_give_up_only_damaged_events: "damage";
    a_backlog_in_full_files_is_drained_in_little_memory: "backlog";
    a_backlog_in_files_of_one_batch_is_drained_in_little_memory: "backlog-batches";
    a_backlog_in_files_without_a_seal_is_drained_in_little_memory: "backlog-plain";
}
