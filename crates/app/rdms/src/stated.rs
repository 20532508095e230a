//! Classes that have declarations and no provider: abstract ones, whose instances are those of the classes that derive
//! from them, and those of events, which only subscribers get. To read them is `WBEM_E_NOT_SUPPORTED` where nothing else
//! answers, and to change them `WBEM_E_PROVIDER_NOT_CAPABLE`.

use openrdms_cim::{CimError, Class, Repository, WmiCode};

/// Whether it has to have a provider.
pub(crate) fn is_to_be_served(repository: &Repository, class: &Class) -> bool {
    !class.is_abstract() && !repository.is_a(class, EVENT)
}

/// What is said of a class that has no provider.
pub(crate) fn unserved(repository: &Repository, class: &Class) -> CimError {
    let why = if repository.is_a(class, EVENT) {
        "is a class of events: only subscribers get them"
    } else {
        "is stated in the schema only: nothing here is of this class itself"
    };
    CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, format!("{} {why}", class.name))
}

/// What all classes of events derive from.
const EVENT: &str = "__Event";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_either_a_provider_or_a_reason_for_none() {
        let repository = crate::repository().unwrap();
        let served: Vec<_> = crate::classes::all().iter().map(|provider| provider.serves()).collect();
        for class in repository.namespaces().flat_map(|namespace| repository.classes(namespace)) {
            let name = (class.namespace.as_str(), class.name.as_str());
            assert_eq!(served.contains(&name), is_to_be_served(&repository, class), "{name:?}");
        }
        for (namespace, name) in served {
            let class = repository.class(namespace, name).unwrap();
            assert_eq!(
                (class.namespace.as_str(), class.name.as_str()),
                (namespace, name),
                "as it is declared"
            );
        }
    }
}
