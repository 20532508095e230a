//! Parameters of a method, and properties of an instance, as people type them.

use crate::cli::{Failure, input};
use openrdms_cim::{Class, Method, ObjectPath, Params, Type, Value};
use std::path::Path;

/// A file longer than this is no parameter.
const MOST: u64 = 1 << 20;

/// What a value is given for.
struct Slot<'a> {
    name: &'a str,
    ty: Type,
    array: bool,
}

/// `NAME=VALUE`s, each with the type that the method declares.
pub(super) fn read(method: &Method, given: &[String]) -> Result<Params, Failure> {
    let taken = method.parameters.iter().filter(|p| p.is_in());
    let slots: Vec<Slot<'_>> = taken.map(|p| Slot { name: &p.name, ty: p.ty, array: p.array }).collect();
    typed_all(&format!("{} has no parameter", method.name), &slots, given)
}

/// `NAME=VALUE`s, each with the type that the class declares.
pub(super) fn properties(class: &Class, given: &[String]) -> Result<Params, Failure> {
    let properties = class.properties.iter();
    let slots: Vec<Slot<'_>> = properties.map(|p| Slot { name: &p.name, ty: p.ty, array: p.array }).collect();
    typed_all(&format!("{} has no property", class.name), &slots, given)
}

fn typed_all(lacks: &str, slots: &[Slot<'_>], given: &[String]) -> Result<Params, Failure> {
    let mut params = Params::default();
    for text in given {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("'{text}' is not a value: write NAME=VALUE")))?;
        let slot = slots.iter().find(|slot| slot.name.eq_ignore_ascii_case(name)).ok_or_else(|| {
            let known: Vec<&str> = slots.iter().map(|slot| slot.name).collect();
            let known = if known.is_empty() {
                "it takes none".to_owned()
            } else {
                format!("it takes {}", known.join(", "))
            };
            Failure::usage(format!("{lacks} '{name}'; {known}"))
        })?;
        let value = typed(slot, &contents(value)?)?;
        match (params.0.iter_mut().find(|(name, _)| name == slot.name), value) {
            (None, value) if slot.array => params.0.push((slot.name.to_owned(), Value::Array(vec![value]))),
            (None, value) => params.0.push((slot.name.to_owned(), value)),
            (Some((_, Value::Array(items))), value) if slot.array => items.push(value),
            (Some(_), _) => {
                return Err(Failure::usage(format!("'{name}' is given twice, and it is no array")));
            }
        }
    }
    Ok(params)
}

/// `@FILE`, `@-`, `@@text`, or the text itself.
fn contents(value: &str) -> Result<String, Failure> {
    let Some(source) = value.strip_prefix('@') else { return Ok(value.to_owned()) };
    if source.starts_with('@') {
        return Ok(source.to_owned());
    }
    let mut text = input::text(Path::new(source), MOST)?;
    // The end of a line belongs to the file, not to what is in it.
    text.truncate(text.strip_suffix('\n').map_or(text.len(), |text| text.trim_end_matches('\r').len()));
    Ok(text)
}

fn typed(declared: &Slot<'_>, text: &str) -> Result<Value, Failure> {
    let value = match declared.ty {
        Type::Reference => ObjectPath::parse(text).ok().map(|path| Value::Reference(Box::new(path))),
        ty => Value::parse(ty, text).ok(),
    };
    value.ok_or_else(|| Failure::usage(format!("{} is a {}", declared.name, declared.ty.name())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_cim::Repository;

    fn read_all(given: &[&str]) -> Result<Params, Failure> {
        let mut repository = Repository::default();
        let mof = r#"class C { uint32 Do([in] string Text, [in] uint32 Number, [in] string Many[], [out] string Made); };"#;
        repository.load("n", mof).unwrap();
        let given: Vec<String> = given.iter().map(|text| (*text).to_owned()).collect();
        read(repository.class("n", "C").unwrap().method("Do").unwrap(), &given)
    }

    #[test]
    fn parameters_have_their_declared_types_and_spelling() {
        let read = read_all(&["text=a=b", "NUMBER=7", "Many=x", "many=y"]).unwrap();
        let expected =
            Params::default().with("Text", "a=b").with("Number", 7u32).with("Many", vec!["x", "y"]);
        assert_eq!(read, expected);
        assert_eq!(read_all(&["Many="]).unwrap(), Params::default().with("Many", vec![""]));
    }

    #[test]
    fn a_value_may_come_from_a_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("text");
        std::fs::write(&path, "secret\n").unwrap();
        let from_file = format!("Text=@{}", path.display());
        assert_eq!(read_all(&[&from_file]).unwrap(), Params::default().with("Text", "secret"));
        assert_eq!(read_all(&["Text=@@home"]).unwrap(), Params::default().with("Text", "@home"));
        assert_eq!(read_all(&["Text=@/nowhere/at all"]).unwrap_err().exit, 2);
    }

    #[test]
    fn what_does_not_fit_is_a_usage_error() {
        for wrong in [&["Text"][..], &["None=1"], &["Number=x"], &["Number=1", "Number=2"], &["Made=x"]] {
            assert_eq!(read_all(wrong).unwrap_err().exit, 2, "{wrong:?}");
        }
    }
}
