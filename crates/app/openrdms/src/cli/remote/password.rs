//! Where a password comes from: a file, or the terminal. Never from the command line, where other people of the
//! machine see it.

use crate::cli::Failure;
use crate::cli::output::{clean, remark};
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// A password longer than this is a mistake such as another file.
const MOST: u64 = 1024;

/// The password of `username`: the first line of the file, or what is typed.
pub(super) fn read(username: &str, file: Option<&Path>) -> Result<Zeroizing<String>, Failure> {
    if let Some(path) = file {
        return from_file(path).map_err(|error| {
            Failure::failed(format!("the password file {} cannot be read: {error}", path.display()))
        });
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "there is no terminal to ask for the password on: name a file with it in OPENRDMS_PASSWORD_FILE",
        ));
    }
    Ok(Zeroizing::new(rpassword::prompt_password(format!("Password of {}: ", clean(username)))?))
}

fn from_file(path: &Path) -> std::io::Result<Zeroizing<String>> {
    let file = std::fs::File::open(path)?;
    if file.metadata()?.mode() & 0o004 != 0 {
        let _ = remark(&format!("openrdms: everybody on this machine can read {}", path.display()));
    }
    // Room for all of it from the start: a string that grows leaves copies behind.
    let mut line = Zeroizing::new(String::with_capacity(2 * MOST as usize));
    std::io::BufReader::new(file.take(MOST)).read_line(&mut line)?;
    let end = line.trim_end_matches(['\r', '\n']).len();
    line.truncate(end);
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_file_is_the_password() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        std::fs::write(&path, " s3cret \r\nrest\n").unwrap();
        assert_eq!(&**from_file(&path).as_ref().unwrap(), " s3cret ");
        assert!(from_file(&dir.path().join("none")).is_err());
    }
}
