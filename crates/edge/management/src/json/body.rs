//! The body of a request: one JSON object, made properties or parameters by what the class declares.
//!
//! Members of the object are limited in number, each may come once, and how deep one holds others is limited by
//! `serde_json` (128) and for embedded objects by [`MAX_DEPTH`].
//!
//! A text may be a password: it is moved out of what was read and not copied, and what is left there is wiped.

use super::problem::Problem;
use super::query::short;
use super::text;
use super::write::{ID, TYPE};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use openrdms_cim::class::is_set;
use openrdms_cim::{
    CimError, Class, Instance, Method, ObjectPath, Parameter, Params, Qualifier, Repository, Type, Value,
    WmiCode,
};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value as Json;
use std::collections::HashSet;
use std::fmt;
use zeroize::Zeroize as _;

/// The most members of the body.
const MAX_MEMBERS: usize = 1000;
/// How deep embedded objects may hold others.
const MAX_DEPTH: usize = 8;

/// Reals that JSON has no number for.
const NO_NUMBERS: [&str; 3] = ["NaN", "INF", "-INF"];

/// The members of the body, each once. Wiped on drop.
struct Members(Vec<(String, Json)>);

/// What a value is declared as.
#[derive(Clone, Copy)]
struct Declared<'a> {
    namespace: &'a str,
    ty: Type,
    array: bool,
    /// The class that a reference or an embedded object is of.
    class: Option<&'a str>,
    qualifiers: &'a [Qualifier],
}

/// Refuses bodies of other kinds, above all those that a page of another site can make a browser send.
pub(super) fn require_json(headers: &HeaderMap, patch: IsPatch) -> Result<(), Problem> {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = text.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let known = kind.eq_ignore_ascii_case("application/json")
        || (patch == IsPatch::Yes && kind.eq_ignore_ascii_case("application/merge-patch+json"));
    let charset = |part: &str| {
        let value = part.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        value.is_none_or(|(_, value)| value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8"))
    };
    if known && parts.all(charset) { Ok(()) } else { Err(Problem::media_type()) }
}

/// Whether a body says what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IsPatch {
    Yes,
    No,
}

/// The properties that are given. `known` is the instance that they are of, where there is one: it may be named as it
/// is shown.
pub(super) fn properties(
    repository: &Repository,
    class: &Class,
    known: Option<&ObjectPath>,
    body: &[u8],
) -> Result<Params, Problem> {
    let mut properties = Params::default();
    for (name, json) in &mut members(body)?.0 {
        if name.starts_with('@') {
            named_as_shown(class, known, name, json)?;
            continue;
        }
        let property = class
            .property(name)
            .ok_or_else(|| Problem::wrong(format!("{} has no property '{}'", class.name, short(name))))?;
        let declared = Declared {
            namespace: &class.namespace,
            ty: property.ty,
            array: property.array,
            class: property.reference.as_deref(),
            qualifiers: &property.qualifiers,
        };
        let value = value(repository, declared, json, 0)?.ok_or_else(|| {
            let detail = format!("property {} is not {}", property.name, kind(property.ty, property.array));
            Problem::from(CimError::new(WmiCode::WBEM_E_TYPE_MISMATCH, detail))
        })?;
        properties.0.push((property.name.clone(), value));
    }
    Ok(properties)
}

/// The parameters of a method. What is not given is null.
pub(super) fn parameters(
    repository: &Repository,
    class: &Class,
    method: &Method,
    body: &[u8],
) -> Result<Params, Problem> {
    let wrong = |detail: String| -> Problem {
        CimError::new(WmiCode::WBEM_E_INVALID_METHOD_PARAMETERS, detail).into()
    };
    let mut given = members(body)?;
    let unknown = |name: &str| !method.parameter(name).is_some_and(Parameter::is_in);
    if let Some((name, _)) = given.0.iter().find(|(name, _)| unknown(name)) {
        return Err(wrong(format!("{}.{} has no parameter '{}'", class.name, method.name, short(name))));
    }
    let mut params = Params::default();
    for parameter in method.parameters.iter().filter(|parameter| parameter.is_in()) {
        let mut none = Json::Null;
        let named = given.0.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case(&parameter.name));
        let json = named.map_or(&mut none, |(_, json)| json);
        let declared = Declared {
            namespace: &class.namespace,
            ty: parameter.ty,
            array: parameter.array,
            class: parameter.reference.as_deref(),
            qualifiers: &parameter.qualifiers,
        };
        let value = value(repository, declared, json, 0)?.ok_or_else(|| {
            wrong(format!("parameter {} is not {}", parameter.name, kind(parameter.ty, parameter.array)))
        })?;
        params.0.push((parameter.name.clone(), value));
    }
    Ok(params)
}

/// An instance may come back as it was shown: then it has to be that instance.
fn named_as_shown(class: &Class, known: Option<&ObjectPath>, name: &str, json: &Json) -> Result<(), Problem> {
    let is = |expected: &str| json.as_str().is_some_and(|text| text.eq_ignore_ascii_case(expected));
    let right = match name {
        TYPE => is(&class.name),
        ID => known.is_some_and(|path| is(&text::link(path))),
        _ => return Err(Problem::wrong(format!("there is no member '{}'", short(name)))),
    };
    if right { Ok(()) } else { Err(Problem::wrong(format!("{name} is not that of this instance"))) }
}

fn members(body: &[u8]) -> Result<Members, Problem> {
    // serde_json's own words name a place and nothing that came
    serde_json::from_slice(body)
        .map_err(|error| Problem::wrong(format!("the body has to be one JSON object: {error}")))
}

impl Drop for Members {
    fn drop(&mut self) {
        self.0.iter_mut().for_each(|(_, json)| wipe(json));
    }
}

/// Wipes the texts of a value. It is no deeper than `serde_json` reads.
fn wipe(json: &mut Json) {
    match json {
        Json::String(text) => text.zeroize(),
        Json::Array(items) => items.iter_mut().for_each(wipe),
        Json::Object(members) => members.values_mut().for_each(wipe),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// Moves the value out. `Ok(None)`: it is not of that type, and may be there still.
fn value(
    repository: &Repository,
    declared: Declared<'_>,
    json: &mut Json,
    depth: usize,
) -> Result<Option<Value>, Problem> {
    match json {
        Json::Null => Ok(Some(Value::Null)),
        Json::Array(items) if declared.array => {
            let items = items.iter_mut().map(|item| match item {
                Json::Null => Ok(None),
                item => scalar(repository, declared, item, depth),
            });
            let items = items.collect::<Result<Option<Vec<_>>, _>>()?;
            Ok(items.map(Value::Array))
        }
        _ if declared.array => Ok(None),
        json => scalar(repository, declared, json, depth),
    }
}

fn scalar(
    repository: &Repository,
    declared: Declared<'_>,
    json: &mut Json,
    depth: usize,
) -> Result<Option<Value>, Problem> {
    let embedded = declared.ty == Type::Object
        || is_set(declared.qualifiers, "EmbeddedObject")
        || openrdms_cim::class::qualifier(declared.qualifiers, "EmbeddedInstance").is_some();
    Ok(match (declared.ty, json) {
        (Type::Object | Type::String, Json::Object(members)) if embedded && depth < MAX_DEPTH => {
            Some(object(repository, declared, members, depth)?)
        }
        (_, Json::Array(_) | Json::Object(_) | Json::Null) => None,
        (Type::Boolean, Json::Bool(flag)) => Some(Value::Boolean(*flag)),
        (_, Json::Bool(_)) => None,
        (Type::String, Json::String(text)) => {
            text::fit(text)?;
            Some(Value::String(std::mem::take(text)))
        }
        (Type::Reference, Json::String(text)) => reference(repository, declared, text),
        (Type::Uint64 | Type::Sint64 | Type::Datetime, Json::String(text)) => {
            Value::parse(declared.ty, text).ok()
        }
        (Type::Real32 | Type::Real64, Json::String(text)) => Some(text)
            .filter(|text| NO_NUMBERS.contains(&text.as_str()))
            .and_then(|text| Value::parse(declared.ty, text).ok()),
        (_, Json::String(_)) => None,
        (Type::Real32 | Type::Real64, Json::Number(number)) => {
            Value::parse(declared.ty, &number.to_string()).ok()
        }
        (ty, Json::Number(number)) => whole(number).and_then(|n| Value::integer(ty, n)),
    })
}

/// A number without a fraction: `7`, and `7.0` as far as that is exact.
fn whole(number: &serde_json::Number) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Some(n) = number.as_i64() {
        return Some(n.into());
    }
    if let Some(n) = number.as_u64() {
        return Some(n.into());
    }
    let real = number.as_f64().filter(|real| real.fract() == 0.0 && real.abs() <= EXACT)?;
    // the digits of a number without a fraction, whatever its exponent was
    format!("{real:.0}").parse().ok()
}

fn reference(repository: &Repository, declared: Declared<'_>, text: &str) -> Option<Value> {
    let path = ObjectPath::parse(text).ok()?;
    let namespace = if path.namespace.is_empty() { declared.namespace } else { &path.namespace };
    let path = match repository.class(namespace, &path.class) {
        Ok(class) => path.typed(class).ok()?,
        Err(_) => path,
    };
    Some(Value::Reference(Box::new(path)))
}

fn object(
    repository: &Repository,
    declared: Declared<'_>,
    members: &mut serde_json::Map<String, Json>,
    depth: usize,
) -> Result<Value, Problem> {
    let wrong = |detail: String| -> Problem { CimError::new(WmiCode::WBEM_E_TYPE_MISMATCH, detail).into() };
    let name = members.get(TYPE).and_then(Json::as_str).or(declared.class);
    let name = name.ok_or_else(|| wrong(format!("an embedded object has no {TYPE}")))?;
    let class = repository.class(declared.namespace, name)?;
    let mut instance = Instance::of(class);
    for (name, json) in members.iter_mut().filter(|(name, _)| !name.starts_with('@')) {
        let mismatch = || wrong(format!("{}.{} is not of its type", class.name, short(name)));
        let property = class.property(name).ok_or_else(mismatch)?;
        let declared = Declared {
            namespace: &class.namespace,
            ty: property.ty,
            array: property.array,
            class: property.reference.as_deref(),
            qualifiers: &property.qualifiers,
        };
        let value = value(repository, declared, json, depth + 1)?.ok_or_else(mismatch)?;
        instance.properties.push((property.name.clone(), value));
    }
    Ok(Value::Object(Box::new(instance)))
}

/// What a value has to be, for people.
fn kind(ty: Type, array: bool) -> String {
    let what = match ty {
        Type::Uint64 | Type::Sint64 => format!("a {} (as text or number)", ty.name()),
        Type::Datetime => {
            "a datetime (RFC 3339, a duration of ISO 8601, or the 25 characters of CIM)".to_owned()
        }
        Type::Reference => "an object path".to_owned(),
        Type::Object => "an object with its @type".to_owned(),
        ty => format!("a {}", ty.name()),
    };
    if array { format!("an array, each of it {what}") } else { what }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;

        impl<'de> Visitor<'de> for Reader {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let (mut members, mut names) = (Members(Vec::new()), HashSet::new());
                while let Some(name) = map.next_key::<String>()? {
                    if members.0.len() == MAX_MEMBERS {
                        return Err(A::Error::custom("too many members"));
                    }
                    if !names.insert(name.to_ascii_lowercase()) {
                        return Err(A::Error::custom("a member comes twice"));
                    }
                    members.0.push((name, map.next_value()?));
                }
                Ok(members)
            }
        }

        deserializer.deserialize_map(Reader)
    }
}

#[cfg(test)]
mod tests;
