//! Reads MOF files with all that they include, tells what is wrong, takes them into a repository, and checks that what
//! is printed reads back to the same.
//!
//! `cargo run -p openrdms-cim --example mof_check -- [--search DIR]... FILE...`; ends with 1 where something is wrong.

#![expect(clippy::print_stdout, reason = "telling is what it is for")]

use openrdms_cim::Repository;
use openrdms_cim::mof::{self, Context, Included, Reading};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let (mut search, mut files) = (Vec::new(), Vec::new());
    let mut arguments = std::env::args_os().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--search") => search.extend(arguments.next().map(PathBuf::from)),
            _ => files.push(PathBuf::from(argument)),
        }
    }
    let good = files.iter().filter(|file| check(file, &search)).count();
    println!("{good} of {} files are good", files.len());
    if good == files.len() && good > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn check(file: &Path, search: &[PathBuf]) -> bool {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) => {
            println!("{}: {error}", file.display());
            return false;
        }
    };
    let name = file.to_string_lossy();
    let mut include = |name: &str, from: &str| included(name, from, search);
    let context = Context { name: &name, include: Some(&mut include), ..Context::default() };
    let reading = mof::read_with(&mof::decode(&bytes), context);
    for diagnostic in &reading.diagnostics {
        println!("{diagnostic}");
    }
    let errors = reading.errors().count();
    let Reading { classes, qualifiers, instances, .. } = &reading;
    println!(
        "{name}: {} classes, {} qualifiers, {} instances, {errors} errors",
        classes.len(),
        qualifiers.len(),
        instances.len()
    );
    errors == 0 && reads_back(&reading) && is_taken(reading)
}

/// What a pragma names: beside the file that has it, or in a directory that was given.
fn included(name: &str, from: &str, search: &[PathBuf]) -> Result<Included, String> {
    let name = name.replace('\\', "/");
    let beside = Path::new(from).parent().map(|directory| directory.join(&name));
    let found =
        beside.into_iter().chain(search.iter().map(|directory| directory.join(&name))).find(|p| p.is_file());
    let found = found.ok_or("there is no such file")?.canonicalize().map_err(|e| e.to_string())?;
    let bytes = std::fs::read(&found).map_err(|e| e.to_string())?;
    Ok(Included { name: found.to_string_lossy().into_owned(), text: mof::decode(&bytes) })
}

fn reads_back(reading: &Reading) -> bool {
    // In parts, because together they are longer than one text may be.
    let declared = Reading { qualifiers: reading.qualifiers.clone(), ..Reading::default() };
    let mut known = Repository::default();
    let parts = std::iter::once(declared)
        .chain(reading.classes.iter().map(|c| Reading { classes: vec![c.clone()], ..Reading::default() }));
    for part in parts {
        let text = mof::print::reading(&part);
        let again = mof::read_with(&text, Context { known: Some(&known), ..Context::default() });
        if again.classes != part.classes || again.qualifiers != part.qualifiers {
            let first = again.diagnostics.first().map(ToString::to_string).unwrap_or_default();
            println!("does not read back: {first}\n{text}");
            return false;
        }
        for declared in part.qualifiers {
            if let Err(error) = known.add_qualifier("", declared) {
                println!("{error}");
                return false;
            }
        }
        for class in part.classes {
            if let Err(error) = known.add("", class) {
                println!("{error}");
                return false;
            }
        }
    }
    true
}

fn is_taken(reading: Reading) -> bool {
    let taken = Repository::default().take("root/cimv2", reading);
    if let Err(error) = &taken {
        println!("{error}");
    }
    taken.is_ok()
}
