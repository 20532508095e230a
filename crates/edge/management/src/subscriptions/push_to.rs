//! Where events may be pushed. Whoever subscribes names an address that this server then connects to: without a list
//! of what is meant to be reached, every user could make it knock on doors that only it can reach.

use std::net::{IpAddr, SocketAddr};

/// The addresses that events may be sent to; none unless somebody lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PushTo(Vec<Entry>);

/// A text that is no entry of the list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "'{0}' is neither a host, such as collector.example or 192.0.2.7:8443, nor a network, such as 192.0.2.0/24"
)]
pub struct PushToError(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    /// A name, whatever it resolves to.
    Name { name: String, port: Option<u16> },
    /// One address, or a network.
    Network { address: IpAddr, prefix: u8, port: Option<u16> },
}

impl PushTo {
    /// Reads the entries: `host`, `host:port`, `address`, `address:port`, `[address]:port` or `network/prefix`.
    ///
    /// # Errors
    /// The first that is none of these.
    pub fn parse<T: AsRef<str>>(entries: impl IntoIterator<Item = T>) -> Result<Self, PushToError> {
        let entry =
            |text: T| Entry::parse(text.as_ref()).ok_or_else(|| PushToError(text.as_ref().to_owned()));
        entries.into_iter().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whether nothing may be reached at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether one of `host`'s addresses may be reached. `host` is what the address of the subscription says.
    pub(crate) fn allows(&self, host: &str, to: SocketAddr) -> bool {
        self.0.iter().any(|entry| match entry {
            Entry::Name { name, port } => {
                name.eq_ignore_ascii_case(host.trim_end_matches('.'))
                    && port.is_none_or(|port| port == to.port())
            }
            Entry::Network { address, prefix, port } => {
                within(to.ip().to_canonical(), *address, *prefix) && port.is_none_or(|port| port == to.port())
            }
        })
    }
}

impl Entry {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if let Some((address, prefix)) = text.split_once('/') {
            let address: IpAddr = address.parse().ok()?;
            let most = if address.is_ipv4() { 32 } else { 128 };
            let prefix = prefix.parse().ok().filter(|prefix| *prefix <= most)?;
            return Some(Entry::Network { address, prefix, port: None });
        }
        let one = |address: IpAddr, port| Entry::Network {
            address: address.to_canonical(),
            prefix: if address.to_canonical().is_ipv4() { 32 } else { 128 },
            port,
        };
        if let Ok(address) = text.trim_start_matches('[').trim_end_matches(']').parse() {
            return Some(one(address, None));
        }
        if let Ok(address) = text.parse::<SocketAddr>() {
            return Some(one(address.ip(), Some(address.port())));
        }
        let (name, port) = match text.split_once(':') {
            Some((name, port)) => (name, Some(port.parse().ok()?)),
            None => (text, None),
        };
        let name = name.trim_end_matches('.');
        let good = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        // what is all digits and dots would be an address with a mistake in it
        let is_name = name.chars().any(|c| c.is_ascii_alphabetic());
        (good && is_name).then(|| Entry::Name { name: name.to_owned(), port })
    }
}

fn within(ip: IpAddr, network: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let kept = width - u32::from(prefix).min(width);
        kept >= 128 || a >> kept == b >> kept
    };
    match (ip, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, host: &str, to: &str) -> bool {
        PushTo::parse([entry]).unwrap().allows(host, to.parse().unwrap())
    }

    #[test]
    fn nothing_is_allowed_unless_it_is_listed() {
        assert!(PushTo::default().is_empty());
        assert!(!PushTo::default().allows("localhost", "127.0.0.1:80".parse().unwrap()));
    }

    #[test]
    fn a_name_is_allowed_whatever_it_resolves_to_and_an_address_whatever_its_name() {
        assert!(allows("Collector.example", "collector.EXAMPLE.", "192.0.2.1:80"));
        assert!(!allows("collector.example", "other.example", "192.0.2.1:80"));
        assert!(!allows("collector.example", "evil.collector.example", "192.0.2.1:80"));
        assert!(allows("collector.example:8443", "collector.example", "192.0.2.1:8443"));
        assert!(!allows("collector.example:8443", "collector.example", "192.0.2.1:22"));
        assert!(allows("192.0.2.0/24", "x", "192.0.2.255:1"));
        assert!(!allows("192.0.2.0/24", "x", "192.0.3.0:1"));
        assert!(allows("192.0.2.7", "x", "[::ffff:192.0.2.7]:1"), "an IPv4 address in IPv6's clothes");
        assert!(!allows("192.0.2.7", "x", "192.0.2.8:1"));
        assert!(!allows("192.0.2.7:80", "x", "192.0.2.7:81"));
        assert!(allows("2001:db8::/32", "x", "[2001:db8:ffff::1]:1"));
        assert!(!allows("2001:db8::/32", "x", "[2001:db9::1]:1"));
        assert!(allows("[2001:db8::1]:443", "x", "[2001:db8::1]:443"));
        assert!(allows("0.0.0.0/0", "x", "203.0.113.9:1") && !allows("0.0.0.0/0", "x", "[2001:db8::1]:1"));
        assert!(allows("::/0", "x", "[2001:db8::1]:1"));
    }

    #[test]
    fn what_is_no_entry_is_refused() {
        for text in
            ["", " ", "a b", "192.0.2", "192.0.2.0/33", "::/129", "host:port", "http://host/", "1.2.3.4.5"]
        {
            assert_eq!(PushTo::parse([text]), Err(PushToError(text.to_owned())), "{text}");
        }
    }
}
