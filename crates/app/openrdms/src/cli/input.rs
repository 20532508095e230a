//! Files that the words of a command name.

use super::Failure;
use std::io::Read as _;
use std::path::Path;

/// The text of a file; `-` is standard input. One of more than `most` bytes is refused, never cut.
pub(super) fn text(file: &Path, most: u64) -> Result<String, Failure> {
    let mut text = String::new();
    let read = if file.as_os_str() == "-" {
        std::io::stdin().lock().take(most + 1).read_to_string(&mut text)
    } else {
        std::fs::File::open(file).and_then(|file| file.take(most + 1).read_to_string(&mut text))
    };
    let read = read.map_err(|error| Failure::usage(format!("{} cannot be read: {error}", file.display())))?;
    if read as u64 > most {
        return Err(Failure::usage(format!("{} is longer than {} KiB", file.display(), most >> 10)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "x".repeat(1024)).unwrap();
        assert_eq!(text(&file, 1024).unwrap().len(), 1024);
        std::fs::write(&file, "x".repeat(1025)).unwrap();
        let refused = text(&file, 1024).unwrap_err();
        assert!(
            refused.exit == 2 && refused.message.ends_with("is longer than 1 KiB"),
            "{}",
            refused.message
        );
        assert!(text(&dir.path().join("none"), 1).unwrap_err().message.contains("cannot be read"));
    }
}
