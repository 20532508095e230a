//! What both sides of the sandbox's wall agree on: paths as the desktop sees them, and the file that
//! tells the supervisor its job. No secrets in here.

use serde::{Deserialize, Serialize};

/// The display number of every desktop: each has an X socket directory and a network of its own.
pub(crate) const DISPLAY: &str = ":10";
/// Files of the desktop that it can read only.
pub(crate) const ETC: &str = "/run/desk-etc";
/// Where the parts of the desktop write their logs.
pub(crate) const LOG: &str = "/run/desk-log";
/// The directory shared with the host: sockets and the end record.
pub(crate) const RUN: &str = "/run/desk";
/// Where xorgxrdp makes its socket for xrdp (`XRDP_SOCKET_PATH`); also `XDG_RUNTIME_DIR`.
pub(crate) const RUNTIME: &str = "/run/xrdp-desk";
/// The socket that tells that Xorg is ready.
pub(crate) const XRDP_DISPLAY: &str = "/run/xrdp-desk/xrdp_display_10";
/// The openrdms binary.
pub(crate) const BINARY: &str = "/run/openrdms";
/// Everything of the X server's access control: one random cookie.
pub(crate) const XAUTHORITY: &str = "/run/desk-etc/Xauthority";

/// The RDP server's socket, in [`RUN`].
pub(crate) const RDP_SOCKET: &str = "rdp.sock";
/// The supervisor's socket, in [`RUN`].
pub(crate) const CONTROL_SOCKET: &str = "control.sock";
/// Why the desktop ended, in [`RUN`].
pub(crate) const END_RECORD: &str = "end.json";
/// The supervisor's job, in [`ETC`].
pub(crate) const JOB: &str = "desk.json";

/// The supervisor's job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Job {
    /// The session command and its arguments.
    pub(crate) session: Vec<String>,
    /// Processes and threads of the whole desktop (`RLIMIT_NPROC` counts within its user namespace).
    pub(crate) processes: u64,
    /// Open files of each process.
    pub(crate) open_files: u64,
    /// Bytes of private writable memory of each process (`RLIMIT_DATA`).
    pub(crate) data_bytes: u64,
    /// How long to wait for the host's `begin` and for the display, in milliseconds.
    pub(crate) begin_within_ms: u64,
    /// How long programs may take to end after the session command has ended, in milliseconds.
    pub(crate) grace_ms: u64,
}
