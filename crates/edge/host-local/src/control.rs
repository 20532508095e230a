//! The control socket: how the host speaks to the supervisor. One connection, one request, one reply,
//! each one line of JSON. The supervisor's side of the wall is hostile to the host, so replies are
//! bounded in size and time, and the answering process must have the desktop's uid.

use crate::end_record::WORDS_MAX;
use crate::files::plain;
use crate::inside;
use openrdms_broker::{DesktopHandle, Endpoint};
use rustix::fs::{FileType, Mode, OFlags, fstat, open, openat};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::time::Duration;
use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader,
};
use tokio::net::UnixStream;

/// The longest line: a message of 4096 characters, each escaped as JSON may (12 bytes), and its title.
pub const LINE_MAX: usize = 64 * 1024;

/// What the host wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// The host knows the supervisor: start the session. Answered when the display is up.
    Begin {},
    /// Ask the programs to end, kill them after the grace period. Answered at once.
    Logoff {
        /// The grace period.
        grace_ms: u64,
    },
    /// Show a message. Answered when it is drawn.
    Message {
        /// The window's title.
        title: String,
        /// What it says.
        text: String,
    },
    /// Freeze every process but the supervisor. Answered when all stand.
    Pause {},
    /// Let them run on. Answered when all may.
    Resume {},
    /// Answered with what the supervisor is doing.
    Status {},
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Reply {
    /// Done.
    Ok {},
    /// Not done; the text is for operators.
    Error {
        /// Why.
        text: String,
    },
    /// The answer to `status`.
    Status {
        /// `starting`, `running`, `paused` or `closing`.
        phase: String,
        /// How often xrdp or its clipboard server was started again.
        restarts: u64,
    },
}

/// Why the supervisor gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The socket is not there, is another's, or was closed before a whole line came.
    #[error("the desktop's control socket cannot be reached")]
    Io(#[from] io::Error),
    /// It answered with something else.
    #[error("the desktop's answer is not understood")]
    Garbled(#[source] serde_json::Error),
    /// It took longer than the caller would wait.
    #[error("the desktop did not answer in time")]
    TimedOut,
}

/// Reads one line.
///
/// # Errors
/// When it is not what is asked for, and nothing else.
pub fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(line)
}

/// Writes one line.
pub fn line<T: Serialize>(what: &T) -> Vec<u8> {
    let mut line = serde_json::to_vec(what).expect("requests and replies hold nothing that JSON cannot");
    line.push(b'\n');
    line
}

/// Reads up to the end of the line, or fails when there is none within the limit.
async fn read_line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    BufReader::new(stream).take(LINE_MAX as u64 + 1).read_until(b'\n', &mut line).await?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no whole line"));
    }
    Ok(line)
}

/// Connects to a socket in a directory that a desktop can write, without following a link, and only if a
/// process of `uid` listens there. Returns that process's id too.
pub(crate) async fn connect(dir: &Path, name: &str, uid: u32) -> io::Result<(UnixStream, i32)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = open(dir, flags | OFlags::DIRECTORY, Mode::empty())?;
    let socket = openat(&dir, name, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&socket)?.st_mode) != FileType::Socket {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a socket"));
    }
    // The path of an open file leads to this very socket, however long or changed its name is.
    let stream = UnixStream::connect(format!("/proc/self/fd/{}", socket.as_raw_fd())).await?;
    let peer = stream.peer_cred()?;
    if peer.uid() != uid {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "another uid listens there"));
    }
    let pid = peer.pid().filter(|pid| *pid > 0);
    Ok((stream, pid.ok_or_else(|| io::Error::other("the listening process cannot be seen from here"))?))
}

/// The host's side: sends a request and waits for the reply. Dropping it leaves the connection of no more use.
///
/// # Errors
/// [`ControlError`]; the reply is not waited for longer than `limit`.
pub async fn ask<S>(stream: &mut S, request: &Request, limit: Duration) -> Result<Reply, ControlError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let exchange = async {
        stream.write_all(&line(request)).await?;
        let answer = read_line(stream).await?;
        parse(&answer).map_err(ControlError::Garbled)
    };
    tokio::time::timeout(limit, exchange).await.map_err(|_| ControlError::TimedOut)?
}

/// The supervisor's side: reads a request, has it answered, and sends the reply. `answer` may take as long as it needs,
/// the peer `limit` for stating the request and again for taking the reply. A request that is not understood is
/// answered too. Dropping it leaves the connection of no more use.
///
/// # Errors
/// When there is no whole line, or the peer takes too long, or no answer was found.
pub async fn answer<S, F>(
    stream: &mut S,
    limit: Duration,
    answer: impl FnOnce(Request) -> F,
) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    F: Future<Output = io::Result<Reply>>,
{
    let request = tokio::time::timeout(limit, read_line(stream)).await??;
    let reply = match parse(&request) {
        Ok(request) => answer(request).await?,
        // the error repeats what was sent, which may be as long as a line
        Err(error) => {
            let why = plain(&error.to_string(), WORDS_MAX);
            Reply::Error { text: format!("the request is not understood: {why}") }
        }
    };
    tokio::time::timeout(limit, stream.write_all(&line(&reply))).await?
}

/// Connects to the supervisor of a desktop, sends a request and waits for the reply. What another process of the
/// desktop has put in the supervisor's place is not spoken to: it would say that things are done which are not.
pub(crate) async fn call(
    handle: &DesktopHandle,
    request: &Request,
    limit: Duration,
) -> Result<Reply, ControlError> {
    let Endpoint::Unix { path, uid } = &handle.endpoint else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "not a desktop of this machine");
        return Err(error.into());
    };
    let run = path.parent().unwrap_or(path);
    let connected = tokio::time::timeout(limit, connect(run, inside::CONTROL_SOCKET, *uid)).await;
    let (mut stream, pid) = connected.map_err(|_| ControlError::TimedOut)??;
    if pid != handle.pid {
        let error = io::Error::new(io::ErrorKind::PermissionDenied, "another process listens there");
        return Err(error.into());
    }
    ask(&mut stream, request, limit).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_lines_are_what_they_are_said_to_be() {
        assert_eq!(line(&Request::Logoff { grace_ms: 5 }), b"{\"logoff\":{\"grace_ms\":5}}\n");
        assert_eq!(line(&Request::Pause {}), b"{\"pause\":{}}\n");
        assert_eq!(line(&Request::Resume {}), b"{\"resume\":{}}\n");
        assert_eq!(line(&Reply::Ok {}), b"{\"ok\":{}}\n");
        assert!(parse::<Request>(b"{\"status\":{\"x\":1}}").is_err());
    }

    #[test]
    fn the_longest_message_fits_a_line() {
        let message = Request::Message { title: "\u{1}".repeat(256), text: "\u{1}".repeat(4096) };
        assert!(line(&message).len() < LINE_MAX);
    }

    #[tokio::test]
    async fn a_desktop_cannot_send_us_elsewhere_or_flood_us() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let listener = tokio::net::UnixListener::bind(dir.path().join("real")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(connect(dir.path(), "link", uid).await.is_err());
        assert!(connect(dir.path(), "file", uid).await.is_err());
        assert!(connect(dir.path(), "real", uid + 1).await.is_err());
        let (mut ours, pid) = connect(dir.path(), "real", uid).await.unwrap();
        assert_eq!(u32::try_from(pid).unwrap(), std::process::id());
        // The second connection: the first was given up because of its uid.
        let _refused = listener.accept().await.unwrap();
        let (mut theirs, _) = listener.accept().await.unwrap();
        let flood = tokio::spawn(async move { while theirs.write_all(&[b'x'; 4096]).await.is_ok() {} });
        assert!(ask(&mut ours, &Request::Status {}, Duration::from_secs(10)).await.is_err());
        drop(ours);
        flood.await.unwrap();
    }

    /// Asks a supervisor that answers with this, and that closes afterwards or does not.
    async fn asked(answer: &[u8], closes: bool) -> Result<Reply, ControlError> {
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(answer).await.unwrap();
        let _open = (!closes).then_some(theirs);
        ask(&mut ours, &Request::Status {}, Duration::from_millis(200)).await
    }

    #[tokio::test]
    async fn a_supervisor_that_answers_wrongly_or_never_is_given_up_in_time() {
        use ControlError::{Garbled, Io, TimedOut};
        assert!(matches!(asked(b"", false).await, Err(TimedOut)), "it says nothing");
        assert!(matches!(asked(b"{\"ok\":{}}", false).await, Err(TimedOut)), "it ends no line");
        assert!(matches!(asked(b"", true).await, Err(Io(_))), "it hangs up");
        assert!(matches!(asked(b"{\"ok\":{}}", true).await, Err(Io(_))), "it hangs up in a line");
        for wrong in
            ["", "{}", "null", "\"ok\"", "{\"ok\":1}", "{\"fine\":{}}", "{\"ok\":{}} x", "\u{0}", "[[[["]
        {
            let answer = format!("{wrong}\n");
            assert!(matches!(asked(answer.as_bytes(), false).await, Err(Garbled(_))), "{wrong:?}");
        }
        let mut deep = b"[".repeat(LINE_MAX - 1);
        deep.push(b'\n');
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let (answer, _) = tokio::join!(
            ask(&mut ours, &Request::Status {}, Duration::from_secs(10)),
            theirs.write_all(&deep)
        );
        assert!(matches!(answer, Err(Garbled(_))), "nested as deeply as a line can be");
        // a byte now and then is no answer: the limit is on the whole
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let drip = tokio::spawn(async move {
            while theirs.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(10)).await; // the drip itself
            }
        });
        let slow = ask(&mut ours, &Request::Status {}, Duration::from_millis(200)).await;
        assert!(matches!(slow, Err(TimedOut)));
        drop(ours);
        drip.await.unwrap();
    }

    #[tokio::test]
    async fn what_is_put_in_the_place_of_the_socket_is_not_opened() {
        let dir = tempfile::tempdir().unwrap();
        let uid = rustix::process::geteuid().as_raw();
        let mode = Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, dir.path().join("fifo"), FileType::Fifo, mode, 0).unwrap();
        std::fs::create_dir(dir.path().join("dir")).unwrap();
        std::fs::create_dir(dir.path().join("real")).unwrap();
        let _listener = tokio::net::UnixListener::bind(dir.path().join("real/s")).unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("elsewhere")).unwrap();
        // a socket that is bound and at which nobody listens any more
        drop(tokio::net::UnixListener::bind(dir.path().join("dead")).unwrap());
        let at_once = Duration::from_secs(5);
        for name in ["fifo", "dir", "dead", "absent"] {
            let tried = tokio::time::timeout(at_once, connect(dir.path(), name, uid)).await;
            assert!(tried.expect("nobody waits").is_err(), "{name}");
        }
        assert!(connect(&dir.path().join("real"), "s", uid).await.is_ok());
        assert!(connect(&dir.path().join("elsewhere"), "s", uid).await.is_err(), "a link to a directory");
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_parsed(bytes: Vec<u8>) {
            let _ = parse::<Request>(&bytes);
            let _ = parse::<Reply>(&bytes);
        }

        #[test]
        fn what_is_written_can_be_read(title: String, text: String) {
            let request = Request::Message { title, text };
            let line = line(&request);
            prop_assert_eq!(line.iter().filter(|b| **b == b'\n').count(), 1);
            prop_assert_eq!(parse::<Request>(&line).unwrap(), request);
        }
    }
}
