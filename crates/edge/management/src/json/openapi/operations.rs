//! Paths and operations.

use super::schema::{self, Declared, Way};
use super::{address, description, reference};
use crate::json::{ROOT, query, route};
use openrdms_cim::{Class, Method, Property, Type};
use serde_json::{Map, Value as Json, json};

/// What reading may meet.
const READ: [u16; 7] = [400, 401, 403, 500, 501, 503, 504];
/// What a body may meet besides.
const BODY: [u16; 2] = [413, 415];

/// What is not of one class.
pub(super) fn fixed(paths: &mut Map<String, Json>) {
    let json_of = |schema: Json| json!({ "application/json": { "schema": schema } });
    let plain = |id: &str, summary: &str, content: Json| {
        let mut responses = problems(&[400, 401, 403, 500, 503]);
        responses.insert("200".to_owned(), with_tag("What was asked for.", content));
        responses.insert("304".to_owned(), json!({ "description": "It is as If-None-Match says." }));
        json!({ "operationId": id, "summary": summary, "parameters": [reference("parameters", "IfNoneMatch")],
                "responses": responses })
    };
    let index = plain("listClasses", "The classes that there are.", json_of(reference("schemas", "Index")));
    paths.insert(ROOT.to_owned(), json!({ "get": index }));
    let document = plain("getOpenApi", "This document.", json_of(json!({ "type": "object" })));
    paths.insert(format!("{ROOT}/{}", route::OPENAPI), json!({ "get": document }));
    let mut responses = problems(&[400, 401, 403, 404, 410, 500, 501, 503, 504]);
    responses.insert(
        "200".to_owned(),
        json!({
            "description": "A stream without an end: events created, modified and deleted, whose data are the instance \
                            before and after; lost where some were forgotten, and problem, which are the last. An id is \
                            where to go on.",
            "content": { "text/event-stream": { "schema": { "type": "string" } } },
        }),
    );
    let about = |name: &str, what: &str, text: &str| json!({ "name": name, "in": what, "description": text, "schema": { "type": "string" } });
    let events = json!({
        "operationId": "listen",
        "summary": "Tells what happens, as it happens.",
        "parameters": [
            about("class", "query", "The class whose instances are watched; or else query."),
            about("query", "query", "A WQL query of events."),
            about("namespace", "query", "The query's namespace, where the query names no class by ISA."),
            about("Last-Event-ID", "header", "Where to go on."),
        ],
        "responses": responses,
    });
    paths.insert(format!("{ROOT}/{}", route::EVENTS), json!({ "get": events }));
}

/// All of a class.
pub(super) fn of(class: &Class, paths: &mut Map<String, Json>) {
    let name = &class.name;
    let mut of_class = Map::new();
    of_class.insert("get".to_owned(), list(class));
    if route::makes(class) {
        of_class.insert("post".to_owned(), create(class));
    }
    paths.insert(address(class, false), of_class.into());
    if class.keys().next().is_some() {
        let mut of_instance = Map::new();
        of_instance.insert("parameters".to_owned(), keys(class).into());
        of_instance.insert("get".to_owned(), get(class));
        if route::changes(class) {
            of_instance.insert("patch".to_owned(), patch(class));
        }
        if route::removes(class) {
            let mut responses = problems(&[&READ[..], &[404, 405, 409, 412]].concat());
            responses.insert("204".to_owned(), json!({ "description": "It is removed." }));
            let parameters = [fields(class), reference("parameters", "IfMatch")];
            of_instance.insert(
                "delete".to_owned(),
                operation(class, &format!("delete{name}"), "Removes one.", &parameters, None, responses),
            );
        }
        paths.insert(address(class, true), of_instance.into());
    }
    for method in &class.methods {
        let on_instance = !method.is_static() && class.keys().next().is_some();
        let mut item = Map::new();
        if on_instance {
            item.insert("parameters".to_owned(), keys(class).into());
        }
        item.insert("post".to_owned(), call(class, method));
        paths.insert(format!("{}/{}", address(class, on_instance), method.name), item.into());
    }
}

fn list(class: &Class) -> Json {
    let item = reference("schemas", &class.name);
    let schema = json!({
        "type": "object",
        "required": ["items", "next", "asOf"],
        "properties": {
            "items": { "type": "array", "items": item },
            "next": { "type": ["string", "null"], "description": "The cursor of the next page; null: this was the last." },
            "asOf": { "type": "string", "format": "date-time", "description": "When reading this page began." },
        },
    });
    let mut parameters = vec![
        reference("parameters", "Limit"),
        reference("parameters", "Cursor"),
        fields(class),
        reference("parameters", "Where"),
        reference("parameters", "IfNoneMatch"),
    ];
    let filters = class.properties.iter().filter(|property| can_be_filtered(property));
    parameters.extend(filters.map(|property| {
        let mut schema = schema::value(&Declared::property(property), false, Way::In);
        // anything may be asked for, and in any case
        if let Some(members) = schema.as_object_mut() {
            members.retain(|name, _| !matches!(name.as_str(), "enum" | "x-enumNames"));
        }
        let about = format!("Only those whose {} is this, compared without case.", property.name);
        json!({ "name": property.name, "in": "query", "description": about, "schema": schema })
    }));
    let mut responses = problems(&READ);
    let content = json!({ "application/json": { "schema": schema } });
    responses.insert("200".to_owned(), with_tag("A page of the list.", content));
    responses.insert("304".to_owned(), json!({ "description": "The page is as If-None-Match says." }));
    operation(class, &format!("list{}", class.name), &about_list(class), &parameters, None, responses)
}

fn about_list(class: &Class) -> String {
    format!("Lists instances of {}, and of classes that derive from it.", class.name)
}

fn can_be_filtered(property: &Property) -> bool {
    let taken = query::WORDS.iter().any(|word| word.eq_ignore_ascii_case(&property.name));
    !property.array && !taken && !matches!(property.ty, Type::Object | Type::Reference)
}

fn create(class: &Class) -> Json {
    let mut responses = problems(&[&READ[..], &BODY, &[404, 405, 409]].concat());
    responses.insert(
        "201".to_owned(),
        json!({
            "description": "It is made.",
            "headers": { "Location": { "required": true, "schema": { "type": "string" } } },
            "content": { "application/json": { "schema": reference("schemas", &class.name) } },
        }),
    );
    let body = reference("schemas", &format!("{}.New", class.name));
    operation(class, &format!("create{}", class.name), "Makes one.", &[], Some((body, &[])), responses)
}

fn get(class: &Class) -> Json {
    let mut responses = problems(&[&READ[..], &[404], has_static(class)].concat());
    let content = json!({ "application/json": { "schema": reference("schemas", &class.name) } });
    responses.insert("200".to_owned(), with_tag("The instance.", content));
    responses.insert("304".to_owned(), json!({ "description": "The instance is as If-None-Match says." }));
    let parameters = [fields(class), reference("parameters", "IfNoneMatch")];
    operation(class, &format!("get{}", class.name), "Reads one.", &parameters, None, responses)
}

fn patch(class: &Class) -> Json {
    let mut responses = problems(&[&READ[..], &BODY, &[404, 405, 409, 412]].concat());
    let content = json!({ "application/json": { "schema": reference("schemas", &class.name) } });
    responses.insert("200".to_owned(), with_tag("The instance as it is now.", content));
    let parameters = [fields(class), reference("parameters", "IfMatch")];
    let body = reference("schemas", &format!("{}.Change", class.name));
    let also = ["application/merge-patch+json"];
    operation(
        class,
        &format!("change{}", class.name),
        "Changes one.",
        &parameters,
        Some((body, &also)),
        responses,
    )
}

fn call(class: &Class, method: &Method) -> Json {
    let mut responses = problems(&[&READ[..], &BODY, &[404, 409]].concat());
    let content = json!({ "application/json": { "schema": schema::output(method) } });
    responses.insert("200".to_owned(), json!({ "description": "It is done.", "content": content }));
    let parameters: Vec<_> = if method.expects() {
        query::OPTIONS.iter().map(|name| reference("parameters", name)).collect()
    } else {
        Vec::new()
    };
    let (id, summary) = (format!("call{}_{}", class.name, method.name), description(&method.qualifiers));
    let body = Some((schema::input(method), &[][..]));
    operation(class, &id, &summary, &parameters, body, responses)
}

fn operation(
    class: &Class,
    id: &str,
    summary: &str,
    parameters: &[Json],
    body: Option<(Json, &[&str])>,
    responses: Map<String, Json>,
) -> Json {
    let mut operation =
        json!({ "operationId": id, "tags": [class.name], "summary": summary, "responses": responses });
    if !parameters.is_empty() {
        operation["parameters"] = parameters.into();
    }
    if let Some((schema, also)) = body {
        let mut content = Map::new();
        for kind in std::iter::once(&"application/json").chain(also) {
            content.insert((*kind).to_owned(), json!({ "schema": schema }));
        }
        operation["requestBody"] = json!({ "required": true, "content": content });
    }
    operation
}

/// Where an instance may have the name of a static method.
fn has_static(class: &Class) -> &'static [u16] {
    if class.keys().count() == 1 && class.methods.iter().any(Method::is_static) { &[405] } else { &[] }
}

fn keys(class: &Class) -> Vec<Json> {
    let parameter = |key: &Property| {
        let mut schema = schema::value(&Declared::property(key), false, Way::In);
        if key.ty == Type::String {
            schema["minLength"] = 1.into();
        }
        let about = description(&key.qualifiers);
        json!({ "name": key.name, "in": "path", "required": true, "description": about, "schema": schema })
    };
    class.keys().map(parameter).collect()
}

fn fields(class: &Class) -> Json {
    let names: Vec<_> = class.properties.iter().map(|property| &property.name).collect();
    json!({
        "name": "fields", "in": "query", "style": "form", "explode": false,
        "description": "Only these properties; @type and @id are always there.",
        "schema": { "type": "array", "minItems": 1, "items": { "type": "string", "enum": names } },
    })
}

fn problems(statuses: &[u16]) -> Map<String, Json> {
    let response = |status: &u16| (status.to_string(), reference("responses", &format!("Problem{status}")));
    statuses.iter().map(response).collect()
}

fn with_tag(about: &str, content: Json) -> Json {
    json!({ "description": about, "headers": { "ETag": reference("headers", "ETag") }, "content": content })
}

/// Parameters that many operations share.
pub(super) fn parameters() -> Json {
    let text = json!({ "type": "string" });
    let of = |name: &str, place: &str, about: &str, schema: &Json| json!({ "name": name, "in": place, "description": about, "schema": schema });
    json!({
        "Limit": of("limit", "query", "At most so many items.",
                    &json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 })),
        "Cursor": of("cursor", "query", "Where to go on: the next of the page before, with the same filter.", &text),
        "Where": of("where", "query", "A condition as WQL has it behind WHERE.", &text),
        "IfNoneMatch": of("If-None-Match", "header", "Answers 304 where the tag is still this.", &text),
        "IfMatch": of("If-Match", "header", "Does nothing where the tag is not this any more.", &text),
        "ExpectedUser": of("ExpectedUser", "query", "Does nothing where the session is not this user's.", &text),
        "ExpectedState": of("ExpectedState", "query", "Does nothing where the session is in another state.", &text),
    })
}

pub(super) fn headers() -> Json {
    json!({ "ETag": { "description": "What tells this answer from any other (RFC 9110 8.8.3).",
                      "required": true, "schema": { "type": "string" } } })
}
