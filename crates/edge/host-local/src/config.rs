//! What the host is told at start, and the checks that a machine can pass or fail as a whole. Fails here,
//! with words that say what to do, rather than at the first logon.

use crate::files::{self, Owner};
use crate::host::{self, LocalHost};
use crate::layout::{DeskDir, Layout, hex};
use crate::trash::Trash;
use aws_lc_rs::digest;
use openrdms_broker::HostName;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a desktop needs of the machine: a path, and the Debian package that brings it.
const NEEDED: [(&str, &str); 9] = [
    ("/usr/bin/setsid", "util-linux"),
    ("/usr/bin/bwrap", "bubblewrap"),
    ("/usr/lib/xorg/Xorg", "xserver-xorg-core"),
    ("/usr/lib/xorg/modules/libxorgxrdp.so", "xorgxrdp"),
    ("/etc/X11/xrdp/xorg.conf", "xorgxrdp"),
    ("/usr/sbin/xrdp", "xrdp"),
    ("/usr/sbin/xrdp-chansrv", "xrdp"),
    ("/usr/bin/xrdp-keygen", "xrdp"),
    ("/usr/bin/dbus-run-session", "dbus-daemon"),
];

/// The default session: a background, a panel with a clock and a way out, a window manager, a terminal. The terminal
/// comes after the window manager, which would not give the keyboard to a window that was there before it.
const SESSION: &str = "xsetroot -solid '#2c4a68'; tint2 -c /run/desk-etc/tint2rc & \
    exec openbox --startup \"xterm -fa 'DejaVu Sans Mono' -fs 11 -geometry 96x28 -bg '#fbfbf8' -fg '#24292f' \
    -title Terminal\"";

/// Why local desktops cannot be had on this machine as it is.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// Programs that desktops are made of.
    #[error("local desktops need {0}")]
    Missing(String),
    /// A Unix socket's path holds 108 bytes.
    #[error(
        "the data directory {0} is too long: socket paths below it would not fit into 108 bytes; choose one of at most {1} bytes"
    )]
    PathTooLong(PathBuf, usize),
    /// Desktops run as other users than the service, and have to get to their files.
    #[error(
        "desktops cannot enter {0} (mode {1:04o}): run chmod o+x on it, or choose another data directory"
    )]
    NotTraversable(PathBuf, u32),
    /// A setting makes no sense.
    #[error("{0}")]
    Invalid(&'static str),
    /// The operating system refused.
    #[error("{what} {path} failed")]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What a desktop may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing but itself.
    None,
    /// The machine's network through pasta: outgoing connections only. Loopback and the address that stands for the
    /// gateway are closed; services on the machine's other addresses are not.
    Outbound,
}

/// What one desktop may take. Memory is limited for each process and for each file system in memory, not
/// for the desktop as a whole: that takes a delegated cgroup v2, which not every machine has.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Processes and threads.
    pub processes: u64,
    /// Open files of each process.
    pub open_files: u64,
    /// Bytes of private writable memory of each process.
    pub data_bytes: u64,
    /// Bytes of `/tmp`, and of `/dev/shm`.
    pub tmp_bytes: u64,
}

/// Local desktops as an administrator wants them.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// The host's name (`VMHostName`).
    pub name: HostName,
    /// Where desktops and homes are kept. Every directory down to it has to be enterable by everybody
    /// (`o+x`) when the service runs as root; what lies inside is closed where it matters.
    pub data_dir: PathBuf,
    /// The session command; the session lasts as long as it.
    pub session_command: Vec<String>,
    /// What desktops may reach.
    pub network: Network,
    /// How many desktops may be starting at one time.
    pub max_starting: usize,
    /// How long a start may take, and also how long it may wait for its turn before that.
    pub start_timeout: Duration,
    /// How long programs may take to end after the user has logged off.
    pub grace: Duration,
    /// The openrdms binary, for `desktop-supervisor` and `desktop-message` in the sandbox; it is copied.
    pub binary: PathBuf,
    /// What one desktop may take.
    pub limits: Limits,
}

impl Default for Limits {
    fn default() -> Self {
        const GIB: u64 = 1 << 30;
        Self { processes: 2048, open_files: 4096, data_bytes: 8 * GIB, tmp_bytes: GIB }
    }
}

impl LocalConfig {
    /// Settings that suit most, for a host that keeps its desktops in `data_dir`.
    pub fn new(name: HostName, data_dir: PathBuf, binary: PathBuf) -> Self {
        Self {
            name,
            data_dir,
            session_command: default_session(),
            network: Network::None,
            max_starting: 4,
            start_timeout: Duration::from_secs(20),
            grace: Duration::from_secs(5),
            binary,
            limits: Limits::default(),
        }
    }

    /// Checks the machine, makes the data directory, and copies the binary there. Blocks on files.
    ///
    /// # Errors
    /// When the machine or the settings do not allow local desktops; the text says what to do.
    pub fn build(mut self) -> Result<LocalHost, LocalError> {
        if self.session_command.is_empty() {
            return Err(LocalError::Invalid("the session command of local desktops is empty"));
        }
        if self.max_starting == 0 {
            return Err(LocalError::Invalid("at least one local desktop must be allowed to start at a time"));
        }
        check_programs(self.network)?;
        if !self.data_dir.exists() {
            files_of(&self.data_dir, "making", |dir| {
                std::fs::create_dir_all(dir)?;
                files::directory(dir, 0o711, Owner::Us)
            })?;
        }
        self.data_dir = files_of(&self.data_dir, "finding", |dir| dir.canonicalize())?;
        let layout = Layout::new(self.data_dir.clone());
        if !layout.usual_names_fit() {
            return Err(LocalError::PathTooLong(self.data_dir, Layout::ROOT_MAX));
        }
        if rustix::process::geteuid().is_root() {
            check_path(layout.root())?;
        }
        for dir in [layout.bin(), layout.desktops(), layout.homes()] {
            files_of(&dir, "making", |dir| files::directory(dir, 0o711, Owner::Us))?;
        }
        let binary = install(&self.binary, &layout.bin())?;
        let boot_id = files_of(Path::new("/proc/sys/kernel/random/boot_id"), "reading", |_| {
            crate::identity::boot_id()
        })?;
        let trash = files_of(&layout.trash(), "preparing", |dir| Trash::open(dir.to_owned()))?;
        files_of(&layout.desktops(), "tidying", |desktops| {
            for desk in std::fs::read_dir(desktops)? {
                let desk = desk?;
                if desk.file_type()?.is_dir() && desk.path() != layout.trash() {
                    host::tidy(&DeskDir(desk.path()), &trash, &boot_id)?;
                }
            }
            Ok(())
        })?;
        Ok(LocalHost::new(self, layout, binary, boot_id, trash))
    }
}

/// The session command used when none is configured.
fn default_session() -> Vec<String> {
    ["dbus-run-session", "--", "/bin/sh", "-c", SESSION].map(str::to_owned).to_vec()
}

fn files_of<T>(
    path: &Path,
    what: &'static str,
    act: impl FnOnce(&Path) -> io::Result<T>,
) -> Result<T, LocalError> {
    act(path).map_err(|source| LocalError::Io { what, path: path.to_owned(), source })
}

fn check_programs(network: Network) -> Result<(), LocalError> {
    let pasta = (network == Network::Outbound).then_some(("/usr/bin/pasta", "passt"));
    let missing: Vec<String> = NEEDED
        .into_iter()
        .chain(pasta)
        .filter(|(path, _)| !Path::new(path).exists())
        .map(|(path, package)| format!("{path} (Debian package {package})"))
        .collect();
    if missing.is_empty() { Ok(()) } else { Err(LocalError::Missing(missing.join(", "))) }
}

/// Every directory down to the data directory must let other users through.
fn check_path(root: &Path) -> Result<(), LocalError> {
    for dir in root.ancestors() {
        let mode = files_of(dir, "looking at", |dir| std::fs::metadata(dir))?.mode() & 0o7777;
        if mode & 0o001 == 0 {
            return Err(LocalError::NotTraversable(dir.to_owned(), mode));
        }
    }
    Ok(())
}

/// Copies the binary under a name made of its content, so that a new version never changes the file that
/// running desktops execute. Desktops keep an old copy alive by having it mounted.
fn install(binary: &Path, bin: &Path) -> Result<PathBuf, LocalError> {
    let sum = files_of(binary, "reading", |path| {
        let mut file = std::fs::File::open(path)?;
        let mut sum = digest::Context::new(&digest::SHA256);
        let mut part = vec![0; 1 << 20];
        loop {
            match file.read(&mut part)? {
                0 => break Ok(sum.finish()),
                n => sum.update(part.get(..n).unwrap_or_default()),
            }
        }
    })?;
    let name = format!("openrdms-{}", hex(sum.as_ref().get(..8).unwrap_or_default()));
    let copy = bin.join(&name);
    if !copy.exists() {
        // A name of its own for each process, so that two that start together do not share a draft.
        let draft = bin.join(format!("{name}.{}", std::process::id()));
        files_of(binary, "copying", |from| std::fs::copy(from, &draft))?;
        files_of(&draft, "opening up", |d| {
            std::fs::set_permissions(d, std::fs::Permissions::from_mode(0o755))
        })?;
        files_of(&draft, "renaming", |d| std::fs::rename(d, &copy))?;
    }
    for old in std::fs::read_dir(bin).into_iter().flatten().flatten() {
        if old.file_name() != *name {
            let _ = std::fs::remove_file(old.path());
        }
    }
    Ok(copy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closed_directory_on_the_way_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let inner = dir.path().join("data");
        std::fs::create_dir(&inner).unwrap();
        let error = check_path(&inner).unwrap_err();
        assert!(matches!(&error, LocalError::NotTraversable(at, 0o700) if at == dir.path()), "{error}");
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        check_path(&inner).unwrap();
    }

    #[test]
    fn a_new_binary_replaces_the_old_copy_under_a_new_name() {
        let dir = tempfile::tempdir().unwrap();
        let (binary, bin) = (dir.path().join("openrdms"), dir.path().join("bin"));
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(&binary, "one").unwrap();
        let one = install(&binary, &bin).unwrap();
        assert_eq!(one, install(&binary, &bin).unwrap());
        std::fs::write(&binary, "two").unwrap();
        let two = install(&binary, &bin).unwrap();
        assert_ne!(one, two);
        assert_eq!(std::fs::read_dir(&bin).unwrap().count(), 1);
        assert_eq!(std::fs::metadata(two).unwrap().mode() & 0o7777, 0o755);
    }
}
