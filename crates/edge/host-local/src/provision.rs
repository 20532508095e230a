//! Everything that lies on the disk before a desktop starts. The texts are pure functions.

use crate::certificate;
use crate::files::{self, Owner};
use crate::inside::{self, Job};
use crate::layout::{DeskDir, unix_name};
use crate::trash::Trash;
use aws_lc_rs::rand;
use openrdms_broker::{DesktopName, UserName};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use zeroize::Zeroizing;

const RSAKEYS_MAX: u64 = 64 * 1024;
const RESOLV_MAX: u64 = 64 * 1024;
const COOKIE_NAME: &[u8] = b"MIT-MAGIC-COOKIE-1";
/// Where pasta answers DNS on behalf of the machine's resolver; link-local, so nobody else's.
pub(crate) const DNS: &str = "169.254.53.53";

/// A draft that is not left lying about.
struct RemovedOnDrop(PathBuf);

impl Drop for RemovedOnDrop {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Names the desktop on the disk: its directory, its certificate, and xrdp's RSA key (which only the
/// unused standard RDP security would need, but without which xrdp does not start).
pub(crate) fn prepare(desk: &DeskDir, name: &DesktopName) -> io::Result<[u8; 32]> {
    files::directory(&desk.0, 0o711, Owner::Us)?;
    let sum = certificate::ensure(desk, name.as_str())?;
    if !desk.rsakeys().try_exists()? {
        let draft = desk.0.join("rsakeys.draft");
        // It makes the file for its owner only, whatever the umask.
        let made = Command::new("/usr/bin/xrdp-keygen")
            .arg("xrdp")
            .arg(&draft)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let draft = RemovedOnDrop(draft);
        if !made.success() {
            return Err(io::Error::other(format!("xrdp-keygen ended with {made}")));
        }
        let keys = files::read_hostile(&draft.0, RSAKEYS_MAX).map(Zeroizing::new)?;
        files::write_durable(&desk.rsakeys(), &keys, 0o600, Owner::Us)?;
    }
    Ok(sum)
}

/// Makes the directories of a run, empty, and fills the read-only one. Takes no longer for what the last run left.
pub(crate) fn fill(desk: &DeskDir, trash: &Trash, user: &UserName, uid: u32, job: &Job) -> io::Result<()> {
    trash.renew(&desk.run(), 0o700, Owner::Desk(uid))?;
    trash.renew(&desk.log(), 0o700, Owner::Desk(uid))?;
    let etc = desk.etc();
    trash.renew(&etc, 0o750, Owner::UsFor(uid))?;
    let put = |name: &str, bytes: &[u8]| files::write(&etc.join(name), bytes, 0o640, Owner::UsFor(uid));

    let copy = |from: &Path| files::read_hostile(from, RSAKEYS_MAX).map(Zeroizing::new);
    put("key.pem", &copy(&desk.key())?)?;
    put("cert.pem", &copy(&desk.certificate_pem())?)?;
    put("rsakeys.ini", &copy(&desk.rsakeys())?)?;
    put("Xauthority", &xauthority()?)?;
    put("xrdp.ini", xrdp_ini().as_bytes())?;
    put("passwd", passwd(user, uid).as_bytes())?;
    put("group", group(user, uid).as_bytes())?;
    put("hosts", b"127.0.0.1 localhost\n::1 localhost\n")?;
    put("nsswitch.conf", b"passwd: files\ngroup: files\nhosts: files dns\n")?;
    let host_resolv = files::read_hostile(Path::new("/etc/resolv.conf"), RESOLV_MAX).unwrap_or_default();
    put("resolv.conf", resolv(&String::from_utf8_lossy(&host_resolv)).as_bytes())?;
    put("tint2rc", include_bytes!("provision/tint2rc"))?;
    put(inside::JOB, &serde_json::to_vec(job)?)
}

/// The user's home in this collection. It is theirs alone, so a home that belongs to another uid is an
/// error and never handed over.
pub(crate) fn home(collection: &Path, home: &Path, uid: u32) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    files::directory(collection, 0o711, Owner::Us)?;
    let new = match std::fs::symlink_metadata(home) {
        Ok(there) if there.uid() == uid && there.is_dir() => false,
        // Made, but not yet given away, by a start that did not get further: still empty.
        Ok(there)
            if there.uid() == rustix::process::geteuid().as_raw()
                && std::fs::read_dir(home)?.next().is_none() =>
        {
            true
        }
        Ok(there) => {
            let text = format!("the home {} belongs to uid {}, not {uid}", home.display(), there.uid());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => true,
        Err(e) => return Err(e),
    };
    if new { files::directory(home, 0o700, Owner::Desk(uid)) } else { Ok(()) }
}

/// An Xauthority file (Xau's format: five counted fields, big-endian) with one random cookie that fits
/// every address, family `FamilyWild`.
fn xauthority() -> io::Result<Zeroizing<Vec<u8>>> {
    let mut cookie = Zeroizing::new([0; 16]);
    rand::fill(&mut *cookie).map_err(|_| io::Error::other("the system gave no random bytes"))?;
    let mut file = Zeroizing::new(Vec::with_capacity(64));
    file.extend_from_slice(&u16::MAX.to_be_bytes());
    for field in [&[][..], &[][..], COOKIE_NAME, &cookie[..]] {
        let length = u16::try_from(field.len()).expect("all fields are short");
        file.extend_from_slice(&length.to_be_bytes());
        file.extend_from_slice(field);
    }
    Ok(file)
}

/// xrdp's configuration: TLS with the desktop's certificate, no questions, straight into Xorg. It checks
/// no credentials: who can reach the socket owns the desktop. The leading dot of the port is dropped by
/// xrdp and needed; the address has to be there although a Unix socket has none.
fn xrdp_ini() -> String {
    let (etc, log, run) = (inside::ETC, inside::LOG, inside::RUN);
    let (socket, display) = (inside::RDP_SOCKET, inside::XRDP_DISPLAY);
    format!(
        "[Globals]\nini_version=1\nfork=true\nport=unix://.{run}/{socket}\nsecurity_layer=tls\n\
         certificate={etc}/cert.pem\nkey_file={etc}/key.pem\nssl_protocols=TLSv1.2, TLSv1.3\n\
         tcp_nodelay=true\nautorun=desk\nallow_channels=true\nallow_multimon=true\nbitmap_cache=true\n\
         bitmap_compression=true\nbulk_compression=true\nmax_bpp=32\nnew_cursors=true\nuse_fastpath=both\n\
         hidelogwindow=true\nrequire_credentials=false\n\n\
         [Logging]\nLogFile={log}/xrdp.log\nLogLevel=INFO\nEnableSyslog=false\n\n\
         [Channels]\nrdpdr=true\nrdpsnd=true\ndrdynvc=true\ncliprdr=true\nrail=false\n\n\
         [desk]\nname=desk\nlib=libxup.so\nusername=na\npassword=na\nip=127.0.0.1\nport={display}\n\
         chansrvport=/run/xrdp/sockdir/xrdp_chansrv_socket_10\ncode=20\ndelay_ms=0\n"
    )
}

fn passwd(user: &UserName, uid: u32) -> String {
    let name = unix_name(user);
    format!(
        "root:x:0:0:root:/nonexistent:/usr/sbin/nologin\n{name}:x:{uid}:{uid}:{}:/home/{name}:/bin/bash\n\
         nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n",
        files::plain(user.name(), 64).replace([':', ','], " ")
    )
}

fn group(user: &UserName, uid: u32) -> String {
    format!("root:x:0:\ntty:x:5:\n{}:x:{uid}:\nnogroup:x:65534:\n", unix_name(user))
}

/// The desktop's resolver: the machine's search domains, and pasta in place of the machine's servers,
/// which may listen on addresses that only the machine can reach.
fn resolv(host: &str) -> String {
    let kept = host.lines().filter(|l| l.starts_with("search ") || l.starts_with("options "));
    kept.chain([format!("nameserver {DNS}").as_str()]).fold(String::new(), |text, line| text + line + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_cannot_write_lines_into_passwd() {
        let user =
            UserName::new("d", "Ann O'Neil\u{85}x").or_else(|_| UserName::new("d", "Ann O'Neil")).unwrap();
        let text = passwd(&user, 20001);
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|l| l.split(':').count() == 7), "{text}");
        assert!(text.contains("\nann_o_neil:x:20001:20001:Ann O'Neil:/home/ann_o_neil:"), "{text}");
    }

    #[test]
    fn every_desktop_gets_a_cookie_of_its_own() {
        let (a, b) = (xauthority().unwrap(), xauthority().unwrap());
        assert_eq!(a.len(), 2 + 2 + 2 + 2 + COOKIE_NAME.len() + 2 + 16);
        assert_ne!(a, b);
    }

    #[test]
    fn the_machines_name_servers_are_replaced() {
        assert_eq!(
            resolv("nameserver 127.0.0.53\nsearch lan\n# x\n"),
            format!("search lan\nnameserver {DNS}\n")
        );
    }

    #[test]
    fn a_home_is_never_handed_to_another_uid() {
        let dir = tempfile::tempdir().unwrap();
        let (all, mine) = (dir.path().join("c"), dir.path().join("c/u"));
        let us = rustix::process::geteuid().as_raw();
        home(&all, &mine, us).unwrap();
        std::fs::write(mine.join("x"), "").unwrap();
        home(&all, &mine, us).unwrap();
        assert!(home(&all, &mine, us + 20_001).is_err());
    }
}
