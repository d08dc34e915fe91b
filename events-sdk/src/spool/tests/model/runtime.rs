//! What drives the spool and the model together, step by step.

use super::*;

/// A file that the runtime knows.
pub(super) struct Known {
    pub(super) file: SpoolFile,
    pub(super) events: Vec<Index>,
    pub(super) passed: Passed,
    /// A segment of that batch may come back, and with it the events, under the same id.
    pub(super) from_segment: bool,
    /// There is damage in it.
    pub(super) damaged: bool,
}

/// The runtime, as far as the spool is concerned.
pub(super) struct Runtime {
    pub(super) disk: Simulated,
    pub(super) spool: Option<Spool>,
    pub(super) files: Vec<Known>,
    /// What could not be written: it is tried again. What is one batch keeps its id.
    pub(super) unwritten: Vec<(Vec<Index>, Option<Uuid>)>,
    pub(super) in_segments: BTreeMap<Uuid, Vec<Index>>,
    /// Segments that were taken over and could not be removed.
    pub(super) taken_over: BTreeMap<PathBuf, Uuid>,
    pub(super) removed: Vec<Index>,
    pub(super) expected: Expected,
    pub(super) toggle: Toggle,
    pub(super) events: Index,
    pub(super) ids: u64,
    /// Operations are made to fail.
    pub(super) faulty: bool,
}

impl Runtime {
    pub(super) fn new() -> Self {
        let disk = Simulated::new();
        disk.create_dir(Path::new(DIR)).unwrap();
        let segments = Path::new(DIR).join(segment::FOLDER);
        disk.create_dir(&segments).unwrap();
        let mut runtime = Self {
            disk,
            spool: None,
            files: Vec::new(),
            unwritten: Vec::new(),
            in_segments: BTreeMap::new(),
            taken_over: BTreeMap::new(),
            removed: Vec::new(),
            expected: Expected::default(),
            toggle: Toggle::default(),
            events: 0,
            ids: 1_000,
            faulty: false,
        };
        runtime.open();
        runtime
    }

    pub(super) fn open(&mut self) -> Option<()> {
        if self.spool.is_none() {
            let spool = self.tried(open(&self.disk))?;
            self.spool = Some(spool);
        }
        Some(())
    }

    /// Only where operations are made to fail may one fail.
    pub(super) fn tried<T, E: std::fmt::Debug>(&self, result: Result<T, E>) -> Option<T> {
        match result {
            Ok(done) => Some(done),
            Err(error) if self.faulty => {
                let _ = error;
                None
            }
            Err(error) => panic!("{error:?}"),
        }
    }

    pub(super) fn new_id(&mut self) -> Uuid {
        self.ids += 1;
        id(self.ids)
    }

    pub(super) fn new_events(&mut self, count: u32) -> Vec<Index> {
        self.events += count;
        (self.events - count..self.events).collect()
    }

    pub(super) fn pick(&self, file: u8) -> Option<usize> {
        (!self.files.is_empty()).then(|| usize::from(file) % self.files.len())
    }

    pub(super) fn run(&mut self, op: Op) -> Option<()> {
        self.open()?;
        match op {
            Op::Write { events, whole } => {
                let events = self.new_events(u32::from(events));
                let id = whole.then(|| self.new_id());
                self.unwritten.push((events, id));
                for (events, id) in std::mem::take(&mut self.unwritten) {
                    self.write(events, id);
                }
            }
            Op::Deliver { file, pieces } => {
                let place = self.pick(file)?;
                self.deliver(place, pieces)?;
            }
            Op::Refuse { file } => {
                let place = self.pick(file)?;
                self.refuse(place)?;
            }
            Op::SyncRemovals => self.sync_removals(),
            Op::Thin { file, level, bytes } => {
                let place = self.pick(file)?;
                self.thin(place, level, u64::from(bytes));
            }
            Op::Drop { file } => {
                let place = self.pick(file)?;
                self.drop_rest(place)?;
            }
            Op::Torn { events } => self.put_torn(u32::from(events)),
            Op::Segment { events } => self.put_segment(u32::from(events)),
            Op::Adopt => self.adopt(),
            Op::Flip { file, event } => {
                let place = self.pick(file)?;
                self.flip(place, usize::from(event));
            }
            Op::LockGone => {
                let _ = self.disk.remove(&Path::new(DIR).join(".lock"));
            }
            Op::AllGone => self.all_gone(),
            Op::Restart { orderly } => self.restart(orderly)?,
        }
        Some(())
    }

    pub(super) fn spool(&self) -> &Spool {
        self.spool.as_ref().unwrap()
    }

    pub(super) fn write(&mut self, events: Vec<Index>, whole: Option<Uuid>) {
        let id = whole.unwrap_or_else(|| self.new_id());
        self.expected.may.extend(&events);
        let bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
        let mut levels: BTreeMap<i32, u32> = BTreeMap::new();
        events.iter().for_each(|&index| *levels.entry(level(index).number()).or_default() += 1);
        let levels: Vec<_> = levels.into_iter().collect();
        let written = self.spool().write(NewFile {
            id,
            timestamp_ms: 1_700_000_000_123,
            runs: &[&bytes],
            count: events.len() as u32,
            levels: &levels,
            whole: whole.is_some(),
            offered: whole.is_some(),
            fingerprint: 0xfeed,
            ledger: 0,
            part_of: None,
        });
        match self.tried(written) {
            Some(file) => {
                self.expected.must.extend(&events);
                self.files.push(Known {
                    file,
                    events,
                    passed: Passed::default(),
                    from_segment: false,
                    damaged: false,
                });
            }
            None => self.unwritten.push((events, whole)),
        }
    }

    /// Toggle is back, and gets from memory what could not be written.
    pub(super) fn send_unwritten(&mut self) {
        for (events, id) in std::mem::take(&mut self.unwritten) {
            let id = id.unwrap_or_else(|| self.new_id());
            let bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
            self.toggle.offer(id, &bytes, &|| "in the run".to_owned());
        }
    }

    pub(super) fn deliver(&mut self, place: usize, pieces: u8) -> Option<()> {
        let known = &self.files[place];
        let mut reader = self.tried(self.spool().read(&known.file))?;
        self.tried(reader.skip(known.passed))?;
        let mut ended = false;
        let mut offered = Vec::new();
        for _ in 0..pieces {
            match self.tried(reader.next_piece())? {
                Some(piece) => offered.push(piece),
                None => {
                    ended = true;
                    break;
                }
            }
        }
        if ended && reader.damage().is_some() {
            self.tried(self.spool().quarantine(&known.file, Some(&reader.done())))?;
        }
        offered.iter().for_each(|piece| self.files[place].passed.add(piece));
        for piece in offered {
            self.toggle.offer(piece.id, &piece.events, &|| "in the run".to_owned());
        }
        if ended {
            self.tried(self.spool().remove(&self.files[place].file))?;
            let known = self.files.remove(place);
            if !known.from_segment {
                self.removed.extend(known.events);
            }
        }
        Some(())
    }

    pub(super) fn refuse(&mut self, place: usize) -> Option<()> {
        let known = &self.files[place];
        let mut reader = self.tried(self.spool().read(&known.file))?;
        self.tried(reader.skip(known.passed))?;
        let piece = self.tried(reader.next_piece())??;
        let mut passed = known.passed;
        passed.add(&piece);
        let batch = Batch::new(piece.id, piece.timestamp_ms, piece.events, piece.count);
        self.tried(self.spool().set_aside(&batch, (Uuid::nil(), 0), "no such pool"))?;
        let mut bytes = Vec::new();
        batch.encode(&mut bytes);
        let path = Path::new(DIR).join(format!("quarantine/{}.pb", batch.id()));
        self.expected.aside.insert(path, bytes);
        self.toggle.offer(batch.id(), batch.events(), &|| "in the run".to_owned());
        self.files[place].passed = passed;
        Some(())
    }

    pub(super) fn sync_removals(&mut self) {
        self.spool().sync_removals();
        if !self.faulty {
            self.expected.gone.extend(self.removed.drain(..));
        }
    }

    /// The runtime drops events out of files of which it has offered nothing.
    pub(super) fn thin(&mut self, place: usize, level_place: u8, bytes: u64) {
        let new_id = self.new_id();
        let known = &self.files[place];
        if known.passed.pieces > 0 || self.taken_over.values().any(|&batch| batch == known.file.id) {
            return;
        }
        let severity = severity_of(Level::ALL[usize::from(level_place) % 3].number());
        let thinning =
            Thinning { severity, bytes, id: new_id, fingerprint: 0xfeed, passed: Passed::default() };
        let Some(thinned) = self.tried(self.spool().thin(&known.file, thinning)) else { return };
        let mut left = thinned.dropped.iter().map(|(.., count)| *count).sum::<u64>();
        let Known { events, from_segment, .. } = self.files.remove(place);
        let (dropped, kept): (Vec<Index>, Vec<Index>) = events.into_iter().partition(|&index| {
            let goes = severity_of(level(index).number()) == severity && left > 0;
            left -= u64::from(goes);
            goes
        });
        for index in &dropped {
            self.expected.must.remove(index);
        }
        if !self.faulty {
            self.expected.gone.extend(&dropped);
        }
        assert_eq!(thinned.file.is_some(), !kept.is_empty());
        if let Some(file) = thinned.file {
            self.files.push(Known {
                file,
                events: kept,
                passed: Passed::default(),
                from_segment,
                damaged: false,
            });
        }
    }

    /// The runtime drops all of a file that it has not offered.
    pub(super) fn drop_rest(&mut self, place: usize) -> Option<()> {
        let known = &self.files[place];
        if self.taken_over.values().any(|&batch| batch == known.file.id) {
            return None;
        }
        let mut reader = self.tried(self.spool().read(&known.file))?;
        self.tried(reader.skip(known.passed))?;
        let offered = reader.found();
        let known = &self.files[place];
        let thinned = self.tried(self.spool().drop_rest(&known.file, known.passed))?;
        let Known { events, .. } = self.files.remove(place);
        let dropped = thinned.dropped.iter().map(|(.., count)| *count).sum::<u64>();
        assert!(thinned.file.is_none() && dropped + u64::from(offered) >= events.len() as u64);
        for index in &events {
            self.expected.must.remove(index);
        }
        if !self.faulty {
            self.expected.gone.extend(&events);
        }
        Some(())
    }

    pub(super) fn put_torn(&mut self, count: u32) {
        if !self.disk.has(Path::new(DIR)) {
            return;
        }
        let events = self.new_events(count);
        let torn = &entry(Index::MAX)[..20];
        let mut bytes: Vec<u8> = events.iter().flat_map(|&index| entry(index)).collect();
        bytes.extend(torn);
        let name = FileName::of(self.new_id());
        self.disk.put(&Path::new(DIR).join(name.to_os_string()), &bytes);
        self.expected.damaged.push(torn.to_vec());
        self.expected.may.extend(&events);
        self.expected.must.extend(&events);
        if let Some(file) = self.tried(self.spool().inspect(&name)) {
            self.files.push(Known {
                file,
                events,
                passed: Passed::default(),
                from_segment: false,
                damaged: true,
            });
        }
    }

    pub(super) fn flip(&mut self, place: usize, event: usize) {
        let known = &mut self.files[place];
        // Under the id of a segment's batch the event may come back undamaged, and with other bytes than were offered.
        if known.passed.pieces > 0 || known.from_segment || known.damaged {
            return;
        }
        let path = Path::new(DIR).join(known.file.name.to_os_string());
        if !self.disk.has(&path) {
            // Its name is still to come: the disk did not do it.
            return;
        }
        let index = known.events.remove(event % known.events.len());
        let (files, entry) = (self.disk.files(), entry(index));
        let bytes = &files[&path];
        let at = bytes.windows(entry.len()).position(|part| part == entry).unwrap();
        // In the name of its source, where nothing but the checksum tells.
        let in_entry = entry.windows(3).position(|part| part == b"zfs").unwrap();
        self.disk.flip(&path, at + in_entry);
        known.damaged = true;
        let mut damaged = entry;
        damaged[in_entry] ^= 1;
        self.expected.damaged.push(damaged);
        self.expected.must.remove(&index);
    }

    /// What was in it is lost to whoever removed it.
    pub(super) fn all_gone(&mut self) {
        self.disk.remove_all(Path::new(DIR));
        self.files.clear();
        self.removed.clear();
        let Expected { must, aside, damaged, .. } = &mut self.expected;
        must.retain(|index| self.toggle.events.contains_key(index));
        aside.clear();
        damaged.clear();
    }

    pub(super) fn put_segment(&mut self, count: u32) {
        if !self.disk.has(&Path::new(DIR).join(segment::FOLDER)) {
            return;
        }
        let (events, id) = (self.new_events(count), self.new_id());
        let mut bytes = vec![0; 4096];
        let (mut at, seed) = (segment_format::HEADER, segment_format::begin(&mut bytes, id, 0xfeed));
        for (place, &index) in (0..).zip(&events) {
            let severity = level(index).severity();
            at = segment_format::push(&mut bytes, at, place, seed, &entry(index), severity, 2).unwrap();
        }
        let name = format!("{}/{}-0{}", segment::FOLDER, self.new_id(), segment::ENDING);
        self.disk.put(&Path::new(DIR).join(name), &bytes);
        self.expected.may.extend(&events);
        self.expected.must.extend(&events);
        self.in_segments.insert(id, events);
    }

    pub(super) fn adopt(&mut self) {
        let Some(segments) = self.tried(self.spool().segments_left(None)) else { return };
        for path in segments {
            if self.taken_over.contains_key(&path) {
                if self.tried(self.spool().remove_segment(&path)).is_some() {
                    self.taken_over.remove(&path);
                }
                continue;
            }
            let Some(adopted) = self.tried(self.spool().adopt_segment(&path)) else { continue };
            assert_eq!(adopted.damaged, 0);
            if let Some(file) = adopted.file {
                let events = self.in_segments[&file.id].clone();
                self.files.push(Known {
                    file,
                    events,
                    passed: Passed::default(),
                    from_segment: true,
                    damaged: false,
                });
            }
            if let Some((batch, error)) = adopted.left {
                self.tried::<(), _>(Err(error));
                self.taken_over.insert(path, batch);
            }
        }
    }

    /// What was offered of a file is not known afterwards, so it is offered again before anything is dropped out of it.
    pub(super) fn restart(&mut self, orderly: bool) -> Option<()> {
        if orderly {
            self.sync_removals();
        }
        // The other process does not have what only this one held in memory; what it finds of it is its own to deliver.
        self.unwritten.clear();
        self.taken_over.clear();
        self.spool = None;
        self.open()?;
        let names = self.tried(self.spool().list(|_| true))?;
        let offered: BTreeMap<Uuid, (Passed, bool)> =
            self.files.iter().map(|known| (known.file.id, (known.passed, known.from_segment))).collect();
        let mut files = Vec::new();
        for name in names {
            let file = self.tried(self.spool().inspect(&name))?;
            let mut reader = self.tried(self.spool().read(&file))?;
            let mut events = Vec::new();
            while let Some(piece) = self.tried(reader.next_piece())? {
                events.extend(split(&piece.events).iter().map(|entry| index_of(entry)));
            }
            let damaged = reader.damage().is_some();
            let from_segment = self.in_segments.contains_key(&file.id)
                || offered.get(&file.id).is_some_and(|(_, from_segment)| *from_segment);
            let passed = offered.get(&file.id).map_or(Passed::default(), |(passed, _)| *passed);
            files.push(Known { file, events, passed, from_segment, damaged });
        }
        self.files = files;
        Some(())
    }
}
