//! What may be a name, and which names are the same.

use openrdms_broker::{
    Account, CollectionAlias, ConnectionId, Credentials, DesktopName, HostName, Role, Timestamp, UserName,
    ports::StoreError,
};
use std::collections::HashSet;
use uuid::Uuid;

#[test]
fn a_name_is_as_long_as_its_rule_says_and_no_longer() {
    let of = |n| "a".repeat(n);
    assert!(CollectionAlias::new(&of(32)).is_ok() && CollectionAlias::new(&of(33)).is_err());
    assert!(DesktopName::new(&of(63)).is_ok() && DesktopName::new(&of(64)).is_err());
    assert!(HostName::new(&of(253)).is_ok() && HostName::new(&of(254)).is_err());
    for name in [of(64), "é".repeat(64)] {
        assert!(UserName::new(&name, &name).is_ok());
    }
    assert!(UserName::new(&of(65), "a").is_err() && UserName::new("a", &of(65)).is_err());
    assert!(UserName::new("", "a").is_err() && UserName::new("a", "").is_err());
}

#[test]
fn labels_are_letters_digits_dashes_and_low_lines_and_hosts_and_desktops_may_have_dots() {
    for name in ["Pool-1_a", "7", "_", "-"] {
        assert_eq!(CollectionAlias::new(name).unwrap().as_str(), name);
        assert_eq!(name.parse::<DesktopName>().unwrap().to_string(), name);
    }
    for bad in ["a.b", ".", "..", ".a", "a b", "a/b", "é", "a:"] {
        assert!(CollectionAlias::new(bad).is_err(), "{bad}");
        assert_eq!(DesktopName::new(bad).is_ok(), bad == "a.b", "{bad}");
        assert_eq!(HostName::new(bad).is_ok(), bad == "a.b", "{bad}");
    }
    let host = HostName::try_from("Farm-1.example".to_owned()).unwrap();
    assert_eq!(String::from(host), "Farm-1.example");
    assert!(HostName::try_from("a b".to_owned()).is_err());
}

#[test]
fn hosts_compare_without_case() {
    let host = HostName::new("Farm.Example").unwrap();
    assert!(host.is(&HostName::new("fARM.eXAMPLE").unwrap()) && !host.is(&HostName::new("farm").unwrap()));
}

#[test]
fn a_user_name_may_hold_spaces_inside_and_no_separators() {
    let user = UserName::new("Farm.Example", "Älice B. Ünger").unwrap();
    assert_eq!((user.domain(), user.name()), ("Farm.Example", "Älice B. Ünger"));
    assert_eq!(user.to_string(), "Farm.Example\\Älice B. Ünger");
    assert_eq!(user.key(), "farm.example\\älice b. ünger");
    for separator in "/\\:*?\"<>|@,;=+[]\n\0".chars() {
        let bad = format!("a{separator}b");
        assert!(UserName::new("D", &bad).is_err() && UserName::new(&bad, "a").is_err(), "{bad:?}");
    }
    for bad in [" a", "a "] {
        assert!(UserName::new("D", bad).is_err() && UserName::new(bad, "a").is_err(), "{bad:?}");
    }
    assert!(UserName::new("D", "...").is_err() && UserName::new("D", ".a").is_ok());
}

#[test]
fn users_who_are_the_same_are_one_in_a_set() {
    let user = |domain, name| UserName::new(domain, name).unwrap();
    let users = HashSet::from([user("D", "alice"), user("d", "ALICE"), user("D", "bob"), user("E", "alice")]);
    assert_eq!(users.len(), 3);
    assert_ne!(user("D", "alice"), user("D", "bob"));
    let hash = |user: &UserName| std::hash::BuildHasher::hash_one(users.hasher(), user);
    assert_eq!(hash(&user("D", "alice")), hash(&user("d", "Alice")));
    assert_ne!(hash(&user("D", "alice")), hash(&user("D", "bob")), "or every set would be a list");
}

#[test]
fn a_refused_name_is_shown_with_its_rule_and_not_at_any_length() {
    let refused = DesktopName::new(&"x/".repeat(1000)).unwrap_err();
    assert_eq!((refused.what, refused.text.len()), ("desktop name", 80));
    let text = refused.to_string();
    assert!(
        text.starts_with("'x/x/")
            && text.ends_with("1 to 63 characters of A-Z a-z 0-9 - _ . and not a dot first"),
        "{text}"
    );
    // in a row of the store it is the row that is wrong
    let of_row = StoreError::from(refused);
    assert!(matches!(&of_row, StoreError::Corrupt(why) if *why == text), "{of_row:?}");
}

#[test]
fn a_key_is_shown_as_its_uuid() {
    let key = ConnectionId(Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef));
    assert_eq!(key.to_string(), "01234567-89ab-cdef-0123-456789abcdef");
}

#[test]
fn what_proves_an_account_is_not_shown() {
    let credentials =
        Credentials { password_hash: "$argon2id$v=19".into(), sealed_nt_hash: Some(vec![231; 4]) };
    let user = UserName::new("D", "alice").unwrap();
    let account = Account { user, role: Role::User, credentials, uid: 70_000, created: Timestamp(0) };
    let shown = format!("{account:?}");
    assert!(shown.contains("Credentials(..)"), "{shown}");
    assert!(!shown.contains("argon2id") && !shown.contains("231"), "{shown}");
}
