//! The Unix socket of the management interface. It takes the place of a socket that nobody answers at any more, and
//! goes away with the service. It must never remove anything else: the path is what somebody wrote into a file.

use anyhow::{Context as _, Result, bail};
use std::fs::Permissions;
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::net::{UnixListener, UnixStream};

/// The socket that this process has made; dropping it removes it.
pub(super) struct Made {
    path: PathBuf,
    /// Its device and inode: somebody else may have put another thing there since.
    file: (u64, u64),
}

/// Listens at `path`. Not cancel-safe: a socket that nobody answered at may be gone.
pub(super) async fn listen(path: &Path) -> Result<(UnixListener, Made)> {
    make_room(path).await?;
    let listener = UnixListener::bind(path).with_context(|| format!("listening on {}", path.display()))?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))
        .with_context(|| format!("closing {} to others", path.display()))?;
    let file = identity(path).with_context(|| format!("looking at {}", path.display()))?;
    Ok((listener, Made { path: path.to_owned(), file }))
}

/// Removes what a killed service left. The lock of the data directory does not say that nobody else is there: another
/// data directory may have the same socket.
async fn make_room(path: &Path) -> Result<()> {
    let shown = path.display();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("looking at {shown}")),
        Ok(found) if !found.file_type().is_socket() => {
            bail!("{shown} is there and is no socket: remove it, or give [management] socket another path")
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path).await {
        Ok(_) => bail!("somebody serves {shown} already: stop it, or give [management] socket another path"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
        Err(error) => {
            return Err(error).with_context(|| {
                format!(
                    "whether somebody serves {shown} cannot be told: give [management] socket another path"
                )
            });
        }
    }
    std::fs::remove_file(path).with_context(|| format!("removing the socket {shown} of before"))
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for Made {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.file) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(path: &Path) -> String {
        listen(path).await.map(|_| ()).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn what_is_no_socket_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, "important").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [file.as_path(), &link, dir.path()] {
            assert!(refused(path).await.contains("is there and is no socket"), "{path:?}");
        }
        assert_eq!(std::fs::read_to_string(&link).unwrap(), "important");
    }

    #[tokio::test]
    async fn only_a_socket_that_nobody_answers_at_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let living = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(refused(&path).await.contains("somebody serves"));
        drop(living);
        let (_listener, made) = listen(&path).await.unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        drop(made);
        assert!(!path.exists(), "our own goes away");
    }

    #[tokio::test]
    async fn what_somebody_has_put_there_since_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (_listener, made) = listen(&path).await.unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "important").unwrap();
        std::fs::rename(&other, &path).unwrap();
        drop(made);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "important");
    }
}
