//! Why a command did not do it: a text that says what to do next, and an exit code.

use openrdms_cim::{CimError, Kind, WmiCode};

/// Every exit code, and what it says. Help, manual pages and README have it from here.
pub(crate) const EXITS: [(u8, &str); 9] = [
    (0, "done"),
    (1, "failed"),
    (2, "wrong usage"),
    (3, "not found"),
    (4, "not allowed"),
    (5, "service or machine not reached"),
    (6, "not possible in the present state"),
    (7, "timed out"),
    (8, "server not trusted"),
];

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: u8,
    /// Empty: there is nothing to say.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { exit: 1, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { exit: 2, message: message.into() }
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { exit: 3, message: message.into() }
    }

    pub(crate) fn denied(message: impl Into<String>) -> Self {
        Self { exit: 4, message: message.into() }
    }

    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { exit: 5, message: message.into() }
    }

    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { exit: 6, message: message.into() }
    }

    pub(crate) fn distrust(message: impl Into<String>) -> Self {
        Self { exit: 8, message: message.into() }
    }

    /// Whether waiting may help: the service was not reached, or did not answer in time.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.exit, 5 | 7)
    }

    /// No failure, but the end: whoever read what was printed has seen enough.
    pub(crate) fn enough() -> Self {
        Self { exit: 0, message: String::new() }
    }
}

impl From<CimError> for Failure {
    fn from(error: CimError) -> Self {
        let exit = match error.kind {
            // a list of which the rest was asked for: the service that knew it has ended meanwhile
            Kind::Invalid if error.code == WmiCode::WBEM_E_INVALID_CONTEXT => 5,
            Kind::Invalid | Kind::NotSupported | Kind::Bug => 1,
            Kind::NotFound => 3,
            Kind::Denied => 4,
            Kind::Unavailable => 5,
            Kind::Conflict => 6,
            Kind::TimedOut => 7,
        };
        Self { exit, message: format!("{} ({})", error.message, error.code) }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::failed(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_are_those_of_the_help() {
        let exit = |code| Failure::from(CimError::new(code, "x")).exit;
        assert_eq!(exit(WmiCode::WBEM_E_NOT_FOUND), 3);
        assert_eq!(exit(WmiCode::WBEM_E_ACCESS_DENIED), 4);
        assert_eq!(exit(WmiCode::WBEM_E_INVALID_OPERATION), 6);
        assert_eq!(exit(WmiCode::WBEM_E_TIMED_OUT), 7);
        assert_eq!(exit(WmiCode::WBEM_E_INVALID_PARAMETER), 1);
        assert_eq!(exit(WmiCode::WBEM_E_INVALID_CONTEXT), 5);
    }
}
