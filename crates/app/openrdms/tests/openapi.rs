//! The OpenAPI document of the built-in classes, as it is checked in. `UPDATE_SCHEMA=1 cargo test -p openrdms --test openapi`
//! writes it anew.

#![expect(clippy::unwrap_used, reason = "helpers of tests, outside of what clippy takes for one")]

use openrdms_cim::Repository;
use serde_json::Value;
use std::collections::HashSet;
use std::path::Path;

fn repository() -> Repository {
    openrdms_rdms::repository().unwrap()
}

/// The classes that are offered.
fn classes(repository: &Repository) -> Vec<&openrdms_cim::Class> {
    let all = repository.namespaces().flat_map(|namespace| repository.classes(namespace));
    all.filter(|class| !class.name.starts_with("__")).collect()
}

#[test]
fn the_document_is_what_the_code_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../schema/openapi.json");
    let text = serde_json::to_string_pretty(&openrdms_management::openapi(&repository())).unwrap() + "\n";
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "schema/openapi.json is not what the code says: run with UPDATE_SCHEMA=1");
}

#[test]
fn a_name_is_that_of_one_class_whatever_its_namespace() {
    let (repository, mut names) = (repository(), HashSet::new());
    for class in classes(&repository) {
        let name = class.name.to_lowercase();
        assert!(!["events", "openapi.json"].contains(&name.as_str()), "{name} is an address of its own");
        assert!(
            names.insert(name),
            "{} is in two namespaces: the JSON API cannot tell them apart",
            class.name
        );
    }
}

#[test]
fn no_property_is_hidden_by_a_word_of_lists() {
    let repository = repository();
    for class in classes(&repository) {
        for property in &class.properties {
            let name = property.name.to_lowercase();
            let taken = ["limit", "cursor", "fields", "where"].contains(&name.as_str());
            assert!(!taken, "{}.{} cannot be filtered by its name", class.name, property.name);
        }
    }
}

#[test]
fn no_out_parameter_is_hidden_by_a_member_of_problems() {
    let repository = repository();
    let document = openrdms_management::openapi(&repository);
    let taken = document["components"]["schemas"]["Problem"]["properties"].as_object().unwrap();
    for class in classes(&repository) {
        for method in &class.methods {
            for parameter in method.parameters.iter().filter(|parameter| parameter.is_out()) {
                let name = &parameter.name;
                assert!(!taken.contains_key(name), "{}.{}: {name} is a member", class.name, method.name);
            }
        }
    }
}

/// Code generators name things by them.
#[test]
fn every_operation_has_a_name_of_its_own_and_every_reference_an_end() {
    let document = openrdms_management::openapi(&repository());
    let mut names = HashSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (verb, operation) in item.as_object().unwrap().iter().filter(|(verb, _)| *verb != "parameters") {
            let name = operation["operationId"].as_str().unwrap();
            assert!(names.insert(name.to_owned()), "{name} comes twice: {verb} {path}");
        }
    }
    assert!(names.contains("callWin32_VirtualDesktopSession_Disconnect"));
    assert!(references(&document, &document) > 100);
}

/// Follows all references, and counts them.
fn references(document: &Value, part: &Value) -> usize {
    match part {
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("$ref", Some(to)) => {
                    assert!(document.pointer(to.trim_start_matches('#')).is_some(), "{to} is nothing");
                    1
                }
                _ => references(document, value),
            })
            .sum(),
        Value::Array(items) => items.iter().map(|item| references(document, item)).sum(),
        _ => 0,
    }
}

/// A caller who relies on it where nothing looks would end somebody else's session.
#[test]
fn whom_a_caller_means_is_asked_for_only_where_it_is_heeded() {
    let repository = repository();
    let document = openrdms_management::openapi(&repository);
    let mut heeded = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        let of = item["post"]["parameters"].as_array();
        let has = |name: &str| of.is_some_and(|all| all.iter().any(|p| p.to_string().contains(name)));
        assert_eq!(has("ExpectedUser"), has("ExpectedState"), "{path}");
        if has("ExpectedUser") {
            let segments: Vec<_> = path.trim_start_matches("/api/v1/").split('/').collect();
            heeded.push(format!("{}.{}", segments[0], segments[segments.len() - 1]));
        }
    }
    heeded.sort();
    assert_eq!(
        heeded,
        [
            "OpenRDMS_Desktop.Pause",
            "OpenRDMS_Desktop.Start",
            "OpenRDMS_Desktop.Stop",
            "OpenRDMS_Session.Disconnect",
            "OpenRDMS_Session.Forget",
            "OpenRDMS_Session.Logoff",
            "OpenRDMS_Session.SendMessage",
            "Win32_RDMSVirtualDesktop.SetVirtualDesktopState",
            "Win32_VirtualDesktopSession.Disconnect",
            "Win32_VirtualDesktopSession.Logoff",
            "Win32_VirtualDesktopSession.SendMessage",
        ]
    );
}
