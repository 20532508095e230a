//! MOF as tokens, each with its place (DSP0004 annex A, lexical elements).

use super::Diagnostic;
use std::iter::Peekable;
use std::str::Chars;

/// Longest name, in characters: many things hold a copy of the name of their class.
const MAX_NAME: usize = 256;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A name or keyword; keywords compare without case.
    Word(String),
    /// `$name`.
    Alias(String),
    /// A string, escapes resolved.
    Text(String),
    /// A character.
    Char(u16),
    /// An integer in any base.
    Integer(i128),
    /// A number with a point or exponent, as it is written: how far it is rounded depends on its type.
    Real(String),
    /// One of `{}[]():;,=#`.
    Mark(char),
    /// The end of the text.
    End,
}

/// A token and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Placed {
    /// The token.
    pub token: Token,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// Makes tokens of a text, one at a time.
pub struct Lexer<'a> {
    chars: Peekable<Chars<'a>>,
    line: u32,
    column: u32,
}

impl<'a> Lexer<'a> {
    /// At the beginning of `text`; a byte order mark is skipped.
    pub fn new(text: &'a str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Self { chars: text.chars().peekable(), line: 1, column: 1 }
    }

    /// The next token; [`Token::End`] for ever after the last. After an error it goes on behind the bad part.
    ///
    /// # Errors
    /// What is no token of MOF (DSP0004 Annex A), and where.
    pub fn token(&mut self) -> Result<Placed, Diagnostic> {
        self.space()?;
        let (line, column) = (self.line, self.column);
        let token = match self.chars.peek().copied() {
            None => Ok(Token::End),
            Some('"') => self.text().map(Token::Text),
            Some('\'') => self.character(),
            Some('$') => {
                self.next();
                self.name().map(Token::Alias)
            }
            Some(c) if c.is_alphabetic() || c == '_' => self.name().map(Token::Word),
            Some(c) if c.is_ascii_digit() || c == '+' || c == '-' || c == '.' => self.number(),
            Some(c) => {
                self.next();
                if "{}[]():;,=#".contains(c) {
                    Ok(Token::Mark(c))
                } else {
                    Err(format!("unexpected character {c:?}"))
                }
            }
        };
        match token {
            Ok(token) => Ok(Placed { token, line, column }),
            Err(message) => Err(super::parser::error_at(line, column, &message)),
        }
    }

    fn next(&mut self) -> Option<char> {
        let c = self.chars.next()?;
        if c == '\n' {
            (self.line, self.column) = (self.line + 1, 1);
        } else {
            self.column += 1;
        }
        Some(c)
    }

    fn name(&mut self) -> Result<String, String> {
        let name = self.while_(is_word);
        if name.chars().count() > MAX_NAME {
            return Err(format!("name is longer than {MAX_NAME} characters"));
        }
        Ok(name)
    }

    fn while_(&mut self, keep: fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.chars.peek().copied().filter(|c| keep(*c)) {
            out.push(c);
            self.next();
        }
        out
    }

    /// Skips white space and comments.
    fn space(&mut self) -> Result<(), Diagnostic> {
        loop {
            let (line, column) = (self.line, self.column);
            let error = |message: &str| super::parser::error_at(line, column, message);
            match self.chars.peek() {
                Some(c) if c.is_whitespace() => {
                    self.next();
                }
                Some('/') => {
                    self.next();
                    match self.next() {
                        Some('/') => {
                            self.while_(|c| c != '\n');
                        }
                        Some('*') => loop {
                            match self.next() {
                                Some('*') if self.chars.peek() == Some(&'/') => {
                                    self.next();
                                    break;
                                }
                                Some(_) => {}
                                None => return Err(error("comment without an end")),
                            }
                        },
                        _ => return Err(error("unexpected character '/'")),
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// A bad escape is told of, but the string is read to its end, so that what follows is not taken for it.
    fn text(&mut self) -> Result<String, String> {
        self.next();
        let mut out = Ok(String::new());
        loop {
            let c = match self.next() {
                Some('"') => return out,
                Some('\\') => self.escape().and_then(|unit| self.whole(unit)),
                Some('\n') | None => return Err("string without an end".to_owned()),
                Some(c) => Ok(c),
            };
            match (&mut out, c) {
                (Ok(text), Ok(c)) => text.push(c),
                (Ok(_), Err(error)) => out = Err(error),
                (Err(_), _) => {}
            }
        }
    }

    /// The character of a code unit, which may need the one that the next escape names.
    fn whole(&mut self, unit: u16) -> Result<char, String> {
        let mut units = vec![unit];
        if (0xd800..0xdc00).contains(&unit) && self.chars.peek() == Some(&'\\') {
            self.next();
            units.push(self.escape()?);
        }
        match String::from_utf16(&units).ok().map(|text| text.chars().collect::<Vec<_>>()).as_deref() {
            Some([c]) => Ok(*c),
            _ => Err("escape names half of a surrogate pair".to_owned()),
        }
    }

    fn character(&mut self) -> Result<Token, String> {
        self.next();
        let unit = match self.next() {
            Some('\\') => self.escape()?,
            Some(c) if c != '\'' => u16::try_from(u32::from(c)).map_err(|_| "character beyond 16 bits")?,
            _ => return Err("empty character".to_owned()),
        };
        if self.next() == Some('\'') {
            Ok(Token::Char(unit))
        } else {
            Err("character without an end".to_owned())
        }
    }

    /// What follows a backslash: `b t n f r " ' \` or `x` with one to four hexadecimal digits.
    fn escape(&mut self) -> Result<u16, String> {
        Ok(match self.next() {
            Some('b') => 8,
            Some('t') => 9,
            Some('n') => 10,
            Some('f') => 12,
            Some('r') => 13,
            Some(c @ ('"' | '\'' | '\\')) => c as u16,
            Some('x' | 'X') => {
                let mut digits = String::new();
                while let Some(c) =
                    self.chars.peek().copied().filter(|c| digits.len() < 4 && c.is_ascii_hexdigit())
                {
                    digits.push(c);
                    self.next();
                }
                u16::from_str_radix(&digits, 16).map_err(|_| "escape without digits")?
            }
            _ => return Err("unknown escape".to_owned()),
        })
    }

    /// Decimal, `0x1F`, `101b`, `017`, or real.
    fn number(&mut self) -> Result<Token, String> {
        let mut text = String::new();
        while let Some(c) = self.chars.peek().copied() {
            let sign = matches!(c, '+' | '-');
            // A sign stands first, or behind an exponent that is not a hexadecimal digit.
            let exponent = text.ends_with(['e', 'E']) && !text.contains(['x', 'X']);
            if !(c.is_ascii_alphanumeric() || c == '.' || (sign && (text.is_empty() || exponent))) {
                break;
            }
            text.push(c);
            self.next();
        }
        let (negative, digits) = match text.strip_prefix('-') {
            Some(digits) => (true, digits),
            None => (false, text.strip_prefix('+').unwrap_or(&text)),
        };
        let lower = digits.to_ascii_lowercase();
        let (base, plain) = if let Some(hex) = lower.strip_prefix("0x") {
            (16, hex)
        } else if let Some(binary) = lower.strip_suffix('b') {
            (2, binary)
        } else if lower.len() > 1 && lower.starts_with('0') && !lower.contains(['.', 'e']) {
            (8, &lower[1..])
        } else {
            (10, lower.as_str())
        };
        let bad = || format!("{text} is not a number");
        if base == 10 && plain.contains(['.', 'e']) {
            if !plain.contains(|c: char| c.is_ascii_digit())
                || plain.contains(|c: char| c.is_ascii_alphabetic() && c != 'e')
            {
                return Err(bad());
            }
            let finite = plain.parse::<f64>().is_ok_and(f64::is_finite);
            return finite
                .then(|| Token::Real(format!("{}{plain}", if negative { "-" } else { "" })))
                .ok_or_else(bad);
        }
        if !plain.starts_with(|c: char| c.is_ascii_hexdigit()) {
            return Err(bad());
        }
        let n = i128::from_str_radix(plain, base).map_err(|_| bad())?;
        Ok(Token::Integer(if negative { -n } else { n }))
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
