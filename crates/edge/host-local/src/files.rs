//! Files and directories with an owner and a mode. Nothing here follows a link in its last component, and
//! what a desktop wrote is read only if it is a regular file, up to a limit.

use rustix::fs::{FileType, Mode, OFlags, fchmod, fchown, fstat, open};
use rustix::process::{Gid, Uid};
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// How the names of files end that are being written.
const DRAFTS: [&str; 2] = ["new", "draft"];

/// Who shall own a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// Whoever this process is.
    Us,
    /// This process, and the group of a desktop's uid, which may read it.
    UsFor(u32),
    /// A desktop's uid and gid.
    Desk(u32),
}

impl Owner {
    fn apply(self, file: &OwnedFd) -> io::Result<()> {
        // Only root can give files away; as anybody else we are the desktop's uid already.
        let (uid, gid) = match self {
            Self::Us => return Ok(()),
            _ if !rustix::process::geteuid().is_root() => return Ok(()),
            Self::UsFor(id) => (None, id),
            Self::Desk(id) => (Some(Uid::from_raw(id)), id),
        };
        Ok(fchown(file, uid, Some(Gid::from_raw(gid)))?)
    }
}

/// Makes a directory, or sees to the mode and owner of the one that is there.
pub(crate) fn directory(path: &Path, mode: u32, owner: Owner) -> io::Result<()> {
    match rustix::fs::mkdir(path, Mode::from_raw_mode(0o700)) {
        Ok(()) | Err(rustix::io::Errno::EXIST) => {}
        Err(e) => return Err(e.into()),
    }
    let dir = open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    owner.apply(&dir)?;
    Ok(fchmod(&dir, Mode::from_raw_mode(mode))?)
}

/// Writes a file of ours as a whole or not at all, also across a power cut; when this returns it is there for good.
pub(crate) fn write_durable(path: &Path, bytes: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    let (draft, file) = draft(path, bytes, mode, owner)?;
    file.sync_all()?;
    std::fs::rename(draft, path)?;
    sync_names(path.parent().unwrap_or(Path::new(".")))
}

/// Makes the names in a directory of ours durable.
pub(crate) fn sync_names(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Removes what a process of ours that was killed had only begun to write in a directory of ours.
pub(crate) fn remove_drafts(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|end| DRAFTS.iter().any(|draft| end == *draft)) {
            std::fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Writes a file of ours as a whole or not at all; a power cut may lose it.
pub(crate) fn write(path: &Path, bytes: &[u8], mode: u32, owner: Owner) -> io::Result<()> {
    let (draft, _) = draft(path, bytes, mode, owner)?;
    std::fs::rename(draft, path)
}

fn draft(path: &Path, bytes: &[u8], mode: u32, owner: Owner) -> io::Result<(PathBuf, File)> {
    let draft = path.with_extension("new");
    let _ = std::fs::remove_file(&draft);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = open(&draft, flags, Mode::from_raw_mode(0o600))?;
    owner.apply(&file)?;
    fchmod(&file, Mode::from_raw_mode(mode))?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    Ok((draft, file))
}

/// Reads a file that somebody hostile may have made: no link, no FIFO that would hang, no more than `max`.
pub(crate) fn read_hostile(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a regular file"));
    }
    let mut bytes = Vec::new();
    File::from(file).take(max + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "longer than allowed"));
    }
    Ok(bytes)
}

/// Text that came out of a desktop, fit for a log line: no control characters, at most `max` characters.
pub(crate) fn plain(text: &str, max: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(max).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_desktop_left_is_read_only_as_a_small_regular_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("secret"), "s").unwrap();
        std::os::unix::fs::symlink(path("secret"), path("link")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        assert_eq!(read_hostile(&path("secret"), 1).unwrap(), b"s");
        assert!(read_hostile(&path("secret"), 0).is_err());
        assert!(read_hostile(&path("link"), 9).is_err());
        assert!(read_hostile(&path("fifo"), 9).is_err());
        assert!(read_hostile(dir.path(), 9).is_err());
    }

    #[test]
    fn what_was_only_begun_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["current.json", "current.new", "rsakeys.draft", "cert.der"] {
            std::fs::write(dir.path().join(name), "x").unwrap();
        }
        remove_drafts(dir.path()).unwrap();
        let left = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<_> = left.collect();
        left.sort();
        assert_eq!(left, ["cert.der", "current.json"]);
    }

    #[test]
    fn a_link_in_place_of_a_directory_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (real, link) = (dir.path().join("real"), dir.path().join("link"));
        directory(&real, 0o711, Owner::Us).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        assert!(directory(&link, 0o700, Owner::Us).is_err());
    }
}
