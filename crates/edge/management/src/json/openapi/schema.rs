//! Schemas of classes and values.

use super::{description, reference};
use crate::json::write::{ID, TYPE};
use openrdms_cim::class::{is_set, qualifier};
use openrdms_cim::{Class, Method, Property, Qualifier, Type, Value};
use serde_json::{Map, Value as Json, json};

/// Which way a value goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    In,
    Out,
}

/// What a value is declared as.
pub(super) struct Declared<'a> {
    pub(super) ty: Type,
    pub(super) array: bool,
    pub(super) class: Option<&'a str>,
    pub(super) qualifiers: &'a [Qualifier],
}

impl<'a> Declared<'a> {
    pub(super) fn property(property: &'a Property) -> Self {
        let Property { ty, array, qualifiers, reference, .. } = property;
        Self { ty: *ty, array: *array, class: reference.as_deref(), qualifiers }
    }
}

/// What is not of one class.
pub(super) fn common() -> Map<String, Json> {
    let text = |about: &str| json!({ "type": "string", "description": about });
    let classes = json!({
        "type": "object",
        "required": ["name", "namespace", "description", "keys", "href"],
        "properties": {
            "name": text("Name of the class."),
            "namespace": text("Its namespace."),
            "description": text("What its instances are."),
            "keys": { "type": "array", "items": { "type": "string" }, "description": "Keys, in the order of addresses." },
            "href": text("Where its instances are listed."),
        },
    });
    let schemas = json!({
        "Index": {
            "type": "object",
            "required": ["classes", "openapi", "events"],
            "properties": {
                "classes": { "type": "array", "items": classes },
                "openapi": text("Where this document is."),
                "events": text("Where events are told."),
            },
        },
        "Problem": {
            "type": "object",
            "description": "RFC 9457, with the WMI code.",
            "required": ["type", "title", "status", "detail", "wmiCode", "wmiName"],
            "properties": {
                "type": { "type": "string", "format": "uri-reference", "description": "Where the code is described." },
                "title": text("What the code means."),
                "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                "detail": text("What is wrong this time, for people."),
                "wmiCode": { "type": "string", "pattern": "^0x[0-9A-F]{8}$" },
                "wmiName": { "type": ["string", "null"], "pattern": "^WBEM_E_[A-Z_]+$" },
                "ReturnValue": {
                    "type": "integer", "minimum": 1, "maximum": u32::MAX,
                    "description": "What the method returned, where it was called and returned a code.",
                },
            },
            "additionalProperties": {
                "description": "Beside ReturnValue, the out parameters of the method as it declares them: null where there \
                                is nothing to tell.",
            },
        },
        "Datetime": {
            "description": "A point in time (RFC 3339), an interval (a duration of ISO 8601), or the 25 characters of CIM \
                            (DSP0004 5.2.4), which may leave digits open.",
            "type": "string",
            "anyOf": [
                { "format": "date-time" },
                { "pattern": r"^P[0-9]+DT[0-9]+H[0-9]+M[0-9]+(\.[0-9]+)?S$" },
                { "pattern": r"^[0-9*]{14}\.[0-9*]{6}[-+:][0-9*]{3}$" },
            ],
            "examples": ["2026-05-01T08:20:30Z", "P1DT2H0M0S"],
        },
        "Object": {
            "type": "object",
            "description": "An instance of the class that @type names.",
            "required": [TYPE],
            "properties": { "@type": { "type": "string" } },
        },
    });
    match schemas {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}

/// An instance as it is shown.
pub(super) fn instance(class: &Class) -> Json {
    let mut properties = named(class);
    for property in &class.properties {
        let mut schema = value(&Declared::property(property), !property.is_key(), Way::Out);
        if !is_set(&property.qualifiers, "write") || property.is_key() {
            schema["readOnly"] = true.into();
        }
        properties.insert(property.name.clone(), schema);
    }
    json!({
        "type": "object",
        "description": description(&class.qualifiers),
        "x-cim-namespace": class.namespace,
        "required": [TYPE],
        "properties": properties,
    })
}

/// What an instance is made of.
pub(super) fn new(class: &Class) -> Json {
    let mut properties = Map::new();
    for property in &class.properties {
        let schema = value(&Declared::property(property), !property.is_key(), Way::In);
        properties.insert(property.name.clone(), schema);
    }
    properties.insert(TYPE.to_owned(), json!({ "const": class.name }));
    json!({
        "type": "object",
        "description": "The keys have to be given; the service says which of the others it takes.",
        "required": class.keys().map(|key| &key.name).collect::<Vec<_>>(),
        "properties": properties,
        "additionalProperties": false,
    })
}

/// What of an instance is to change.
pub(super) fn change(class: &Class) -> Json {
    let mut properties = Map::new();
    let writable = |property: &&Property| is_set(&property.qualifiers, "write") && !property.is_key();
    for property in class.properties.iter().filter(writable) {
        properties.insert(property.name.clone(), value(&Declared::property(property), true, Way::In));
    }
    json!({
        "type": "object",
        "description": "What is not named stays as it is. An instance may also be sent back whole, as it was got: then \
                        what cannot be written has to be as it was.",
        "properties": properties,
    })
}

/// The parameters of a method.
pub(super) fn input(method: &Method) -> Json {
    let mut properties = Map::new();
    for parameter in method.parameters.iter().filter(|parameter| parameter.is_in()) {
        let declared = Declared {
            ty: parameter.ty,
            array: parameter.array,
            class: parameter.reference.as_deref(),
            qualifiers: &parameter.qualifiers,
        };
        properties.insert(parameter.name.clone(), value(&declared, true, Way::In));
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

/// What a method that did it answers.
pub(super) fn output(method: &Method) -> Json {
    let mut properties = Map::new();
    let returned = json!({ "description": "It was done.", "const": 0 });
    properties.insert("ReturnValue".to_owned(), returned);
    for parameter in method.parameters.iter().filter(|parameter| parameter.is_out()) {
        let declared = Declared {
            ty: parameter.ty,
            array: parameter.array,
            class: parameter.reference.as_deref(),
            qualifiers: &parameter.qualifiers,
        };
        properties.insert(parameter.name.clone(), value(&declared, true, Way::Out));
    }
    let required: Vec<_> = properties.keys().cloned().collect();
    json!({ "type": "object", "required": required, "properties": properties })
}

fn named(class: &Class) -> Map<String, Json> {
    let mut properties = Map::new();
    let about = format!("{}, or a class that derives from it.", class.name);
    properties.insert(TYPE.to_owned(), json!({ "type": "string", "description": about, "readOnly": true }));
    if class.keys().next().is_some() {
        let about = "Its address.";
        properties.insert(ID.to_owned(), json!({ "type": "string", "description": about, "readOnly": true }));
    }
    properties
}

/// The schema of a value.
pub(super) fn value(declared: &Declared<'_>, nullable: bool, way: Way) -> Json {
    let mut schema = match declared.array {
        true => json!({ "type": "array", "items": one(declared, false, way) }),
        false => one(declared, nullable, way),
    };
    if declared.array && nullable {
        schema["type"] = json!(["array", "null"]);
    }
    let mut about = description(declared.qualifiers);
    if let Some(Value::String(units)) = qualifier(declared.qualifiers, "Units").map(|q| &q.value) {
        schema["x-units"] = units.as_str().into();
        about += &format!(" In {units}.");
    }
    if !about.is_empty() {
        schema["description"] = about.trim().into();
    }
    schema
}

/// One value, or an element of an array.
fn one(declared: &Declared<'_>, nullable: bool, way: Way) -> Json {
    let ty = declared.ty;
    let kind = |name: &str| if nullable { json!([name, "null"]) } else { json!(name) };
    let integer = |least: i64, most: i64| json!({ "type": kind("integer"), "format": ty.name(), "minimum": least, "maximum": most });
    let long = |pattern: &str, least: Json, most: Json| {
        let text = json!({ "type": "string", "format": ty.name(), "pattern": pattern });
        if way == Way::Out {
            text
        } else {
            json!({ "anyOf": [text, { "type": "integer", "minimum": least, "maximum": most }] })
        }
    };
    let or_null =
        |schema: Json| if nullable { json!({ "anyOf": [schema, { "type": "null" }] }) } else { schema };
    let mut schema = match ty {
        Type::Boolean => json!({ "type": kind("boolean") }),
        Type::Uint8 => integer(0, u8::MAX.into()),
        Type::Uint16 | Type::Char16 => integer(0, u16::MAX.into()),
        Type::Uint32 => integer(0, u32::MAX.into()),
        Type::Sint8 => integer(i8::MIN.into(), i8::MAX.into()),
        Type::Sint16 => integer(i16::MIN.into(), i16::MAX.into()),
        Type::Sint32 => integer(i32::MIN.into(), i32::MAX.into()),
        Type::Uint64 => or_null(long("^[0-9]{1,20}$", 0.into(), u64::MAX.into())),
        Type::Sint64 => or_null(long("^-?[0-9]{1,19}$", i64::MIN.into(), i64::MAX.into())),
        Type::Real32 | Type::Real64 => or_null(json!({
            "anyOf": [{ "type": "number", "format": ty.name() }, { "enum": ["NaN", "INF", "-INF"] }],
        })),
        Type::Datetime => or_null(reference("schemas", "Datetime")),
        Type::Reference => json!({
            "type": kind("string"), "format": "cim-object-path",
            "x-cim-class": declared.class,
        }),
        Type::Object => or_null(reference("schemas", "Object")),
        Type::String if is_embedded(declared) => or_null(reference("schemas", "Object")),
        Type::String => json!({ "type": kind("string") }),
    };
    choices(declared, nullable, &mut schema);
    schema
}

fn is_embedded(declared: &Declared<'_>) -> bool {
    is_set(declared.qualifiers, "EmbeddedObject")
        || qualifier(declared.qualifiers, "EmbeddedInstance").is_some()
}

/// `ValueMap` as the values there are, and `Values` as their names. Ranges and reserved values cannot be said so.
fn choices(declared: &Declared<'_>, nullable: bool, schema: &mut Json) {
    let texts = |name: &str| -> Option<Vec<&str>> {
        match qualifier(declared.qualifiers, name).map(|q| &q.value) {
            Some(Value::Array(items)) => items.iter().map(Value::as_str).collect(),
            _ => None,
        }
    };
    let Some(map) = texts("ValueMap") else { return };
    let typed = |text: &&str| match declared.ty {
        Type::String => Some(json!(text)),
        Type::Uint64 | Type::Sint64 | Type::Datetime | Type::Reference | Type::Object => None,
        ty => Value::parse(ty, text).ok()?.as_int().and_then(|n| i64::try_from(n).ok()).map(Json::from),
    };
    let Some(mut values) = map.iter().map(typed).collect::<Option<Vec<_>>>() else { return };
    if nullable {
        values.push(Json::Null);
    }
    schema["enum"] = values.into();
    if let Some(names) = texts("Values").filter(|names| names.len() == map.len()) {
        schema["x-enumNames"] = json!(names);
    }
}
