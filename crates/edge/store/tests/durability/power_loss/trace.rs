//! What a program did to the files of one directory, read from strace's record of its system calls.

use std::{collections::BTreeMap, os::unix::ffi::OsStrExt as _, path::Path};

/// The calls to record. The model knows those that the store makes; the others are here so that it notices when
/// the store begins to make them.
pub(crate) const CALLS: &str = "trace=open,openat,creat,write,pwrite64,writev,pwritev,pwritev2,fsync,fdatasync,\
    sync_file_range,truncate,ftruncate,fallocate,copy_file_range,rename,renameat,renameat2,link,linkat,unlink,\
    unlinkat";

/// One call, between the lines of the record at which it began and ended.
#[derive(Debug)]
pub(crate) struct Call {
    pub began: usize,
    /// Past every line where it did not end.
    pub ended: usize,
    pub what: What,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Makes the name if it is not there.
    Create {
        name: String,
    },
    Write {
        name: String,
        at: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        name: String,
        length: usize,
    },
    Sync {
        name: String,
    },
    SyncDirectory,
    Unlink {
        name: String,
    },
    /// The program said that this is durable.
    Acknowledge {
        what: Vec<String>,
    },
}

/// Reads a record of strace's `-f -y -xx`. Panics on what it does not understand about the directory's files:
/// a model that overlooks something proves nothing.
pub(crate) fn read(record: &str, directory: &Path) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut unfinished: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for (number, line) in record.lines().enumerate() {
        let (process, rest) = line.split_once(' ').expect("a line begins with the process");
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(process, (number, begun));
        } else if let Some(resumed) = rest.strip_prefix("<... ") {
            let (began, first) = unfinished.remove(process).expect("what resumes has begun");
            let (_, second) = resumed.split_once(" resumed>").expect("so strace writes it");
            calls.extend(call(&format!("{first}{second}"), began, number, directory));
        } else if !rest.starts_with(['+', '-']) {
            calls.extend(call(rest, number, number, directory));
        }
    }
    for (began, first) in unfinished.into_values() {
        calls.extend(call(&format!("{first}) = ?"), began, usize::MAX, directory));
    }
    calls.sort_by_key(|call| call.began);
    calls
}

fn call(text: &str, began: usize, ended: usize, directory: &Path) -> Option<Call> {
    let (call, result) = text.rsplit_once(" = ").expect("a call has a result");
    let (name, arguments) = call.split_once('(').expect("a call has arguments");
    let arguments: Vec<&str> = arguments.trim_end().trim_end_matches(')').split(", ").collect();
    if result.starts_with('-') {
        return None;
    }
    let what = match name {
        "write" if arguments[0].starts_with("1<") => acknowledged(&bytes(arguments[1]))?,
        "open" | "openat" | "creat" => {
            let path = arguments.iter().find(|a| a.starts_with('"')).expect("a path");
            let name = inside(&bytes(path), directory)?;
            assert!(
                !text.contains("O_TRUNC") && !text.contains("O_SYNC") && !text.contains("O_DSYNC"),
                "{text}"
            );
            if !text.contains("O_CREAT") {
                return None;
            }
            What::Create { name }
        }
        "pwrite64" => {
            let (name, bytes) = (opened(arguments[0], directory)?, bytes(arguments[1]));
            assert!(result == "?" || result.parse() == Ok(bytes.len()), "written in part: {result}");
            What::Write { name, at: arguments[3].parse().expect("an offset"), bytes }
        }
        "ftruncate" => {
            let length = arguments[1].parse().expect("a length");
            What::Truncate { name: opened(arguments[0], directory)?, length }
        }
        "fsync" | "fdatasync" => {
            if path_of(arguments[0]) == directory.as_os_str().as_bytes() {
                What::SyncDirectory
            } else {
                What::Sync { name: opened(arguments[0], directory)? }
            }
        }
        "unlink" => What::Unlink { name: inside(&bytes(arguments[0]), directory)? },
        _ => {
            let encoded: String =
                directory.as_os_str().as_bytes().iter().map(|b| format!("\\x{b:02x}")).collect();
            assert!(!text.contains(&encoded), "the model does not know this call: {name} {arguments:?}");
            return None;
        }
    };
    Some(Call { began, ended, what })
}

fn acknowledged(bytes: &[u8]) -> Option<What> {
    let text = String::from_utf8_lossy(bytes);
    let what: Vec<_> = text.lines().filter_map(|l| l.strip_prefix("ack ")).map(str::to_owned).collect();
    (!what.is_empty()).then_some(What::Acknowledge { what })
}

/// The name in the directory of what a descriptor, written as `9<path>`, is open on. Shared memory is made anew
/// from the journal whenever the store is opened first.
fn opened(descriptor: &str, directory: &Path) -> Option<String> {
    inside(&path_of(descriptor), directory)
}

fn path_of(descriptor: &str) -> Vec<u8> {
    let (_, path) = descriptor.split_once('<').unwrap_or_default();
    // behind it may stand that the file is deleted, as temporary ones are
    decode(path.split_once('>').map_or(path, |(path, _)| path))
}

fn inside(path: &[u8], directory: &Path) -> Option<String> {
    let name = path.strip_prefix(directory.as_os_str().as_bytes())?.strip_prefix(b"/")?;
    let name = String::from_utf8(name.to_vec()).expect("our names are UTF-8");
    (!name.ends_with("-shm")).then_some(name)
}

fn bytes(quoted: &str) -> Vec<u8> {
    let inner = quoted.strip_prefix('"').and_then(|q| q.strip_suffix('"'));
    decode(inner.expect("a whole string: strace was told to write them whole"))
}

fn decode(hexadecimal: &str) -> Vec<u8> {
    let digit = |d: u8| char::from(d).to_digit(16).and_then(|d| u8::try_from(d).ok()).expect("a digit");
    let code = hexadecimal.as_bytes().chunks(4);
    code.map(|c| {
        assert!(c.len() == 4 && c.starts_with(b"\\x"), "all of it is in hexadecimal");
        digit(c[2]) << 4 | digit(c[3])
    })
    .collect()
}
