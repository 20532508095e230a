//! What the service and a desktop's supervisor say to each other, and the supervisor's last word. For the service the
//! desktop is hostile; for the supervisor every program of the desktop is.
//!
//! The first byte of an input chooses who says the rest, the second how often over.

use crate::{run, text};
use openrdms_broker::ports::LogonEnd;
use openrdms_host_local::control::{ControlError, LINE_MAX, Reply, Request, answer, ask, line, parse};
use openrdms_host_local::end_record;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use tokio::io::{duplex, join};

/// Nobody waits in memory: whoever is late hangs.
const LIMIT: Duration = Duration::from_secs(3600);
/// Longer than any line may be, in bytes.
const SAID_MAX: usize = 2 * LINE_MAX;

/// Whatever is answered or asked: it is one of the few things that there are, of bounded length, and reads back.
pub fn supervisor(bytes: &[u8]) -> bool {
    let Some(([who, times], rest)) = bytes.split_first_chunk() else { return false };
    let times = usize::from(*times).clamp(1, SAID_MAX.checked_div(rest.len()).unwrap_or(1).max(1));
    let said = rest.repeat(times);
    match who & 3 {
        0 => desktop_answers(&said),
        1 => program_asks(&said),
        2 => desktop_ended(&said),
        _ => message_passes(&said),
    }
}

/// The service asks, and this is the answer.
fn desktop_answers(said: &[u8]) -> bool {
    let asked = match said.len() % 4 {
        0 => Request::Status {},
        1 => Request::Pause {},
        2 => Request::Resume {},
        _ => Request::Logoff { grace_ms: 1 },
    };
    let mut stream = join(said, Vec::new());
    let answered = run(ask(&mut stream, &asked, LIMIT));
    assert_eq!(stream.writer(), &line(&asked), "it asks once");
    let end = said.iter().position(|byte| *byte == b'\n').filter(|end| *end <= LINE_MAX);
    match answered {
        Ok(reply) => {
            let end = end.expect("an answer is a whole line");
            reads_back(&reply, end);
            true
        }
        Err(ControlError::Garbled(_)) => {
            assert!(end.is_some(), "half a line is not read");
            false
        }
        Err(ControlError::Io(_)) => {
            assert!(end.is_none(), "a whole line is read");
            false
        }
        Err(ControlError::TimedOut) => panic!("it waits for more than a line"),
    }
}

/// A program of the desktop asks the supervisor this.
fn program_asks(said: &[u8]) -> bool {
    let mut stream = join(said, Vec::new());
    let mut asked = None;
    let done = run(answer(&mut stream, LIMIT, async |request| {
        asked = Some(request);
        Ok(Reply::Ok {})
    }));
    let replied = stream.writer();
    assert_eq!(done.is_ok(), !replied.is_empty(), "what is a line is answered");
    if done.is_ok() {
        let reply = replied.strip_suffix(b"\n").expect("an answer is a line");
        assert!(reply.len() <= LINE_MAX && !reply.contains(&b'\n'), "an answer is one line, not too long");
        let reply: Reply = parse(reply).expect("the host can read it");
        assert_eq!(matches!(reply, Reply::Ok {}), asked.is_some(), "{reply:?}");
    }
    if let Some(request) = &asked {
        reads_back(request, said.len());
    }
    asked.is_some()
}

/// A desktop has ended, and this is its end record.
fn desktop_ended(record: &[u8]) -> bool {
    match end_record::read(record) {
        LogonEnd::LoggedOff => true,
        LogonEnd::Failed(text) => {
            assert!(text.chars().count() <= end_record::WORDS_MAX);
            assert!(!text.contains(char::is_control), "{text:?}");
            true
        }
        LogonEnd::Asked => panic!("only the host knows that it asked"),
        LogonEnd::Vanished => false,
    }
}

/// An administrator's message, as long as the service lets one be, goes to the supervisor as it is.
fn message_passes(said: &[u8]) -> bool {
    let said = text(said);
    let mut chars = said.chars();
    let title: String = chars.by_ref().take_while(|c| *c != '\n').take(256).collect();
    let request = Request::Message { title, text: chars.take(4096).collect() };
    assert!(line(&request).len() <= LINE_MAX, "the longest message is a line");
    let (mut host, mut desktop) = duplex(512);
    let mut asked = None;
    let take = answer(&mut desktop, LIMIT, async |request| {
        asked = Some(request);
        Ok(Reply::Ok {})
    });
    let (replied, answered) = run(async { tokio::join!(ask(&mut host, &request, LIMIT), take) });
    answered.expect("it is asked properly");
    assert_eq!(replied.expect("it is answered properly"), Reply::Ok {});
    assert_eq!(asked, Some(request));
    true
}

/// What was read of `length` bytes is as long when it is written again, and the same.
#[track_caller]
fn reads_back<T: Debug + PartialEq + Serialize + DeserializeOwned>(what: &T, length: usize) {
    let written = line(what);
    // fields may have come without their names
    assert!(written.len() <= length + 64, "{length} bytes became {}", written.len());
    let (end, written) = written.split_last().expect("a line has an end");
    assert!(*end == b'\n' && !written.contains(&b'\n'), "{what:?} is not one line");
    assert_eq!(parse::<T>(written).as_ref().ok(), Some(what));
}
