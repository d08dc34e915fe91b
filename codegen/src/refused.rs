//! From protox's errors to findings: files that are no valid protobuf.
//!
//! protox says what is wrong and where. The rule and the cure are ours, and since its errors are opaque, they are told by
//! the wording; an error that is worded otherwise one day falls back to the rule `proto`.
//!
//! A cure that asks "did you mean `this`?" is an edit: `this` in the place of the finding. So is it everywhere; the tests apply
//! each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use miette::Diagnostic;
use prost_reflect::DescriptorPool;
use protox::file::{File, FileResolver, GoogleFileResolver};

use crate::compile::OWN_FILES;
use crate::finding::Finding;
use crate::names;
use crate::origin::Origin;
use crate::texts::{Text, Texts};

/// What is known when a file is refused.
#[derive(Debug)]
pub(crate) struct Seen<'a> {
    /// The files that are valid.
    pub(crate) pool: &'a DescriptorPool,
    /// Where files lie, by their import names.
    pub(crate) on_disk: &'a BTreeMap<String, PathBuf>,
    /// The texts, by the names that people know files by.
    pub(crate) texts: &'a Texts,
}

/// Whether the rule is one of those for files that are no valid protobuf.
pub(crate) fn names(rule: &str) -> bool {
    rule == PROTO || rule.starts_with("proto-")
}

const PROTO: &str = "proto";
const FILE: &str = "proto-file";
const IMPORT: &str = "proto-import";
const SYNTAX: &str = "proto-syntax";
const NAME: &str = "proto-name";
const NUMBER: &str = "proto-number";
const DUPLICATE: &str = "proto-duplicate";
const OPTION: &str = "proto-option";

/// The files that protobuf's own types are in.
const GOOGLE_FILES: &[&str] = &["any", "duration", "empty", "field_mask", "struct", "timestamp", "wrappers"];

/// What protox says of a file, one finding for each thing. `asked` is the name of the file as the caller gave it.
pub(crate) fn findings(error: &protox::Error, asked: Option<&str>, seen: &Seen<'_>) -> Vec<Finding> {
    let name = error.file().or(asked).unwrap_or_default();
    let shown = seen.on_disk.get(name).map_or_else(|| name.to_owned(), |path| path.display().to_string());
    let text = seen.texts.get(&shown);
    let mut open: Vec<&dyn Diagnostic> = vec![error];
    let mut findings = Vec::new();
    while let Some(one) = open.pop() {
        open.extend(one.related().into_iter().flatten());
        // What the parser finds where it lost its way is no further mistake.
        if !findings.is_empty() && one.to_string().contains(STATEMENT) {
            continue;
        }
        findings.push(Case::new(one, &shown, text, seen).finding(error.is_parse()));
    }
    // A name that is there twice is told once more as what it becomes in JSON.
    let in_json = |finding: &Finding| finding.message.starts_with("camel-case name");
    let told: BTreeSet<Origin> = findings
        .iter()
        .filter(|finding| finding.rule == DUPLICATE && !in_json(finding))
        .map(|finding| finding.origin.clone())
        .collect();
    findings.retain(|finding| !in_json(finding) || !told.contains(&finding.origin));
    findings
}

/// One thing that protox found.
struct Case<'a> {
    seen: &'a Seen<'a>,
    text: Option<&'a Text>,
    message: String,
    /// What makes the message so, from a deeper layer.
    cause: String,
    help: Option<String>,
    origin: Origin,
    related: Vec<(Origin, String)>,
}

impl<'a> Case<'a> {
    fn new(error: &dyn Diagnostic, shown: &str, text: Option<&'a Text>, seen: &'a Seen<'a>) -> Self {
        let place = |offset: usize, len: usize| match text {
            Some(text) => text.origin(shown, offset, offset.saturating_add(len)),
            None => Origin::file(shown),
        };
        let labels: Vec<_> = error.labels().into_iter().flatten().collect();
        let said = |index: usize| labels.get(index).and_then(|label| label.label()).unwrap_or_default();
        // Of two places the later use is the mistake, and the definition is what it is a mistake against.
        let wrong =
            (0..labels.len()).find(|index| ["found", "again"].iter().any(|word| said(*index).contains(word)));
        let wrong = wrong.unwrap_or(0);
        let origin = labels.get(wrong).map(|label| place(label.offset(), label.len()));
        let related = labels.iter().enumerate().filter(|(index, _)| *index != wrong);
        Self {
            seen,
            text,
            message: error.to_string(),
            cause: error.diagnostic_source().map(ToString::to_string).unwrap_or_default(),
            help: error.help().map(|help| help.to_string()),
            origin: origin.unwrap_or_else(|| Origin::file(shown)),
            related: related
                .map(|(_, label)| {
                    (place(label.offset(), label.len()), label.label().unwrap_or_default().to_owned())
                })
                .collect(),
        }
    }

    fn finding(mut self, is_parse: bool) -> Finding {
        let (rule, cure) = self.rule(is_parse);
        let message = match self.cause.is_empty() {
            true if rule == NAME => match self.message.split_once(" resolves to ") {
                Some((name, same)) if same.starts_with(name) => format!("{name} is not defined"),
                _ => self.message.clone(),
            },
            true => self.message.clone(),
            false => format!("{}: {}", self.message, self.cause),
        };
        let mut finding = Finding::new(rule, &self.origin, message.replace('\'', "`"), cure);
        finding.related = self.related;
        finding
    }

    /// The rule, and the cure where the case has one of its own.
    fn rule(&mut self, is_parse: bool) -> (&'static str, String) {
        let message = self.message.clone();
        let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
        let help = self.help.clone();
        let or_help = |cure: &str| help.clone().unwrap_or_else(|| cure.to_owned());
        let begins = |words: &[&str]| words.iter().any(|word| message.starts_with(word));
        if begins(&["import cycle"]) {
            return (IMPORT, "move what both files need into a third one, and import that".to_owned());
        }
        if begins(&["import '"]) && has(&["' not found"]) {
            return (IMPORT, self.missing_import());
        }
        if begins(&["file '"]) && has(&["' not found", "is not in any include path"]) {
            let cure =
                "name the file as it lies below one of the include directories, or add its directory to them";
            return (FILE, cure.to_owned());
        }
        if begins(&["error opening file", "file ", "path '"]) {
            return (FILE, or_help("make sure that it is a text file and may be read"));
        }
        if has(&["was listed twice"]) {
            return (IMPORT, "remove one of the two".to_owned());
        }
        if has(&["for option", "option field '", "expected an extension to type"]) {
            return (OPTION, self.option());
        }
        if has(&["is defined twice", "is already defined", "conflicts with field"]) {
            return (DUPLICATE, "rename one of the two, or remove it".to_owned());
        }
        if has(&["number", "reserved range", "extension range", "first value for proto3 enums"]) {
            return (NUMBER, self.number());
        }
        if has(&["is not defined", "is not a", "resolves to"]) {
            return (NAME, self.name());
        }
        if is_parse {
            return (SYNTAX, self.syntax());
        }
        (PROTO, or_help("correct the file at this place"))
    }

    /// The words in single quotes of the message.
    fn quoted(text: &str) -> Vec<&str> {
        text.split('\'').skip(1).step_by(2).collect()
    }

    fn missing_import(&self) -> String {
        let quoted = Self::quoted(&self.message);
        let wanted = quoted.first().copied().unwrap_or_default();
        let carried = OWN_FILES.iter().map(|(name, _)| (*name).to_owned()).chain(google_files());
        let known: Vec<String> = self.seen.on_disk.keys().cloned().chain(carried).collect();
        match names::nearest(wanted, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `import \"{near}\";`?"),
            None => {
                "name the file as it lies below one of the include directories, or add its directory to them"
                    .to_owned()
            }
        }
    }

    fn number(&self) -> String {
        let cure = match &self.message {
            text if text.contains("reserved") => {
                "take a number that is free: a reserved one was used by a field that is gone, and old data still has it"
            }
            text if text.contains("first value for proto3 enums") => "begin the enum with a value that is 0",
            text if text.contains("already") => "give one of the two another number that was never used",
            _ => "take a number from 1 to 536870911, but none from 19000 to 19999",
        };
        match &self.help {
            Some(help) if !self.message.contains("already") => format!("{cure}; {help}"),
            _ => cure.to_owned(),
        }
    }

    /// An unknown type or option: what was meant, or what is not imported.
    fn name(&mut self) -> String {
        let message = self.message.clone();
        let quoted = Self::quoted(&message);
        let name = quoted.first().copied().unwrap_or_default().trim_start_matches('.');
        if self.message.contains("is not a") {
            return "name a message, an enum or a scalar type".to_owned();
        }
        if let Some(file) = carried(name) {
            return format!("write `import \"{file}\";` at the top of the file");
        }
        // What protox knows is better than a guess, but for the many words on scopes that it has for any unknown name.
        if let Some(help) = self.help.as_ref().filter(|_| quoted.first() != quoted.get(1)) {
            return help.clone();
        }
        let pool = self.seen.pool;
        let types = pool.all_messages().map(|one| one.full_name().to_owned());
        let types = types.chain(pool.all_enums().map(|one| one.full_name().to_owned()));
        let options = pool.all_extensions().map(|one| one.full_name().to_owned());
        let mut known: Vec<String> = types.chain(options).collect();
        known.extend(self.own_types());
        known.extend(SCALARS.iter().map(|one| (*one).to_owned()));
        // Who writes no package means none, or forgets it.
        let plain = |full: &str| full.rsplit('.').next().unwrap_or(full).to_owned();
        let near = match (name.contains('.'), known.iter().find(|full| plain(full) == name)) {
            (true, _) => names::nearest(name, known.iter().map(String::as_str)).map(str::to_owned),
            (false, Some(full)) => Some(full.clone()),
            (false, None) => {
                let short: Vec<String> = known.iter().map(|one| plain(one)).collect();
                names::nearest(name, short.iter().map(String::as_str)).map(str::to_owned)
            }
        };
        self.narrow(name);
        match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("define `{name}`, or import the file that does"),
        }
    }

    /// The types that the refused file itself defines, by their short names.
    fn own_types(&self) -> Vec<String> {
        let text = self.text.map_or("", Text::as_str);
        let named = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            matches!(words.next()?, "message" | "enum").then(|| words.next())?
        });
        named.map(|word| word.trim_end_matches('{').to_owned()).collect()
    }

    /// A mistake in an option: the key or the value that was meant.
    fn option(&mut self) -> String {
        let quoted: Vec<String> = Self::quoted(&self.message).into_iter().map(str::to_owned).collect();
        let at = |index: usize| quoted.get(index).map(String::as_str).unwrap_or_default();
        if self.message.starts_with("expected an extension") {
            let options =
                self.seen.pool.all_extensions().filter(|one| one.containing_message().full_name() == at(0));
            let ours: Vec<String> = options.map(|one| format!("`({})`", one.full_name())).collect();
            return match ours.is_empty() {
                true => "remove it, or write it where it belongs".to_owned(),
                false => format!("here go {}", ours.join(", ")),
            };
        }
        if self.message.starts_with("option field") {
            let (option, key) = at(0).rsplit_once('.').unwrap_or((at(0), ""));
            self.narrow(key);
            return self.key(&self.type_of(option), key);
        }
        if !self.cause.is_empty() {
            let cause = self.cause.clone();
            let words = Self::quoted(&cause);
            let (word, owner) = (words.first().copied().unwrap_or_default(), words.get(1).copied());
            self.narrow(word);
            return match owner {
                Some(owner) if cause.contains("for enum") => self.value(owner, word),
                Some(owner) => self.key(owner, word),
                None => self.keys(at(0)),
            };
        }
        // Expected a value of type 0 for option 1, but found 2.
        let cure = self.value(at(0), at(2));
        self.narrow(at(2));
        cure
    }

    /// The type of the option that is written `(name)`.
    fn type_of(&self, option: &str) -> String {
        let name = option.trim_matches(['(', ')']);
        let mut all = self.seen.pool.all_extensions();
        let found = all.find(|one| one.full_name() == name || one.full_name().ends_with(&format!(".{name}")));
        match found.map(|one| one.kind()) {
            Some(prost_reflect::Kind::Message(message)) => message.full_name().to_owned(),
            _ => String::new(),
        }
    }

    fn key(&self, message: &str, key: &str) -> String {
        let Some(descriptor) = self.seen.pool.get_message_by_name(message) else {
            return "remove it, or import the file that defines it".to_owned();
        };
        let fields: Vec<_> = descriptor.fields().collect();
        match names::nearest(key, fields.iter().map(|field| field.name())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => self.keys(message),
        }
    }

    fn keys(&self, message: &str) -> String {
        let Some(descriptor) = self.seen.pool.get_message_by_name(message) else {
            return "correct the value".to_owned();
        };
        let keys: Vec<String> = descriptor.fields().map(|field| format!("`{}`", field.name())).collect();
        format!("its keys are {}", keys.join(", "))
    }

    fn value(&self, ty: &str, value: &str) -> String {
        let Some(descriptor) = self.seen.pool.get_enum_by_name(ty) else {
            return match ty {
                "bool" => "write `true` or `false`".to_owned(),
                "string" => format!("write it in quotes: `\"{}\"`", value.trim_matches('"')),
                "" => "correct the value".to_owned(),
                number => format!("write a value of type `{number}`"),
            };
        };
        let values: Vec<_> = descriptor.values().collect();
        let known = values.iter().map(|one| one.name());
        // `PII` means `SENSITIVITY_PII`.
        let ending = values.iter().find(|one| one.name().ends_with(&format!("_{}", value.to_uppercase())));
        match ending.map(|one| one.name()).or_else(|| names::nearest(value, known.clone())) {
            Some(near) => format!("did you mean `{near}`?"),
            None => {
                format!("write one of {}", known.map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Points at `word` alone, if it stands in the place.
    fn narrow(&mut self, word: &str) {
        let Some(text) = self.text else { return };
        let Some((begin, end)) = text.range(&self.origin) else { return };
        let found =
            text.as_str().get(begin..end).and_then(|part| part.find(word)).filter(|_| !word.is_empty());
        if let Some(at) = found {
            self.origin = text.origin(&self.origin.file, begin + at, begin + at + word.len());
        }
    }

    /// What the parser stumbled over: the edit that lets it go on.
    fn syntax(&mut self) -> String {
        let (message, text) = (self.message.clone(), self.text);
        if message.contains("but found 'edition'") {
            self.message = EDITION.to_owned();
            return NO_EDITION.to_owned();
        }
        if message.contains("reached end of file") {
            if let Some(text) = text {
                let end = text.as_str().trim_end().len();
                let last = text.as_str().get(..end).and_then(|all| all.char_indices().next_back());
                self.origin = text.origin(&self.origin.file, last.map_or(0, |(at, _)| at), end);
            }
            return "something is not closed: write the `}` or `;` that is missing".to_owned();
        }
        let otherwise = || self.help.clone().unwrap_or_else(|| "correct the file at this place".to_owned());
        let Some((expected, found)) = message.split_once(", but found ") else { return otherwise() };
        if expected.contains("';'")
            && !expected.contains(STATEMENT)
            && let Some(text) = text
            && let Some((begin, _)) = text.range(&self.origin)
            && let Some(before) = text.as_str().get(..begin).map(without_comments)
            && let Some((last, c)) = before.char_indices().next_back()
            && text.line_of(last) < text.line_of(begin)
            && ![';', '{', '}'].contains(&c)
        {
            // The parser noticed on a later line what is missing on this one.
            self.origin = text.origin(&self.origin.file, last, before.len());
            return format!("end line {} with `;`", self.origin.line);
        }
        let words = Self::quoted(expected);
        let found = found.trim_matches('\'');
        match names::nearest(found, words.iter().copied().filter(|word| word.len() > 1)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if words.is_empty() => {
                let wanted = expected.trim_start_matches("expected ").trim_start_matches("value to be ");
                format!("write {wanted} here")
            }
            None => otherwise(),
        }
    }
}

/// What is said of a file that begins with `edition`, and its cure.
pub(crate) const EDITION: &str = "this is a file of an edition, and only proto2 and proto3 are supported";
pub(crate) const NO_EDITION: &str =
    "begin the file with `syntax = \"proto3\";`, and remove options that begin with `features`";

/// What the parser expects, among others, where any statement of a file may begin.
const STATEMENT: &str = "'package'";

/// A text without the white space and the comments that end it.
fn without_comments(text: &str) -> &str {
    let mut text = text.trim_end();
    while let Some(at) =
        text.lines().next_back().and_then(|line| line.find("//").map(|at| text.len() - line.len() + at))
    {
        text = text.get(..at).unwrap_or_default().trim_end();
    }
    text
}

/// The scalar types of protobuf, as a schema writes them.
const SCALARS: &[&str] = &[
    "double", "float", "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64",
    "sfixed32", "sfixed64", "bool", "string", "bytes",
];

/// The files of protobuf's own types, as they are imported.
fn google_files() -> impl Iterator<Item = String> {
    GOOGLE_FILES.iter().map(|file| format!("google/protobuf/{file}.proto"))
}

/// The file that defines `name`, among ours and protobuf's, which can be imported from anywhere.
fn carried(name: &str) -> Option<String> {
    let google = google_files()
        .filter_map(|file| Some((file.clone(), GoogleFileResolver::new().open_file(&file).ok()?)));
    let own = OWN_FILES
        .iter()
        .filter_map(|(file, text)| Some(((*file).to_owned(), File::from_source(file, text).ok()?)));
    own.chain(google).find_map(|(path, file)| {
        let file = file.file_descriptor_proto();
        let types = file.message_type.iter().map(|one| one.name());
        let mut named = types
            .chain(file.enum_type.iter().map(|one| one.name()))
            .chain(file.extension.iter().map(|one| one.name()));
        named.any(|one| name == format!("{}.{one}", file.package())).then_some(path)
    })
}
