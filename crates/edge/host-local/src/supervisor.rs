//! Process 1 of a desktop: `openrdms desktop-supervisor JOB`, run inside the sandbox only.
//!
//! It starts Xorg, xrdp, the clipboard server and the session, reaps what ends, starts xrdp again when it
//! dies, answers the host on the control socket, and ends when the session has ended: then the kernel
//! ends whatever is left. It leaves word why.
//!
//! ```text
//! Starting ──begin, and the display is up──▶ Running ──session ended, or asked──▶ Closing ──▶ (exit)
//!     └──── a part died, or nobody began in time ────────┴──── Xorg died ──────────────────────▲
//!                           Running ◀──pause, resume──▶ Paused ──as Running, after a resume──▶
//! ```
//!
//! It has one thread, so that nothing but its own loop waits for children, and it never speaks to the X
//! server itself: a display that hangs must not hang process 1.

use crate::close_windows;
use crate::end_record;
use crate::files::{self, Owner};
use crate::inside::{self, Job};
use openrdms_broker::ports::LogonEnd;
use rustix::process::{Resource, Rlimit, setrlimit};
use std::ffi::OsString;
use std::io::{self, Write as _};
use std::path::Path;

mod desk;
mod door;
mod freeze;
mod message;
mod parts;

/// sysexits(3): wrong usage, and an internal error.
const USAGE: i32 = 64;
const SOFTWARE: i32 = 70;
const JOB_MAX: u64 = 256 * 1024;
/// The one argument for the helper that asks windows to close.
pub(crate) const CLOSE_WINDOWS: &str = "--close-windows";

/// Runs the supervisor with the arguments behind `desktop-supervisor`, and returns the exit code.
pub fn main(args: &[OsString]) -> i32 {
    let outcome = match args {
        [flag] if flag == CLOSE_WINDOWS => close_windows::run(),
        [job] => run(Path::new(job)),
        _ => {
            say("usage: openrdms desktop-supervisor JOB (started by the service, in a sandbox)");
            return USAGE;
        }
    };
    match outcome {
        Ok(()) => 0,
        Err(error) => {
            say(&format!("the supervisor failed: {error}"));
            SOFTWARE
        }
    }
}

fn run(job: &Path) -> io::Result<()> {
    // It signals every process that it sees and trusts the kernel to end the rest with it.
    if std::process::id() != 1 {
        return Err(io::Error::other("it is not process 1 of a sandbox"));
    }
    let job: Job = serde_json::from_slice(&files::read_hostile(job, JOB_MAX)?)?;
    limit(&job)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let end = runtime.block_on(desk::run(&job)).unwrap_or_else(|e| LogonEnd::Failed(e.to_string()));
    say(&format!("the desktop ends: {end:?}"));
    record(&end)
}

/// Limits that every process of the desktop inherits and none can raise.
fn limit(job: &Job) -> io::Result<()> {
    for (resource, most) in [
        (Resource::Core, 0),
        (Resource::Nproc, job.processes),
        (Resource::Nofile, job.open_files),
        (Resource::Data, job.data_bytes),
    ] {
        // The machine may allow less than was configured; that stays.
        let most = match rustix::process::getrlimit(resource).maximum {
            Some(hard) => hard.min(most),
            None => most,
        };
        setrlimit(resource, Rlimit { current: Some(most), maximum: Some(most) })?;
    }
    Ok(())
}

/// Leaves word why the desktop ended: as a whole or not at all, and without waiting for what a program has put
/// in its place, a FIFO for example: the desktop would never end.
fn record(end: &LogonEnd) -> io::Result<()> {
    let path = Path::new(inside::RUN).join(inside::END_RECORD);
    files::write(&path, &end_record::write(end)?, 0o600, Owner::Us)
}

/// A line for the start log, which is all the log that there is in here.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "supervisor: {text}");
}
