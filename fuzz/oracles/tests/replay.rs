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
    let mut list: Vec<_> = list.map(|entry| entry.expect("it can be listed").path()).collect();
    list.sort();
    list
}

fn names(folder: &str) -> BTreeSet<String> {
    let stem = |path: PathBuf| {
        path.file_stem().and_then(|name| name.to_str()).expect("it has a plain name").to_owned()
    };
    entries(&fuzz().join(folder)).into_iter().map(stem).collect()
}

/// Plays all files of a folder: how many there are, and of how many something was read. All that fail are told.
fn play(folder: &Path, oracle: Oracle) -> (usize, usize) {
    let (mut read, mut failed) = (0, Vec::new());
    let files = entries(folder);
    for file in &files {
        let bytes = fs::read(file).expect("it can be read");
        match panic::catch_unwind(|| oracle(&bytes)) {
            Ok(something) => read += usize::from(something),
            Err(_) => failed.push(file),
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
    (files.len(), read)
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
        let (files, read) = play(&fuzz().join("corpus").join(name), oracle);
        // seeds of which nothing is read would be of little use, and an oracle that reads nothing of none
        assert!(files > 0 && 2 * read >= files, "{name}: something was read of {read} of {files} seeds");
        println!("{name}: something was read of {read} of {files} seeds");
    }
}

#[test]
fn what_was_found_once_stays_mended() {
    for (name, oracle) in ALL {
        play(&fuzz().join("regressions").join(name), oracle);
    }
}
