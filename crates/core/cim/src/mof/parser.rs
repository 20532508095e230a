//! Declarations out of tokens (DSP0004 annex A): one function a rule, errors by `?`, recovery only at the top.
//!
//! [`features`] reads classes, [`qualifiers`] qualifiers and their declarations, [`constants`] values and instances,
//! [`pragmas`] what begins with `#`.

mod constants;
mod features;
mod pragmas;
mod qualifiers;

pub(super) use constants::{Raw, RawInstance, simple};

use super::instances;
use super::lexer::{Lexer, Placed, Token};
use super::shapes::Shapes;
use super::{Context, Diagnostic, Include, MAX_DEPTH, MAX_DIAGNOSTICS, MAX_TEXT, Reading, Severity};
use crate::{Class, QualifierType, Repository};
use std::collections::{HashMap, HashSet};

pub(super) type Parsed<T> = Result<T, Diagnostic>;

/// A place in one of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// Which of [`Shared::files`].
    pub(super) file: usize,
    pub(super) line: u32,
    pub(super) column: u32,
}

/// What a text shares with those that it includes.
pub(super) struct Shared<'a> {
    pub(super) reading: Reading,
    pub(super) shapes: Shapes<'a>,
    pub(super) instances: Vec<RawInstance>,
    /// Names of the texts, in the order in which they began.
    pub(super) files: Vec<String>,
    /// Where in `files` a name is.
    numbers: HashMap<String, usize>,
    known: Option<&'a Repository>,
    /// Of `reading`, by name in lower case.
    qualifiers: HashMap<String, usize>,
    aliases: HashSet<String>,
    /// Flavours of qualifiers that say none themselves, by name in lower case.
    flavors: HashMap<String, Vec<String>>,
    /// Of what is read next.
    namespace: String,
    include: Option<&'a mut Include<'a>>,
    /// Bytes read so far.
    total: usize,
    /// Of texts that are being read now, the innermost last.
    open: Vec<usize>,
}

struct Parser<'t, 's, 'a> {
    lexer: Lexer<'t>,
    /// The token that is looked at.
    now: Placed,
    depth: usize,
    file: usize,
    shared: &'s mut Shared<'a>,
}

/// Reads a whole text.
pub(super) fn read(text: &str, context: Context<'_>) -> Reading {
    let Context { name, namespace, known, include } = context;
    let mut shared = Shared {
        reading: Reading::default(),
        shapes: Shapes::new(known),
        instances: Vec::new(),
        files: vec![name.to_owned()],
        numbers: HashMap::from([(name.to_owned(), 0)]),
        known,
        qualifiers: HashMap::new(),
        aliases: HashSet::new(),
        flavors: HashMap::new(),
        namespace: namespace.to_owned(),
        include,
        total: text.len(),
        open: vec![0],
    };
    shared.text(text, 0);
    instances::resolve(&mut shared);
    shared.reading
}

impl<'a> Shared<'a> {
    /// Reads one text, the file of that number.
    fn text(&mut self, text: &str, file: usize) {
        if text.len() > MAX_TEXT {
            let remark = error_at(1, 1, &format!("text is longer than {MAX_TEXT} bytes"));
            return self.remark(file, remark);
        }
        let mut parser = Parser::new(text, file, self);
        let mut started = parser.advance().map(|_| ());
        loop {
            match started.and_then(|()| parser.declaration()) {
                Ok(true) => started = Ok(()),
                Ok(false) => return,
                Err(diagnostic) => {
                    parser.shared.remark(file, diagnostic);
                    parser.recover();
                    started = Ok(());
                }
            }
            if parser.shared.is_full() {
                return;
            }
        }
    }

    /// Reads the text of one instance, as it stands in a string.
    pub(super) fn embedded(&mut self, text: &str, file: usize) -> Parsed<RawInstance> {
        let mut parser = Parser::new(text, file, self);
        parser.advance()?;
        let instance = parser.embedded_instance()?;
        if parser.now.token == Token::End { Ok(instance) } else { Err(parser.error("expected the end")) }
    }

    /// The namespace of what is read now.
    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(super) fn is_full(&self) -> bool {
        self.reading.diagnostics.len() >= MAX_DIAGNOSTICS
    }

    pub(super) fn remark(&mut self, file: usize, diagnostic: Diagnostic) {
        if !self.is_full() {
            let file = self.files.get(file).cloned().unwrap_or_default();
            self.reading.diagnostics.push(Diagnostic { file, ..diagnostic });
        }
    }

    /// The declaration of a qualifier, and whether it stands in a text rather than in the standard.
    fn declared(&self, name: &str) -> Option<(&QualifierType, bool)> {
        let here =
            self.qualifiers.get(&name.to_ascii_lowercase()).and_then(|at| self.reading.qualifiers.get(*at));
        let known = || self.known?.declared_qualifier(&self.namespace, name);
        here.or_else(known).map(|q| (q, true)).or_else(|| super::standard(name).map(|q| (q, false)))
    }

    fn add_class(&mut self, class: Class) {
        self.shapes.add(&class);
        self.reading.classes.push(class);
    }

    fn add_qualifier(&mut self, declared: QualifierType) {
        self.qualifiers.insert(declared.name.to_ascii_lowercase(), self.reading.qualifiers.len());
        self.reading.qualifiers.push(declared);
    }
}

impl<'t, 's, 'a> Parser<'t, 's, 'a> {
    fn new(text: &'t str, file: usize, shared: &'s mut Shared<'a>) -> Self {
        let now = Placed { token: Token::Mark(','), line: 1, column: 1 };
        Self { lexer: Lexer::new(text), now, depth: 0, file, shared }
    }

    /// One declaration; `false` at the end of the text.
    fn declaration(&mut self) -> Parsed<bool> {
        match &self.now.token {
            Token::End => return Ok(false),
            Token::Mark('#') => self.pragma()?,
            // An empty declaration, as behind a class with two semicolons.
            Token::Mark(';') => self.mark(';')?,
            Token::Word(word) if word.eq_ignore_ascii_case("qualifier") => self.qualifier_type()?,
            _ => {
                let at = self.now.clone();
                let qualifiers = self.qualifiers()?;
                if self.is_word("class") {
                    let class = self.class(qualifiers)?;
                    self.shared.add_class(class);
                } else if self.is_word("instance") {
                    let instance = self.instance_declaration()?;
                    if !qualifiers.is_empty() {
                        self.warn(&at, "qualifiers of an instance are not kept");
                    }
                    self.shared.instances.push(instance);
                } else {
                    return Err(self.error("expected a class, an instance, a qualifier or a pragma"));
                }
            }
        }
        Ok(true)
    }

    /// After an error: behind the `;` that closes the declaration, going by the brackets. Where a bracket was never
    /// closed, at a keyword that begins a declaration and its line.
    fn recover(&mut self) {
        loop {
            match &self.now.token {
                Token::End => return,
                Token::Mark(';') if self.depth == 0 => {
                    // An error here is met again as the next declaration begins.
                    let _ = self.advance();
                    return;
                }
                token if self.now.column == 1 && self.depth > 0 && begins(token) => {
                    self.depth = 0;
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

    /// Strings beside each other, which are one.
    fn text(&mut self) -> Parsed<String> {
        if !matches!(self.now.token, Token::Text(_)) {
            return Err(self.error("expected a string"));
        }
        let mut text = String::new();
        while let Token::Text(part) = &self.now.token {
            text.push_str(part);
            self.advance()?;
        }
        Ok(text)
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

    fn take_word(&mut self, word: &str) -> Parsed<bool> {
        let there = self.is_word(word);
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

    fn place(&self) -> Place {
        Place { file: self.file, line: self.now.line, column: self.now.column }
    }

    fn error(&self, message: &str) -> Diagnostic {
        error(&self.now, message)
    }

    fn warn(&mut self, at: &Placed, message: &str) {
        let diagnostic = Diagnostic { severity: Severity::Warning, ..error(at, message) };
        self.shared.remark(self.file, diagnostic);
    }
}

/// Whether a declaration begins with it.
fn begins(token: &Token) -> bool {
    match token {
        Token::Mark(mark) => matches!(mark, '#' | '['),
        Token::Word(word) => ["class", "instance", "qualifier"].iter().any(|w| w.eq_ignore_ascii_case(word)),
        _ => false,
    }
}

fn error(at: &Placed, message: &str) -> Diagnostic {
    error_at(at.line, at.column, message)
}

pub(super) fn error_at(line: u32, column: u32, message: &str) -> Diagnostic {
    Diagnostic { file: String::new(), line, column, severity: Severity::Error, message: message.to_owned() }
}
