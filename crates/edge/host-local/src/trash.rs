//! Where directories go that a desktop has written to. What a hostile user left may be millions of files, or deeper
//! than any stack and any table of descriptors, so a start only renames it aside; deleting it is the work of one
//! thread in the background, which also finds what an earlier process left behind.
//!
//! The walk goes level by level and is flat: the directories found in those of one level are moved up into a fresh
//! directory of the trash, and are the next level. Stack, descriptors and memory stay the same whatever the depth.
//! It must never follow a link, and never recurse.

use crate::files::{self, Owner};
use crate::layout::hex;
use aws_lc_rs::rand;
use rustix::fs::{AtFlags, CWD, Dir, FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};

/// How much nicer than the rest of the process the deleting is.
const NICE: i32 = 10;

/// The trash of a data directory. Its thread ends some time after this is dropped.
#[derive(Debug)]
pub(crate) struct Trash {
    dir: PathBuf,
    /// Asks for one more round; a full channel is one that is asked already.
    more: SyncSender<()>,
}

/// A directory of ours in the trash, and how many directories have been moved into it.
struct Level {
    name: String,
    dir: OwnedFd,
    holds: u64,
}

impl Trash {
    /// Makes the directory and begins to delete what lies in it.
    pub(crate) fn open(dir: PathBuf) -> io::Result<Self> {
        files::directory(&dir, 0o700, Owner::Us)?;
        let (more, asked) = mpsc::sync_channel(1);
        let trash = Self { dir: dir.clone(), more };
        trash.ask();
        std::thread::Builder::new().name("trash".into()).spawn(move || {
            // On Linux of this thread alone.
            let _ = rustix::process::nice(NICE);
            while asked.recv().is_ok() {
                if let Err(error) = delete_all(&dir) {
                    tracing::warn!(dir = %dir.display(), %error, "the trash cannot be looked through");
                }
            }
        })?;
        Ok(trash)
    }

    /// Puts a directory aside with all below it, at once whatever is in it. None is no error.
    pub(crate) fn take(&self, path: &Path) -> io::Result<()> {
        let put =
            make_movable(CWD, path).and_then(|()| Ok(rustix::fs::rename(path, self.dir.join(unique()?))?));
        match put {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
            Ok(()) => {
                self.ask();
                Ok(())
            }
        }
    }

    /// Makes a directory that is empty, whatever was there.
    pub(crate) fn renew(&self, path: &Path, mode: u32, owner: Owner) -> io::Result<()> {
        self.take(path)?;
        files::directory(path, mode, owner)
    }

    fn ask(&self) {
        let _ = self.more.try_send(());
    }
}

impl Level {
    fn new(top: &OwnedFd) -> io::Result<Self> {
        let name = unique()?;
        rustix::fs::mkdirat(top, &name, Mode::from_raw_mode(0o700))?;
        let dir = enter(top, &name)?;
        Ok(Self { name, dir, holds: 0 })
    }

    /// Moves a directory here.
    fn lift(&mut self, from: &OwnedFd, name: &CStr) -> io::Result<()> {
        make_movable(from, name)?;
        rustix::fs::renameat(from, name, &self.dir, self.holds.to_string())?;
        self.holds += 1;
        Ok(())
    }
}

/// One round through the trash. What cannot be deleted is named in the log, and tried again in the next round.
fn delete_all(dir: &Path) -> io::Result<()> {
    let top = enter(CWD, dir)?;
    // Another process, or another host of this one, may be at it in the same directory.
    rustix::fs::flock(&top, FlockOperation::LockExclusive)?;
    // First all names, one or a few for each start: what a failure leaves must not come up again in this round.
    let mut names = Vec::new();
    for_each(&top, |name| {
        names.push(name.to_owned());
        Ok(())
    })?;
    for name in names {
        if let Err(error) = delete(&top, &name) {
            tracing::warn!(dir = %dir.display(), ?name, %error, "something in the trash cannot be deleted");
        }
    }
    Ok(())
}

/// Deletes one directory of the trash with all below it.
fn delete(top: &OwnedFd, name: &CStr) -> io::Result<()> {
    let mut level = Level::new(top)?;
    empty_into(&mut level, top, name)?;
    while level.holds > 0 {
        let mut next = Level::new(top)?;
        for_each(&level.dir, |name| empty_into(&mut next, &level.dir, name))?;
        rustix::fs::unlinkat(top, &level.name, AtFlags::REMOVEDIR)?;
        level = next;
    }
    Ok(rustix::fs::unlinkat(top, &level.name, AtFlags::REMOVEDIR)?)
}

/// Removes a directory: those in it go to `level`, everything else goes for good.
fn empty_into(level: &mut Level, parent: &OwnedFd, name: &CStr) -> io::Result<()> {
    let dir = match enter(parent, name) {
        // Another process deleted it before it was our turn.
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        entered => entered?,
    };
    loop {
        let mut any = false;
        for_each(&dir, |name| {
            any = true;
            match rustix::fs::unlinkat(&dir, name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(Errno::ISDIR) => level.lift(&dir, name),
                Err(e) => Err(e.into()),
            }
        })?;
        match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
            // A file system may leave entries out of a listing that is being deleted from.
            Err(Errno::NOTEMPTY) if any => {}
            removed => return Ok(removed?),
        }
    }
}

/// Calls `act` with every name in a directory, which may be deleted meanwhile.
fn for_each(dir: &OwnedFd, mut act: impl FnMut(&CStr) -> io::Result<()>) -> io::Result<()> {
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            act(entry.file_name())?;
        }
    }
    Ok(())
}

fn enter(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(parent, name, flags, Mode::empty())?)
}

/// Lets its owner move a directory and delete from it, whatever its mode. Root may anyway.
fn make_movable(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    // Without permission to read it there is only this kind of descriptor, which fchmod does not take.
    let path = format!("/proc/self/fd/{}", dir.as_raw_fd());
    Ok(rustix::fs::chmod(path, Mode::from_raw_mode(0o700))?)
}

/// A name that nothing in the trash has, nor will have.
fn unique() -> io::Result<String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    Ok(hex(&bytes))
}

#[cfg(test)]
mod tests;
