//! The schema files against the facts that clients are written to.

use openrdms_cim::{Class, Repository, Type};

const RD_MANAGEMENT: &str = include_str!("../../../../schema/RDManagement.mof");
const OPENRDMS: &str = include_str!("../../../../schema/OpenRDMS.mof");

/// The documented class, facts only: property, type, whether it is a key; all are scalar and read-only.
const SESSION_PROPERTIES: [(&str, Type, bool); 8] = [
    ("VMHostName", Type::String, true),
    ("SessionId", Type::Uint32, true),
    ("VMName", Type::String, false),
    ("ConnectState", Type::Uint32, false),
    ("UserName", Type::String, false),
    ("DomainName", Type::String, false),
    ("CollectionId", Type::String, false),
    ("ClientMachineName", Type::String, false),
];

/// The documented methods and their IN parameters, all strings; all return uint32, none is static.
const SESSION_METHODS: [(&str, &[&str]); 3] =
    [("Disconnect", &[]), ("Logoff", &[]), ("SendMessage", &["Title", "Message"])];

/// `WTS_CONNECTSTATE_CLASS`, in the order of its numbers.
const CONNECT_STATES: [&str; 10] = [
    "Active",
    "Connected",
    "ConnectQuery",
    "Shadow",
    "Disconnected",
    "Idle",
    "Listen",
    "Reset",
    "Down",
    "Init",
];

fn repository() -> Repository {
    let mut repository = Repository::default();
    assert_eq!(repository.load("root/cimv2/rdms", RD_MANAGEMENT), Ok(vec![]));
    assert_eq!(repository.load("root/openrdms", OPENRDMS), Ok(vec![]));
    repository
}

fn set(class: &Class, property: &str, qualifier: &str) -> bool {
    openrdms_cim::class::is_set(
        &class.property(property).expect("the property is declared").qualifiers,
        qualifier,
    )
}

#[test]
fn the_session_class_is_exactly_the_documented_one() {
    let repository = repository();
    let class = repository.class("root/cimv2/rdms", "Win32_VirtualDesktopSession").unwrap();
    assert_eq!(class.superclass, None);
    let properties: Vec<_> = class.properties.iter().map(|p| (p.name.as_str(), p.ty, p.is_key())).collect();
    assert_eq!(properties, SESSION_PROPERTIES);
    for property in &class.properties {
        assert!(!property.array, "{}", property.name);
        assert!(
            set(class, &property.name, "Read") && !set(class, &property.name, "Write"),
            "{}",
            property.name
        );
    }
    let methods: Vec<_> = class
        .methods
        .iter()
        .map(|m| (m.name.as_str(), m.parameters.iter().map(|p| p.name.as_str()).collect::<Vec<_>>()))
        .collect();
    assert_eq!(methods, SESSION_METHODS.map(|(name, parameters)| (name, parameters.to_vec())));
    for method in &class.methods {
        assert_eq!((method.returns, method.is_static()), (Some(Type::Uint32), false), "{}", method.name);
        for p in &method.parameters {
            assert_eq!(
                (p.ty, p.array, p.is_in(), p.is_out()),
                (Type::String, false, true, false),
                "{}",
                p.name
            );
        }
    }
}

#[test]
fn connect_state_lists_all_its_values() {
    let repository = repository();
    let class = repository.class("root/cimv2/rdms", "Win32_VirtualDesktopSession").unwrap();
    let qualifiers = &class.property("ConnectState").unwrap().qualifiers;
    let numbers: Vec<String> = (0..CONNECT_STATES.len()).map(|n| n.to_string()).collect();
    assert_eq!(openrdms_cim::class::qualifier(qualifiers, "ValueMap").unwrap().value, numbers.into());
    assert_eq!(
        openrdms_cim::class::qualifier(qualifiers, "Values").unwrap().value,
        CONNECT_STATES.to_vec().into()
    );
}

#[test]
fn everything_says_what_it_is() {
    let repository = repository();
    for class in repository.namespaces().flat_map(|n| repository.classes(n)) {
        let described = |q: &[openrdms_cim::Qualifier]| {
            openrdms_cim::class::qualifier(q, "Description")
                .is_some_and(|q| q.value.as_str().is_some_and(|text| text.len() > 8))
        };
        assert!(described(&class.qualifiers), "{}", class.name);
        let named = class.keys().next().is_some() || class.properties.is_empty();
        assert!(named, "{} has no key", class.name);
        for property in &class.properties {
            assert!(described(&property.qualifiers), "{}.{}", class.name, property.name);
        }
        for method in &class.methods {
            assert!(described(&method.qualifiers), "{}.{}", class.name, method.name);
            for parameter in &method.parameters {
                let told = described(&parameter.qualifiers);
                assert!(told, "{}.{}.{}", class.name, method.name, parameter.name);
            }
            assert!(!class.properties.is_empty() || method.is_static(), "{}.{}", class.name, method.name);
            assert_eq!(method.returns, Some(Type::Uint32), "{}.{}", class.name, method.name);
        }
    }
}

#[test]
fn what_makes_something_new_is_static() {
    let repository = repository();
    let statics: Vec<_> = repository
        .classes("root/openrdms")
        .flat_map(|c| c.methods.iter().filter(|m| m.is_static()).map(|m| m.name.as_str()))
        .collect();
    assert_eq!(statics, ["CreateCollection", "AddUser"]);
}
