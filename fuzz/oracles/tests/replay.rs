//! The corpora, and all that fuzzing ever found, held against the oracles.

use openrdms_fuzz_oracles::{ALL, Oracle};
use std::collections::BTreeSet;
use std::fs;
use std::panic;
use std::path::{Path, PathBuf};

/// The folder that holds the corpora, regressions, dictionaries and targets.
fn fuzz() -> PathBuf {
    let oracles = Path::new(env!("CARGO_MANIFEST_DIR"));
    oracles.parent().expect("the oracles are inside it").to_owned()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let Ok(list) = fs::read_dir(folder) else { return Vec::new() };
    let mut list: Vec<_> = list.map(|entry| entry.unwrap().path()).collect();
    list.sort();
    list
}

fn names(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries(&fuzz().join(folder)).into_iter().map(stem).collect()
}

/// Plays all files of a folder; all that fail are told.
fn play(folder: &Path, oracle: Oracle) -> usize {
    let files = entries(folder);
    let failed: Vec<_> = files
        .iter()
        .filter(|file| {
            let bytes = fs::read(file).unwrap();
            panic::catch_unwind(|| oracle(&bytes)).is_err()
        })
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
    files.len()
}

#[test]
fn every_oracle_has_a_target_a_dictionary_and_seeds() {
    let oracles: BTreeSet<String> = ALL.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(names("fuzz_targets"), oracles);
    assert_eq!(names("dictionaries"), oracles);
    assert_eq!(names("corpus"), oracles);
    assert!(names("regressions").is_subset(&oracles), "what is in other folders is not played");
}

#[test]
fn corpora_hold() {
    for (name, oracle) in ALL {
        assert_ne!(play(&fuzz().join("corpus").join(name), oracle), 0, "{name} has no seeds");
    }
}

#[test]
fn what_was_found_once_stays_mended() {
    for (name, oracle) in ALL {
        play(&fuzz().join("regressions").join(name), oracle);
    }
}
