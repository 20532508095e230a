//! The three values of logic (ISO/IEC 9075).

use std::ops::Not;

/// Whether something is so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truth {
    /// It is.
    True,
    /// It is not.
    False,
    /// Null was compared with.
    Unknown,
}

impl Truth {
    /// Whether it is true, and not merely not false.
    pub fn is_true(self) -> bool {
        self == Truth::True
    }

    /// False, if one is; else unknown, if one is.
    pub(super) fn all(mut truths: impl Iterator<Item = Truth>) -> Truth {
        let mut all = Truth::True;
        // stops at the first that is false
        let decided = truths.any(|truth| {
            if truth == Truth::Unknown {
                all = Truth::Unknown;
            }
            truth == Truth::False
        });
        if decided { Truth::False } else { all }
    }

    /// True, if one is; else unknown, if one is.
    pub(super) fn any(truths: impl Iterator<Item = Truth>) -> Truth {
        !Truth::all(truths.map(|truth| !truth))
    }
}

impl Not for Truth {
    type Output = Truth;

    fn not(self) -> Truth {
        match self {
            Truth::True => Truth::False,
            Truth::False => Truth::True,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

impl From<bool> for Truth {
    fn from(is: bool) -> Self {
        if is { Truth::True } else { Truth::False }
    }
}
