//! Personal data on the wire, kept, hashed and left out: what Toggle gets, as prost reads it.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use events_sdk::{Config, ErrorKind, Events, Level, Pii, ToggleConfig, testing::Toggle};
use events_tests::Rig;
use generated::{
    EmitExt as _,
    payload::{DemoPeopleContact as Contact, DemoPeoplePayload, DemoPlainPayload, Person, Sex},
    proto::personal::{
        Batch, DemoPeoplePayload as People, Event, Person as WirePerson, demo_event::EventType,
        demo_people_payload::Contact as WireContact, event::EventPayload,
    },
};
use prost::Message as _;

/// The schema with personal data everywhere.
#[allow(missing_docs, reason = "the schema says nothing of its fields")]
pub mod generated {
    include!(concat!(env!("OUT_DIR"), "/personal_events.rs"));
}

const PATIENCE: Duration = Duration::from_secs(20);

/// What every personal text and every personal byte string has in it, and nothing else.
const NEEDLE: &str = "ann";

const BOSS: Person<'_> = Person { role: "boss", name: "joann", boss: None };
const PERSON: Person<'_> = Person { role: "clerk", name: "anna", boss: Some(&BOSS) };

fn people<'a>(contact: Contact<'a>) -> DemoPeoplePayload<'a> {
    use events_sdk::well_known::{Struct, Timestamp, Value};
    DemoPeoplePayload {
        maybe: Some("anna"),
        blob: b"annals",
        many: &["anna", "", "hannes"],
        numbers: &[1, 2],
        number: 1.5,
        choice: Some(Sex::Female),
        person: Some(PERSON),
        friends: &[PERSON, BOSS],
        whole: Some(PERSON),
        texts: &[("anna", "manna")],
        counts: &[("anna", 7)],
        by_number: &[(4, "anna")],
        by_role: &[("first", PERSON)],
        contact: Some(contact),
        wrapped: Some("anna"),
        born: Some(Timestamp { seconds: 1, nanos: 2 }),
        details: Some(Struct(&[("anna", Value::Null)])),
        cut: "annnnnnnnnnnna",
        public: "public",
        ..DemoPeoplePayload::new(7, "anna")
    }
}

fn contacts() -> [Contact<'static>; 4] {
    [Contact::Email("anna"), Contact::Phone(42), Contact::Proxy(PERSON), Contact::Desk("3b")]
}

/// What arrives of the payloads when the configuration says `pii`, and the bytes in which it did.
fn sent(pii: Pii, key: &Path, payloads: &[DemoPeoplePayload<'_>]) -> (Vec<People>, Vec<u8>) {
    let rig = Rig::with(|config| (config.pii, config.pii_key_file) = (pii, key.to_owned()));
    for payload in payloads {
        assert!(rig.events.emit_demo_people(Level::Info, *payload, ()).is_queued());
    }
    assert!(rig.toggle.wait_for_events(payloads.len(), PATIENCE), "{:#?}", rig.events.stats());
    let (events, bytes) = arrived(&rig);
    let people = events.into_iter().filter_map(|event| {
        let EventPayload::DemoEvent(event) = event.event_payload?;
        match event.event_type? {
            EventType::People(people) => Some(people),
            EventType::Plain(_) => None,
        }
    });
    (people.collect(), bytes)
}

/// The events that arrived, in the order of their ids, and the bytes in which they did.
fn arrived(rig: &Rig) -> (Vec<Event>, Vec<u8>) {
    let bytes: Vec<u8> =
        rig.toggle.batches().iter().filter_map(|batch| batch.body().map(<[u8]>::to_vec)).flatten().collect();
    // A message is a run of fields: of several, read as one, the repeated ones add up.
    let mut events = Batch::decode(bytes.as_slice()).unwrap().events;
    events.sort_by(|one, other| one.event_id.cmp(&other.event_id));
    (events, bytes)
}

fn has_needle(bytes: &[u8]) -> bool {
    bytes.windows(NEEDLE.len()).any(|window| window == NEEDLE.as_bytes())
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix("pii:").unwrap_or_default();
    digits.len() == 32 && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
}

#[test]
fn kept_data_arrives_as_it_is_and_needs_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pii.key");
    let payloads = contacts().map(people);
    let (arrived, bytes) = sent(Pii::Keep, &key, &payloads);
    assert_eq!(arrived, payloads.map(People::from));
    assert!(has_needle(&bytes) && !key.exists());
}

#[test]
fn dropped_data_is_not_on_the_wire_and_everything_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let (arrived, bytes) = sent(Pii::Drop, &folder.path().join("pii.key"), &contacts().map(people));
    assert!(!has_needle(&bytes));
    let boss = WirePerson { role: "boss".to_owned(), ..WirePerson::default() };
    let person =
        WirePerson { role: "clerk".to_owned(), boss: Some(Box::new(boss.clone())), ..WirePerson::default() };
    let expected = |contact| People {
        id: 7,
        person: Some(person.clone()),
        friends: vec![person.clone(), boss.clone()],
        by_role: [("first".to_owned(), person.clone())].into(),
        contact,
        public: "public".to_owned(),
        ..People::default()
    };
    let desk = WireContact::Desk("3b".to_owned());
    let contacts = [None, None, Some(WireContact::Proxy(person.clone())), Some(desk)];
    assert_eq!(arrived, contacts.map(expected));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "there is no key without hashes");
}

#[test]
fn hashed_data_is_the_same_for_the_same_value_wherever_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("pii.key");
    let (arrived, bytes) = sent(Pii::Hash, &key, &contacts().map(people));
    assert!(!has_needle(&bytes));
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o7777, 0o600);

    let anna = arrived[0].text.clone();
    let joann = arrived[0].person.as_ref().unwrap().boss.as_ref().unwrap().name.clone();
    let [hannes, manna, cut] =
        [&arrived[0].many[2], &arrived[0].texts[&anna], &arrived[0].cut].map(Clone::clone);
    let all = [&anna, &joann, &hannes, &manna, &cut];
    assert!(all.iter().all(|one| is_hash(one)), "{all:?}");
    assert!((1..all.len()).all(|at| !all[..at].contains(&all[at])), "other values, other hashes: {all:?}");

    let boss = WirePerson { role: "boss".to_owned(), name: joann, boss: None };
    let person =
        WirePerson { role: "clerk".to_owned(), name: anna.clone(), boss: Some(Box::new(boss.clone())) };
    let blob = arrived[0].blob.clone();
    assert_eq!(blob.len(), 16);
    let expected = |contact| People {
        id: 7,
        text: anna.clone(),
        maybe: Some(anna.clone()),
        blob: blob.clone(),
        many: vec![anna.clone(), String::new(), hannes.clone()],
        person: Some(person.clone()),
        friends: vec![person.clone(), boss.clone()],
        texts: [(anna.clone(), manna.clone())].into(),
        counts: [(anna.clone(), 0)].into(),
        by_role: [("first".to_owned(), person.clone())].into(),
        contact,
        wrapped: Some(anna.clone()),
        cut: cut.clone(),
        public: "public".to_owned(),
        ..People::default()
    };
    let [email, proxy, desk] = [
        WireContact::Email(anna.clone()),
        WireContact::Proxy(person.clone()),
        WireContact::Desk("3b".to_owned()),
    ];
    assert_eq!(arrived, [Some(email), None, Some(proxy), Some(desk)].map(expected));

    // After a restart the node says the same, and another node does not.
    let payload = people(Contact::Email("anna"));
    let (again, _) = sent(Pii::Hash, &key, &[payload]);
    assert_eq!(again[0], arrived[0]);
    let (elsewhere, _) = sent(Pii::Hash, &folder.path().join("other.key"), &[payload]);
    assert!(is_hash(&elsewhere[0].text) && elsewhere[0].text != anna && elsewhere[0].blob != blob);
}

#[test]
fn a_payload_with_nothing_personal_in_it_is_sent_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    for pii in Pii::ALL {
        let rig =
            Rig::with(|config| (config.pii, config.pii_key_file) = (*pii, folder.path().join("pii.key")));
        let empty = DemoPeoplePayload::new(0, "");
        assert!(rig.events.emit_demo_people(Level::Info, empty, [("key", "value")]).is_queued());
        assert!(rig.events.emit_demo_plain(Level::Info, DemoPlainPayload { name: "anna" }, ()).is_queued());
        assert!(rig.toggle.wait_for_events(2, PATIENCE), "{:#?}", rig.events.stats());
        let (events, _) = arrived(&rig);
        assert!(events.iter().any(|event| event.metadata.get("key").is_some_and(|value| value == "value")));
    }
}

#[test]
fn hashes_without_a_key_are_an_error_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let toggle = Toggle::start().unwrap();
    let start = |key: &Path| {
        let error = Events::start(Config {
            spool_dir: folder.path().join("events"),
            pii: Pii::Hash,
            pii_key_file: key.to_owned(),
            toggle: ToggleConfig { endpoint: Some(toggle.endpoint()), ..ToggleConfig::default() },
            ..Config::default()
        })
        .expect_err("there is no key");
        assert_eq!(error.kind(), ErrorKind::PiiKey);
        assert!(!folder.path().join("events").exists(), "nothing was begun");
        error.to_string()
    };
    let nowhere = folder.path().join("missing").join("pii.key");
    assert!(start(&nowhere).contains("cannot be made"), "{}", start(&nowhere));
    let garbled = folder.path().join("garbled");
    fs::write(&garbled, "hunter2").unwrap();
    fs::set_permissions(&garbled, fs::Permissions::from_mode(0o600)).unwrap();
    let text = start(&garbled);
    assert!(text.contains("64 hexadecimal digits") && !text.contains("hunter2"), "{text}");
    fs::set_permissions(&garbled, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(start(&garbled).contains("chmod 600"));
}

#[test]
fn the_kinds_of_the_sdk_are_treated_as_well() {
    use events_sdk::payload::{IdentityUserOperation, IdentityUserPayload};
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::with(|config| {
        (config.pii, config.pii_key_file) = (Pii::Hash, folder.path().join("pii.key"));
    });
    let payload = IdentityUserPayload {
        email: "anna@example.org",
        ..IdentityUserPayload::new(IdentityUserOperation::Created)
    };
    assert!(rig.events.emit_identity_user(Level::Info, payload, ()).is_queued());
    assert!(rig.toggle.wait_for_events(1, PATIENCE), "{:#?}", rig.events.stats());
    let shown: Vec<u8> = rig.toggle.events()[0].encode_to_vec();
    assert!(!has_needle(&shown) && shown.windows(4).any(|window| window == b"pii:"));
}

#[test]
fn metadata_that_smells_of_a_secret_is_masked_and_counted() {
    let rig = Rig::start();
    let pairs =
        [("component", "zfs"), ("userPassword", "hunter2"), ("x-api-key", "hunter2"), ("tokenizer", "t")];
    assert!(rig.events.emit_demo_plain(Level::Info, DemoPlainPayload::default(), pairs).is_queued());
    assert!(rig.toggle.wait_for_events(1, PATIENCE), "{:#?}", rig.events.stats());
    let metadata = &arrived(&rig).0[0].metadata;
    let of = |key| metadata[key].as_str();
    assert_eq!([of("component"), of("tokenizer")], ["zfs", "t"]);
    assert_eq!([of("userPassword"), of("x-api-key")], ["***", "***"]);
    assert_eq!(rig.events.stats().masked_metadata, 2);
}

#[test]
fn a_text_that_is_cut_is_counted() {
    let rig = Rig::start();
    let before = rig.events.stats().texts_cut;
    let payload = DemoPeoplePayload { cut: "longer than eight", ..DemoPeoplePayload::new(1, "") };
    assert!(rig.events.emit_demo_people(Level::Info, payload, ()).is_queued());
    // Other tests of this process cut as well.
    assert!(rig.events.stats().texts_cut > before);
}
