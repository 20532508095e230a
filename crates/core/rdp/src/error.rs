//! What can be wrong with bytes from outside.

/// Why bytes are not the PDU they should be. Never carries any of the bytes: they may hold a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RdpError {
    /// The bytes end before the structure does.
    #[error("{0} is cut short")]
    Truncated(&'static str),
    /// A field has a value that it cannot have.
    #[error("{what} is malformed: {rule}")]
    Malformed {
        /// The structure.
        what: &'static str,
        /// The rule that it breaks.
        rule: &'static str,
    },
    /// Another PDU than the one the sequence calls for.
    #[error("another pdu came while waiting for {0}")]
    Unexpected(&'static str),
    /// The client believes that another security protocol was agreed on: somebody changed the negotiation.
    #[error("client and server disagree on the negotiated security protocol")]
    Downgrade,
    /// The peer said no.
    #[error("{what} was refused with code {code:#x}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// The peer's code.
        code: u32,
    },
}

/// Shorthand for [`RdpError::Malformed`].
pub(crate) fn malformed(what: &'static str, rule: &'static str) -> RdpError {
    RdpError::Malformed { what, rule }
}
