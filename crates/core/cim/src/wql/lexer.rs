//! A query as tokens, each with its place.

use super::{MAX_LENGTH, Problem, QueryError};
use std::fmt;
use std::iter::Peekable;
use std::str::Chars;

/// Which language is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// WQL: strings in either quotes.
    Wql,
    /// CQL (DSP0202): strings in single quotes.
    Cql,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword.
    Word(String),
    /// A string, escapes resolved.
    Text(String),
    Integer(i128),
    Real(f64),
    /// A comparison or one of `( ) , . [ ] *`.
    Mark(&'static str),
    End,
}

/// A token and the number of its first character, from 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) at: usize,
}

/// The longer ones first.
const MARKS: [&str; 14] = ["<>", "!=", "<=", ">=", "<", ">", "=", "(", ")", ",", ".", "[", "]", "*"];

struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    /// The number of the next character.
    at: usize,
    dialect: Dialect,
}

/// The tokens of a whole text; the last is [`Token::End`].
pub(super) fn tokens(text: &str, dialect: Dialect) -> Result<Vec<Placed>, QueryError> {
    if text.len() > MAX_LENGTH {
        // The text itself is not looked at.
        let problem = Problem::Wrong(format!("a query is not longer than {MAX_LENGTH} bytes"));
        return Err(QueryError::new("", MAX_LENGTH, problem));
    }
    let mut lexer = Lexer { chars: text.chars().peekable(), at: 1, dialect };
    let mut all = Vec::new();
    loop {
        lexer.run(char::is_whitespace);
        let at = lexer.at;
        let token = lexer.token().map_err(|(at, problem)| QueryError::new(text, at, problem))?;
        let end = token == Token::End;
        all.push(Placed { token, at });
        if end {
            return Ok(all);
        }
    }
}

impl Lexer<'_> {
    /// The next token, or what is wrong at which character.
    fn token(&mut self) -> Result<Token, (usize, Problem)> {
        let at = self.at;
        let Some(c) = self.chars.peek().copied() else { return Ok(Token::End) };
        if c.is_alphabetic() || c == '_' {
            return Ok(Token::Word(self.run(|c| c.is_alphanumeric() || c == '_')));
        }
        let begins_number = match c {
            '+' | '-' => true,
            '.' => self.second().is_some_and(|c| c.is_ascii_digit()),
            _ => c.is_ascii_digit(),
        };
        if begins_number {
            return self.number().map_err(|problem| (at, problem));
        }
        if c == '\'' || c == '"' {
            return self.string(c).map(Token::Text);
        }
        let second = self.second();
        let fits = |mark: &&&str| {
            let mut mark = mark.chars();
            mark.next() == Some(c) && mark.next().is_none_or(|next| Some(next) == second)
        };
        let Some(mark) = MARKS.iter().find(fits) else {
            let found = found(&c.to_string());
            return Err((at, Problem::Expected { what: "a name, a constant or an operator".into(), found }));
        };
        for _ in 0..mark.len() {
            self.next();
        }
        Ok(Token::Mark(mark))
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        self.at += 1;
        Some(c)
    }

    fn second(&self) -> Option<char> {
        let mut ahead = self.chars.clone();
        ahead.next();
        ahead.next()
    }

    fn run(&mut self, keep: fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.chars.next_if(|c| keep(*c)) {
            self.at += 1;
            out.push(c);
        }
        out
    }

    /// `\\`, `\'` and `\"` are escapes. Another backslash is refused rather than guessed at: the writer of
    /// `'LAB\anna'` is told.
    fn string(&mut self, quote: char) -> Result<String, (usize, Problem)> {
        let begin = self.at;
        let wrong = |at: usize, text: String| Err((at, Problem::Wrong(text)));
        if self.dialect == Dialect::Cql && quote == '"' {
            return wrong(begin, "a string of CQL has single quotes".into());
        }
        self.next();
        let mut out = String::new();
        loop {
            let at = self.at;
            match self.next() {
                None => return wrong(begin, format!("a string begins that has no closing {quote}")),
                Some(c) if c == quote => return Ok(out),
                Some('\\') => match self.next() {
                    Some(c @ ('\\' | '\'' | '"')) => out.push(c),
                    _ => {
                        return wrong(
                            at,
                            "a string has a single backslash: a backslash is written twice".into(),
                        );
                    }
                },
                Some(c) => out.push(c),
            }
        }
    }

    /// `7`, `-7`, `+7`, `0x1F`, `7.5`, `.5`, `75e-1`.
    fn number(&mut self) -> Result<Token, Problem> {
        let (mut text, mut hexadecimal) = (String::new(), false);
        while let Some(&c) = self.chars.peek() {
            // A sign stands first, or behind an exponent that is not a hexadecimal digit.
            let exponent = text.ends_with(['e', 'E']) && !hexadecimal;
            let sign = matches!(c, '+' | '-') && (text.is_empty() || exponent);
            if !(c.is_alphanumeric() || c == '_' || c == '.' || sign) {
                break;
            }
            hexadecimal |= matches!(c, 'x' | 'X');
            text.push(c);
            self.next();
        }
        number(&text).ok_or_else(|| Problem::Wrong(format!("{} is not a number, or too large", found(&text))))
    }
}

/// A number, whole: a [`Token::Integer`] or [`Token::Real`].
pub(super) fn number(text: &str) -> Option<Token> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, plain) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(plain) => (16, plain),
        None => (10, digits),
    };
    // The standard library would take another sign here.
    if plain.is_empty() || plain.starts_with(['+', '-']) {
        return None;
    }
    if radix == 10 && plain.contains(['.', 'e', 'E']) {
        if !plain.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
            return None;
        }
        let n: f64 = plain.parse().ok()?;
        return n.is_finite().then_some(Token::Real(if negative { -n } else { n }));
    }
    if radix == 10 {
        // with its sign, because the smallest number has no positive counterpart
        return text.parse().ok().map(Token::Integer);
    }
    let n = i128::from_str_radix(plain, radix).ok()?;
    Some(Token::Integer(if negative { -n } else { n }))
}

/// A piece of a query in a message: quoted, and cut.
fn found(text: &str) -> String {
    const MOST: usize = 24;
    let mut chars = text.chars();
    let shown: String = chars.by_ref().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("'{shown}{}'", if chars.next().is_some() { "…" } else { "" })
}

impl fmt::Display for Token {
    /// For `but found ...`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::Word(word) => f.write_str(&found(word)),
            Token::Text(text) => write!(f, "the string {}", found(text)),
            Token::Integer(n) => write!(f, "the number {n}"),
            Token::Real(n) => write!(f, "the number {n:?}"),
            Token::Mark(mark) => write!(f, "'{mark}'"),
            Token::End => f.write_str("the end"),
        }
    }
}
