//! The expectations, read from their text.

use std::iter::Peekable;

/// What belongs to one class.
pub(crate) struct Block {
    pub(crate) namespace: String,
    pub(crate) class: String,
    /// The keys of the instance that lines are about which name no other.
    pub(crate) keys: Pairs,
    /// What somebody hears who is no administrator: of lists, and of methods.
    pub(crate) outsider: (String, String),
    /// Methods and their parameters that may be left out.
    pub(crate) optional: Vec<(String, String)>,
    /// Methods that do not look at their parameters, because they are never done.
    pub(crate) unread: Vec<String>,
    pub(crate) lines: Vec<Line>,
}

/// One operation and what comes of it.
pub(crate) struct Line {
    pub(crate) number: usize,
    /// The class, where it is another than the block's.
    pub(crate) class: Option<String>,
    pub(crate) operation: String,
    pub(crate) keys: Option<Pairs>,
    pub(crate) given: Pairs,
    /// `0`, or a code; `!` before it: as a fault.
    pub(crate) code: String,
    pub(crate) expected: Pairs,
    /// Where it shows what it did.
    pub(crate) looks: Vec<Line>,
}

pub(crate) type Pairs = Vec<(String, String)>;

/// Reads a text. What it does not understand is a mistake in the table, and fails the test.
pub(crate) fn read(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    for (number, text) in (1..).zip(text.lines()) {
        let depth = text.len() - text.trim_start().len();
        let words = words(text.trim());
        match (words.first().map(String::as_str), blocks.last_mut()) {
            (None, _) => {}
            (Some(word), _) if word.starts_with('#') => {}
            (Some("class"), _) => blocks.push(Block {
                namespace: words[1].clone(),
                class: words[2].clone(),
                keys: words[3..].iter().map(|word| pair(word)).collect(),
                outsider: ("ACCESS_DENIED".to_owned(), "!ACCESS_DENIED".to_owned()),
                optional: Vec::new(),
                unread: Vec::new(),
                lines: Vec::new(),
            }),
            (Some("outsider"), Some(block)) => {
                block.outsider.0.clone_from(&words[1]);
                if let Some(method) = words.get(2) {
                    block.outsider.1.clone_from(method);
                }
            }
            (Some("optional"), Some(block)) => {
                block.optional.extend(words[2..].iter().map(|word| (words[1].clone(), word.clone())));
            }
            (Some("unread"), Some(block)) => block.unread.extend(words[1..].iter().cloned()),
            (Some(_), Some(block)) => {
                let line = line(number, words);
                match depth {
                    2 => block.lines.push(line),
                    4 => block.lines.last_mut().expect("a look follows a line").looks.push(line),
                    _ => panic!("line {number} stands {depth} characters in"),
                }
            }
            (Some(_), None) => panic!("line {number} belongs to no class"),
        }
    }
    blocks
}

/// `[Class.]operation [(key=value …)] [name=value …] -> code [name=value …]`
fn line(number: usize, words: Vec<String>) -> Line {
    let mut words = words.into_iter().peekable();
    let first = words.next().unwrap_or_default();
    let (class, operation) = match first.rsplit_once('.') {
        Some((class, operation)) => (Some(class.to_owned()), operation.to_owned()),
        None => (None, first),
    };
    let keys = keys(&mut words);
    let given = words.by_ref().take_while(|word| word != "->").map(|word| pair(&word)).collect();
    let code = words.next().unwrap_or_else(|| panic!("line {number} expects nothing"));
    let expected = words.map(|word| pair(&word)).collect();
    Line { number, class, operation, keys, given, code, expected, looks: Vec::new() }
}

fn keys(words: &mut Peekable<impl Iterator<Item = String>>) -> Option<Pairs> {
    words.next_if(|word| word.starts_with('('))?;
    let mut keys = Vec::new();
    while let Some(word) = words.next_if(|word| word != ")") {
        keys.push(pair(&word));
    }
    words.next();
    Some(keys)
}

fn pair(word: &str) -> (String, String) {
    let (name, value) = word.split_once('=').unwrap_or_else(|| panic!("'{word}' is no name and value"));
    (name.to_owned(), value.to_owned())
}

/// Words between blanks; what stands between `'` is one, and brackets around keys are words of their own.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in text.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            '(' | ')' if !quoted => words.extend([c.to_string(), String::new()]),
            _ => words.last_mut().expect("there is one").push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}
