//! The node key: what NT hashes are sealed under, so that a copy of the database alone opens no account.
//!
//! A sealed hash is `version (1) ‖ nonce (12) ‖ AES-256-GCM ciphertext (16) ‖ tag (16)`; the account's key is
//! authenticated with it, so that it cannot be moved to another account.

use crate::NtHash;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand,
};
use openrdms_broker::UserName;
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const KEY_LEN: usize = 32;
const VERSION: u8 = 1;

/// Why there is no node key, or why it does not open a seal.
#[derive(Debug, thiserror::Error)]
pub enum NodeKeyError {
    /// The file cannot be read or made.
    #[error("cannot use the node key {path}")]
    File {
        /// The key's file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The file is not 32 bytes long.
    #[error("{0} is not a node key")]
    NotAKey(PathBuf),
    /// Others than its owner may read the file: what it protects may be known already.
    #[error("others may read the node key {0}: its mode must be 0600")]
    Exposed(PathBuf),
    /// Sealed by another key, for another account, or damaged.
    #[error("the sealed hash cannot be opened")]
    Seal,
    /// The operating system gives no random bytes, or the cipher refuses.
    #[error("the cipher failed")]
    Cipher,
}

/// Seals and opens NT hashes. The key's bytes are zeroised as soon as the cipher has them.
pub struct NodeKey(LessSafeKey);

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

impl NodeKey {
    /// Reads the key, or makes one (mode 0600) where there is none. Of several processes that make one at the
    /// same time, all get the same. Blocks on the disk.
    ///
    /// # Errors
    /// When the file cannot be used, is not a key, or is open to others.
    pub fn load_or_create(path: &Path) -> Result<Self, NodeKeyError> {
        let failed = |source| NodeKeyError::File { path: path.to_owned(), source };
        match Self::load(path) {
            Err(NodeKeyError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {}
            loaded => return loaded,
        }
        let mut bytes = Zeroizing::new([0_u8; KEY_LEN]);
        rand::fill(&mut *bytes).map_err(|_| NodeKeyError::Cipher)?;
        create(path, &*bytes).map_err(failed)?;
        Self::load(path)
    }

    fn load(path: &Path) -> Result<Self, NodeKeyError> {
        let failed = |source| NodeKeyError::File { path: path.to_owned(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.mode() & 0o077 != 0 {
            return Err(NodeKeyError::Exposed(path.to_owned()));
        }
        // one byte more than a key, to notice a file that is too long; full size, so that it never moves
        let mut bytes = Zeroizing::new(Vec::with_capacity(KEY_LEN + 1));
        file.take(KEY_LEN as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() != KEY_LEN {
            return Err(NodeKeyError::NotAKey(path.to_owned()));
        }
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map_err(|_| NodeKeyError::Cipher)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals an account's hash under a fresh nonce.
    ///
    /// # Errors
    /// [`NodeKeyError::Cipher`] when there are no random bytes.
    pub fn seal(&self, user: &UserName, hash: &NtHash) -> Result<Vec<u8>, NodeKeyError> {
        let mut nonce = [0_u8; NONCE_LEN];
        rand::fill(&mut nonce).map_err(|_| NodeKeyError::Cipher)?;
        let mut body = Zeroizing::new(hash.as_bytes().to_vec());
        let tag = self
            .0
            .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), context(user), &mut body)
            .map_err(|_| NodeKeyError::Cipher)?;
        Ok([&[VERSION], &nonce[..], &body, tag.as_ref()].concat())
    }

    /// Opens what [`seal`](Self::seal) made for the same account.
    ///
    /// # Errors
    /// [`NodeKeyError::Seal`].
    pub fn open(&self, user: &UserName, sealed: &[u8]) -> Result<NtHash, NodeKeyError> {
        let (version, rest) = sealed.split_first().ok_or(NodeKeyError::Seal)?;
        let (nonce, body) = rest.split_first_chunk::<NONCE_LEN>().ok_or(NodeKeyError::Seal)?;
        if *version != VERSION {
            return Err(NodeKeyError::Seal);
        }
        let mut body = Zeroizing::new(body.to_vec());
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let hash = self.0.open_in_place(nonce, context(user), &mut body).map_err(|_| NodeKeyError::Seal)?;
        <[u8; 16]>::try_from(&*hash).map(NtHash::from_bytes).map_err(|_| NodeKeyError::Seal)
    }
}

fn context(user: &UserName) -> Aad<Vec<u8>> {
    Aad::from(format!("openrdms nt hash 1\0{}", user.key()).into_bytes())
}

/// Makes the file complete or not at all, and never over one that is there: written under another name,
/// then linked.
fn create(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut suffix = [0_u8; 8];
    rand::fill(&mut suffix).map_err(std::io::Error::other)?;
    let draft = Draft(directory.join(format!(".node-key-{:016x}", u64::from_le_bytes(suffix))));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft.0)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match std::fs::hard_link(&draft.0, path) {
        Err(e) if e.kind() != ErrorKind::AlreadyExists => return Err(e),
        // made, or somebody else was faster: theirs counts
        _ => {}
    }
    drop(draft);
    File::open(directory)?.sync_all()
}

/// The file under its first name, which goes away whatever happens.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    fn user(name: &str) -> UserName {
        UserName::new("farm", name).unwrap()
    }

    #[test]
    fn a_key_is_made_once_private_and_alone_in_its_directory() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.key");
        let sealed: Vec<_> = std::thread::scope(|scope| {
            let make = || NodeKey::load_or_create(&path).unwrap().seal(&user("a"), &NtHash::of("x")).unwrap();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(make)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no draft is left");
        let key = NodeKey::load_or_create(&path).unwrap();
        for sealed in sealed {
            assert_eq!(key.open(&user("a"), &sealed).unwrap(), NtHash::of("x"));
        }
    }

    #[test]
    fn a_seal_opens_only_whole_and_for_its_account() {
        let directory = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_create(&directory.path().join("key")).unwrap();
        let sealed = key.seal(&user("Alice"), &NtHash::of("secret")).unwrap();
        assert_eq!(key.open(&user("aLICE"), &sealed).unwrap(), NtHash::of("secret"));
        assert!(matches!(key.open(&user("bob"), &sealed), Err(NodeKeyError::Seal)));
        assert_ne!(sealed, key.seal(&user("Alice"), &NtHash::of("secret")).unwrap(), "a fresh nonce");
        for i in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[i] ^= 1;
            assert!(key.open(&user("alice"), &damaged).is_err(), "byte {i}");
            assert!(key.open(&user("alice"), &sealed[..i]).is_err(), "cut at {i}");
        }
        let other = NodeKey::load_or_create(&directory.path().join("other")).unwrap();
        assert!(other.open(&user("alice"), &sealed).is_err());
    }

    #[test]
    fn a_key_that_others_may_read_or_of_wrong_length_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        NodeKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(NodeKey::load_or_create(&path), Err(NodeKeyError::Exposed(_))));
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        for length in [0, 31, 33, 100] {
            fs::write(&path, vec![7; length]).unwrap();
            assert!(matches!(NodeKey::load_or_create(&path), Err(NodeKeyError::NotAKey(_))), "{length}");
        }
    }
}
