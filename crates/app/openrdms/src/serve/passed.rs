//! Listeners that the service manager has opened for us (sd_listen_fds(3)). They stay open while the service is started
//! anew: who connects meanwhile waits and is not refused.

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use tokio::net::TcpListener;

/// Those that no door has taken yet, by the names that their units give them.
pub(crate) struct Passed(Vec<(String, TcpListener)>);

impl Passed {
    /// Takes what was handed to this process.
    ///
    /// # Errors
    /// When that is not listening for TCP connections.
    pub(crate) fn take() -> Result<Self> {
        let passed = sd_notify::listen_fds_with_names().context("asking for passed listeners")?;
        let mut listeners = Vec::with_capacity(passed.len());
        for (number, name) in passed {
            // a number is no owner, and cannot safely be made one: so a descriptor of our own is got for it
            let fd =
                pidfd_getfd(pidfd_open(getpid(), PidfdFlags::empty())?, number, PidfdGetfdFlags::empty());
            let fd = fd.with_context(|| format!("taking the passed descriptor {number}"))?;
            let listens = rustix::net::sockopt::socket_acceptconn(&fd).unwrap_or(false);
            ensure!(listens, "the passed descriptor {number}, '{name}', is no listener");
            let listener = std::net::TcpListener::from(fd);
            let address =
                listener.local_addr().with_context(|| format!("'{name}' does not listen for TCP"))?;
            listener.set_nonblocking(true)?;
            tracing::info!(name, %address, "a listener was passed to us");
            listeners.push((name, TcpListener::from_std(listener)?));
        }
        Ok(Self(listeners))
    }

    /// Every listener of that name.
    pub(crate) fn named(&mut self, name: &str) -> Vec<TcpListener> {
        self.0.extract_if(.., |(found, _)| found == name).map(|(_, listener)| listener).collect()
    }

    /// Says so when something was passed that no door takes: nobody would ever answer there.
    pub(crate) fn none_left(self) -> Result<()> {
        if let Some((name, _)) = self.0.first() {
            bail!(
                "a listener '{name}' was passed: FileDescriptorName= is one of rdp, and one each of http and https"
            );
        }
        Ok(())
    }
}
