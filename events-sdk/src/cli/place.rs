//! Where to look: paths on the command line, `--spool`, or the spool of the configuration.

use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use clap::Args;
use uuid::Uuid;

use super::{failure::Failure, out::note, peek::peek};
use crate::{
    Config, ConfigError,
    config::{self, DEFAULT_CONFIG_DIR},
    plural::counted,
    segment,
    spool::{
        Aside, FileName, Item, Passed, QUARANTINE, Refused, Scan, SpoolError, SpoolErrorKind, SpoolFile, View,
    },
};

/// How much of the text beside a quarantined file is read for its reason.
const REASON_BYTES: u64 = 4 << 10;

/// How to find the right one.
const LOOK: &str = "`events spool ls DIR` shows what is in a directory";

/// Which spool.
#[derive(Debug, Clone, Args)]
pub(super) struct Where {
    /// The spool directory [default: that of the configuration]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Which spool")]
    pub(super) spool: Option<PathBuf>,
    /// The configuration directory, in which rodent.yml must lie [default: /etc/rodent, where it need not]
    #[arg(long, value_name = "DIR", global = true, help_heading = "Which spool")]
    config: Option<PathBuf>,
}

/// Which files to read.
#[derive(Debug, Clone, Args)]
pub(super) struct Paths {
    /// Spill files, segments, or directories of them, instead of the spool
    #[arg(value_name = "PATH")]
    pub(super) paths: Vec<PathBuf>,
    /// The spool's quarantine as well
    #[arg(long)]
    pub(super) quarantine: bool,
}

/// A file to read.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) view: View,
    /// Of a segment, the name of the file that it becomes at the next start.
    pub(super) name: FileName,
    pub(super) quarantined: bool,
    /// The segment in which its events are, where they are in none of the files yet.
    pub(super) segment: Option<PathBuf>,
}

/// In which state the end of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// It is there, for all that is known.
    There,
    /// It is gone, and the start of the file says how many events it held.
    Cut,
    /// The same, and nobody can tell how many these were.
    Torn,
    /// The file is as long as it was, for all that is known, and something in it is damaged.
    Damaged,
    /// The same, and no event is left in it: it was written over.
    Blank,
}

impl Source {
    fn file(view: View, name: FileName) -> Self {
        Self { view, name, quarantined: false, segment: None }
    }

    /// A segment of which nothing is known but where it lies.
    pub(super) fn segment(view: &View, path: PathBuf) -> Self {
        Self { segment: Some(path), ..Self::file(view.clone(), FileName::of(Uuid::nil())) }
    }

    /// Whether it is a segment without a byte.
    pub(super) fn is_emptied(&self) -> bool {
        self.segment.as_ref().is_some_and(|path| self.view.is_emptied(path))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> PathBuf {
        self.segment.clone().unwrap_or_else(|| self.view.path_of(&self.name))
    }

    /// How the output calls it: by its name in the spool, behind `quarantine/` or `segments/` where it lies there.
    pub(super) fn label(&self) -> String {
        if let Some(name) = self.segment.as_ref().and_then(|path| path.file_name()) {
            return format!("{}/{}", segment::FOLDER, name.display());
        }
        if self.quarantined { format!("{QUARANTINE}/{}", self.name) } else { self.name.to_string() }
    }

    /// What is known of it.
    pub(super) fn inspect(&self) -> Result<(SpoolFile, BTreeMap<i32, u32>), SpoolError> {
        match &self.segment {
            Some(path) => self.view.inspect_segment(path),
            None => self.view.inspect(&self.name),
        }
    }

    /// The same, where something of it may be dealt with.
    pub(super) fn inspect_rest(
        &self,
        passed: impl FnOnce(&SpoolFile) -> Passed,
    ) -> Result<SpoolFile, SpoolError> {
        match &self.segment {
            Some(path) => self.view.inspect_segment(path).map(|(file, _)| file),
            None => self.view.inspect_rest(&self.name, passed),
        }
    }

    /// Opens it to walk through it.
    pub(super) fn scan(&self) -> Result<Scan, SpoolError> {
        match &self.segment {
            Some(path) => self.view.scan_in_segment(path),
            None => self.view.scan(&self.name),
        }
    }

    /// How many events of a segment are damaged, as far as can be known: the next start sets them aside. Of a file, none: those are among
    /// the events that it holds. Nor those that were cut off, of which there is nothing to set aside.
    pub(super) fn damaged_in_segment(&self) -> Result<u64, SpoolError> {
        let mut damaged = 0;
        if self.segment.is_some() {
            let mut scan = self.scan()?;
            while let Some(item) = scan.next()? {
                if let Item::Damage { events, bytes: 1.., .. } = item {
                    damaged += u64::from(events);
                }
            }
        }
        Ok(damaged)
    }

    /// How many of its damaged events lie in the quarantine as well.
    pub(super) fn set_aside_of(&self, aside: &Aside) -> Result<u64, SpoolError> {
        match &self.segment {
            Some(path) => aside.of_segment(path),
            None => aside.of_file(&self.name),
        }
    }

    /// Which of its events were refused and lie in the quarantine as well, of those that are not dealt with. Of a segment, none: before
    /// something of it is set aside it is a file.
    pub(super) fn refused_of(
        &self,
        aside: &Aside,
        file: &SpoolFile,
        passed: Passed,
    ) -> Result<Vec<Refused>, SpoolError> {
        if self.segment.is_some() { Ok(Vec::new()) } else { aside.refused_in(file, passed) }
    }

    /// Whether it is a file that ends too early, an empty one included, or of which the seal is damaged or was never there. Reads all of
    /// one without.
    pub(super) fn end(&self) -> Result<End, SpoolError> {
        let mut scan = self.scan()?;
        let (is_cut, has_seal) = (scan.seen().is_cut, scan.seen().sealed_events.is_some());
        if self.segment.is_some() || (has_seal && !is_cut) {
            return Ok(if scan.seen().is_seal_damaged { End::Damaged } else { End::There });
        }
        let (mut is_damaged, mut events) = (false, 0_u64);
        while let Some(item) = scan.next()? {
            match item {
                Item::Damage { .. } => is_damaged = true,
                Item::Event { .. } => events += 1,
            }
        }
        let is_too_short = scan.ends_within_a_field() || scan.is_cut_off() || scan.seen().bytes == 0;
        Ok(if is_cut {
            // The start says that there was a seal.
            if is_too_short || !(is_damaged || scan.reaches_its_seal()) { End::Cut } else { End::Damaged }
        } else if is_damaged && events == 0 && !scan.ends_within_a_field() {
            End::Blank
        } else if is_too_short {
            End::Torn
        } else if is_damaged || scan.is_seal_damaged() {
            End::Damaged
        } else {
            End::There
        })
    }

    /// Why it is in the quarantine.
    pub(super) fn reason(&self) -> Option<String> {
        self.quarantined.then(|| reason(&self.path())).flatten()
    }
}

impl Where {
    /// The spool directory.
    pub(super) fn directory(&self) -> Result<PathBuf, Failure> {
        match &self.spool {
            Some(dir) => Ok(dir.clone()),
            None => Ok(self.configuration()?.spool_dir),
        }
    }

    /// The configuration, as the SDK reads it.
    pub(super) fn configuration(&self) -> Result<Config, Failure> {
        let dir = self.configuration_directory()?;
        Config::load(dir).map_err(|error: ConfigError| Failure::Usage(error.to_string()))
    }

    /// The configuration directory. A file that was asked for must be there: without it everything would go somewhere else, and
    /// nobody would notice.
    pub(super) fn configuration_directory(&self) -> Result<&Path, Failure> {
        let Some(dir) = &self.config else { return Ok(Path::new(DEFAULT_CONFIG_DIR)) };
        if dir.is_file() {
            let dir = dir.display();
            return Err(Failure::Usage(format!(
                "{dir} is a file; --config takes the directory in which rodent.yml lies"
            )));
        }
        let file = dir.join(config::FILE_NAME);
        match fs::metadata(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Failure::Usage(format!(
                "there is no {}; --config takes the directory in which that lies; make an empty one if the defaults are meant",
                file.display()
            ))),
            // Whatever else is wrong with it is said when it is read.
            _ => Ok(dir),
        }
    }

    /// The spool directory, which must be there.
    pub(super) fn existing(&self) -> Result<PathBuf, Failure> {
        must_be_there(self.directory()?)
    }

    /// The spool directory to work on, this one if it was named: there must be a spool, or the work would begin one.
    pub(super) fn to_work_on(&self, named: Option<&Path>) -> Result<PathBuf, Failure> {
        let dir = must_be_there(named.map_or_else(|| self.directory(), |dir| Ok(dir.to_owned()))?)?;
        let view = View::of(&dir);
        if view.was_used() || !view.list()?.is_empty() || !view.list_segments()?.is_empty() {
            return Ok(dir);
        }
        let dir = dir.display();
        Err(Failure::Usage(format!(
            "{dir} holds no spill files, and no agent ever used it as its spool; nothing was done; {LOOK}"
        )))
    }

    /// The directories to look into.
    pub(super) fn views(&self, paths: &Paths) -> Result<Vec<View>, Failure> {
        let dirs = if paths.paths.is_empty() {
            vec![self.existing()?]
        } else {
            paths.paths.iter().filter(|path| path.is_dir()).cloned().collect()
        };
        Ok(dirs.iter().map(|dir| View::of(dir)).collect())
    }

    /// The spill files of a directory, oldest first.
    pub(super) fn files(dir: &Path) -> Result<Vec<Source>, Failure> {
        Ok(View::of(dir).list()?.into_iter().map(|name| Source::file(View::of(dir), name)).collect())
    }

    /// What to read, oldest first in each directory: its spill files, then its segments.
    pub(super) fn sources(&self, paths: &Paths) -> Result<Vec<Source>, Failure> {
        let mut sources = Vec::new();
        if paths.paths.is_empty() {
            let view = View::of(&self.existing()?);
            tell_unused(&view)?;
            add_directory(&view, paths.quarantine, &mut sources)?;
        }
        for path in &paths.paths {
            if path.is_dir() {
                must_be_around_segments(path)?;
                let view = View::of(path);
                tell_unused(&view)?;
                add_directory(&view, paths.quarantine, &mut sources)?;
            } else {
                sources.push(single(path)?);
            }
        }
        Ok(sources)
    }
}

/// Says that events lie in segments too, which the agent alone takes up.
pub(super) fn tell_segments(dir: &Path) -> Result<(), Failure> {
    let view = View::of(dir);
    let mut events = 0_u64;
    for (path, name) in view.list_segments()? {
        let source = Source { segment: Some(path), ..Source::file(view.clone(), name) };
        // What cannot be read the agent sets aside.
        let good = source.inspect().map_or(1, |(file, _)| u64::from(file.events));
        events = events.saturating_add(good).saturating_add(source.damaged_in_segment().unwrap_or_default());
    }
    if events > 0 {
        let (events, lie) = (counted(events, "event"), if events == 1 { "lies" } else { "lie" });
        note(&format!(
            "{events} {lie} in segments, which are left alone: the next start of the agent makes spill files of them, and sets aside what is damaged"
        ));
    }
    Ok(())
}

/// Fails where the folder of segments is meant for the spool around it.
pub(super) fn must_be_around_segments(dir: &Path) -> Result<(), Failure> {
    let Ok(dir) = dir.canonicalize() else { return Ok(()) };
    let Some(spool) = dir.parent().filter(|_| dir.ends_with(segment::FOLDER)) else { return Ok(()) };
    let view = View::of(spool);
    if !view.was_used() && view.list_segments()?.is_empty() {
        return Ok(());
    }
    Err(Failure::Usage(format!(
        "{} is where a spool has its segments; name the spool, {}, which shows them too",
        dir.display(),
        spool.display()
    )))
}

pub(super) fn must_be_there(dir: PathBuf) -> Result<PathBuf, Failure> {
    match fs::metadata(&dir) {
        Ok(metadata) if metadata.is_dir() => must_be_around_segments(&dir).map(|()| dir),
        Ok(_) => Err(Failure::Broken(format!(
            "{} is not a directory; of one file write `events spool ls FILE`; {LOOK}",
            dir.display()
        ))),
        Err(error) => Err(Failure::Broken(format!(
            "there is no spool at {}: {error}; name one with --spool, or the configuration with --config; {LOOK}",
            dir.display()
        ))),
    }
}

/// Says so where a directory is no spool.
pub(super) fn tell_unused(view: &View) -> Result<(), Failure> {
    if !view.was_used() && view.list()?.is_empty() && view.list_segments()?.is_empty() {
        let dir = view.dir().display();
        note(&format!("{dir} holds no spill files, and no agent ever used it as its spool"));
    }
    Ok(())
}

fn add_directory(view: &View, quarantine: bool, sources: &mut Vec<Source>) -> Result<(), Failure> {
    let all = |view: &View, quarantined| -> Result<Vec<Source>, Failure> {
        let source = |name| Source { quarantined, ..Source::file(view.clone(), name) };
        Ok(view.list()?.into_iter().map(source).collect())
    };
    // First, so that what a running agent puts into a file meanwhile is in one of the two.
    let segments = view.list_segments()?;
    let files = all(view, false)?;
    // The segment of a batch that is in a file already is about to be free, or would be after the next start.
    let known: HashSet<FileName> = files.iter().map(|source| source.name.clone()).collect();
    sources.extend(files);
    sources.extend(
        segments
            .into_iter()
            .filter(|(_, name)| !known.contains(name))
            .map(|(path, name)| Source { segment: Some(path), ..Source::file(view.clone(), name) }),
    );
    if quarantine {
        // There is none before something is set aside.
        if let Some(quarantine) = view.quarantine()? {
            sources.extend(all(&quarantine, true)?);
        }
    }
    Ok(())
}

fn single(path: &Path) -> Result<Source, Failure> {
    fs::symlink_metadata(path)
        .map_err(|error| Failure::Broken(format!("cannot read {}: {error}", path.display())))?;
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if path.extension() == Some(OsStr::new("seg")) {
        return Ok(Source::segment(&View::of(dir), path.to_owned()));
    }
    let name = path.file_name().and_then(FileName::parse).ok_or_else(|| {
        let path = path.display();
        Failure::Usage(format!(
            "{path} is neither a spill file, whose name ends in .pb, nor a segment (.seg)"
        ))
    })?;
    let quarantined = dir.file_name() == Some(OsStr::new(QUARANTINE));
    Ok(Source { quarantined, ..Source::file(View::of(dir), name) })
}

/// All that waits in a directory, in files and in segments.
pub(super) fn everything(view: &View) -> Result<Vec<Source>, Failure> {
    let mut sources = Vec::new();
    add_directory(view, false, &mut sources)?;
    Ok(sources)
}

/// The first line of the text beside a quarantined file.
pub(super) fn reason(path: &Path) -> Option<String> {
    let mut name = path.as_os_str().to_owned();
    name.push(".txt");
    let text = peek(Path::new(&name), REASON_BYTES).ok()?;
    String::from_utf8_lossy(&text).lines().next().map(str::to_owned)
}

/// Whether it just means that a file of a live spool has been delivered meanwhile.
pub(super) fn is_gone(error: &crate::spool::SpoolError) -> bool {
    error.kind() == SpoolErrorKind::Missing
}

/// The length of a file; zero when it is gone.
pub(super) fn length(path: &Path) -> io::Result<u64> {
    fs::symlink_metadata(path).map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use crate::Compression;

    #[test]
    fn no_compression_keeps_the_command_from_reading_the_configuration() {
        assert!(Compression::ALL.iter().all(|compression| compression.is_built_in()));
    }
}
