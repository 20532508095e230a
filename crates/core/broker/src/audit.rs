//! The audit trail: one record an action, whoever asked and through whichever door.

use crate::Timestamp;
use serde::{Deserialize, Serialize};

/// How an action ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused or failed, with the WMI code.
    Failed(u32),
}

/// One line of the audit trail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditRecord {
    /// When it ended.
    pub at: Timestamp,
    /// Who asked (`domain\name`, or `uid:0` on the local socket).
    pub actor: String,
    /// The door and the address it came through, such as `wsman 127.0.0.1` or `rdp 10.0.0.9`.
    pub from: String,
    /// What was asked, such as `Win32_VirtualDesktopSession.Disconnect`.
    pub action: String,
    /// What it was done to, such as `host 17 pool-001`.
    pub target: String,
    /// Whose session or account it was, if anybody's.
    pub subject: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What else is worth knowing, for people.
    pub detail: String,
}
