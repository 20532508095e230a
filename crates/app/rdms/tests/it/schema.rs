//! The schema files against the documented facts, both ways: nothing is missing, and nothing is there besides.
//!
//! The facts are in `tests/facts/`: names, types, arrays, directions, keys, access and values out of Microsoft's public
//! documentation (its repository and commit are named there), and no text of it.

use crate::support::World;
use crate::{MICROSOFT, admin, rdms};
use openrdms_cim::class::{is_set, qualifier};
use openrdms_cim::{
    CimService as _, Class, Enumeration, Limits, Method, ObjectPath, Params, Qualifier, Type, Value, WmiCode,
};
use serde_json::{Map, Value as Json, json};

fn documented(text: &str) -> Vec<Json> {
    let Json::Object(mut facts) = serde_json::from_str(text).unwrap() else { panic!("no object") };
    let Json::Array(classes) = facts.remove("classes").unwrap() else { panic!("no classes") };
    classes
}

fn management() -> Vec<Json> {
    documented(include_str!("../facts/RDManagement.json"))
}

fn type_name(ty: Type, array: bool) -> String {
    format!("{}{}", ty.name(), if array { "[]" } else { "" })
}

fn texts(qualifiers: &[Qualifier], name: &str) -> Option<Vec<String>> {
    let Value::Array(items) = &qualifier(qualifiers, name)?.value else { panic!("{name} is no list") };
    Some(items.iter().map(|item| item.as_str().unwrap().to_owned()).collect())
}

/// Adds the values of an enumeration or a mask, as the facts say them: by name where they are numbers.
fn add_values(of: &mut Map<String, Json>, qualifiers: &[Qualifier]) {
    if let Some(values) = texts(qualifiers, "ValueMap") {
        let values = match texts(qualifiers, "Values") {
            None => json!(values),
            Some(names) => {
                assert_eq!(names.len(), values.len(), "{names:?}");
                let numbers = values.iter().map(|value| json!(value.parse::<u64>().unwrap()));
                Json::Object(names.into_iter().zip(numbers).collect())
            }
        };
        of.insert("values".into(), values);
    }
    if let Some(bits) = texts(qualifiers, "BitMap") {
        let names = texts(qualifiers, "BitValues").unwrap();
        assert_eq!(names.len(), bits.len(), "{names:?}");
        let masks = bits.iter().map(|bit| json!(1_u64 << bit.parse::<u32>().unwrap()));
        let mut bits: Map<String, Json> = names.into_iter().zip(masks).collect();
        // no bit has a name too
        bits.insert("All".into(), json!(0));
        of.insert("bits".into(), Json::Object(bits));
    }
}

/// What the class says, in the form of the facts.
fn stated(class: &Class) -> Json {
    let properties = class.properties.iter().map(|property| {
        let mut of = Map::new();
        of.insert("name".into(), json!(property.name));
        of.insert("type".into(), json!(type_name(property.ty, property.array)));
        assert!(is_set(&property.qualifiers, "read"), "{}.{}", class.name, property.name);
        for (name, set) in [("key", property.is_key()), ("write", is_set(&property.qualifiers, "write"))] {
            if set {
                of.insert(name.into(), json!(true));
            }
        }
        if let Value::Boolean(default) = property.default {
            of.insert("default".into(), json!(default));
        } else {
            assert!(property.default.is_null(), "{}.{}", class.name, property.name);
        }
        if let Some(longest) = qualifier(&property.qualifiers, "MaxLen") {
            of.insert("maxlen".into(), json!(i64::try_from(longest.value.as_int().unwrap()).unwrap()));
        }
        add_values(&mut of, &property.qualifiers);
        Json::Object(of)
    });
    let mut of = Map::new();
    of.insert("name".into(), json!(class.name));
    if class.namespace != MICROSOFT {
        of.insert("namespace".into(), json!(class.namespace));
    }
    if let Some(superclass) = &class.superclass {
        of.insert("superclass".into(), json!(superclass));
    }
    if is_set(&class.qualifiers, "singleton") {
        of.insert("singleton".into(), json!(true));
    }
    of.insert("properties".into(), properties.collect());
    of.insert("methods".into(), class.methods.iter().map(method).collect());
    Json::Object(of)
}

fn method(method: &Method) -> Json {
    assert_eq!(method.returns, Some(Type::Uint32), "{}", method.name);
    let parameters = method.parameters.iter().map(|parameter| {
        let mut of = Map::new();
        of.insert("name".into(), json!(parameter.name));
        let direction = match (parameter.is_in(), parameter.is_out()) {
            (true, false) => "in",
            (false, true) => "out",
            both => panic!("{}.{}: {both:?}", method.name, parameter.name),
        };
        of.insert("direction".into(), json!(direction));
        of.insert("type".into(), json!(type_name(parameter.ty, parameter.array)));
        // which has no documented values: they are ours
        if (method.name.as_str(), parameter.name.as_str()) != ("GetPatchProperties", "State") {
            add_values(&mut of, &parameter.qualifiers);
        }
        Json::Object(of)
    });
    let mut of = Map::new();
    of.insert("name".into(), json!(method.name));
    if method.is_static() {
        of.insert("static".into(), json!(true));
    }
    of.insert("parameters".into(), json!(parameters.collect::<Vec<_>>()));
    Json::Object(of)
}

/// One member after the other, so that a difference is told by its name.
fn compare(fact: &Json, class: &Class) {
    let (mut stated, mut fact) = (stated(class), fact.clone());
    for members in ["properties", "methods"] {
        let (stated, fact) = (stated[members].take(), fact[members].take());
        let (stated, fact) = (stated.as_array().unwrap(), fact.as_array().unwrap());
        for (stated, fact) in stated.iter().zip(fact) {
            assert_eq!(stated, fact, "{}", class.name);
        }
        assert_eq!(stated.len(), fact.len(), "{members} of {}", class.name);
    }
    assert_eq!(stated, fact);
}

#[test]
fn the_management_classes_are_the_documented_ones_and_no_others() {
    let repository = openrdms_rdms::repository().unwrap();
    let classes: Vec<_> =
        repository.classes(MICROSOFT).filter(|class| !class.name.starts_with("__")).collect();
    let facts = management();
    let of_fact = |class: &Json| class["name"].as_str().unwrap().to_owned();
    let mut named: Vec<_> = classes.iter().map(|class| class.name.clone()).collect();
    named.sort();
    assert_eq!(named, facts.iter().map(of_fact).collect::<Vec<_>>());
    for fact in &facts {
        compare(fact, repository.class(MICROSOFT, &of_fact(fact)).unwrap());
    }
    let count = |members: fn(&Class) -> usize| classes.iter().map(|class| members(class)).sum::<usize>();
    assert_eq!((classes.len(), count(|c| c.properties.len()), count(|c| c.methods.len())), (13, 87, 68));
}

#[test]
fn the_related_classes_are_the_documented_ones_and_no_others() {
    let repository = openrdms_rdms::repository().unwrap();
    let mut facts = documented(include_str!("../facts/related.json"));
    let mut named = 0;
    for namespace in ["root/cimv2", "root/cimv2/terminalservices"] {
        // what they inherit from is theirs: the documentation has it with them
        let own = |class: &&Class| !class.name.starts_with("__") && !class.is_abstract();
        for class in repository.classes(namespace).filter(own) {
            let at = facts.iter().position(|fact| fact["name"] == json!(class.name));
            let mut fact = facts.remove(at.unwrap_or_else(|| panic!("{} is not documented", class.name)));
            if class.name == "Win32_TSSessionSetting" {
                // documented without a key: it is the name by which instances are told apart
                let members = fact["properties"].as_array_mut().unwrap();
                let name = members.iter_mut().find(|property| property["name"] == "TerminalName").unwrap();
                assert_eq!(name.as_object_mut().unwrap().insert("key".into(), json!(true)), None);
            }
            compare(&fact, class);
            named += 1;
        }
    }
    assert_eq!((named, facts), (10, vec![]));
}

#[test]
fn everything_in_every_namespace_says_what_it_is() {
    let repository = openrdms_rdms::repository().unwrap();
    let described = |what: String, qualifiers: &[Qualifier]| {
        let text =
            qualifier(qualifiers, "Description").and_then(|text| text.value.as_str()).unwrap_or_default();
        assert!(text.len() > 8 && text.ends_with('.'), "{what}: {text:?}");
    };
    for class in repository.namespaces().flat_map(|namespace| repository.classes(namespace)) {
        described(class.name.clone(), &class.qualifiers);
        for property in &class.properties {
            described(format!("{}.{}", class.name, property.name), &property.qualifiers);
        }
        for method in &class.methods {
            described(format!("{}.{}", class.name, method.name), &method.qualifiers);
            for parameter in &method.parameters {
                let what = format!("{}.{}.{}", class.name, method.name, parameter.name);
                described(what, &parameter.qualifiers);
            }
        }
    }
}

#[test]
fn where_the_documentation_contradicts_itself_the_schema_says_what_was_chosen() {
    let repository = openrdms_rdms::repository().unwrap();
    let class = |name: &str| repository.class(MICROSOFT, name).unwrap();
    // a desktop is named by a parameter in the one, and by the instance in its neighbours
    let desktop = class("Win32_RDMSVirtualDesktop");
    let is_static = |method: &str| desktop.method(method).unwrap().is_static();
    assert!(is_static("RemoveUserAssignment") && is_static("GetVirtualDesktopAssignedToUser"));
    assert!(!is_static("SetUserAssignment") && !is_static("GetUserAssignment"));
    // said to retrieve, and sets
    let base = class("Win32_RDMSDeploymentSettings").method("SetBaseVHDPath").unwrap();
    assert!(base.parameters.iter().all(|parameter| parameter.is_in()));
    // the order of the parameters is not that of the properties
    let order = |names: Vec<&String>| names.iter().position(|n| *n == "UserName").unwrap();
    let assignment = class("Win32_RDMSDesktopAssignment");
    let add = assignment.method("AddDesktopAssignment").unwrap();
    assert_eq!(order(assignment.properties.iter().map(|p| &p.name).collect()), 2);
    assert_eq!(order(add.parameters.iter().map(|p| &p.name).collect()), 3);
    // named in megabytes, described in bytes
    let details = desktop.method("GetVirtualDesktopDetails").unwrap();
    let units = qualifier(&details.parameter("RAMSizeInMB").unwrap().qualifiers, "Units");
    assert_eq!(units.unwrap().value, Value::from("megabytes"));
    // a number without documented values
    let patch = class("Win32_RDMSVirtualDesktopCollection").method("GetPatchProperties").unwrap();
    let values = |name| texts(&patch.parameter("State").unwrap().qualifiers, name).unwrap();
    assert_eq!(values("ValueMap"), ["0", "1", "2", "3"]);
    assert_eq!(values("Values"), ["Scheduled", "Running", "Completed", "Cancelled"]);
    // the same word, two ways to count
    let types = |name: &str| texts(&class(name).property("Type").unwrap().qualifiers, "ValueMap").unwrap();
    assert_eq!(types("Win32_RDMSVirtualDesktopCollection"), ["1", "2", "3"]);
    assert_eq!(types("Win32_RDSHCollection"), ["0", "2", "3", "4", "5"]);
}

#[tokio::test]
async fn what_has_no_instances_of_its_own_says_so_whatever_is_asked() {
    let world = World::new().await;
    let rdms = rdms(&world.engine);
    let mut unserved = 0;
    for namespace in rdms.repository().namespaces() {
        for class in rdms.repository().classes(namespace) {
            let path = ObjectPath::class(namespace, &class.name);
            let what = Enumeration { class: path.clone(), condition: None };
            let listed = rdms.enumerate(&admin(), &what, None, Limits { max_elements: 1 }).await;
            let Err(error) = listed else { continue };
            assert_eq!(error.code, WmiCode::WBEM_E_NOT_SUPPORTED, "{}", class.name);
            assert!(error.message.contains("only"), "{}", error.message);
            unserved += 1;
            let named = class.keys().fold(path.clone(), |path, key| path.with_key(&key.name, "x"));
            let none = Params::default;
            assert_eq!(rdms.get(&admin(), &named).await.unwrap_err(), error);
            let incapable = WmiCode::WBEM_E_PROVIDER_NOT_CAPABLE;
            assert_eq!(rdms.put(&admin(), &named, none()).await.unwrap_err().code, incapable);
            assert_eq!(rdms.delete(&admin(), &named).await.unwrap_err().code, incapable);
            assert_eq!(rdms.create(&admin(), &path, none()).await.unwrap_err().code, incapable);
            for method in &class.methods {
                let on = if method.is_static() { &path } else { &named };
                let refused = rdms.invoke(&admin(), on, &method.name, none(), &[]).await;
                assert_eq!(refused.unwrap_err(), error, "{}.{}", class.name, method.name);
            }
        }
    }
    assert!(unserved > 0, "classes of events are never served");
}

/// What is audited hangs on it: a method that is said to read, and writes, would leave no record.
#[test]
fn what_only_reads_is_said_of_every_method_that_tells_something_and_of_no_other() {
    let repository = openrdms_rdms::repository().unwrap();
    let all = repository.namespaces().flat_map(|namespace| repository.classes(namespace));
    for (class, method) in all.flat_map(|class| class.methods.iter().map(move |method| (class, method))) {
        let tells = match method.name.as_str() {
            // each server is told once
            "GetPendingStartServerList" => false,
            "KeyValueGet" | "ProvisioningEnumerateJobs" | "ProvisioningJobGetReport" => true,
            name => name.starts_with("Get"),
        };
        assert_eq!(method.only_reads(), tells, "{}.{}", class.name, method.name);
        let gives = method.parameters.iter().any(|parameter| parameter.is_out());
        assert!(!tells || gives, "{}.{} gives nothing", class.name, method.name);
    }
}
