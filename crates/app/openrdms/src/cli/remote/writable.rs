//! What XML 1.0 cannot carry is refused here. The writer of messages would put a question mark instead, as Windows does,
//! and what arrives would be something else than what was said. No message shows a value: it may be a password.

use crate::cli::Failure;
use openrdms_cim::{ObjectPath, Params, Value};

/// The keys of an instance, and the values that are sent about it.
pub(super) fn check(path: &ObjectPath, params: &Params) -> Result<(), Failure> {
    path.keys.iter().chain(&params.0).try_for_each(|(name, value)| check_value(name, value))
}

/// A text of which `what` says what it is.
pub(super) fn check_text(what: &str, text: &str) -> Result<(), Failure> {
    // XML 1.0, production 2; surrogates are no chars
    let forbidden = |c: &char| matches!(c, '\u{0}'..='\u{8}' | '\u{b}' | '\u{c}' | '\u{e}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}');
    match text.chars().find(forbidden) {
        None => Ok(()),
        Some(c) => Err(Failure::usage(format!(
            "{what}: the character U+{:04X} cannot be sent: leave it out",
            u32::from(c)
        ))),
    }
}

fn check_value(name: &str, value: &Value) -> Result<(), Failure> {
    match value {
        Value::String(text) => check_text(name, text),
        Value::Char16(unit) => {
            char::from_u32((*unit).into()).map_or(Ok(()), |c| check_text(name, c.encode_utf8(&mut [0; 4])))
        }
        Value::Reference(path) => check(path, &Params::default()),
        Value::Object(instance) => {
            instance.properties.iter().try_for_each(|(name, value)| check_value(name, value))
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_value(name, item)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_cannot_carry_is_found_wherever_it_stands_and_not_shown() {
        let bad = || Value::from("secret\u{1b}[2J");
        let path = ObjectPath::class("root/a", "B").with_key("Name", "ä\t\r\n\u{85}🦀");
        let within = |value| Params::default().with("Fine", "x").with("Text", value);
        check(&path, &within(Value::from("a <b> & c"))).unwrap();
        for (path, params) in [
            (&path, within(bad())),
            (&path, within(Value::Array(vec![Value::from(""), bad()]))),
            (&path, within(Value::Reference(Box::new(path.clone().with_key("Text", bad()))))),
            (&path.clone().with_key("Text", bad()), Params::default()),
        ] {
            let failure = check(path, &params).unwrap_err();
            assert_eq!(
                (failure.exit, failure.message.as_str()),
                (2, "Text: the character U+001B cannot be sent: leave it out")
            );
        }
        for c in ['\u{0}', '\u{8}', '\u{b}', '\u{c}', '\u{e}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            check_text("x", &c.to_string()).unwrap_err();
        }
    }
}
