//! The two commands of the openrdms binary that run inside a local desktop, for this crate's own tests.

use std::ffi::OsString;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = match args.split_first() {
        Some((command, rest)) if command == "desktop-supervisor" => {
            openrdms_host_local::supervisor::main(rest)
        }
        Some((command, [])) if command == "desktop-message" => openrdms_host_local::message_window::main(),
        _ => 64,
    };
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}
