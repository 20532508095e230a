//! What a Create or Put may say, by the schema: properties that the class has, and changes of those that can be
//! written.

use openrdms_cim::class::is_set;
use openrdms_cim::{CimError, Class, Instance, Params, Property, Value, WmiCode};

/// Refuses what is no property of the class, or comes twice.
pub(crate) fn known(class: &Class, properties: &Params) -> Result<(), CimError> {
    for (at, (name, _)) in properties.0.iter().enumerate() {
        if class.property(name).is_none() {
            let message = format!("{} has no property '{name}'", class.name);
            return Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message));
        }
        if properties.0.iter().take(at).any(|(n, _)| n.eq_ignore_ascii_case(name)) {
            let message = format!("property {name} comes twice");
            return Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message));
        }
    }
    Ok(())
}

/// Those of `properties` that are another than `now`, with their declared names. Clients send an instance back as
/// they got it, with a few values edited, so what has not changed may be anything.
pub(crate) fn of(class: &Class, now: &Instance, properties: Params) -> Result<Params, CimError> {
    let mut changes = Params::default();
    for (name, value) in properties.0 {
        let Some(property) = class.property(&name) else { continue };
        let current = now.get(&name);
        // what can be written may change in its case alone
        if current == &value || !is_writable(property) && current.same(&value) {
            continue;
        }
        if !is_writable(property) {
            let message = format!("{}.{} cannot be written", class.name, property.name);
            return Err(CimError::new(WmiCode::WBEM_E_READ_ONLY, message));
        }
        changes.0.push((property.name.clone(), value));
    }
    Ok(changes)
}

/// A value that must not be null.
pub(crate) fn given<'a>(properties: &'a Params, name: &str) -> Result<Option<&'a Value>, CimError> {
    match properties.0.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)) {
        None => Ok(None),
        Some((_, Value::Null)) => {
            Err(CimError::new(WmiCode::WBEM_E_ILLEGAL_NULL, format!("property {name} cannot be null")))
        }
        Some((_, value)) => Ok(Some(value)),
    }
}

/// Whether Put may change it.
pub(crate) fn is_writable(property: &Property) -> bool {
    is_set(&property.qualifiers, "write") && !property.is_key()
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_cim::Repository;

    fn check(given: Params) -> Result<Vec<String>, WmiCode> {
        let mut repository = Repository::default();
        let text = "class C { [Key] string Name; [Read, Write] string Label; [Read] uint32 Count; [Key, Write] uint32 Id; };";
        repository.load("root/a", text).unwrap();
        let class = repository.class("root/a", "C").unwrap();
        let now =
            Instance::of(class).with("Name", "n").with("Label", "l").with("Count", 7u32).with("Id", 1u32);
        known(class, &given).map_err(|error| error.code)?;
        let changes = of(class, &now, given).map_err(|error| error.code)?;
        Ok(changes
            .0
            .iter()
            .map(|(name, value)| format!("{name}={}", value.text().unwrap_or_default()))
            .collect())
    }

    #[test]
    fn only_what_can_be_written_may_change() {
        let none = Params::default;
        let same = none().with("NAME", "N").with("label", "l").with("Count", 7u64).with("Id", 1u32);
        assert_eq!(check(same), Ok(vec![]), "an instance may come back as it is");
        assert_eq!(check(none().with("label", "L")), Ok(vec!["Label=L".to_owned()]), "its case is a change");
        assert_eq!(check(none().with("Label", Value::Null)), Ok(vec!["Label=".to_owned()]));
        for wrong in [none().with("Name", "other"), none().with("Count", 8u32), none().with("Id", 2u32)] {
            assert_eq!(check(wrong), Err(WmiCode::WBEM_E_READ_ONLY));
        }
        for wrong in [none().with("Other", 1u32), none().with("Label", "a").with("label", "b")] {
            assert_eq!(check(wrong), Err(WmiCode::WBEM_E_INVALID_PARAMETER));
        }
    }
}
