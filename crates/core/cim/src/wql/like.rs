//! Patterns of LIKE: `%` any text, `_` one character, `[a-f]` or `[abc]` one of a set, `[^a-f]` one that is not.
//! What is meant as it stands is put into brackets: `[%]`, `[_]`, `[[]`. Letters match in either case.
//!
//! In a set, `-` first or last is itself. Microsoft's page on LIKE writes ranges as `[a=f]`: that is read too.

use super::MAX_PATTERN;

/// A pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    /// `%`.
    Any,
    /// `_`.
    One,
    /// A character, in lower case.
    Char(char),
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Pattern {
    /// Reads a pattern, or says what is wrong with it.
    ///
    /// # Errors
    /// What is wrong with it: too long, or a set of characters without its end.
    pub fn new(text: &str) -> Result<Self, &'static str> {
        if text.chars().nth(MAX_PATTERN).is_some() {
            return Err("the pattern is too long");
        }
        let mut parts = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            parts.push(match c {
                '%' => Part::Any,
                '_' => Part::One,
                '[' => {
                    let rest = chars.as_str();
                    let end = rest.char_indices().skip(1).find(|(_, c)| *c == ']');
                    // `[^]...`: what follows the caret belongs to the set.
                    let end = match (rest.strip_prefix("^]"), end) {
                        (Some(more), _) => more.find(']').map(|at| at + 2),
                        (None, end) => end.map(|(at, _)| at),
                    };
                    let end =
                        end.ok_or("the pattern has a '[' without its ']'; a '[' itself is written '[[]'")?;
                    chars = rest[end + 1..].chars();
                    set(&rest[..end])
                }
                c => Part::Char(fold(c)),
            });
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a whole text fits. Takes time in proportion to both lengths: of all `%`, only the last one met
    /// is ever tried again, because what came before it fitted in the shortest way.
    pub fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut at, mut part) = (0, 0);
        let mut again = None;
        while at < text.len() {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    part += 1;
                    again = Some((part, at));
                }
                Some(one) if one.matches(text[at]) => {
                    at += 1;
                    part += 1;
                }
                _ => {
                    let Some((behind, from)) = again else { return false };
                    (part, at) = (behind, from + 1);
                    again = Some((behind, from + 1));
                }
            }
        }
        self.parts[part..].iter().all(|part| matches!(part, Part::Any))
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Part {
    fn matches(&self, c: char) -> bool {
        match self {
            Part::Any | Part::One => true,
            Part::Char(part) => *part == fold(c),
            Part::Set { negated, ranges } => {
                let (lower, upper) = (fold(c), c.to_uppercase().next().unwrap_or(c));
                let within = |c: char| ranges.iter().any(|(from, to)| (*from..=*to).contains(&c));
                (within(lower) || within(upper)) != *negated
            }
        }
    }
}

/// What stands between the brackets; never empty.
fn set(text: &str) -> Part {
    let (negated, text) = match text.strip_prefix('^') {
        Some(rest) if !rest.is_empty() => (true, rest),
        _ => (false, text),
    };
    let chars: Vec<char> = text.chars().collect();
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < chars.len() {
        match chars[at..] {
            [from, '-' | '=', to, ..] => {
                ranges.push((from, to));
                at += 3;
            }
            _ => {
                ranges.push((chars[at], chars[at]));
                at += 1;
            }
        }
    }
    Part::Set { negated, ranges }
}

fn fold(c: char) -> char {
    let mut lower = c.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(one), None) => one,
        // The one letter that becomes two in lower case stays itself.
        _ => c,
    }
}
