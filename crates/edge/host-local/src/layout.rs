//! Where things lie in the data directory, and how names become file names. Pure: touches no file.

use crate::inside;
use aws_lc_rs::digest;
use openrdms_broker::{CollectionAlias, DesktopName, UserName};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// `sun_path` holds 108 bytes with the final zero.
pub(crate) const SOCKET_PATH_MAX: usize = 107;
/// Desktop names of this many bytes always fit: the longest alias and a number.
const USUAL_NAME: usize = 37;
/// Longer encoded names are cut and completed by a hash; `NAME_MAX` is 255.
const FILE_NAME_MAX: usize = 120;

/// The data directory.
///
/// ```text
/// bin/openrdms-HASH             0755  the supervisor, reachable by every desktop's uid
/// desktops/NAME/                0711
///   key.pem cert.* rsakeys.ini  0600  made once by prepare
///   current.json                0600  the handle of the run, whether it was asked to end
///   start.log                   0600  what bwrap and the supervisor print
///   etc/                        0750  root and the uid's group: read-only for the desktop
///   run/ log/                   0700  the uid's: hostile
///   home/                       0700  the uid's: hostile; of a logon that begins with a fresh home, else unused
/// desktops/.trash/              0700  what was put aside, until it is deleted: hostile; no name begins with a dot
/// homes/COLLECTION/NAME@DOMAIN/ 0700  the uid's: hostile, kept
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    root: PathBuf,
}

/// The directory of one desktop.
#[derive(Clone, Debug)]
pub(crate) struct DeskDir(pub(crate) PathBuf);

impl Layout {
    /// The longest data directory below which desktops with names of usual length find room.
    pub(crate) const ROOT_MAX: usize =
        SOCKET_PATH_MAX - "/desktops/".len() - USUAL_NAME - "/run/".len() - inside::CONTROL_SOCKET.len();

    pub(crate) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn bin(&self) -> PathBuf {
        self.root.join("bin")
    }

    pub(crate) fn desktops(&self) -> PathBuf {
        self.root.join("desktops")
    }

    pub(crate) fn homes(&self) -> PathBuf {
        self.root.join("homes")
    }

    /// On the file system of the desktops, so that what is thrown away is only renamed.
    pub(crate) fn trash(&self) -> PathBuf {
        self.desktops().join(".trash")
    }

    pub(crate) fn desktop(&self, name: &DesktopName) -> DeskDir {
        DeskDir(self.desktops().join(name.as_str()))
    }

    pub(crate) fn collection_homes(&self, collection: &CollectionAlias) -> PathBuf {
        self.homes().join(collection.as_str())
    }

    pub(crate) fn home(&self, collection: &CollectionAlias, user: &UserName) -> PathBuf {
        self.collection_homes(collection).join(home_name(user))
    }

    /// Whether desktops with names of usual length find room for their socket's path.
    pub(crate) fn usual_names_fit(&self) -> bool {
        self.root.as_os_str().len() <= Self::ROOT_MAX
    }
}

impl DeskDir {
    pub(crate) fn etc(&self) -> PathBuf {
        self.0.join("etc")
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("log")
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.0.join("home")
    }

    pub(crate) fn certificate_der(&self) -> PathBuf {
        self.0.join("cert.der")
    }

    pub(crate) fn certificate_pem(&self) -> PathBuf {
        self.0.join("cert.pem")
    }

    pub(crate) fn key(&self) -> PathBuf {
        self.0.join("key.pem")
    }

    pub(crate) fn rsakeys(&self) -> PathBuf {
        self.0.join("rsakeys.ini")
    }

    pub(crate) fn current(&self) -> PathBuf {
        self.0.join("current.json")
    }

    pub(crate) fn start_log(&self) -> PathBuf {
        self.0.join("start.log")
    }

    pub(crate) fn rdp_socket(&self) -> PathBuf {
        self.run().join(inside::RDP_SOCKET)
    }

    /// Whether the paths of this desktop's sockets are short enough for everybody's `connect`.
    pub(crate) fn fits(&self) -> bool {
        self.run().join(inside::CONTROL_SOCKET).as_os_str().as_bytes().len() <= SOCKET_PATH_MAX
    }
}

/// The file name of a user's home: equal for equal users, different for different ones.
pub(crate) fn home_name(user: &UserName) -> String {
    let text = format!("{}@{}", encode(&user.name().to_lowercase()), encode(&user.domain().to_lowercase()));
    if text.len() <= FILE_NAME_MAX {
        return text;
    }
    let hash = digest::digest(&digest::SHA256, text.as_bytes());
    let mut short = text[..FILE_NAME_MAX - 66].to_owned();
    short.push_str("%%");
    short.push_str(&hex(hash.as_ref()));
    short
}

/// A Unix account name that looks like the user's; it lives in its desktop only and need not be unique.
pub(crate) fn unix_name(user: &UserName) -> String {
    let ok = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
    let text: String =
        user.name().to_lowercase().chars().map(|c| if ok(c) { c } else { '_' }).take(32).collect();
    match text.as_str() {
        "root" | "nobody" => format!("{text}_"),
        _ if text.starts_with(|c: char| c.is_ascii_lowercase()) => text,
        _ => format!("u{text}"),
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Percent-encodes all but `a-z 0-9 - _` and inner dots: never empty for non-empty text, never hidden.
fn encode(text: &str) -> String {
    let mut out = String::new();
    for (at, byte) in text.bytes().enumerate() {
        if byte.is_ascii_lowercase()
            || byte.is_ascii_digit()
            || b"-_".contains(&byte)
            || (byte == b'.' && at > 0)
        {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02x}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn user(domain: &str, name: &str) -> UserName {
        UserName::new(domain, name).unwrap()
    }

    #[test]
    fn homes_are_named_after_user_and_domain() {
        assert_eq!(home_name(&user("FARM", "Alice.Smith")), "alice.smith@farm");
        assert_eq!(home_name(&user("farm", ".Ö x")), "%2e%c3%b6%20x@farm");
        assert_ne!(home_name(&user("a", "x")), home_name(&user("b", "x")));
    }

    #[test]
    fn long_names_stay_file_names_and_stay_apart() {
        let (a, b) = ("ö".repeat(64), format!("{}a", "ö".repeat(63)));
        assert!(home_name(&user("d", &a)).len() <= FILE_NAME_MAX);
        assert_ne!(home_name(&user("d", &a)), home_name(&user("d", &b)));
    }

    #[test]
    fn account_names_are_never_those_of_the_system() {
        assert_eq!(unix_name(&user("d", "Alice")), "alice");
        assert_eq!(unix_name(&user("d", "ROOT")), "root_");
        assert_eq!(unix_name(&user("d", "-rf x")), "u-rf_x");
    }

    #[test]
    fn a_long_data_directory_leaves_no_room_for_sockets() {
        assert!(Layout::new("/var/lib/openrdms".into()).usual_names_fit());
        assert!(!Layout::new(format!("/{}", "d".repeat(60)).into()).usual_names_fit());
        let name = DesktopName::new(&"n".repeat(63)).unwrap();
        assert!(Layout::new("/srv/o".into()).desktop(&name).fits());
        assert!(!Layout::new("/var/lib/openrdms-of-the-department".into()).desktop(&name).fits());
    }

    proptest! {
        #[test]
        fn a_home_name_is_one_plain_path_component(domain in "\\PC{1,64}", name in "\\PC{1,64}") {
            if let Ok(user) = UserName::new(&domain, &name) {
                let home = home_name(&user);
                prop_assert!(home.len() <= FILE_NAME_MAX && !home.starts_with('.'));
                prop_assert!(home.bytes().all(|b| b.is_ascii_graphic() && b != b'/'));
                prop_assert!(unix_name(&user).len() <= 33);
            }
        }
    }
}
