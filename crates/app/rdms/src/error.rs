//! The one table from what the engine says to what a caller of CIM hears.

use openrdms_broker::ports::{Existing, HostError, StoreError};
use openrdms_broker::session::transition::Denied;
use openrdms_cim::{CimError, WmiCode};
use openrdms_engine::EngineError;

/// A method that did not do it.
#[derive(Debug)]
pub(crate) struct MethodError {
    /// Code and text.
    pub(crate) error: CimError,
    /// Whether Microsoft's classes answer it as a fault rather than as `ReturnValue`.
    pub(crate) fault: bool,
}

impl MethodError {
    /// What Microsoft's classes say by `ReturnValue`.
    pub(crate) fn said(code: WmiCode, message: impl Into<String>) -> Self {
        Self { error: CimError::new(code, message), fault: false }
    }
}

impl From<CimError> for MethodError {
    fn from(error: CimError) -> Self {
        Self { error, fault: true }
    }
}

impl From<EngineError> for MethodError {
    fn from(error: EngineError) -> Self {
        let fault = matches!(
            &error,
            EngineError::NotFound(_)
                | EngineError::Store(StoreError::Unavailable(_))
                | EngineError::Denied(Denied::Ended)
        );
        Self { error: cim_error(&error), fault }
    }
}

impl From<StoreError> for MethodError {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

/// For listings and `Get`, where everything is a fault.
pub(crate) fn fault(error: impl Into<EngineError>) -> CimError {
    cim_error(&error.into())
}

fn cim_error(error: &EngineError) -> CimError {
    let code = match error {
        EngineError::NotFound(_) | EngineError::Denied(Denied::Ended) => WmiCode::WBEM_E_NOT_FOUND,
        EngineError::Denied(Denied::State(_) | Denied::Superseded | Denied::Automatic(_))
        | EngineError::NotPersonal(_)
        | EngineError::Paused
        | EngineError::JobEnded
        | EngineError::EndedMeanwhile => WmiCode::WBEM_E_INVALID_OPERATION,
        EngineError::Denied(Denied::HostLost) | EngineError::OtherNode(_) => WmiCode::WBEM_E_NOT_AVAILABLE,
        EngineError::NotAsExpected(_) => WmiCode::WBEM_E_INVALID_OBJECT,
        EngineError::Invalid(_) | EngineError::Host(HostError::Invalid(_)) => {
            WmiCode::WBEM_E_INVALID_PARAMETER
        }
        EngineError::TimedOut(_) | EngineError::Host(HostError::TimedOut { .. }) => WmiCode::WBEM_E_TIMED_OUT,
        EngineError::NobodysDesktop | EngineError::Host(HostError::NotSupported(_)) => {
            WmiCode::WBEM_E_NOT_SUPPORTED
        }
        EngineError::TooMany(_) => WmiCode::WBEM_E_QUOTA_VIOLATION,
        EngineError::Host(HostError::NotRunning) => WmiCode::WBEM_E_INVALID_OPERATION,
        EngineError::Host(HostError::Busy(_)) | EngineError::Store(StoreError::Unavailable(_)) => {
            WmiCode::WBEM_E_NOT_AVAILABLE
        }
        EngineError::Host(HostError::Unreachable(_)) => WmiCode::WBEM_E_TRANSPORT_FAILURE,
        EngineError::Host(HostError::Failed(_)) => WmiCode::WBEM_E_FAILED,
        EngineError::Store(StoreError::Conflict(existing)) => match existing {
            Existing::SessionOfUser | Existing::SessionInDesktop | Existing::SessionInCollection => {
                WmiCode::WBEM_E_INVALID_OPERATION
            }
            Existing::SessionId
            | Existing::Session
            | Existing::Collection
            | Existing::Desktop
            | Existing::Account
            | Existing::Uid
            | Existing::LeaseOfHost
            | Existing::AssignmentOfDesktop
            | Existing::AssignmentOfUser
            | Existing::Document
            | Existing::Host
            | Existing::Row => WmiCode::WBEM_E_ALREADY_EXISTS,
        },
        EngineError::Store(StoreError::NotFound(_)) => WmiCode::WBEM_E_NOT_FOUND,
        EngineError::Store(StoreError::Stale) => WmiCode::WBEM_E_NOT_AVAILABLE,
        EngineError::Store(StoreError::Corrupt(_)) => WmiCode::WBEM_E_PROVIDER_FAILURE,
    };
    let message = match error {
        EngineError::Store(StoreError::Conflict(living)) if code == WmiCode::WBEM_E_INVALID_OPERATION => {
            format!("a {living} has not ended: log it off or forget it first")
        }
        EngineError::Store(StoreError::Unavailable(_)) => {
            "the store is not available now; try again".to_owned()
        }
        EngineError::Store(StoreError::Corrupt(_)) => "the store holds a row that cannot be read".to_owned(),
        other => other.to_string(),
    };
    if matches!(error, EngineError::Store(StoreError::Unavailable(_) | StoreError::Corrupt(_))) {
        tracing::error!(%error, "the store failed a management call");
    }
    CimError::new(code, message)
}
