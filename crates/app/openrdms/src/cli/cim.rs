//! `openrdms cim …`: any class of any namespace, as the service declares it.

mod parameters;

use super::Failure;
use super::args::CimCommand;
use super::output::{Column, Output, confirm, print, remark, row, text};
use super::remote::{Remote, not_done};
use super::watch::{self, Seen, Watch};
use openrdms_cim::class::qualifier;
use openrdms_cim::path::canonical_namespace;
use openrdms_cim::wql::{Projection, Select};
use openrdms_cim::{Class, Instance, ObjectPath, Parameter, Qualifier, Type, Value, mof};
use serde_json::json;

const CLASSES: &[Column] = &[
    Column::new("CLASS", &["Name"]),
    Column::new("SUPERCLASS", &["Superclass"]),
    Column::new("DESCRIPTION", &["Description"]),
];

const MEMBERS: &[Column] = &[
    Column::new("KIND", &["Kind"]),
    Column::new("NAME", &["Name"]),
    Column::new("TYPE", &["Type"]),
    Column::new("DESCRIPTION", &["Description"]),
];

/// What is long comes last.
const METHODS: &[Column] = &[
    Column::new("KIND", &["Kind"]),
    Column::new("NAME", &["Name"]),
    Column::new("DESCRIPTION", &["Description"]).wide(),
    Column::new("TYPE", &["Type"]),
];

const EVENTS: &[Column] = &[
    Column::new("TIME", &["Time"]),
    Column::new("EVENT", &["Event"]),
    Column::made("INSTANCE", &["TargetInstance"], |i| text(i.get("TargetInstance"))),
];

/// An event with its class as a property, and its time as one.
fn shown(event: Instance) -> Instance {
    let mut properties = vec![
        ("Event".to_owned(), Value::from(event.class.as_str())),
        ("Time".to_owned(), watch::time(&event)),
    ];
    properties.extend(event.properties);
    Instance { properties, ..event }
}

pub(super) async fn run(command: &CimCommand, remote: &mut Remote, output: &Output) -> Result<(), Failure> {
    match command {
        CimCommand::Classes { namespace, option } => {
            let namespace = namespace.as_deref().or(option.as_deref()).unwrap_or(super::remote::OURS);
            let namespace = canonical_namespace(namespace);
            let classes = remote.classes(&namespace).await?;
            output.all(CLASSES, None, &classes.iter().map(about).collect::<Vec<_>>())
        }
        CimCommand::Class { name, within } => {
            let class = remote.learn(&within.namespace, name).await?;
            let (properties, methods) = (properties(&class), methods(&class));
            if !output.is_for_people() || output.has_columns() || methods.is_empty() {
                return output.all(MEMBERS, None, &[properties, methods].concat());
            }
            if !properties.is_empty() {
                output.all(MEMBERS, None, &properties)?;
                print("\n")?;
            }
            output.all(METHODS, None, &methods)
        }
        CimCommand::Mof { name, within } => {
            let class = remote.learn(&within.namespace, name).await?;
            output.text(&mof::print::class(&class))
        }
        CimCommand::Get { path, within } => {
            let path = parse(path, &within.namespace)?;
            let class = remote.learn(&path.namespace, &path.class).await?;
            output.show(&remote.get(&path.typed(&class)?).await?, Some(&class))
        }
        CimCommand::Query { query, within } => {
            let namespace = canonical_namespace(&within.namespace);
            let select = Select::parse(query).map_err(openrdms_cim::CimError::from)?;
            if select.is_about_classes() && select.projection == Projection::All {
                let classes = remote.classes_of(&namespace, query).await?;
                return output.all(CLASSES, None, &classes.iter().map(about).collect::<Vec<_>>());
            }
            let class = match select.is_about_classes() {
                true => None,
                false => Some(remote.learn(&namespace, &select.from).await?),
            };
            // a count is no property of the class
            let class = class.filter(|_| output.has_columns() && select.projection != Projection::Count);
            output.list(&[], class.as_ref(), remote.query(&namespace, query)).await
        }
        CimCommand::Watch { query, within } => {
            let namespace = canonical_namespace(&within.namespace);
            let watch = Watch::begin(remote, &namespace, query).await?;
            let mut printer = output.endless(EVENTS, None)?;
            watch
                .run(async |seen| match seen {
                    Seen::Events(events) => printer.batch(&events.into_iter().map(shown).collect::<Vec<_>>()),
                    Seen::Gap => remark("openrdms: some events were missed"),
                })
                .await
        }
        CimCommand::Create { class, properties, force, within } => {
            let path = parse(class, &within.namespace)?;
            let class = remote.learn(&path.namespace, &path.class).await?;
            let properties = parameters::properties(&class, properties)?;
            confirm(&format!("Make an instance of {}?", class.name), *force)?;
            remote.create(&path, &properties).await?;
            changed(output, &path, "made", "created")
        }
        CimCommand::Set { path, properties, force, within } => {
            let path = parse(path, &within.namespace)?;
            let class = remote.learn(&path.namespace, &path.class).await?;
            let path = path.typed(&class)?;
            let properties = parameters::properties(&class, properties)?;
            confirm(&format!("Change {path}?"), *force)?;
            remote.put(&path, &properties).await?;
            changed(output, &path, "changed", "changed")
        }
        CimCommand::Delete { path, force, within } => {
            let path = parse(path, &within.namespace)?;
            let class = remote.learn(&path.namespace, &path.class).await?;
            let path = path.typed(&class)?;
            confirm(&format!("Remove {path}?"), *force)?;
            remote.delete(&path).await?;
            changed(output, &path, "removed", "deleted")
        }
        CimCommand::Invoke { path, method, parameters, force, within } => {
            let path = parse(path, &within.namespace)?;
            let class = remote.learn(&path.namespace, &path.class).await?;
            let path = path.typed(&class)?;
            let declared = class
                .method(method)
                .ok_or_else(|| Failure::not_found(format!("{} has no method {method}", class.name)))?;
            let params = parameters::read(declared, parameters)?;
            confirm(&format!("Call {} of {path}?", declared.name), *force)?;
            let result = remote.invoke_any(&path, &declared.name, &params, &[]).await?;
            let outcome =
                Instance { class: class.name.clone(), namespace: path.namespace, properties: result.out.0 };
            output.show(&outcome.with("ReturnValue", result.return_value.clone()), None)?;
            match result.return_value.as_int() {
                None | Some(0) => Ok(()),
                Some(code) => Err(not_done(&declared.name, code, result.reason)),
            }
        }
    }
}

fn changed(output: &Output, path: &ObjectPath, said: &str, result: &str) -> Result<(), Failure> {
    let path = path.to_string();
    output.done(&format!("{path} is {said}"), &[("Path", json!(path)), ("Result", json!(result))])
}

/// A path as people type it; the namespace may be left out.
fn parse(text: &str, namespace: &str) -> Result<ObjectPath, Failure> {
    let mut path = ObjectPath::parse(text)
        .map_err(|error| Failure::usage(format!("'{text}' is not the path of an object: {error}")))?;
    if path.namespace.is_empty() {
        path.namespace = canonical_namespace(namespace);
    }
    Ok(path)
}

fn description(qualifiers: &[Qualifier]) -> Value {
    qualifier(qualifiers, "Description").map_or(Value::Null, |q| q.value.clone())
}

fn about(class: &Class) -> Instance {
    row("Class")
        .with("Name", class.name.as_str())
        .with("Superclass", class.superclass.clone())
        .with("Description", description(&class.qualifiers))
}

/// One row for each property.
fn properties(class: &Class) -> Vec<Instance> {
    let properties = class.properties.iter().map(|property| {
        row("Member")
            .with("Kind", if property.is_key() { "key" } else { "property" })
            .with("Name", property.name.as_str())
            .with("Type", shape(property.ty, property.array, property.reference.as_deref()))
            .with("Description", description(&property.qualifiers))
    });
    properties.collect()
}

/// One row for each method.
fn methods(class: &Class) -> Vec<Instance> {
    let methods = class.methods.iter().map(|method| {
        let parameters: Vec<String> = method.parameters.iter().map(parameter).collect();
        let returns = method.returns.map_or("void", Type::name);
        row("Member")
            .with("Kind", if method.is_static() { "static method" } else { "method" })
            .with("Name", method.name.as_str())
            .with("Type", format!("{returns}({})", parameters.join(", ")))
            .with("Description", description(&method.qualifiers))
    });
    methods.collect()
}

fn parameter(parameter: &Parameter) -> String {
    let shape = shape(parameter.ty, parameter.array, parameter.reference.as_deref());
    let direction = if parameter.is_out() { "out " } else { "" };
    format!("{direction}{shape} {}", parameter.name)
}

fn shape(ty: Type, array: bool, reference: Option<&str>) -> String {
    let name = match (ty, reference) {
        (Type::Reference, Some(class)) => format!("{class} ref"),
        (ty, _) => ty.name().to_owned(),
    };
    if array { format!("{name}[]") } else { name }
}
