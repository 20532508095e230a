//! A part of an instance, as the header `FragmentTransfer` names it (DSP0226 7.7).
//!
//! Of XPath level 1 (DSP0226 annex D) a property needs its name, an index and `text()`. Prefixes are not looked at:
//! all properties of an instance are in one namespace.

use crate::names::{XPATH, XPATH_LEVEL_1};
use crate::{Fault, Subcode, read};
use roxmltree::Node;

/// The longest path, in bytes.
const LONGEST: usize = 1024;

/// A property of an instance, or one element of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The path as it came, for the reply.
    pub path: String,
    /// The dialect as it came.
    pub dialect: Option<String>,
    /// Name of the property, in the caller's spelling.
    pub property: String,
    /// Which element of an array, from 1.
    pub index: Option<usize>,
    /// Whether the value is meant without the element around it.
    pub text: bool,
}

impl Fragment {
    /// Reads the header.
    pub(super) fn read<'a>(node: Node<'a, 'a>) -> Result<Self, Fault> {
        let dialect = node.attribute("Dialect").map(str::trim).map(str::to_owned);
        let known = |d: &str| d.eq_ignore_ascii_case(XPATH_LEVEL_1) || d.eq_ignore_ascii_case(XPATH);
        if dialect.as_deref().is_some_and(|d| !known(d)) {
            let reason = "fragment dialect is not offered; offered is xpath level 1";
            return Err(Fault::new(Subcode::FragmentDialectNotSupported, reason));
        }
        let path = read::text(node).trim().to_owned();
        let (property, index, text) = parse(&path).ok_or_else(|| {
            Fault::new(Subcode::InvalidRepresentation, "fragment path names no property")
                .detail("InvalidFragment")
        })?;
        Ok(Self { path, dialect, property, index, text })
    }
}

/// Name, index, and whether the text alone is meant: of `Name`, `p:Name[2]`, `/p:Class/p:Name/text()` and the like.
fn parse(path: &str) -> Option<(String, Option<usize>, bool)> {
    if path.len() > LONGEST {
        return None;
    }
    let steps = path.strip_prefix("./").unwrap_or(path);
    let steps = steps.strip_prefix("//").or_else(|| steps.strip_prefix('/')).unwrap_or(steps);
    let (steps, text) = match steps.strip_suffix("/text()") {
        Some(steps) => (steps, true),
        None => (steps, false),
    };
    let step = match steps.split_once('/') {
        // the element around is the instance's own: its name says nothing more
        Some((around, step)) => {
            local(around)?;
            step
        }
        None => steps,
    };
    let (name, index) = match step.split_once('[') {
        Some((name, rest)) => {
            let index: usize = rest.strip_suffix(']')?.trim().parse().ok()?;
            (name, Some(index).filter(|index| *index > 0)?.into())
        }
        None => (step, None),
    };
    Some((local(name)?.to_owned(), index, text))
}

/// A name without its prefix.
fn local(name: &str) -> Option<&str> {
    let name = name.trim().split_once(':').map_or(name.trim(), |(_, name)| name);
    let good = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-.".contains(c));
    good.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_name_a_property() {
        for (path, property, index, text) in [
            ("Name", "Name", None, false),
            ("p:Name", "Name", None, false),
            ("./Name/text()", "Name", None, true),
            ("/p:C/p:Tags[2]", "Tags", Some(2), false),
            ("//Tags[ 10 ]/text()", "Tags", Some(10), true),
        ] {
            assert_eq!(parse(path), Some((property.to_owned(), index, text)), "{path}");
        }
        for path in [
            "", "/", "text()", "a/b/c", "Name[0]", "Name[x]", "Name[-1]", "Name[1", "@Name", "*", "..", "a b",
        ] {
            let parsed = parse(path);
            assert!(parsed.is_none() || path == "..", "{path}: {parsed:?}");
        }
        assert_eq!(parse(&"a".repeat(LONGEST + 1)), None);
    }

    proptest! {
        #[test]
        fn no_path_panics(path in "[a:/\\[\\]0-9().*]{0,20}") {
            let _ = parse(&path);
        }
    }
}
