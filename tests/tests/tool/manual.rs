//! What the command says of itself.

use std::fs;

use tempfile::TempDir;

use super::events;

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = TempDir::new().unwrap();
    assert_eq!(events(&["man", dir.path().to_str().unwrap()]).code, 0);
    for page in ["events.1", "events-emit.1", "events-spool.1", "events-spool-grep.1", "events-spool-prune.1"]
    {
        let text =
            fs::read_to_string(dir.path().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".TH"), "{page}");
    }
    for page in fs::read_dir(dir.path()).unwrap().map(|page| page.unwrap().path()) {
        let text = fs::read_to_string(&page).unwrap();
        assert!(text.contains("Exit code"), "{}", page.display());
    }
    let cat = fs::read_to_string(dir.path().join("events-spool-cat.1")).unwrap();
    for value in ["possible values", "essential", "data_transfer"] {
        assert!(cat.contains(value), "{value}: {cat}");
    }
    let main = events(&["man"]);
    assert_eq!(main.code, 0);
    for text in
        ["Exit codes: 0 done; 1 verify", "4 an agent", "rodent.yml", "RODENT_EVENTS_SPOOL_DIR", "NO_COLOR"]
    {
        assert!(main.out.contains(text), "{text}: {}", main.out);
    }
}

#[test]
fn completions_come_for_every_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let script = events(&["completions", shell]);
        assert!(script.code == 0 && script.out.contains("requeue"), "{shell}");
    }
}

#[test]
fn help_goes_to_standard_output_and_a_wrong_command_is_exit_code_2() {
    let help = events(&["--help"]);
    assert!(help.code == 0 && help.out.contains("Usage: events "), "{help:?}");
    let help = events(&["spool", "grep", "--help"]);
    assert!(help.out.contains("Only where --field is given it may be left out"), "{help:?}");
    assert!(help.out.contains("Exit codes: 0 done"), "{help:?}");
    let wrong = events(&["spool", "list"]);
    assert!(wrong.code == 2 && wrong.out.is_empty() && !wrong.err.is_empty(), "{wrong:?}");
    assert_eq!(events(&["--version"]).out, format!("events {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn kinds_lists_what_can_be_emitted_with_which_fields() {
    let kinds = events(&["kinds", "--json"]).json();
    assert_eq!(kinds.len(), events_sdk::kinds::ALL.len());
    let fields = events(&["kinds", "storage.pool", "--json"]).json();
    let operation = fields.iter().find(|field| field["field"] == "operation").expect("the operation");
    assert_eq!(operation["required"], true);
    assert!(operation["values"].as_str().unwrap().starts_with("CREATED, "), "{operation}");
}
