//! Qualifiers where they stand, and their declarations.

use super::constants::{natural, simple};
use super::{Parsed, Parser, Raw, error};
use crate::mof::lexer::{Placed, Token};
use crate::{Qualifier, QualifierType, Type, Value};
use std::collections::HashSet;

const FLAVORS: [&str; 7] = [
    "amended",
    "disableoverride",
    "enableoverride",
    "restricted",
    "toinstance",
    "tosubclass",
    "translatable",
];

const SCOPES: [&str; 8] =
    ["any", "association", "class", "indication", "method", "parameter", "property", "reference"];

impl Parser<'_, '_, '_> {
    /// `[Name, Name(value), Name{values} : Flavor Flavor]`, if there.
    pub(super) fn qualifiers(&mut self) -> Parsed<Vec<Qualifier>> {
        let mut list: Vec<Qualifier> = Vec::new();
        let mut names = HashSet::new();
        if !self.take('[')? {
            return Ok(list);
        }
        loop {
            let (at, name) = (self.now.clone(), self.name()?);
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(error(&at, &format!("qualifier {name} is given twice")));
            }
            let given = if self.take('(')? {
                let value = self.constant()?;
                self.mark(')')?;
                Some(value)
            } else if self.is_mark('{') {
                Some(self.list(Self::constant)?)
            } else {
                None
            };
            let value = self.qualifier_value(&at, &name, given)?;
            let flavors = if self.take(':')? {
                self.flavors()?
            } else {
                self.shared.flavors.get(&name.to_ascii_lowercase()).cloned().unwrap_or_default()
            };
            list.push(Qualifier { name, value, flavors, propagated: false });
            if !self.take(',')? {
                self.mark(']')?;
                return Ok(list);
            }
        }
    }

    /// The value in the type that the qualifier is declared with. The standard's declarations do not bind: WMI knows
    /// none, and its files give some qualifiers values of other types.
    fn qualifier_value(&mut self, at: &Placed, name: &str, given: Option<Raw>) -> Parsed<Value> {
        let declared = self.shared.declared(name).map(|(q, binds)| (q.ty, q.array, binds));
        let Some(raw) = given else {
            let flag = declared.is_none_or(|(ty, array, _)| ty == Type::Boolean && !array);
            return Ok(if flag { Value::Boolean(true) } else { Value::Null });
        };
        if let Some((ty, array, binds)) = declared {
            if let Some(value) = typed(&raw, ty, array) {
                return Ok(value);
            }
            if binds {
                let what = if array { "values" } else { "a value" };
                return Err(error(at, &format!("qualifier {name} takes {what} of type {}", ty.name())));
            }
        }
        natural(&raw).ok_or_else(|| error(at, &format!("qualifier {name} cannot have such a value")))
    }

    /// `Qualifier Name : type = default, Scope(...), Flavor(...);`, or as Microsoft has it `qualifier name : Flavor;` for
    /// the flavours of what follows in the text.
    pub(super) fn qualifier_type(&mut self) -> Parsed<()> {
        self.word("qualifier")?;
        let name = self.name()?;
        self.mark(':')?;
        if matches!(&self.now.token, Token::Word(word) if FLAVORS.contains(&word.to_ascii_lowercase().as_str()))
        {
            let flavors = self.flavors()?;
            self.mark(';')?;
            self.shared.flavors.insert(name.to_ascii_lowercase(), flavors);
            return Ok(());
        }
        let (at, word) = (self.now.clone(), self.name()?);
        let ty = Type::from_name(&word).ok_or_else(|| error(&at, &format!("{word} is not a type")))?;
        let (array, size) = self.array()?;
        let at = self.now.clone();
        let default = if self.take('=')? {
            let raw = self.initializer()?;
            typed(&raw, ty, array).ok_or_else(|| error(&at, &format!("not a value of type {}", ty.name())))?
        } else {
            Value::Null
        };
        let mut declared = QualifierType { name, ty, array, size, default, ..QualifierType::default() };
        declared.namespace.clone_from(&self.shared.namespace);
        while self.take(',')? {
            if self.take_word("scope")? {
                let at = self.now.clone();
                declared.scope = self.words()?;
                if let Some(word) = declared.scope.iter().find(|word| !SCOPES.contains(&word.as_str())) {
                    self.warn(&at, &format!("scope {word} is not known"));
                }
            } else {
                self.word("flavor")?;
                let at = self.now.clone();
                declared.flavors = self.words()?;
                self.check_flavors(&at, &declared.flavors);
            }
        }
        self.mark(';')?;
        self.shared.add_qualifier(declared);
        Ok(())
    }

    /// What stands behind the colon of a qualifier, up to the comma or bracket behind it.
    fn flavors(&mut self) -> Parsed<Vec<String>> {
        let at = self.now.clone();
        let mut words = Vec::new();
        while let Token::Word(word) = &self.now.token {
            words.push(word.to_ascii_lowercase());
            self.advance()?;
        }
        self.check_flavors(&at, &words);
        Ok(words)
    }

    fn check_flavors(&mut self, at: &Placed, words: &[String]) {
        for word in words.iter().filter(|word| !FLAVORS.contains(&word.as_str())) {
            self.warn(at, &format!("flavor {word} is not known"));
        }
    }

    /// `(a, b)` in lower case.
    fn words(&mut self) -> Parsed<Vec<String>> {
        self.mark('(')?;
        let mut words = vec![self.name()?.to_ascii_lowercase()];
        while self.take(',')? {
            words.push(self.name()?.to_ascii_lowercase());
        }
        self.mark(')')?;
        Ok(words)
    }
}

/// The value as it is declared; `None` where it does not fit.
fn typed(raw: &Raw, ty: Type, array: bool) -> Option<Value> {
    match raw {
        Raw::Plain(Value::Null) => Some(Value::Null),
        Raw::List(items) if array => {
            let values: Option<_> = items.iter().map(|(_, item)| simple(item, ty)).collect();
            values.map(Value::Array)
        }
        _ if array => None,
        raw => simple(raw, ty),
    }
}
