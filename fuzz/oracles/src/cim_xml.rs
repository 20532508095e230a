//! Declarations of classes, from MOF to the CIM-XML that the server sends and back.

use crate::world::{self, NS};
use openrdms_cim::class::qualifier;
use openrdms_cim::{Class, Method, ObjectPath, Parameter, Property, Qualifier, Repository, Type, Value, mof};
use openrdms_wsman::client::{self, Answer};
use openrdms_wsman::{bind, reply};

/// A class that a repository takes is the same to a client that asks for its declaration.
pub fn cim_xml(bytes: &[u8]) -> bool {
    let text = mof::decode(bytes);
    let mut repository = Repository::default();
    if repository.load(NS, &text).is_err() {
        return false;
    }
    let namespaces: Vec<String> = repository.namespaces().map(str::to_owned).collect();
    for namespace in namespaces.iter().filter(|namespace| !namespace.is_empty()) {
        for class in repository.classes(namespace) {
            is_declared(&repository, class);
        }
    }
    true
}

fn is_declared(repository: &Repository, class: &Class) {
    let request =
        world::request(&world::call().declaration(&ObjectPath::class(&class.namespace, &class.name)));
    let found = bind::declaration(&request, repository).expect("it is in the repository");
    assert_eq!(found, class);
    let declaration = reply::declaration(repository, class, bind::detail(&request));
    let message = reply::get_declaration(&request, "uuid:R", &declaration);
    world::well_formed(&message);
    let Ok(Answer::Class(read)) = client::read(message.as_bytes(), &class.namespace, repository) else {
        // more than a client takes
        assert!(message.len() > 1 << 20, "{message}");
        return;
    };
    assert_eq!(outline(&read), outline(class), "{message}");
}

/// What the form keeps, but for values that XML has no way to write.
fn outline(class: &Class) -> Vec<String> {
    let names = |list: &[Qualifier]| list.iter().map(|q| q.name.clone()).collect::<Vec<_>>().join(" ");
    let mut lines = vec![format!("{} : {:?} {}", class.name, class.superclass, names(&class.qualifiers))];
    for Property { name, ty, array, size, reference, default, qualifiers, origin } in &class.properties {
        let reference = reference.as_deref().filter(|_| *ty == Type::Reference);
        lines.push(format!("{name} {ty:?} {array} {size:?} {reference:?} {origin} {}", names(qualifiers)));
        lines.push(number(default));
    }
    for Method { name, returns, parameters, qualifiers, origin } in &class.methods {
        lines.push(format!("{name} {returns:?} {origin} {}", names(qualifiers)));
        // whoever writes this qualifier orders the parameters by it; a client has it no more
        let mut ordered: Vec<(i128, &Parameter)> = parameters.iter().enumerate().map(place).collect();
        ordered.sort_by_key(|(place, _)| *place);
        for (_, Parameter { name, ty, array, size, reference, .. }) in ordered {
            let reference = reference.as_deref().filter(|_| *ty == Type::Reference);
            lines.push(format!("{name} {ty:?} {array} {size:?} {reference:?}"));
        }
    }
    lines
}

fn place((at, parameter): (usize, &Parameter)) -> (i128, &Parameter) {
    let told = qualifier(&parameter.qualifiers, "ID").and_then(|id| id.value.as_int());
    (told.unwrap_or(at as i128), parameter)
}

fn number(value: &Value) -> String {
    match value {
        Value::Char16(_) => String::new(),
        value => value.as_int().map(|n| n.to_string()).unwrap_or_default(),
    }
}
