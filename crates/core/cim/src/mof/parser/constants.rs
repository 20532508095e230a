//! Values and instances, as they are written.

use super::{Parsed, Parser, Place, error};
use crate::mof::lexer::Token;
use crate::{Type, Value};
use std::collections::HashSet;

/// A value whose type is not known yet.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mof) enum Raw {
    /// Null, a truth value, an integer, a character or a string.
    Plain(Value),
    /// A number with a point or exponent.
    Real(String),
    /// `$name`, without the sign and in lower case.
    Alias(String),
    Instance(Box<RawInstance>),
    List(Vec<(Place, Raw)>),
}

/// An instance as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::mof) struct RawInstance {
    pub(in crate::mof) at: Place,
    pub(in crate::mof) namespace: String,
    pub(in crate::mof) class: String,
    /// In lower case.
    pub(in crate::mof) alias: Option<String>,
    pub(in crate::mof) properties: Vec<(Place, String, Raw)>,
}

impl Parser<'_, '_, '_> {
    /// A constant or a list of them.
    pub(super) fn initializer(&mut self) -> Parsed<Raw> {
        if self.is_mark('{') { self.list(Self::constant) } else { self.constant() }
    }

    /// `{ a, b }` with each element read by `one`.
    pub(super) fn list(&mut self, one: impl Fn(&mut Self) -> Parsed<Raw>) -> Parsed<Raw> {
        self.mark('{')?;
        let mut items = Vec::new();
        if self.take('}')? {
            return Ok(Raw::List(items));
        }
        loop {
            let at = self.place();
            items.push((at, one(self)?));
            if !self.take(',')? {
                self.mark('}')?;
                return Ok(Raw::List(items));
            }
        }
    }

    /// One value: strings beside each other are one.
    pub(super) fn constant(&mut self) -> Parsed<Raw> {
        let raw = match &self.now.token {
            Token::Text(_) => return self.text().map(|text| Raw::Plain(Value::String(text))),
            Token::Word(word) if word.eq_ignore_ascii_case("instance") => {
                return self.instance().map(|instance| Raw::Instance(Box::new(instance)));
            }
            Token::Integer(n) => Value::of_integer(*n).map(Raw::Plain),
            Token::Real(digits) => Some(Raw::Real(digits.clone())),
            Token::Char(unit) => Some(Raw::Plain(Value::Char16(*unit))),
            Token::Alias(name) => Some(Raw::Alias(name.to_lowercase())),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(Raw::Plain(Value::Boolean(true))),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => {
                Some(Raw::Plain(Value::Boolean(false)))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Some(Raw::Plain(Value::Null)),
            _ => None,
        };
        let raw = raw.ok_or_else(|| self.error("expected a value"))?;
        self.advance()?;
        Ok(raw)
    }

    /// An instance that stands for itself, with the semicolon behind it.
    pub(super) fn instance_declaration(&mut self) -> Parsed<RawInstance> {
        let at = self.now.clone();
        let instance = self.instance()?;
        self.mark(';')?;
        if let Some(alias) = &instance.alias
            && !self.shared.aliases.insert(alias.clone())
        {
            self.warn(&at, &format!("alias ${alias} is given twice: the last one counts"));
        }
        Ok(instance)
    }

    /// An instance that is all of a text; the semicolon may be there.
    pub(super) fn embedded_instance(&mut self) -> Parsed<RawInstance> {
        let instance = self.instance()?;
        self.take(';')?;
        Ok(instance)
    }

    /// `instance of Class as $Alias { Name = value; }`
    fn instance(&mut self) -> Parsed<RawInstance> {
        let at = self.place();
        self.word("instance")?;
        self.word("of")?;
        let class = self.name()?;
        let alias = if self.take_word("as")? { Some(self.alias()?) } else { None };
        let mut instance = RawInstance {
            at,
            namespace: self.shared.namespace.clone(),
            class,
            alias,
            properties: Vec::new(),
        };
        let mut names = HashSet::new();
        self.mark('{')?;
        while !self.take('}')? {
            let at = self.now.clone();
            if !self.qualifiers()?.is_empty() {
                self.warn(&at, "qualifiers of an instance are not kept");
            }
            let (at, name_at) = (self.place(), self.now.clone());
            let name = self.name()?;
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(error(&name_at, &format!("{name} is given twice")));
            }
            // Microsoft's files name a property without a value to put qualifiers on it.
            if self.take(';')? {
                continue;
            }
            self.mark('=')?;
            let value = self.initializer()?;
            self.mark(';')?;
            instance.properties.push((at, name, value));
        }
        Ok(instance)
    }

    /// `$name`, without the sign and in lower case.
    pub(super) fn alias(&mut self) -> Parsed<String> {
        match &self.now.token {
            Token::Alias(name) if !name.is_empty() => {
                let name = name.to_lowercase();
                self.advance()?;
                Ok(name)
            }
            _ => Err(self.error("expected an alias")),
        }
    }
}

/// One value of a simple type; `None` where it does not fit.
pub(in crate::mof) fn simple(raw: &Raw, ty: Type) -> Option<Value> {
    match (ty, raw) {
        (_, Raw::Plain(Value::Null)) => Some(Value::Null),
        (Type::Boolean, Raw::Plain(value @ Value::Boolean(_)))
        | (Type::String, Raw::Plain(value @ Value::String(_)))
        | (Type::Char16, Raw::Plain(value @ Value::Char16(_))) => Some(value.clone()),
        (Type::Real32 | Type::Real64, Raw::Real(digits)) => Value::parse(ty, digits).ok(),
        (Type::Real32 | Type::Real64, Raw::Plain(value)) => {
            value.as_int().and_then(|n| Value::parse(ty, &n.to_string()).ok())
        }
        (Type::Datetime, Raw::Plain(Value::String(text))) => Value::parse(ty, text).ok(),
        (_, Raw::Plain(value)) => value.as_int().and_then(|n| Value::integer(ty, n)),
        _ => None,
    }
}

/// The value in the type that it shows; `None` where it has none of its own.
pub(in crate::mof) fn natural(raw: &Raw) -> Option<Value> {
    match raw {
        Raw::Plain(value) => Some(value.clone()),
        Raw::Real(digits) => Value::parse(Type::Real64, digits).ok(),
        Raw::List(items) => {
            items.iter().map(|(_, item)| natural(item)).collect::<Option<_>>().map(Value::Array)
        }
        Raw::Alias(_) | Raw::Instance(_) => None,
    }
}
