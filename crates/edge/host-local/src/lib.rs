//! The Host port on sandboxed processes of this machine.
//!
//! A desktop is a process tree inside a bubblewrap sandbox of its own: Xorg with the xorgxrdp module, a
//! private xrdp on a Unix socket, its clipboard server, and the session command. Our own supervisor is
//! process 1 in there, so the kernel ends every process of the desktop when the supervisor ends, and the
//! supervisor's end *is* the end of the desktop: the handle names that process.
//!
//! ```text
//!  LocalHost ── spawns ──▶ setsid [pasta] bwrap ──▶ supervisor (process 1, uid of the user)
//!      │                                             ├─ Xorg + xorgxrdp ◀─┐
//!      ├─ control.sock: begin, log off, message ────▶├─ xrdp ── rdp.sock  │ (the relay connects here)
//!      └─ pidfd: the end; end.json: why              ├─ xrdp-chansrv ─────┘
//!                                                    └─ session command
//! ```
//!
//! A desktop is hostile: everything below its writable directories is opened without following links,
//! read with a limit, and believed only as far as a lie would hurt nobody but its own user. Nothing in a
//! desktop may ever run as root of the machine, mapped or not, and no desktop may ever reach a display,
//! a socket or a home of another.

mod certificate;
mod close_windows;
mod config;
pub mod control;
pub mod end_record;
mod files;
mod host;
mod identity;
mod inside;
mod launch;
mod layout;
pub mod message_window;
mod provision;
pub mod supervisor;
mod trash;

pub use config::{Limits, LocalConfig, LocalError, Network};
pub use host::LocalHost;
