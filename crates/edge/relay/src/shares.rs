//! How many connections each address has whose user is not proved yet, so that one address cannot take every place.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, PoisonError},
};

/// The counts; an address without connections takes no room.
#[derive(Clone)]
pub(crate) struct Shares {
    most: usize,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// One place of an address; given back on drop.
pub(crate) struct Share {
    of: IpAddr,
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Shares {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Arc::default() }
    }

    /// A place for a peer; `None` where its address has all it may have. A host may choose among all the addresses
    /// of an IPv6 /64, so these count as one.
    pub(crate) fn take(&self, peer: IpAddr) -> Option<Share> {
        let of = match peer.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.get(&of).copied().unwrap_or(0);
        if count >= self.most {
            return None;
        }
        taken.insert(of, count + 1);
        Some(Share { of, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match taken.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_an_ipv6_network_counts_as_one() {
        let shares = Shares::new(2);
        let take = |peer: &str| shares.take(peer.parse().unwrap());
        let v4 = [take("192.0.2.1"), take("::ffff:192.0.2.1")];
        assert!(v4.iter().all(Option::is_some) && take("192.0.2.1").is_none());
        assert!(take("192.0.2.2").is_some(), "another address");
        let v6 = [take("2001:db8:0:1::1"), take("2001:db8:0:1:ffff::2")];
        assert!(v6.iter().all(Option::is_some) && take("2001:db8:0:1::3").is_none());
        assert!(take("2001:db8:0:2::1").is_some(), "another network");
        drop(v4);
        assert!(take("192.0.2.1").is_some(), "there is room again");
        drop(v6);
        assert!(shares.taken.lock().unwrap().is_empty(), "nothing is remembered");
    }
}
