//! Shows messages: a process of its own for each window, which says when it is drawn.

use crate::control::Reply;
use crate::inside;
use crate::message_window::{DRAWN, Message};
use rustix::process::{Signal, kill_process};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Windows that nobody has closed yet.
const OPEN_MAX: usize = 16;
/// Less than the host's patience, so that the host hears what went wrong.
const DRAW_WITHIN: Duration = Duration::from_secs(8);

/// The messages on the screen.
#[derive(Debug)]
pub(super) struct Messages(Arc<Semaphore>);

impl Messages {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(OPEN_MAX)))
    }

    /// Shows a message, and replies when it is drawn.
    pub(super) fn show(&self, message: Message, reply: oneshot::Sender<Reply>) {
        let Ok(place) = Arc::clone(&self.0).try_acquire_owned() else {
            let text = format!("{OPEN_MAX} messages are on the screen already");
            // Whoever asked may have gone away; then nobody waits.
            let _ = reply.send(Reply::Error { text });
            return;
        };
        tokio::spawn(async move {
            let answer = match show(&message, place).await {
                Ok(()) => Reply::Ok {},
                Err(error) => Reply::Error { text: format!("the message cannot be shown: {error}") },
            };
            let _ = reply.send(answer);
        });
    }
}

async fn show(message: &Message, place: OwnedSemaphorePermit) -> io::Result<()> {
    let mut command = Command::new(inside::BINARY);
    command.arg("desktop-message").stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let pid = super::parts::pid_of(&child)?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("the window's process has no pipes"));
    };
    let mut input = pipe::Sender::from_owned_fd(OwnedFd::from(input))?;
    let mut output = pipe::Receiver::from_owned_fd(OwnedFd::from(output))?;
    let drawn = async {
        input.write_all(&serde_json::to_vec(message)?).await?;
        drop(input);
        let mut word = [0; DRAWN.len()];
        output.read_exact(&mut word).await?;
        if word == *DRAWN {
            Ok(())
        } else {
            Err(io::Error::other("the window's process said something else"))
        }
    };
    let drawn = tokio::time::timeout(DRAW_WITHIN, drawn).await.unwrap_or_else(|late| Err(late.into()));
    match &drawn {
        // The pipe ends with the process: as long as the window is open, its place is taken.
        Ok(()) => drop(tokio::spawn(async move {
            let _place = place;
            let _ = output.read_u8().await;
        })),
        Err(_) => {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    drawn
}
