//! A directory on a disk that keeps its promises and no more: what was synced is there after the power went;
//! what was not is there, or not, or in part, in any order.

use super::trace::What;
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// What a disk writes as a whole.
const SECTOR: usize = 512;

/// Which syncs the disk obeys: of the others it says that they are done, and does nothing.
#[derive(Clone, Copy)]
pub(crate) enum Obeys {
    All,
    AllOfOthersThan(&'static str),
}

pub(crate) struct Disk {
    obeys: Obeys,
    files: Vec<File>,
    /// What is surely found under a name, and what may be found instead, oldest first.
    names: BTreeMap<String, Name>,
    /// Syncs that have begun, and what they will have made sure when they have ended.
    syncs: BTreeMap<usize, Syncing>,
}

enum Syncing {
    File(usize, BTreeSet<usize>),
    /// How many of each name's changes.
    Directory(BTreeMap<String, usize>),
}

#[derive(Default)]
struct File {
    bytes: Vec<u8>,
    unsure: Vec<Unsure>,
}

#[derive(Default)]
struct Name {
    sure: Option<usize>,
    unsure: Vec<Option<usize>>,
}

/// A change that is not synced yet.
struct Unsure {
    call: usize,
    ended: bool,
    change: Change,
}

enum Change {
    Write { at: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// What became of what was not synced.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Unsynced {
    Kept,
    Dropped,
    /// Each change is there or is not.
    Mixed,
    /// Each sector of each change is there or is not.
    Torn,
}

impl Unsynced {
    pub(crate) const ALL: [Self; 4] = [Self::Kept, Self::Dropped, Self::Mixed, Self::Torn];
}

/// A cheap source of decisions that a seed replays.
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % end as u64).unwrap()
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

impl Disk {
    pub(crate) fn new(obeys: Obeys) -> Self {
        Self { obeys, files: Vec::new(), names: BTreeMap::new(), syncs: BTreeMap::new() }
    }

    /// A call begins: from now on it may have happened.
    pub(crate) fn begin(&mut self, call: usize, what: &What) {
        match what {
            What::Create { name } => {
                if self.found(name).is_none() {
                    self.files.push(File::default());
                    let file = Some(self.files.len() - 1);
                    self.names.entry(name.clone()).or_default().unsure.push(file);
                }
            }
            What::Unlink { name } => self.names.get_mut(name).unwrap().unsure.push(None),
            What::Write { name, at, bytes } => {
                self.change(call, name, Change::Write { at: *at, bytes: bytes.clone() });
            }
            What::Truncate { name, length } => self.change(call, name, Change::Truncate(*length)),
            What::Sync { name } => {
                let file = self.file(name);
                let ended = self.files[file].unsure.iter().filter(|u| u.ended).map(|u| u.call).collect();
                self.syncs.insert(call, Syncing::File(file, ended));
            }
            What::SyncDirectory => {
                let lengths = self.names.iter().map(|(name, n)| (name.clone(), n.unsure.len())).collect();
                self.syncs.insert(call, Syncing::Directory(lengths));
            }
            What::Acknowledge { .. } => {}
        }
    }

    /// A call ends: from now on it has happened, for whoever asks the kernel, and a sync for the disk too.
    pub(crate) fn end(&mut self, call: usize, what: &What) {
        for unsure in self.files.iter_mut().flat_map(|file| &mut file.unsure) {
            unsure.ended |= unsure.call == call;
        }
        let synced = match what {
            What::Sync { name } => name,
            What::SyncDirectory => ".",
            _ => return,
        };
        if let Obeys::AllOfOthersThan(deaf) = self.obeys
            && synced == deaf
        {
            return;
        }
        match self.syncs.remove(&call) {
            Some(Syncing::File(file, synced)) => {
                let File { bytes, unsure } = &mut self.files[file];
                unsure.retain(|u| {
                    let sure = synced.contains(&u.call);
                    if sure {
                        u.change.apply(bytes, || true);
                    }
                    !sure
                });
            }
            Some(Syncing::Directory(lengths)) => {
                for (name, length) in lengths {
                    let name = self.names.get_mut(&name).unwrap();
                    name.sure = name.unsure.drain(..length).next_back().unwrap_or(name.sure);
                }
            }
            None => {}
        }
    }

    /// Whether a power loss now could leave something else than the journal's end unwritten.
    pub(crate) fn is_delicate(&self) -> bool {
        self.names.iter().any(|(name, n)| {
            let in_part = |file: usize| !self.files[file].unsure.is_empty() && !name.ends_with("-wal");
            !n.unsure.is_empty() || n.sure.is_some_and(in_part)
        })
    }

    /// Makes the directory as it may be found when the power is back.
    pub(crate) fn after_power_loss(&self, unsynced: Unsynced, random: &mut Random, to: &Path) {
        for (name, n) in &self.names {
            let which = match unsynced {
                Unsynced::Kept => n.unsure.len(),
                Unsynced::Dropped => 0,
                Unsynced::Mixed | Unsynced::Torn => random.below(n.unsure.len() + 1),
            };
            let Some(file) = which.checked_sub(1).map_or(n.sure, |last| n.unsure[last]) else { continue };
            let mut bytes = self.files[file].bytes.clone();
            for Unsure { change, .. } in &self.files[file].unsure {
                let whole = random.coin();
                change.apply(&mut bytes, || match unsynced {
                    Unsynced::Kept => true,
                    Unsynced::Dropped => false,
                    Unsynced::Mixed => whole,
                    Unsynced::Torn => random.coin(),
                });
            }
            std::fs::write(to.join(name), bytes).unwrap();
        }
        // what was in memory may have been written too, or anything
        if random.below(4) == 0 {
            let rubbish: Vec<u8> = (0..32 * 1024).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
            std::fs::write(to.join("openrdms.sqlite-shm"), rubbish).unwrap();
        }
    }

    fn change(&mut self, call: usize, name: &str, change: Change) {
        let file = self.file(name);
        self.files[file].unsure.push(Unsure { call, ended: false, change });
    }

    fn file(&self, name: &str) -> usize {
        self.found(name).expect("what is written has been made")
    }

    /// What a program finds under a name now.
    fn found(&self, name: &str) -> Option<usize> {
        let name = self.names.get(name)?;
        name.unsure.last().copied().unwrap_or(name.sure)
    }
}

impl Change {
    /// Changes the bytes, sector by sector, where `reached` says so.
    fn apply(&self, to: &mut Vec<u8>, mut reached: impl FnMut() -> bool) {
        match self {
            Change::Write { at, bytes } => {
                let (mut at, mut left) = (*at, bytes.as_slice());
                while !left.is_empty() {
                    let (sector, rest) = left.split_at(left.len().min(SECTOR - at % SECTOR));
                    if reached() {
                        to.resize(to.len().max(at + sector.len()), 0);
                        to[at..at + sector.len()].copy_from_slice(sector);
                    }
                    (at, left) = (at + sector.len(), rest);
                }
            }
            Change::Truncate(length) => {
                if reached() {
                    to.resize(*length, 0);
                }
            }
        }
    }
}
