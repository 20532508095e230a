//! Files in the manner of Microsoft's: read whole, and the same again when printed.

use openrdms_cim::mof::{self, Context, Included, Reading};
use openrdms_cim::{ObjectPath, Repository, Type, Value};

const PRINTER: &str = include_str!("fixtures/printer.mof");
const CONFIGURATION: &str = include_str!("fixtures/configuration.mof");
const SCHEMA: &str = include_str!("fixtures/schema.mof");

fn configuration() -> Reading {
    let mut include = |name: &str, _: &str| match name {
        "schema.mof" => Ok(Included { name: name.to_owned(), text: SCHEMA.to_owned() }),
        _ => Err("there is no such file".to_owned()),
    };
    mof::read_with(CONFIGURATION, Context { include: Some(&mut include), ..Context::default() })
}

#[test]
fn a_provider_is_read_with_its_registration() {
    let reading = mof::read(PRINTER);
    assert_eq!(reading.errors().next(), None);
    let registration = &reading.instances[1];
    let provider = ObjectPath::class("root/cimv2", "__Win32Provider");
    assert_eq!(registration.get("Provider"), &Value::Reference(Box::new(provider)));
    let [element, printer] = reading.classes.as_slice() else { panic!("{:?}", reading.classes) };
    assert_eq!((element.is_abstract(), printer.namespace.as_str()), (true, "root/cimv2"));
    let key =
        openrdms_cim::class::qualifier(&element.property("DeviceID").unwrap().qualifiers, "key").unwrap();
    assert_eq!(key.flavors, ["toinstance", "tosubclass", "disableoverride"]);
    let values = &openrdms_cim::class::qualifier(&element.property("Status").unwrap().qualifiers, "values")
        .unwrap()
        .value;
    assert!(matches!(values, Value::Array(items) if items[2] == "Busy — printing".into()), "{values:?}");
    assert_eq!(printer.property("Raw").unwrap().default, vec![255u8, 15, 5, 1].into());
    assert_eq!(printer.property("Ink").unwrap().default, Value::Real32(0.5));
    let name =
        openrdms_cim::class::qualifier(&printer.property("Ink").unwrap().qualifiers, "DisplayName").unwrap();
    assert_eq!(name.flavors, ["toinstance"]);
    assert_eq!(printer.property("Settings").unwrap().ty, Type::Object);
    let instance = &reading.instances[2];
    assert_eq!(instance.properties.len(), 2);
    assert_eq!(instance.get("DeviceID"), &r"\\server\printer".into());
    assert!(
        matches!(instance.get("Port"), Value::Reference(path) if path.key("DeviceID") == Some(&"x".into()))
    );
    let method = printer.method("addprinterconnection").unwrap();
    let directions: Vec<_> = method.parameters.iter().map(|p| (p.is_in(), p.is_out())).collect();
    assert_eq!(directions, [(true, false), (true, false), (false, true), (true, false)]);
}

#[test]
fn a_configuration_is_read_with_its_embedded_instances() {
    let reading = configuration();
    assert_eq!(reading.errors().next(), None);
    let [credential, resource, document] = reading.instances.as_slice() else { panic!("{reading:?}") };
    assert_eq!(resource.get("Credential"), &Value::Object(Box::new(credential.clone())));
    let Value::Array(settings) = resource.get("Settings") else { panic!("{resource:?}") };
    assert!(matches!(&settings[1], Value::Object(setting) if setting.get("Value").is_null()));
    assert_eq!(document.get("Version"), &"2.0.0".into());
}

#[test]
fn what_is_printed_of_them_reads_back() {
    for reading in [mof::read(PRINTER), configuration()] {
        let printed = mof::print::reading(&reading);
        let again = mof::read(&printed);
        // An alias became the path that it stands for; without its class nobody knows that a text is one.
        let plain = |mut reading: Reading| {
            reading.diagnostics.clear();
            for (_, value) in reading.instances.iter_mut().flat_map(|i| &mut i.properties) {
                if let Value::Reference(path) = value {
                    *value = path.to_string().into();
                }
            }
            reading
        };
        assert_eq!(plain(again), plain(reading), "{printed}");
        assert!(printed.lines().all(|line| line.chars().count() <= 110), "{printed}");
    }
}

#[test]
fn a_repository_takes_classes_and_instances_in() {
    let mut repository = Repository::default();
    let mut reading = configuration();
    reading.instances.retain(|instance| instance.class == "Fixture_ServiceResource");
    assert_eq!(repository.take("root/configuration", reading).map(|remarks| remarks.len()), Ok(1));
    let path = r#"root/configuration:Fixture_ServiceResource="[service]SPOOLER""#.parse().unwrap();
    assert_eq!(repository.instance(&path).unwrap().get("State"), &"Running".into());
}
