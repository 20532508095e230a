//! The OpenAPI 3.1 document of what is served, made of the class repository and nothing else, so that it cannot tell of
//! anything else. `schema/openapi.json` is the one of the built-in classes.

mod operations;
mod schema;

use super::problem::Problem;
use super::{rendered, route, tag};
use bytes::Bytes;
use openrdms_cim::class::qualifier;
use openrdms_cim::{Class, Qualifier, Repository, Value};
use serde_json::{Map, Value as Json, json};
use std::sync::OnceLock;

/// The statuses of problems, and what each means.
const PROBLEMS: [(u16, &str); 14] = [
    (400, "The request is wrong and will stay wrong."),
    (401, "Nobody is proved to be asking."),
    (403, "The caller may not do this."),
    (404, "It does not exist, or not for this caller."),
    (405, "The verb is not offered here; Allow says which are."),
    (409, "It does not fit the present state."),
    (410, "Events were forgotten before they were read."),
    (412, "The instance is not as If-Match says."),
    (413, "The body is too long."),
    (415, "The body is not JSON."),
    (500, "A mistake of the service's."),
    (501, "It is not offered."),
    (503, "Something that is needed does not answer now, or there is too much to do."),
    (504, "It did not finish in time; what was begun goes on."),
];

/// The document as text, made when it is first asked for: the classes stay what they are as long as the service runs.
#[derive(Default)]
pub(crate) struct Document(OnceLock<(Bytes, String)>);

impl Document {
    /// The text and its tag.
    pub(super) fn get(&self, repository: &Repository) -> Result<(Bytes, String), Problem> {
        if let Some(made) = self.0.get() {
            return Ok(made.clone());
        }
        let text = rendered(&openapi(repository))?;
        let tag = tag::strong(&text);
        Ok(self.0.get_or_init(|| (text, tag)).clone())
    }
}

/// The document.
pub fn openapi(repository: &Repository) -> Json {
    let (mut paths, mut schemas, mut tags) = (Map::new(), schema::common(), Vec::new());
    operations::fixed(&mut paths);
    for class in route::classes(repository) {
        tags.push(json!({ "name": class.name, "description": description(&class.qualifiers) }));
        schemas.insert(class.name.clone(), schema::instance(class));
        if route::makes(class) {
            schemas.insert(format!("{}.New", class.name), schema::new(class));
        }
        if route::changes(class) {
            schemas.insert(format!("{}.Change", class.name), schema::change(class));
        }
        operations::of(class, &mut paths);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "OpenRDMS",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Sessions, desktops and collections of an OpenRDMS deployment.",
            "description": "Made of the same classes that WS-Management serves. docs/json-api.md tells how values, lists, \
                            tags, events and problems work.",
            "license": { "name": "Apache-2.0 OR MIT", "identifier": "Apache-2.0 OR MIT" },
        },
        "servers": [{ "url": "/", "description": "This node." }],
        "security": [{ "basic": [] }],
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "basic": {
                    "type": "http",
                    "scheme": "basic",
                    "description": "An account of the deployment, over HTTPS or from the machine itself.",
                },
            },
            "schemas": schemas,
            "parameters": operations::parameters(),
            "headers": operations::headers(),
            "responses": problems(),
        },
    })
}

fn problems() -> Json {
    let problem = |(status, about): &(u16, &str)| {
        let mut response = json!({
            "description": about,
            "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
        });
        let header = |schema: Json| json!({ "required": true, "schema": schema });
        match status {
            401 => response["headers"] = json!({ "WWW-Authenticate": header(json!({ "type": "string" })) }),
            405 => response["headers"] = json!({ "Allow": header(json!({ "type": "string" })) }),
            503 => response["headers"] = json!({ "Retry-After": header(json!({ "type": "string" })) }),
            _ => {}
        }
        (format!("Problem{status}"), response)
    };
    PROBLEMS.iter().map(problem).collect()
}

/// What `Description` says.
pub(super) fn description(qualifiers: &[Qualifier]) -> String {
    match qualifier(qualifiers, "Description").map(|q| &q.value) {
        Some(Value::String(text)) => text.clone(),
        _ => String::new(),
    }
}

/// The address of the class or of its instances, with the keys as parameters.
fn address(class: &Class, keyed: bool) -> String {
    let mut address = format!("{}/{}", super::ROOT, class.name);
    if keyed {
        class.keys().for_each(|key| address += &format!("/{{{}}}", key.name));
    }
    address
}

fn reference(kind: &str, name: &str) -> Json {
    json!({ "$ref": format!("#/components/{kind}/{name}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_made_once_and_is_the_one_of_the_classes() {
        let (repository, document) = (Repository::default(), Document::default());
        let (text, tag) = document.get(&repository).expect("it can be written");
        assert_eq!(serde_json::from_slice::<Json>(&text).expect("JSON"), openapi(&repository));
        assert_eq!(tag, tag::strong(&text));
        let (again, same) = document.get(&repository).expect("it is there");
        assert_eq!((again.as_ptr(), same), (text.as_ptr(), tag), "the same bytes, not equal ones");
    }
}
