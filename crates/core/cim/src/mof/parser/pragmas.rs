//! What begins with `#`: compiler directives.

use super::{Parsed, Parser, error};
use crate::mof::lexer::Token;
use crate::mof::{Included, MAX_INCLUDES, MAX_TOTAL};
use crate::path::{canonical_namespace, parse::in_namespace};

/// Longest namespace, in bytes: everything that follows holds a copy of it.
const MAX_NAMESPACE: usize = 1024;

/// Pragmas that tell a compiler how to store what it reads and nothing of what is read.
const SILENT: [&str; 10] = [
    "amendment",
    "autorecover",
    "classflags",
    "instanceflags",
    "instancelocale",
    "locale",
    "nonlocal",
    "nonlocaltype",
    "source",
    "sourcetype",
];

impl Parser<'_, '_, '_> {
    /// `#pragma name(arguments)`; Microsoft's `autorecover` has no arguments.
    pub(super) fn pragma(&mut self) -> Parsed<()> {
        self.mark('#')?;
        self.word("pragma")?;
        let (at, name) = (self.now.clone(), self.name()?.to_ascii_lowercase());
        match name.as_str() {
            "include" => {
                self.mark('(')?;
                let file = self.text()?;
                // The bracket stays the token that is looked at until the included text is read.
                if !self.is_mark(')') {
                    return Err(self.error("expected ')'"));
                }
                match self.find(&file) {
                    Ok(Some(included)) => self.include(included),
                    Ok(None) => self.warn(&at, &format!("{file} is included already")),
                    // Not by `?`: what is amiss is not in this text, and the next declaration is as good as before.
                    Err(message) => self.shared.remark(self.file, error(&at, &message)),
                }
                self.mark(')')
            }
            "namespace" => {
                self.mark('(')?;
                let text = self.text()?;
                let namespace = without_server(&text);
                if namespace.len() > MAX_NAMESPACE {
                    let message = format!("namespace is longer than {MAX_NAMESPACE} bytes");
                    self.shared.remark(self.file, error(&at, &message));
                } else if let Some(odd) = namespace.chars().find(|c| !in_namespace(*c)) {
                    // no object path could name what is in it
                    let message = format!("namespace has the character {odd:?}");
                    self.shared.remark(self.file, error(&at, &message));
                } else {
                    self.shared.namespace = namespace;
                }
                self.mark(')')
            }
            name => {
                if !SILENT.contains(&name) {
                    self.warn(&at, &format!("pragma {name} is not carried out"));
                }
                self.arguments()
            }
        }
    }

    fn arguments(&mut self) -> Parsed<()> {
        if !self.take('(')? {
            return Ok(());
        }
        while !self.is_mark(')') {
            if self.now.token == Token::End {
                return Err(self.error("pragma without an end"));
            }
            self.advance()?;
        }
        self.mark(')')
    }

    /// The text to include; `None` where it has been read before.
    fn find(&mut self, name: &str) -> Result<Option<Included>, String> {
        let from = self.shared.files.get(self.file).cloned().unwrap_or_default();
        let Some(include) = self.shared.include.as_mut() else {
            return Err(format!("{name} is not included: there are no other texts here"));
        };
        let included = include(name, &from).map_err(|cause| format!("{name} is not included: {cause}"))?;
        if let Some(file) = self.shared.numbers.get(&included.name) {
            let inside = self.shared.open.contains(file);
            return if inside { Err(format!("{name} includes itself")) } else { Ok(None) };
        }
        if self.shared.open.len() > MAX_INCLUDES {
            return Err(format!("{name} is not included: includes are nested too deep"));
        }
        self.shared.total += included.text.len();
        if self.shared.total > MAX_TOTAL {
            return Err(format!("{name} is not included: more than {MAX_TOTAL} bytes together"));
        }
        Ok(Some(included))
    }

    fn include(&mut self, included: Included) {
        let file = self.shared.files.len();
        self.shared.numbers.insert(included.name.clone(), file);
        self.shared.files.push(included.name);
        self.shared.open.push(file);
        self.shared.text(&included.text, file);
        self.shared.open.pop();
    }
}

/// `\\.\root\cimv2` and `//./root/cimv2` are `root/cimv2`; what another server is called says nothing here.
fn without_server(text: &str) -> String {
    let text = text.trim().replace('\\', "/");
    match text.strip_prefix("//") {
        Some(rest) => canonical_namespace(rest.split_once('/').map_or("", |(_, namespace)| namespace)),
        None => canonical_namespace(&text),
    }
}
