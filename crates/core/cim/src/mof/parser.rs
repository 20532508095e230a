//! Declarations out of tokens (DSP0004 annex A): one function a rule, errors by `?`, recovery only at the top.

use super::lexer::{Lexer, Placed, Token};
use super::{Diagnostic, MAX_DEPTH, MAX_DIAGNOSTICS, MAX_TEXT, Reading, Severity};
use crate::class::is_set;
use crate::{Class, Method, Parameter, Property, Qualifier, Type, Value};

struct Parser<'a> {
    lexer: Lexer<'a>,
    /// The token that is looked at.
    now: Placed,
    depth: usize,
}

type Parsed<T> = Result<T, Diagnostic>;

/// Reads a whole text.
pub(super) fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    if text.len() > MAX_TEXT {
        let message = format!("text is longer than {MAX_TEXT} bytes");
        reading.diagnostics.push(Diagnostic { line: 1, column: 1, severity: Severity::Error, message });
        return reading;
    }
    let now = Placed { token: Token::Mark(';'), line: 1, column: 1 };
    let mut parser = Parser { lexer: Lexer::new(text), now, depth: 0 };
    let mut started = parser.advance().map(|_| ());
    loop {
        match started.and_then(|()| parser.declaration(&mut reading)) {
            Ok(true) => started = Ok(()),
            Ok(false) => return reading,
            Err(diagnostic) => {
                reading.diagnostics.push(diagnostic);
                parser.recover();
                started = Ok(());
            }
        }
        if reading.diagnostics.len() >= MAX_DIAGNOSTICS {
            return reading;
        }
    }
}

impl Parser<'_> {
    /// One declaration; `false` at the end of the text.
    fn declaration(&mut self, reading: &mut Reading) -> Parsed<bool> {
        let at = self.now.clone();
        match &at.token {
            Token::End => return Ok(false),
            Token::Mark('#') => {
                self.pragma()?;
                reading.diagnostics.push(warning(&at, "pragma ignored"));
            }
            _ => {
                let qualifiers = self.qualifiers()?;
                if self.is_word("class") {
                    let class = self.class(qualifiers)?;
                    reading.classes.push(class);
                } else if self.is_word("instance") || self.is_word("qualifier") {
                    self.skip_declaration()?;
                    reading.diagnostics.push(warning(&at, "only classes are read: declaration ignored"));
                } else {
                    return Err(self.error("expected a class"));
                }
            }
        }
        Ok(true)
    }

    fn pragma(&mut self) -> Parsed<()> {
        self.mark('#')?;
        self.word("pragma")?;
        self.name()?;
        self.mark('(')?;
        while !self.is_mark(')') {
            if self.now.token == Token::End {
                return Err(self.error("pragma without an end"));
            }
            self.advance()?;
        }
        self.mark(')')
    }

    fn class(&mut self, qualifiers: Vec<Qualifier>) -> Parsed<Class> {
        self.word("class")?;
        let name = self.name()?;
        if self.is_word("as") {
            self.advance()?;
            self.advance()?;
        }
        let superclass = if self.take(':')? { Some(self.name()?) } else { None };
        let mut class = Class { name, superclass, qualifiers, ..Class::default() };
        self.mark('{')?;
        while !self.take('}')? {
            self.feature(&mut class)?;
        }
        self.mark(';')?;
        Ok(class)
    }

    /// A property or a method.
    fn feature(&mut self, class: &mut Class) -> Parsed<()> {
        let qualifiers = self.qualifiers()?;
        let at = self.now.clone();
        let (returns, reference) = if self.is_word("void") {
            self.advance()?;
            (None, None)
        } else {
            let (ty, reference) = self.data_type()?;
            (Some(ty), reference)
        };
        let (name_at, name) = (self.now.clone(), self.name()?);
        if class.property(&name).is_some() || class.method(&name).is_some() {
            return Err(error(&name_at, &format!("{name} is declared twice")));
        }
        if self.take('(')? {
            let parameters = self.parameters()?;
            self.mark(';')?;
            class.methods.push(Method { name, returns, parameters, qualifiers, origin: class.name.clone() });
            return Ok(());
        }
        let Some(ty) = returns else { return Err(error(&at, "a property cannot be void")) };
        let array = self.array()?;
        let ty = embedded(ty, &qualifiers);
        let default = if self.take('=')? { self.initializer(ty, array)? } else { Value::Null };
        self.mark(';')?;
        class.properties.push(Property {
            name,
            ty,
            array,
            reference,
            default,
            qualifiers,
            origin: class.name.clone(),
        });
        Ok(())
    }

    fn parameters(&mut self) -> Parsed<Vec<Parameter>> {
        let mut parameters: Vec<Parameter> = Vec::new();
        if self.take(')')? {
            return Ok(parameters);
        }
        loop {
            let qualifiers = self.qualifiers()?;
            let (ty, reference) = self.data_type()?;
            let (at, name) = (self.now.clone(), self.name()?);
            if parameters.iter().any(|p| p.name.eq_ignore_ascii_case(&name)) {
                return Err(error(&at, &format!("{name} is declared twice")));
            }
            let array = self.array()?;
            parameters.push(Parameter { name, ty: embedded(ty, &qualifiers), array, reference, qualifiers });
            if !self.take(',')? {
                self.mark(')')?;
                return Ok(parameters);
            }
        }
    }

    /// A simple type, or `Class ref`.
    fn data_type(&mut self) -> Parsed<(Type, Option<String>)> {
        let at = self.now.clone();
        let name = self.name()?;
        if self.is_word("ref") {
            self.advance()?;
            return Ok((Type::Reference, Some(name)));
        }
        let ty = Type::from_name(&name).ok_or_else(|| error(&at, &format!("{name} is not a type")))?;
        Ok((ty, None))
    }

    /// `[]` or `[8]`, if there.
    fn array(&mut self) -> Parsed<bool> {
        if !self.take('[')? {
            return Ok(false);
        }
        if let Token::Integer(_) = self.now.token {
            self.advance()?;
        }
        self.mark(']')?;
        Ok(true)
    }

    /// `[Name, Name(value), Name{values} : Flavor Flavor]`, if there.
    fn qualifiers(&mut self) -> Parsed<Vec<Qualifier>> {
        let mut list: Vec<Qualifier> = Vec::new();
        if !self.take('[')? {
            return Ok(list);
        }
        loop {
            let (at, name) = (self.now.clone(), self.name()?);
            if list.iter().any(|q| q.name.eq_ignore_ascii_case(&name)) {
                return Err(error(&at, &format!("qualifier {name} is given twice")));
            }
            let value = if self.take('(')? {
                let value = self.constant()?;
                self.mark(')')?;
                value
            } else if self.is_mark('{') {
                self.constants(Self::constant)?
            } else {
                Value::Boolean(true)
            };
            let mut flavors = Vec::new();
            if self.take(':')? {
                while let Token::Word(flavor) = &self.now.token {
                    flavors.push(flavor.to_ascii_lowercase());
                    self.advance()?;
                }
            }
            list.push(Qualifier { name, value, flavors });
            if !self.take(',')? {
                self.mark(']')?;
                return Ok(list);
            }
        }
    }

    fn initializer(&mut self, ty: Type, array: bool) -> Parsed<Value> {
        if self.is_word("null") {
            self.advance()?;
            return Ok(Value::Null);
        }
        if array { self.constants(|p| p.typed(ty)) } else { self.typed(ty) }
    }

    /// A constant that fits `ty`.
    fn typed(&mut self, ty: Type) -> Parsed<Value> {
        let at = self.now.clone();
        let value = match (ty, self.constant()?) {
            (_, Value::Null) => Some(Value::Null),
            (Type::Boolean, value @ Value::Boolean(_)) => Some(value),
            (Type::Real32, Value::Real64(n)) => Some(Value::Real32(n as f32)),
            (Type::Real64, value @ Value::Real64(_)) => Some(value),
            (Type::Real32 | Type::Real64, value) => value
                .text()
                .filter(|_| value.as_int().is_some())
                .and_then(|text| Value::parse(ty, &text).ok()),
            (Type::String, value @ Value::String(_)) => Some(value),
            (Type::Datetime, Value::String(text)) => Value::parse(ty, &text).ok(),
            (Type::Char16, value @ Value::Char16(_)) => Some(value),
            (_, value) => value.as_int().and_then(|n| Value::integer(ty, n)),
        };
        value.ok_or_else(|| error(&at, &format!("not a value of type {}", ty.name())))
    }

    /// `{ a, b }` with each element read by `one`.
    fn constants(&mut self, one: impl Fn(&mut Self) -> Parsed<Value>) -> Parsed<Value> {
        self.mark('{')?;
        let mut items = Vec::new();
        if self.take('}')? {
            return Ok(Value::Array(items));
        }
        loop {
            items.push(one(self)?);
            if !self.take(',')? {
                self.mark('}')?;
                return Ok(Value::Array(items));
            }
        }
    }

    /// A constant in its own type: strings beside each other are one; an integer is a sint64, or uint64 where
    /// it must be.
    fn constant(&mut self) -> Parsed<Value> {
        let value = match &self.now.token {
            Token::Text(_) => {
                let mut text = String::new();
                while let Token::Text(part) = &self.now.token {
                    text.push_str(part);
                    self.advance()?;
                }
                return Ok(Value::String(text));
            }
            Token::Integer(n) => {
                Value::integer(Type::Sint64, *n).or_else(|| Value::integer(Type::Uint64, *n))
            }
            Token::Real(n) => Some(Value::Real64(*n)),
            Token::Char(unit) => Some(Value::Char16(*unit)),
            Token::Word(word) if word.eq_ignore_ascii_case("true") => Some(Value::Boolean(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("false") => Some(Value::Boolean(false)),
            Token::Word(word) if word.eq_ignore_ascii_case("null") => Some(Value::Null),
            _ => None,
        };
        let value = value.ok_or_else(|| self.error("expected a value"))?;
        self.advance()?;
        Ok(value)
    }

    /// Passes over everything to the `;` that ends the declaration.
    fn skip_declaration(&mut self) -> Parsed<()> {
        let depth = self.depth;
        loop {
            match self.now.token {
                Token::End => return Err(self.error("declaration without an end")),
                Token::Mark(';') if self.depth == depth => return self.mark(';'),
                _ => {
                    self.advance()?;
                }
            }
        }
    }

    /// After an error: behind the `;` that closes the declaration, going by the brackets; a bracket that is
    /// never closed costs the rest of the text.
    fn recover(&mut self) {
        loop {
            match self.now.token {
                Token::End => return,
                Token::Mark(';') if self.depth == 0 => {
                    // An error here is met again as the next declaration begins.
                    let _ = self.advance();
                    return;
                }
                _ => {
                    if self.advance().is_err() {
                        continue;
                    }
                }
            }
        }
    }

    /// Goes to the next token, counts brackets, and gives the old one back.
    fn advance(&mut self) -> Parsed<Token> {
        match self.now.token {
            Token::Mark('{' | '[' | '(') => self.depth += 1,
            Token::Mark('}' | ']' | ')') => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        // So that a token counts once, even where the next one is bad.
        let old = std::mem::replace(&mut self.now.token, Token::Mark(','));
        self.now = self.lexer.token()?;
        if self.depth > MAX_DEPTH {
            return Err(self.error("nested too deep"));
        }
        Ok(old)
    }

    fn name(&mut self) -> Parsed<String> {
        match &self.now.token {
            Token::Word(word) => {
                let word = word.clone();
                self.advance()?;
                Ok(word)
            }
            _ => Err(self.error("expected a name")),
        }
    }

    fn word(&mut self, word: &str) -> Parsed<()> {
        if !self.is_word(word) {
            return Err(self.error(&format!("expected {word}")));
        }
        self.advance().map(|_| ())
    }

    fn mark(&mut self, mark: char) -> Parsed<()> {
        if !self.is_mark(mark) {
            return Err(self.error(&format!("expected {mark:?}")));
        }
        self.advance().map(|_| ())
    }

    fn take(&mut self, mark: char) -> Parsed<bool> {
        let there = self.is_mark(mark);
        if there {
            self.advance()?;
        }
        Ok(there)
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(&self.now.token, Token::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn is_mark(&self, mark: char) -> bool {
        self.now.token == Token::Mark(mark)
    }

    fn error(&self, message: &str) -> Diagnostic {
        error(&self.now, message)
    }
}

/// A string that carries an instance is an object (DSP0004 5.6.3.14, 5.6.3.15).
fn embedded(ty: Type, qualifiers: &[Qualifier]) -> Type {
    let instance = crate::class::qualifier(qualifiers, "embeddedinstance").is_some();
    if ty == Type::String && (instance || is_set(qualifiers, "embeddedobject")) { Type::Object } else { ty }
}

fn error(at: &Placed, message: &str) -> Diagnostic {
    Diagnostic { line: at.line, column: at.column, severity: Severity::Error, message: message.to_owned() }
}

fn warning(at: &Placed, message: &str) -> Diagnostic {
    Diagnostic { severity: Severity::Warning, ..error(at, message) }
}
