//! The end record: the supervisor's last word, why its desktop ended. It lies where the desktop's programs can write
//! too, so the host believes it only as far as a lie would hurt nobody but the desktop's own user.

use crate::files::plain;
use openrdms_broker::ports::LogonEnd;

/// A longer record is not read, in bytes.
pub(crate) const RECORD_MAX: u64 = 4096;
/// How much is kept of a text that came out of a desktop, in characters.
pub const WORDS_MAX: usize = 400;

/// The record as the supervisor writes it.
pub(crate) fn write(end: &LogonEnd) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(end)
}

/// What a record says. Whether the host asked for the end is known to the host alone, so a record that says so says
/// nothing; neither does one that cannot be read.
pub fn read(record: &[u8]) -> LogonEnd {
    match serde_json::from_slice(record) {
        Ok(LogonEnd::LoggedOff) => LogonEnd::LoggedOff,
        Ok(LogonEnd::Failed(text)) => LogonEnd::Failed(plain(&text, WORDS_MAX)),
        Ok(LogonEnd::Asked | LogonEnd::Vanished) | Err(_) => LogonEnd::Vanished,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_desktop_is_believed_only_in_what_the_host_cannot_know_better() {
        let failed = |text: &str| LogonEnd::Failed(text.to_owned());
        for (said, believed) in [
            (LogonEnd::LoggedOff, LogonEnd::LoggedOff),
            (failed("Xorg ended"), failed("Xorg ended")),
            (failed("a\u{1b}[2J\nb"), failed("a [2J b")),
            (failed(&"x".repeat(1000)), failed(&"x".repeat(WORDS_MAX))),
            (LogonEnd::Asked, LogonEnd::Vanished),
            (LogonEnd::Vanished, LogonEnd::Vanished),
        ] {
            assert_eq!(read(&write(&said).unwrap()), believed);
        }
        for nothing in [&b""[..], b"null", b"{\"Failed\":1}", b"\"LoggedOff\" x"] {
            assert_eq!(read(nothing), LogonEnd::Vanished);
        }
    }
}
