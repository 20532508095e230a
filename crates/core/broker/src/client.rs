//! What is known of a connection: the client's own words, and where it asked to go.

use serde::{Deserialize, Serialize};

/// What a client says of itself while it connects. Its own words: shown, never trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientFacts {
    /// The address the connection came from, without the port.
    pub address: String,
    /// The client computer's name (`TS_UD_CS_CORE.clientName`), at most 15 characters.
    pub machine: String,
    /// Desktop size asked for, in pixels.
    pub width: u16,
    /// Desktop size asked for, in pixels.
    pub height: u16,
    /// Keyboard layout (a Windows input locale).
    pub keyboard_layout: u32,
    /// The client's build number.
    pub build: u32,
    /// What protected the logon: `tls` or `nla`.
    pub security: String,
}

/// A password on its way to whoever checks it: wiped when it is dropped, and shown by nothing.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(zeroize::Zeroizing<String>);

/// Where a client asked to go, read from the first bytes of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Nothing was said: the user's only collection, or a refusal that lists none.
    Default,
    /// `tsv://MS Terminal Services Plugin.1.<alias>`: a desktop of this collection.
    Collection(String),
    /// `tsv://VMResource.1.<alias>`: the same, as the portal writes it for a personal desktop.
    Desktop(String),
}

impl Password {
    /// Of this text.
    pub fn new(text: zeroize::Zeroizing<String>) -> Self {
        Self(text)
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}
