//! Calls into the NTLM library, which neither take the process down nor write into our logs.
//!
//! The library is given hostile bytes and holds secrets: a panic in it ends one logon, not the server, and what
//! it traces (its debug spans print buffers) goes nowhere.

use super::Refusal;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tracing::{Dispatch, dispatcher::with_default};

/// Runs a call into the library.
///
/// # Errors
/// [`Refusal::Defect`] when it panicked. What it worked on must not be used again.
pub(crate) fn quiet<T>(call: impl FnOnce() -> T) -> Result<T, Refusal> {
    with_default(&Dispatch::none(), || catch_unwind(AssertUnwindSafe(call))).map_err(|_| Refusal::Defect)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_the_library_is_a_defect_and_no_more() {
        assert!(matches!(quiet::<()>(|| panic!("as if by a defect")), Err(Refusal::Defect)));
        assert!(matches!(quiet(|| 7), Ok(7)));
    }
}
