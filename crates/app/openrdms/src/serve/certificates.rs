//! The certificate of the doors, read again on SIGHUP and when its files have changed. Connections that are open
//! go on; a certificate that cannot be used leaves the old one.

use super::identity;
use anyhow::Result;
use openrdms_config::Config;
use openrdms_management::Tls;
use openrdms_relay::{SharedIdentity, TlsIdentity};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// How often the files are looked at.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The certificate of both doors.
pub(super) struct Certificates<'a> {
    config: &'a Config,
    relay: &'a SharedIdentity,
    https: &'a Tls,
    /// The files that were read last.
    read: Stamp,
    /// The files as they were at the last look.
    seen: Stamp,
}

/// Tells one state of the two files from the next: device, inode, size and time of change of each.
type Stamp = [Option<(u64, u64, u64, i64, i64)>; 2];

impl<'a> Certificates<'a> {
    /// They have just been read.
    pub(super) fn new(config: &'a Config, relay: &'a SharedIdentity, https: &'a Tls) -> Self {
        let now = stamp(config);
        Self { config, relay, https, read: now, seen: now }
    }

    /// Reads them again if they have changed, and are not changing still: certificate and key are two files.
    pub(super) fn look(&mut self) {
        let now = stamp(self.config);
        let settled = now == self.seen;
        self.seen = now;
        if settled && now != self.read {
            self.read_again();
        }
    }

    /// Reads them again.
    pub(super) fn read_again(&mut self) {
        self.read = stamp(self.config);
        match self.replace() {
            Ok(()) => tracing::info!("the certificate was read again"),
            Err(error) => tracing::error!(error = format!("{error:#}"), "the old certificate stays"),
        }
    }

    fn replace(&self) -> Result<()> {
        // what is missing is not made anew here: somebody is just exchanging the two files
        let identity = identity::read(self.config)?;
        let https = identity.server_config()?;
        let relay = TlsIdentity::new(identity.chain, identity.key)?;
        // both doors or neither
        self.https.replace(https);
        self.relay.replace(relay);
        Ok(())
    }
}

fn stamp(config: &Config) -> Stamp {
    let of = |path: &Path| {
        let file = std::fs::metadata(path).ok()?;
        Some((file.dev(), file.ino(), file.size(), file.mtime(), file.mtime_nsec()))
    };
    let (certificate, key) = identity::files(config);
    [of(&certificate), of(&key)]
}
