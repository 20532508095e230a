//! Where a service is.

use super::Fingerprint;
use crate::cli::Failure;
use crate::cli::output::clean;
use std::net::IpAddr;
use std::path::PathBuf;

/// The port of WS-Management over HTTPS, and over HTTP.
const PORTS: (u16, u16) = (5986, 5985);

/// Where the service is, and how to get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine; the kernel tells the service who is calling.
    Socket(PathBuf),
    /// Somewhere else.
    Server {
        address: Address,
        username: String,
        /// Where the password is; `None`: it is asked for.
        password_file: Option<PathBuf>,
        /// The only certificate to accept.
        pinned: Option<Fingerprint>,
        /// Whether to accept one that nobody vouches for, and to remember it.
        first_use: FirstUse,
    },
}

/// What to do about a certificate that nobody vouches for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstUse {
    Refuse,
    Trust,
}

/// A server's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) scheme: Scheme,
    /// Name or IP address, without brackets.
    pub(crate) host: String,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Https,
    /// On loopback only.
    Http,
}

impl Address {
    /// Reads `https://HOST[:PORT]`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        let wrong =
            |why: &str| Failure::usage(format!("'{}' is not the address of a server: {why}", clean(text)));
        let uri: http::Uri = text.parse().map_err(|_| wrong("write https://HOST[:5986]"))?;
        let scheme = match uri.scheme_str() {
            Some("https") => Scheme::Https,
            Some("http") => Scheme::Http,
            _ => return Err(wrong("write https://HOST[:5986]")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("no host is named"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("the account goes into --username"));
        }
        if !matches!(uri.path(), "" | "/" | "/wsman" | "/wsman/") || uri.query().is_some() {
            return Err(wrong("nothing may come after the port"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        let has_port = authority.as_str().len() > authority.host().len();
        let port = match (authority.port_u16(), scheme) {
            (Some(port), _) if port != 0 => port,
            (None, Scheme::Https) if !has_port => PORTS.0,
            (None, Scheme::Http) if !has_port => PORTS.1,
            _ => return Err(wrong("the port is a number from 1 to 65535")),
        };
        if host.is_empty() {
            return Err(wrong("no host is named"));
        }
        let is_loopback = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
        if scheme == Scheme::Http && !is_loopback {
            return Err(wrong("http:// would show the password to the network; it is for loopback only"));
        }
        Ok(Self { scheme, host, port })
    }

    /// `HOST:PORT`, an IPv6 address in brackets.
    pub(crate) fn host_port(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// As it is written.
    pub(crate) fn url(&self) -> String {
        let scheme = match self.scheme {
            Scheme::Https => "https",
            Scheme::Http => "http",
        };
        format!("{scheme}://{}", self.host_port())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_and_perhaps_a_port() {
        for (text, url) in [
            ("https://desk.example.org", "https://desk.example.org:5986"),
            ("https://Desk:1234/wsman", "https://desk:1234"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:5986"),
            ("https://192.0.2.7:443/", "https://192.0.2.7:443"),
            ("http://127.0.0.1", "http://127.0.0.1:5985"),
            ("http://[::1]:80", "http://[::1]:80"),
            ("http://localhost", "http://localhost:5985"),
        ] {
            assert_eq!(Address::parse(text).map(|a| a.url()).unwrap(), url);
        }
    }

    #[test]
    fn anything_else_is_refused_and_so_is_a_password_in_the_clear() {
        for text in [
            "",
            "desk",
            "desk:5986",
            "ftp://desk",
            "https://",
            "https://desk:0",
            "https://desk:",
            "https://desk:99999",
            "https://desk/api",
            "https://desk/?x",
            "https://anna:secret@desk",
            "http://desk",
            "http://192.0.2.7",
            "http://127.0.0.1.example.org",
        ] {
            assert_eq!(Address::parse(text).map_err(|f| f.exit), Err(2), "{text}");
        }
    }
}
