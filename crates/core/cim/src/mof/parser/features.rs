//! Classes, their properties and methods.

use super::{Parsed, Parser, error};
use crate::class::{is_set, qualifier};
use crate::mof::instances;
use crate::mof::lexer::Token;
use crate::{Class, Method, Parameter, Property, Qualifier, Type, Value};
use std::collections::HashSet;

/// A type as it stands before a name: what it is, the class that it names, and the name, if it was read already.
struct DataType {
    ty: Type,
    class: Option<String>,
    name: Option<String>,
}

impl Parser<'_, '_, '_> {
    /// `class Name as $Alias : Superclass { ... };`
    pub(super) fn class(&mut self, qualifiers: Vec<Qualifier>) -> Parsed<Class> {
        self.word("class")?;
        let name = self.name()?;
        if self.take_word("as")? {
            self.alias()?;
        }
        let superclass = if self.take(':')? { Some(self.name()?) } else { None };
        let namespace = self.shared.namespace.clone();
        let mut class = Class { namespace, name, superclass, qualifiers, ..Class::default() };
        let mut names = HashSet::new();
        self.mark('{')?;
        while !self.take('}')? {
            self.feature(&mut class, &mut names)?;
        }
        self.mark(';')?;
        Ok(class)
    }

    /// A property or a method.
    fn feature(&mut self, class: &mut Class, names: &mut HashSet<String>) -> Parsed<()> {
        let mut qualifiers = self.qualifiers()?;
        let at = self.now.clone();
        if at.column == 1 && matches!(at.token, Token::Word(_)) && super::begins(&at.token) {
            return Err(self.error("expected '}': a declaration begins inside a class"));
        }
        let data = if self.take_word("void")? { None } else { Some(self.data_type(&class.name)?) };
        let name_at = self.now.clone();
        let name = match data.as_ref().and_then(|data| data.name.clone()) {
            Some(name) => name,
            None => self.name()?,
        };
        if !names.insert(name.to_ascii_lowercase()) {
            return Err(error(&name_at, &format!("{name} is declared twice")));
        }
        let origin = class.name.clone();
        if self.take('(')? {
            let parameters = self.parameters(&class.name)?;
            self.mark(';')?;
            let returns = data.map(|data| data.ty);
            class.methods.push(Method { name, returns, parameters, qualifiers, origin });
            return Ok(());
        }
        let Some(data) = data else { return Err(error(&at, "a property cannot be void")) };
        let (array, size) = self.array()?;
        let (ty, reference) = embedded(data, &mut qualifiers);
        let at = self.place();
        let default = if self.take('=')? {
            let raw = self.initializer()?;
            instances::fit(self.shared, at, &raw, (ty, array))
                .map_err(|trouble| super::error_at(trouble.at.line, trouble.at.column, &trouble.message))?
        } else {
            Value::Null
        };
        self.mark(';')?;
        class.properties.push(Property { name, ty, array, size, reference, default, qualifiers, origin });
        Ok(())
    }

    fn parameters(&mut self, class: &str) -> Parsed<Vec<Parameter>> {
        let mut parameters: Vec<Parameter> = Vec::new();
        let mut names = HashSet::new();
        if self.take(')')? {
            return Ok(parameters);
        }
        loop {
            let mut qualifiers = self.qualifiers()?;
            let data = self.data_type(class)?;
            let at = self.now.clone();
            let name = match data.name.clone() {
                Some(name) => name,
                None => self.name()?,
            };
            if !names.insert(name.to_ascii_lowercase()) {
                return Err(error(&at, &format!("{name} is declared twice")));
            }
            let (array, size) = self.array()?;
            let (ty, reference) = embedded(data, &mut qualifiers);
            let at = self.now.clone();
            if self.take('=')? {
                self.initializer()?;
                self.warn(&at, "the default of a parameter is not kept");
            }
            parameters.push(Parameter { name, ty, array, size, reference, qualifiers });
            if !self.take(',')? {
                self.mark(')')?;
                return Ok(parameters);
            }
        }
    }

    /// A simple type, `object`, `Class ref`, or as Microsoft has it a class for an object of that class.
    fn data_type(&mut self, own: &str) -> Parsed<DataType> {
        let at = self.now.clone();
        let word = self.name()?;
        let simple = Type::from_name(&word)
            .or_else(|| word.eq_ignore_ascii_case(Type::Object.name()).then_some(Type::Object));
        if self.is_word("ref") {
            let name = self.name()?;
            return Ok(match (&self.now.token, simple) {
                // `string ref;`: a property may have that name.
                (Token::Word(_), _) | (_, None) => {
                    let any = word.eq_ignore_ascii_case(Type::Object.name());
                    DataType { ty: Type::Reference, class: (!any).then_some(word), name: None }
                }
                (_, Some(ty)) => DataType { ty, class: None, name: Some(name) },
            });
        }
        match simple {
            Some(ty) => Ok(DataType { ty, class: None, name: None }),
            None if word.eq_ignore_ascii_case(own) || self.is_class(&word) => {
                Ok(DataType { ty: Type::Object, class: Some(word), name: None })
            }
            None => Err(error(&at, &format!("{word} is not a type, nor a class that is known here"))),
        }
    }

    fn is_class(&mut self, name: &str) -> bool {
        let namespace = self.shared.namespace.clone();
        self.shared.shapes.has(&namespace, name)
    }

    /// `[]` or `[8]`, if there, and the length.
    pub(super) fn array(&mut self) -> Parsed<(bool, Option<u32>)> {
        if !self.take('[')? {
            return Ok((false, None));
        }
        let size = match self.now.token {
            Token::Integer(n) => {
                let size = u32::try_from(n).map_err(|_| self.error("not the length of an array"))?;
                self.advance()?;
                Some(size)
            }
            _ => None,
        };
        self.mark(']')?;
        Ok((true, size))
    }
}

/// A string that carries an instance is an object (DSP0004 5.6.3.14, 5.6.3.15).
fn embedded(data: DataType, qualifiers: &mut [Qualifier]) -> (Type, Option<String>) {
    let DataType { ty, class, .. } = data;
    match qualifier(qualifiers, "embeddedinstance") {
        Some(of) if ty == Type::String => (Type::Object, of.value.as_str().map(str::to_owned)),
        _ if ty == Type::String && is_set(qualifiers, "embeddedobject") => (Type::Object, None),
        _ => (ty, class),
    }
}
