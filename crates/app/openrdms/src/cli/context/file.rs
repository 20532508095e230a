//! `contexts.toml`: servers by name, the one in use, and the certificates that were accepted on first use. It
//! holds no secrets, but it says whom passwords are sent to: only its owner may write it.

use crate::cli::Failure;
use crate::cli::remote::Fingerprint;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::PathBuf;

/// A file larger than this is not ours.
const MOST: u64 = 1 << 20;

/// The whole file.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    /// The context in use; none: the service on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) current: Option<String>,
    pub(super) contexts: BTreeMap<String, Context>,
    /// Fingerprints by `HOST:PORT`.
    pub(super) known: BTreeMap<String, String>,
}

/// A server, and how to get in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Context {
    pub(super) server: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) username: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) password_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) certificate_sha256: Option<String>,
}

/// The certificates that were accepted on first use.
pub(crate) struct Known(File);

impl Known {
    pub(crate) fn load() -> Result<Self, Failure> {
        File::load().map(Self)
    }

    /// The certificate of `HOST:PORT`.
    pub(crate) fn certificate(&self, server: &str) -> Option<Fingerprint> {
        self.0.known.get(server)?.parse().ok()
    }

    /// Writes down that this is the certificate of `HOST:PORT`.
    pub(crate) fn remember(mut self, server: &str, fingerprint: Fingerprint) -> Result<(), Failure> {
        self.0.known.insert(server.to_owned(), fingerprint.to_string());
        self.0.save()
    }
}

impl File {
    /// Reads it; an absent one is empty.
    pub(super) fn load() -> Result<Self, Failure> {
        let Some(path) = path() else { return Ok(Self::default()) };
        let wrong = |why: &dyn std::fmt::Display| Failure::usage(format!("{}: {why}", path.display()));
        // one opening: what is judged is what is read
        let mut open = match std::fs::File::open(&path) {
            Ok(open) => open,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(wrong(&error)),
        };
        let meta = open.metadata()?;
        // root's file, such as an image brings along, is nobody else's word
        if meta.uid() != 0 && meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(wrong(&"it is somebody else's, and it says whom passwords are sent to"));
        }
        if meta.mode() & 0o022 != 0 {
            return Err(wrong(&"others can write it, and it says whom passwords are sent to: chmod 600"));
        }
        if meta.len() > MOST {
            return Err(wrong(&"larger than 1 MiB"));
        }
        let mut text = String::new();
        open.by_ref().take(MOST).read_to_string(&mut text)?;
        let file: Self = toml::from_str(&text).map_err(|error| wrong(&error))?;
        for (server, fingerprint) in &file.known {
            // Taken for unknown it would be replaced on first use.
            fingerprint.parse::<Fingerprint>().map_err(|why| wrong(&format!("[known] {server}: {why}")))?;
        }
        Ok(file)
    }

    /// Writes it, whole or not at all.
    pub(super) fn save(&self) -> Result<(), Failure> {
        let path = path().ok_or_else(|| Failure::failed("there is no home: set HOME or XDG_CONFIG_HOME"))?;
        if let Some(dir) = path.parent() {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        let text = toml::to_string(self).map_err(|error| Failure::failed(error.to_string()))?;
        crate::private_file::write(&path, text.as_bytes())
            .map_err(|error| Failure::failed(format!("{error:#}")))
    }
}

fn path() -> Option<PathBuf> {
    let dir = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let config = dir("XDG_CONFIG_HOME").or_else(|| Some(dir("HOME")?.join(".config")))?;
    Some(config.join("openrdms/contexts.toml"))
}
