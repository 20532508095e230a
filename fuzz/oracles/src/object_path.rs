//! Object paths.

use crate::{bounded, text, world};
use openrdms_cim::ObjectPath;
use openrdms_cim::path::MAX_PATH;

/// A path prints, in each of its forms, to one that is the same.
pub fn object_path(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let read = ObjectPath::parse_with_server(&text);
    assert_eq!(read.as_ref().map(|(_, path)| path).ok(), ObjectPath::parse(&text).as_ref().ok());
    let Ok((server, path)) = read else { return false };

    let printed = path.to_string();
    bounded("the path", &printed, text.len(), 16);
    if printed.len() > MAX_PATH / 2 {
        return true;
    }
    assert_eq!(ObjectPath::parse(&printed).as_ref(), Ok(&path), "{printed}");
    let host = server.as_deref().unwrap_or(".");
    // a host alone is no place of a class
    let whole = if path.namespace.is_empty() { vec![] } else { vec![path.wmi(host), path.wbem_uri(host)] };
    for whole in whole {
        assert_eq!(ObjectPath::parse_with_server(&whole), Ok((server.clone(), path.clone())), "{whole}");
    }
    let relative = path.relative();
    let without = ObjectPath { namespace: String::new(), ..path.clone() };
    assert_eq!(ObjectPath::parse(&relative), Ok(without), "{relative}");

    let repository = world::repository();
    let of_thing = ObjectPath { namespace: world::NS.to_owned(), ..path.clone() };
    for path in [&path, &of_thing] {
        let Ok(class) = repository.class(&path.namespace, &path.class) else { continue };
        let Ok(typed) = path.typed(class) else { continue };
        assert_eq!(typed.typed(class).as_ref(), Ok(&typed), "a typed path is typed");
        let printed = typed.to_string();
        let again = ObjectPath::parse(&printed).ok().and_then(|path| path.typed(class).ok());
        assert_eq!(again.as_ref(), Some(&typed), "{printed}");
        assert!(typed.same(&typed), "{printed}");
    }
    true
}
