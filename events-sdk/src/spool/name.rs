//! The names of spill files: which are ours to read, in which order, and which identity each one gives.

use std::{
    cmp::Ordering,
    ffi::{OsStr, OsString},
    fmt,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use uuid::Uuid;

/// The ending of a spill file.
const ENDING: &str = ".pb";

/// The ending of a file that waits to take the place of another one.
const REPLACEMENT: &str = ".thinned";

/// The longest name that file systems take, in bytes.
const LONGEST: usize = 255;

/// The length of a UUID in its usual spelling.
const UUID_LEN: usize = 36;

/// The namespace of identities for files that are not named by a UUID: `id = UUIDv5(NAMESPACE, file name)`.
const NAMESPACE: Uuid = Uuid::from_u128(0x8d3c_6f0e_52a9_4b7e_9c41_f20b_7a65_13d8);

/// The name of a spill file in the spool directory: one part of a path, ending in `.pb`, not hidden.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FileName(Form);

/// A backlog may be a hundred thousand files, all but a few of which are named by a UUID: those are kept as such.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Form {
    /// A UUID in its usual spelling.
    Uuid(Uuid),
    /// Any other.
    Text(Box<OsStr>),
}

impl FileName {
    /// The name under which a file of this identity is written.
    pub(crate) fn of(id: Uuid) -> Self {
        Self(Form::Uuid(id))
    }

    /// `None` unless it is the name of a spill file. What passes can be joined to a directory and stays in it.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        let bytes = name.as_encoded_bytes();
        let is_one_part = Path::new(name).file_name() == Some(name);
        let is_ours = is_one_part && bytes.ends_with(ENDING.as_bytes()) && !bytes.starts_with(b".");
        is_ours.then(|| Self(uuid_of(name).map_or_else(|| Form::Text(name.into()), Form::Uuid)))
    }

    /// The name as the file system has it.
    pub(crate) fn to_os_string(&self) -> OsString {
        match &self.0 {
            Form::Uuid(id) => format!("{id}{ENDING}").into(),
            Form::Text(text) => text.to_os_string(),
        }
    }

    /// The identity that the file gives to what it holds.
    ///
    /// Only the usual spelling of a UUID counts as one. Two spellings of one UUID are two files, and two files must
    /// never share an identity: Toggle would take the second for a repeat of the first.
    pub(crate) fn id(&self) -> Uuid {
        match &self.0 {
            Form::Uuid(id) => *id,
            Form::Text(text) => Uuid::new_v5(&NAMESPACE, text.as_encoded_bytes()),
        }
    }

    /// When the file was begun according to its name, in milliseconds since the Unix epoch, if it is named by a UUIDv7.
    pub(super) fn time_ms(&self) -> Option<i64> {
        match &self.0 {
            Form::Uuid(id) if id.get_version_num() == 7 => i64::try_from(id.as_u128() >> 80).ok(),
            _ => None,
        }
    }
}

/// The UUID of a name that is one in its usual spelling.
fn uuid_of(name: &OsStr) -> Option<Uuid> {
    let stem = name.to_str()?.strip_suffix(ENDING)?;
    let id = Uuid::try_parse(stem).ok()?;
    let mut usual = Uuid::encode_buffer();
    (id.hyphenated().encode_lower(&mut usual) == stem).then_some(id)
}

/// In the order of the names' bytes.
impl Ord for FileName {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // Hexadecimal digits are in the order of what they stand for.
            (Form::Uuid(one), Form::Uuid(other)) => one.cmp(other),
            _ => self.to_os_string().cmp(&other.to_os_string()),
        }
    }
}

impl PartialOrd for FileName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether a file of this name in the spool directory is one that we were writing: `.<uuid>.tmp`.
pub(crate) fn is_unfinished(name: &OsStr) -> bool {
    hidden(name, ".tmp").is_some_and(|stem| uuid_of(format!("{stem}{ENDING}").as_ref()).is_some())
}

/// A file that waits to take the place of another one: `.<uuid>.<other file>.thinned`, where the UUID is its identity.
/// `None` where that would be longer than names may be.
pub(super) fn replacement(id: Uuid, old: &FileName) -> Option<OsString> {
    let mut name = OsString::from(format!(".{id}."));
    name.push(old.to_os_string());
    name.push(REPLACEMENT);
    (name.len() <= LONGEST).then_some(name)
}

/// The identity of such a file, and the file that it takes the place of.
pub(super) fn replaced_by(name: &OsStr) -> Option<(Uuid, FileName)> {
    let bytes = name.as_encoded_bytes();
    let (id, rest) = bytes.strip_prefix(b".")?.split_at_checked(UUID_LEN)?;
    let id = uuid_of(format!("{}{ENDING}", str::from_utf8(id).ok()?).as_ref())?;
    let old = rest.strip_prefix(b".")?.strip_suffix(REPLACEMENT.as_bytes())?;
    // Any bytes may be in a name, but for zero and the slash.
    FileName::parse(OsStr::from_bytes(old)).map(|old| (id, old))
}

/// The file that a file of this name takes the place of, if it is one of those.
#[cfg(feature = "cli")]
pub(crate) fn replaces(name: &OsStr) -> Option<FileName> {
    replaced_by(name).map(|(_, old)| old)
}

/// The same as [`is_unfinished`] in the quarantine, where copies of damaged bytes and of what is said of them are written as well:
/// `.<spill file>.tmp`, `.<spill file>.txt.tmp` and `.segment.tmp`.
pub(super) fn is_unfinished_copy(name: &OsStr) -> bool {
    let of_file = |stem: &str| stem.strip_suffix(".txt").unwrap_or(stem).ends_with(ENDING);
    is_unfinished(name) || hidden(name, ".tmp").is_some_and(|stem| stem == "segment" || of_file(stem))
}

/// What stands between the dot that hides a file and this ending.
fn hidden<'a>(name: &'a OsStr, ending: &str) -> Option<&'a str> {
    name.to_str()?.strip_prefix('.')?.strip_suffix(ending)
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Form::Uuid(id) => write!(f, "{id}{ENDING}"),
            Form::Text(text) => text.display().fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> FileName {
        FileName::parse(OsStr::new(text)).unwrap()
    }

    #[test]
    fn only_plain_names_that_end_in_pb_are_spill_files() {
        for bad in
            ["", ".pb", ".x.pb", "x", "x.pb.damaged", "../x.pb", "a/x.pb", "/x.pb", "x.pb/", "..", "x.PB"]
        {
            assert_eq!(FileName::parse(OsStr::new(bad)), None, "{bad:?}");
        }
        assert_eq!(name("backup of monday.pb").to_string(), "backup of monday.pb");
    }

    #[test]
    fn a_uuid_name_is_the_identity_and_any_other_name_yields_a_lasting_one() {
        let id = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        assert_eq!(FileName::of(id).id(), id);
        assert_eq!(FileName::of(id).time_ms(), Some(0x0190_0000_0000));

        let other = name("events.pb");
        assert_eq!(other.id(), Uuid::new_v5(&NAMESPACE, b"events.pb"));
        assert_eq!(other.time_ms(), None);
    }

    #[test]
    fn names_are_in_the_order_of_their_bytes_and_what_is_parsed_is_what_is_written() {
        let texts = [
            "-.pb",
            "01900000-0000-7000-8000-0000000000AB.pb",
            "01900000-0000-7000-8000-00000000009f.pb",
            "01900000-0000-7000-8000-0000000000ab.pb",
            "events.pb",
        ];
        let mut sorted = texts;
        sorted.sort_unstable();
        let mut names = texts.map(name);
        names.sort_unstable();
        assert_eq!(names.each_ref().map(ToString::to_string), sorted);
        assert_eq!(names.map(|name| name.to_os_string()), sorted);
    }

    #[test]
    fn only_what_we_write_ourselves_is_taken_for_unfinished() {
        let ours = format!(".{}.tmp", Uuid::from_u128(7));
        let others =
            [".x.tmp", ".tmp", "x.tmp", ".rsync.pb.tmp", ".01900000-0000-7000-8000-0000000000AB.tmp"];
        assert!(is_unfinished(OsStr::new(&ours)));
        assert!(others.iter().all(|name| !is_unfinished(OsStr::new(name))));
        for copy in [ours.as_str(), ".x.pb.tmp", ".x.pb.txt.tmp", ".segment.tmp"] {
            assert!(is_unfinished_copy(OsStr::new(copy)), "{copy}");
        }
        for other in [".x.tmp", ".txt.tmp", "x.pb.tmp", ".x.pb", ".x.pb.damaged.tmp"] {
            assert!(!is_unfinished_copy(OsStr::new(other)), "{other}");
        }
    }

    #[test]
    fn what_takes_the_place_of_a_file_names_it() {
        let id = Uuid::from_u128(7);
        for old in ["01900000-0000-7000-8000-0000000000ab.pb", "backup of monday.pb", "a.b.thinned.pb"] {
            let replacement = replacement(id, &name(old)).unwrap();
            assert_eq!(replaced_by(&replacement), Some((id, name(old))));
            assert!(FileName::parse(&replacement).is_none() && !is_unfinished(&replacement));
        }
        assert_eq!(replacement(id, &name(&format!("{}.pb", "x".repeat(250)))), None);
        for other in [".x.pb.thinned", ".thinned", ".00000000-0000-0000-0000-000000000007.x.thinned"] {
            assert_eq!(replaced_by(OsStr::new(other)), None, "{other}");
        }
    }

    #[test]
    fn other_spellings_of_a_uuid_are_other_identities() {
        let usual = "01900000-0000-7000-8000-0000000000ab";
        let ids = [usual, "01900000-0000-7000-8000-0000000000AB", "019000000000700080000000000000ab"]
            .map(|stem| name(&format!("{stem}.pb")).id());
        assert_eq!(ids[0].to_string(), usual);
        assert!(ids[0] != ids[1] && ids[1] != ids[2] && ids[0] != ids[2]);
    }
}
