//! Classes that the schema states and no provider serves yet. Clients can read their declarations; every operation
//! on them is answered `WBEM_E_NOT_SUPPORTED`. The list shrinks as providers come, and goes with the last.

use openrdms_cim::{CimError, Class, WmiCode};

/// By namespace and name.
pub(crate) const UNSERVED: &[(&str, &str)] = &[
    ("root/cimv2/terminalservices", "Win32_SessionBrokerFarm"),
    ("root/cimv2/terminalservices", "Win32_SessionBrokerTarget"),
    ("root/cimv2/terminalservices", "Win32_SessionBrokerTargetEvent"),
    ("root/cimv2/terminalservices", "Win32_SessionDirectoryVirtualDesktopServer"),
    ("root/cimv2/terminalservices", "Win32_TSSessionSetting"),
    ("root/cimv2/terminalservices", "Win32_TSVirtualDesktopServerSettings"),
    ("root/cimv2/terminalservices", "Win32_TSVm"),
];

/// Whether it has to have a provider: system classes and abstract ones have no instances of their own.
pub(crate) fn is_to_be_served(class: &Class) -> bool {
    let own = !class.name.starts_with("__") && !class.is_abstract();
    own && !UNSERVED.contains(&(class.namespace.as_str(), class.name.as_str()))
}

/// What is said of a class that has no provider, these and the classes of events.
pub(crate) fn unserved(class: &Class) -> CimError {
    let message = format!("{} is stated in the schema only: nothing here serves it", class.name);
    CimError::new(WmiCode::WBEM_E_NOT_SUPPORTED, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_either_a_provider_or_a_place_in_the_list() {
        let repository = crate::repository().unwrap();
        let served: Vec<_> = crate::classes::all().iter().map(|provider| provider.serves()).collect();
        for both in UNSERVED {
            assert!(!served.contains(both), "{both:?} has a provider by now: take it off the list");
            let class = repository.class(both.0, both.1).unwrap();
            assert_eq!((class.namespace.as_str(), class.name.as_str()), *both);
        }
        for namespace in repository.namespaces() {
            for class in repository.classes(namespace).filter(|class| is_to_be_served(class)) {
                let name = (class.namespace.as_str(), class.name.as_str());
                assert!(served.contains(&name), "{name:?} is in neither");
            }
        }
    }
}
