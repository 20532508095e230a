//! Machines: addresses that already speak RDP, whose system is somebody else's: PCs, session hosts, virtual machines of a
//! cloud. Each is a host of its own, of the kind `machines`, and the one desktop of that host has its name.

use crate::document::Document;
use crate::ids::IdError;
use crate::{DesktopName, HostName, Timestamp};
use serde::{Deserialize, Serialize};

/// The kind of host that a machine is.
pub const KIND: &str = "machines";

/// The port of RDP.
pub const RDP_PORT: u16 = 3389;

/// What is known of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its key, and the name of its desktop, so it fits both.
    pub name: HostName,
    /// Where its RDP server is reached.
    pub address: Address,
    /// SHA-256 of the DER of the certificate that its RDP server must show: the relay's pin.
    pub certificate_sha256: [u8; 32],
    /// What it is told of who connects.
    #[serde(default)]
    pub logon: MachineLogon,
    /// How many sessions it holds at once; 1 for a PC.
    pub session_limit: u32,
    /// How many sessions it is given beside others of its collection: twice the weight, twice as many.
    pub weight: u32,
    /// Whether somebody has to start it.
    #[serde(default)]
    pub start: MachineStart,
}

/// What a machine is told of the user who connects. It asks for the password itself, of an account of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineLogon {
    /// The name: the machine shows its own logon.
    #[default]
    Ask,
    /// Name and password, as they were proved to us: the machine logs the user on by them, if it knows the same account.
    Forward,
}

/// Whether a silent machine is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineStart {
    /// No.
    #[default]
    NotAsked,
    /// A user was refused who could have been served there.
    Wanted,
    /// Whoever starts machines has been told.
    Told {
        /// When.
        at: Timestamp,
    },
}

/// Sessions of a machine that nobody has limited.
pub const UNLIMITED_SESSIONS: u32 = 999_999;
/// The weight of a machine that nobody has given another.
pub const USUAL_WEIGHT: u32 = 100;
/// The heaviest that a machine can be.
pub const MOST_WEIGHT: u32 = 10_000;

impl Machine {
    /// A machine that takes any number of sessions and asks for passwords itself.
    ///
    /// # Errors
    /// When the name is too long for a desktop's.
    pub fn new(name: HostName, address: Address, certificate_sha256: [u8; 32]) -> Result<Self, IdError> {
        DesktopName::new(name.as_str())?;
        Ok(Self {
            name,
            address,
            certificate_sha256,
            logon: MachineLogon::default(),
            session_limit: UNLIMITED_SESSIONS,
            weight: USUAL_WEIGHT,
            start: MachineStart::default(),
        })
    }

    /// The desktop that its sessions are in.
    ///
    /// # Errors
    /// Never for a machine made by [`Machine::new`].
    pub fn desktop(&self) -> Result<DesktopName, IdError> {
        DesktopName::new(self.name.as_str())
    }
}

impl Document for Machine {
    const KIND: &'static str = "machine";

    fn key(&self) -> String {
        self.name.to_string()
    }
}

/// A host name or an IP address, and a port; as text `host:port`, IPv6 in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    host: String,
    port: u16,
}

impl Address {
    /// Reads `host`, `host:port`, `[v6]` or `[v6]:port`; without a port it is that of RDP.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        const RULE: &str =
            "a host name or an IP address, then a colon and a port unless that is 3389; IPv6 in brackets";
        let wrong = || IdError { what: "address", text: text.chars().take(80).collect(), rule: RULE };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<std::net::Ipv6Addr>().map_err(|_| wrong())?;
                (host, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or_else(wrong)?) })
            }
            None => {
                let (host, port) =
                    text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
                HostName::new(host).map_err(|_| wrong())?;
                (host, port)
            }
        };
        let port = match port {
            None => RDP_PORT,
            // what parses has no sign, and no more than one form
            Some(port) if port.bytes().all(|b| b.is_ascii_digit()) => port.parse().map_err(|_| wrong())?,
            Some(_) => return Err(wrong()),
        };
        if port == 0 { Err(wrong()) } else { Ok(Self { host: host.to_owned(), port }) }
    }

    /// The host name or the IP address, without brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Address {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<Address> for String {
    fn from(address: Address) -> String {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_name_or_a_number_and_perhaps_a_port() {
        for (text, printed) in [
            ("pc1", "pc1:3389"),
            ("pc1.example.org:3390", "pc1.example.org:3390"),
            ("192.0.2.7", "192.0.2.7:3389"),
            ("[2001:db8::7]", "[2001:db8::7]:3389"),
            ("[::1]:33", "[::1]:33"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), printed);
            assert_eq!(Address::parse(printed).unwrap(), address);
        }
        for bad in [
            "", ":1", "a:", "a:0", "a:65536", "a:+1", "a:1:2", "::1", "[a]", "[::1", "[::1]1", "a b",
            "a/b:1", "é",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_machine_has_one_desktop_of_its_own_name() {
        let address = Address::parse("192.0.2.7").unwrap();
        let of = |name: &str| Machine::new(HostName::new(name).unwrap(), address.clone(), [0; 32]);
        assert_eq!(of("pc1.example.org").unwrap().desktop().unwrap().as_str(), "pc1.example.org");
        assert!(of(&"a".repeat(64)).is_err(), "no desktop can be called that");
    }

    #[test]
    fn a_row_of_a_machine_reads_back() {
        let address = Address::parse("pc1:1").unwrap();
        let machine = Machine::new(HostName::new("pc1").unwrap(), address, [7; 32]).unwrap();
        let row = serde_json::to_string(&machine).unwrap();
        assert_eq!(serde_json::from_str::<Machine>(&row).unwrap(), machine);
        assert!(
            row.contains("\"pc1:1\"") && row.contains("\"session_limit\":999999"),
            "queries read it: {row}"
        );
    }
}
