//! Whom a client means by a user name and a domain.

use openrdms_broker::UserName;

/// The names under which local accounts are known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Realm {
    /// The deployment's name: the domain of local accounts.
    pub deployment: String,
    /// This computer's name, which stands for the deployment.
    pub computer: String,
}

impl Realm {
    /// The local account that is meant, in the deployment's domain: where the domain is empty, `.`, the computer's
    /// name or the deployment's, in any case. A domain may also stand in the name (`domain\name`, `name@domain`).
    /// `None` for another domain, or where it is no name at all: no such account.
    pub fn resolve(&self, domain: &str, name: &str) -> Option<UserName> {
        let (domain, name) = match (domain, name.split_once('\\'), name.rsplit_once('@')) {
            ("", Some((domain, name)), _) | ("", None, Some((name, domain))) => (domain, name),
            _ => (domain, name),
        };
        let equal = |ours: &str| domain.to_lowercase() == ours.to_lowercase();
        let local = domain.is_empty() || domain == "." || equal(&self.deployment) || equal(&self.computer);
        if local { UserName::new(&self.deployment, name).ok() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_account_goes_by_many_names() {
        let realm = Realm { deployment: "Farm".to_owned(), computer: "host1".to_owned() };
        let alice = UserName::new("farm", "alice").unwrap();
        for (domain, name) in [
            ("", "alice"),
            (".", "Alice"),
            ("FARM", "ALICE"),
            ("HOST1", "alice"),
            ("", "farm\\alice"),
            ("", ".\\alice"),
            ("", "alice@farm"),
            ("", "\\alice"),
        ] {
            assert_eq!(realm.resolve(domain, name), Some(alice.clone()), "{domain:?} {name:?}");
        }
        for (domain, name) in [
            ("CORP", "alice"),
            ("", "corp\\alice"),
            ("", "alice@corp"),
            ("farm", "x\\alice"),
            ("", ""),
            ("farm", "a/b"),
        ] {
            assert_eq!(realm.resolve(domain, name), None, "{domain:?} {name:?}");
        }
    }
}
