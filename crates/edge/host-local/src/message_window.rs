//! A message on the desktop's screen: `openrdms desktop-message`, a process of its own inside the sandbox.
//!
//! It reads one JSON object from standard input, opens a window in the middle of the screen and above all
//! others, says `drawn` on standard output when the X server has it on the screen, and ends when the user
//! closes it. Needs no toolkit and no window manager. The text comes from an administrator, but is treated
//! as hostile all the same: bounded, and free of control characters.

use serde::{Deserialize, Serialize};
use std::io::{self, Read as _, Write as _};

mod font;
mod picture;
mod text;
mod window;

/// What is said on standard output when the window can be seen.
pub(crate) const DRAWN: &[u8; 6] = b"drawn\n";
const INPUT_MAX: u64 = 64 * 1024;

/// What to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) title: String,
    pub(crate) text: String,
}

/// Why a message is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WindowError {
    #[error("the message cannot be read")]
    Input(#[from] io::Error),
    #[error("the message is not understood")]
    Garbled(#[from] serde_json::Error),
    #[error("no font was found below /usr/share/fonts")]
    NoFont,
    #[error("the display cannot be reached")]
    Connect(#[from] x11rb::errors::ConnectError),
    #[error("the connection to the display broke")]
    Connection(#[from] x11rb::errors::ConnectionError),
    #[error("the display refused a request")]
    Reply(#[from] x11rb::errors::ReplyError),
    #[error("the display has no more identifiers")]
    Id(#[from] x11rb::errors::ReplyOrIdError),
    #[error("the display has pixels of {0} bits, not 32")]
    Pixels(u8),
    #[error("the display reported an error: {0}")]
    Display(String),
}

/// Shows the message that stands on standard input, and returns the exit code when it is closed.
pub fn main() -> i32 {
    match run() {
        Ok(()) => 0,
        Err(error) => {
            // The service hears of it by the missing `drawn`; this is for the start log.
            let _ = writeln!(io::stderr(), "message: {}", causes(&error));
            1
        }
    }
}

fn run() -> Result<(), WindowError> {
    let mut input = Vec::new();
    io::stdin().take(INPUT_MAX).read_to_end(&mut input)?;
    let message: Message = serde_json::from_slice(&input)?;
    let fonts = font::Fonts::load().ok_or(WindowError::NoFont)?;
    window::show(&text::title(&message.title), &text::body(&message.text), &fonts, || {
        let mut output = io::stdout().lock();
        output.write_all(DRAWN).and_then(|()| output.flush())
    })
}

fn causes(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", causes(cause)),
        None => error.to_string(),
    }
}
