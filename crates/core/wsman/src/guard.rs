//! A look at a text before it is parsed as XML. The parser's work grows with the square of the attributes of
//! one element and of the namespace declarations in scope, so both are counted first, as is the depth. This
//! pass is linear, keeps nothing and decides nothing else but this: references to what is no character, which the
//! parser lets pass (XML 1.0 4.1). What it misreads the parser refuses.

/// What a text may hold.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Elements within elements.
    pub(crate) depth: usize,
    /// Attributes, namespace declarations included, on one element.
    pub(crate) attributes: usize,
    /// Namespace declarations in all.
    pub(crate) declarations: usize,
    /// Nodes in all, for the parser itself.
    pub(crate) nodes: u32,
}

/// Requests are small: a few headers and a method's parameters.
pub(crate) const REQUEST: Bounds = Bounds { depth: 24, attributes: 48, declarations: 256, nodes: 20_000 };
/// Replies to us hold a batch of instances, which may each declare a namespace or two.
pub(crate) const REPLY: Bounds = Bounds { depth: 24, attributes: 48, declarations: 8_000, nodes: 400_000 };

/// Parses `text` if it keeps within `bounds`; no DTD is read.
pub(crate) fn parse(text: &str, bounds: Bounds) -> Option<roxmltree::Document<'_>> {
    if !within(text, bounds) {
        return None;
    }
    let options =
        roxmltree::ParsingOptions { allow_dtd: false, nodes_limit: bounds.nodes, ..Default::default() };
    roxmltree::Document::parse_with_options(text, options).ok()
}

fn within(text: &str, bounds: Bounds) -> bool {
    let (mut rest, mut depth, mut declarations) = (text, 0usize, 0usize);
    while let Some(at) = rest.find('<') {
        let (before, tag) = rest.split_at(at);
        if !references(before) {
            return false;
        }
        rest = tag;
        let special = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")];
        if let Some((_, end)) = special.iter().find(|(begin, _)| rest.starts_with(begin)) {
            let Some(at) = rest.find(end) else { return false };
            rest = rest.get(at + end.len()..).unwrap_or("");
            continue;
        }
        if let Some(after) = rest.strip_prefix("</") {
            depth = depth.saturating_sub(1);
            rest = after;
            continue;
        }
        let Some(tag) = Tag::read(rest) else { return false };
        declarations += tag.declarations;
        depth += 1;
        if tag.attributes > bounds.attributes || declarations > bounds.declarations || depth > bounds.depth {
            return false;
        }
        depth -= usize::from(tag.closed);
        let (inside, after) = rest.split_at_checked(tag.len).unwrap_or((rest, ""));
        if !references(inside) {
            return false;
        }
        rest = after;
    }
    true
}

/// Whether the character references in a text that is no comment or CDATA are of characters (XML 1.0, 4.1). The
/// parser takes the replacement character for those that are not.
fn references(text: &str) -> bool {
    text.match_indices("&#").all(|(at, _)| {
        let digits =
            text.get(at + 2..).and_then(|rest| rest.split_once(';')).map_or("", |(digits, _)| digits);
        let number = match digits.strip_prefix('x') {
            Some(hexadecimal) => u32::from_str_radix(hexadecimal, 16),
            None => digits.parse(),
        };
        // the parser knows which of the characters may stand in XML
        number.is_ok_and(|number| char::from_u32(number).is_some())
    })
}

/// A start tag, counted.
struct Tag {
    len: usize,
    attributes: usize,
    declarations: usize,
    closed: bool,
}

impl Tag {
    /// `text` begins with `<`. `None` where the tag does not end.
    fn read(text: &str) -> Option<Tag> {
        let bytes = text.as_bytes();
        let (mut quote, mut attributes, mut declarations) = (None, 0, 0);
        for (at, byte) in bytes.iter().enumerate() {
            match (quote, byte) {
                (Some(open), _) if open == byte => quote = None,
                (Some(_), _) => {}
                (None, b'"' | b'\'') => quote = Some(byte),
                (None, b'=') => attributes += 1,
                (None, b'x') if bytes.get(at..).is_some_and(|b| b.starts_with(b"xmlns")) => declarations += 1,
                (None, b'>') => {
                    let closed = at > 0 && bytes.get(at - 1) == Some(&b'/');
                    return Some(Tag { len: at + 1, attributes, declarations, closed });
                }
                (None, _) => {}
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TIGHT: Bounds = Bounds { depth: 3, attributes: 2, declarations: 3, nodes: 20 };

    #[test]
    fn bounds_hold_at_their_edges() {
        for (text, good) in [
            ("<a><b><c/></b></a>", true),
            ("<a><b><c/><c/><c></c></b></a>", true),
            ("<a><b><c><d/></c></b></a>", false),
            ("<a x='1' y='/>'/>", true),
            ("<a x='1' y='2' z='3'/>", false),
            ("<a xmlns='1' xmlns:b='2'><c xmlns='3'/></a>", true),
            ("<a xmlns='1' xmlns:b='2'><c xmlns='3'/><c xmlns='3'/></a>", false),
            ("<a><!-- <b><b><b><b> --><![CDATA[<b><b><b><b>]]></a>", true),
            ("<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", false),
            ("<a>&#x41;&#66;&#x10FFFF;</a>", true),
            ("<a><![CDATA[&#x110000;&#]]><!-- &#; --></a>", true),
            ("<a>&#x110000;</a>", false),
            ("<a b='&#xD800;'/>", false),
            ("<a>&#99999999999999999999;</a>", false),
            ("<a>&#</a>", false),
            ("<a", false),
            ("", false),
        ] {
            assert_eq!(parse(text, TIGHT).is_some(), good, "{text}");
        }
        assert!(parse(&format!("<a>{}</a>", "<b/>".repeat(30)), TIGHT).is_none());
    }

    proptest! {
        /// Whatever passes is no deeper than it may be.
        #[test]
        fn nothing_deeper_passes(text in "(<[ab]( x='[<>/]?')?>|</[ab]>|<a/>|<!--[<b>-]{0,3}-->|b){0,20}") {
            if let Some(document) = parse(&text, TIGHT) {
                for node in document.descendants() {
                    prop_assert!(node.ancestors().filter(roxmltree::Node::is_element).count() <= TIGHT.depth);
                }
            }
        }
    }
}
