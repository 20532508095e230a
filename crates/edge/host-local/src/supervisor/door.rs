//! The supervisor's end of the control socket. The session's own programs can connect too; they gain
//! nothing that they cannot do to their own desktop anyway, and cannot hold it up for ever.

use crate::control::{self, Reply, Request};
use crate::inside;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};

/// Connections at one time; the host needs two.
const CONNECTIONS: usize = 16;
/// How long a connection may take to state its request.
const SPEAK_WITHIN: Duration = Duration::from_secs(2);

const BACK_OFF: Duration = Duration::from_millis(100);

/// A request, and where the reply goes.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) request: Request,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// Opens the socket and answers on it from now on.
pub(super) fn open() -> io::Result<mpsc::Receiver<Call>> {
    let listener = UnixListener::bind(Path::new(inside::RUN).join(inside::CONTROL_SOCKET))?;
    let (calls, receiver) = mpsc::channel(CONNECTIONS);
    tokio::spawn(serve(listener, calls));
    Ok(receiver)
}

async fn serve(listener: UnixListener, calls: mpsc::Sender<Call>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // For want of descriptors, which is over when something else ends.
            tokio::time::sleep(BACK_OFF).await;
            continue;
        };
        let calls = calls.clone();
        tokio::spawn(async move {
            let _place = place;
            if let Err(error) = answer(stream, calls).await {
                super::say(&format!("a control connection failed: {error}"));
            }
        });
    }
}

async fn answer(mut stream: UnixStream, calls: mpsc::Sender<Call>) -> io::Result<()> {
    control::answer(&mut stream, SPEAK_WITHIN, async |request| {
        let (reply, answer) = oneshot::channel();
        let gone = || io::Error::other("the supervisor is ending");
        calls.send(Call { request, reply }).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())
    })
    .await
}
