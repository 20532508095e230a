//! The names and keys of things. Every one is a type of its own, checked where it is made.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a valid {what}: {rule}")]
pub struct IdError {
    /// What the text was meant to name.
    pub what: &'static str,
    /// The text as given, cut to 80 characters.
    pub text: String,
    /// The rule that it breaks.
    pub rule: &'static str,
}

fn check(
    what: &'static str,
    rule: &'static str,
    max: usize,
    text: &str,
    ok: impl Fn(char) -> bool,
) -> Result<(), IdError> {
    let valid =
        !text.is_empty() && text.chars().count() <= max && text.chars().all(ok) && text.trim() == text;
    if valid { Ok(()) } else { Err(IdError { what, text: text.chars().take(80).collect(), rule }) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:literal, $max:literal, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks the text and makes it a name.
            ///
            /// # Errors
            /// When the text breaks the rule, which the error states.
            pub fn new(text: &str) -> Result<Self, IdError> {
                Self::try_from(text.to_owned())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                check($what, $rule, $max, &text, $ok)?;
                let hidden = IdError { what: $what, text: text.chars().take(80).collect(), rule: $rule };
                if text.starts_with('.') { Err(hidden) } else { Ok(Self(text)) }
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// What an alias, a desktop or a host may be called: it also names a directory, so no separators, and none that is hidden.
fn is_label(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

name!(
    /// The alias under which a collection is offered (`CollectionId`).
    CollectionAlias, "collection alias", "1 to 32 characters of A-Z a-z 0-9 - _", 32, is_label
);
name!(
    /// The name of a desktop (`VMName`).
    DesktopName, "desktop name", "1 to 63 characters of A-Z a-z 0-9 - _ . and not a dot first", 63,
    |c| is_label(c) || c == '.'
);
name!(
    /// The name of a machine that runs desktops (`VMHostName`).
    HostName, "host name", "1 to 253 characters of A-Z a-z 0-9 - _ . and not a dot first", 253,
    |c| is_label(c) || c == '.'
);

impl HostName {
    /// Whether both name the same host: without case, as machines' names compare.
    pub fn is(&self, other: &HostName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// A user and the domain that vouches for them. Compared without case; the spelling is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct UserName {
    domain: String,
    name: String,
}

impl UserName {
    /// Checks and joins a domain and a name.
    ///
    /// # Errors
    /// When either is empty, too long, or holds a control character or one of `/\:*?"<>|@,;=+[]`.
    pub fn new(domain: &str, name: &str) -> Result<Self, IdError> {
        const RULE: &str =
            "1 to 64 characters without control characters or any of / \\ : * ? \" < > | @ , ; = + [ ]";
        let ok = |c: char| !c.is_control() && !"/\\:*?\"<>|@,;=+[]".contains(c);
        check("user name", RULE, 64, name, ok)?;
        check("domain name", RULE, 64, domain, |c| ok(c) || c == '.')?;
        if name.chars().all(|c| c == '.') {
            return Err(IdError { what: "user name", text: name.to_owned(), rule: RULE });
        }
        Ok(Self { domain: domain.to_owned(), name: name.to_owned() })
    }

    /// The user's name, spelled as it was first given.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain, spelled as it was first given.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The form that is equal for equal users: `domain\name` in lower case. The store's key.
    pub fn key(&self) -> String {
        format!("{}\\{}", self.domain.to_lowercase(), self.name.to_lowercase())
    }
}

impl PartialEq for UserName {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for UserName {}

impl std::hash::Hash for UserName {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl std::fmt::Display for UserName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\\{}", self.domain, self.name)
    }
}

macro_rules! key {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

key!(
    /// A session's own key, never used twice anywhere.
    SessionUid
);
key!(
    /// One RDP client's attachment to a session.
    ConnectionId
);
key!(
    /// One node: whoever holds the lock on its data directory, through all its restarts.
    NodeId
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_compare_without_case_and_keep_their_spelling() {
        let (a, b) = (UserName::new("FARM", "Alice").unwrap(), UserName::new("farm", "aLICE").unwrap());
        assert_eq!(a, b);
        assert_eq!(a.to_string(), "FARM\\Alice");
    }

    #[test]
    fn names_that_could_leave_a_directory_are_refused() {
        for bad in ["", ".", "..", "a/b", "a\\b", "a\0b", " a", "a\n"] {
            assert!(UserName::new("D", bad).is_err(), "{bad:?}");
            assert!(CollectionAlias::new(bad).is_err(), "{bad:?}");
            assert!(DesktopName::new(bad).is_err(), "{bad:?}");
        }
    }
}
