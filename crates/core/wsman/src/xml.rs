//! Writes XML into a string. Nothing is ever indented: white space inside fault details breaks clients.

/// The text so far.
#[derive(Debug, Default)]
pub(crate) struct Xml(pub(crate) String);

/// Attributes, names with their prefixes.
pub(crate) type Attributes<'a> = &'a [(&'a str, &'a str)];

impl Xml {
    /// An element with what `inside` writes.
    pub(crate) fn element(&mut self, name: &str, attributes: Attributes<'_>, inside: impl FnOnce(&mut Xml)) {
        self.begin(name, attributes);
        self.0.push('>');
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element with text in it; with an empty text it still has both tags.
    pub(crate) fn leaf(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |xml| xml.text(text));
    }

    /// An element that closes itself.
    pub(crate) fn empty(&mut self, name: &str, attributes: Attributes<'_>) {
        self.begin(name, attributes);
        self.0.push_str("/>");
    }

    /// Text.
    pub(crate) fn text(&mut self, text: &str) {
        self.escaped(text, in_text);
    }

    fn begin(&mut self, name: &str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            self.escaped(value, in_attribute);
            self.0.push('"');
        }
    }

    /// Copies `text` run by run, and what `form` has another form for in that form.
    fn escaped(&mut self, mut text: &str, form: impl Fn(char) -> Option<&'static str>) {
        while let Some((at, c, form)) = text.char_indices().find_map(|(at, c)| Some((at, c, form(c)?))) {
            self.0.push_str(&text[..at]);
            self.0.push_str(form);
            text = &text[at + c.len_utf8()..];
        }
        self.0.push_str(text);
    }
}

/// How a character is written in text, where not as it is.
fn in_text(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("&amp;"),
        '<' => Some("&lt;"),
        '>' => Some("&gt;"),
        '"' => Some("&quot;"),
        // A reader would make a line feed of it.
        '\r' => Some("&#13;"),
        '\t' | '\n' => None,
        // XML has no way to write these; Windows sends a question mark too (MS-WSMV 3.1.4.1.25).
        '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => Some("?"),
        _ => None,
    }
}

/// The same in an attribute, of whose white space a reader would make spaces.
fn in_attribute(c: char) -> Option<&'static str> {
    match c {
        '\t' => Some("&#9;"),
        '\n' => Some("&#10;"),
        c => in_text(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_reads_back(text: String, value: String) {
            let mut xml = Xml::default();
            xml.leaf("a", &[("b", &value)], &text);
            let document = roxmltree::Document::parse(&xml.0).unwrap();
            let sent = |s: &str| s.replace(|c: char| (c < ' ' && !"\t\n\r".contains(c)) || "\u{fffe}\u{ffff}".contains(c), "?");
            prop_assert_eq!(document.root_element().text().unwrap_or(""), sent(&text));
            prop_assert_eq!(document.root_element().attribute("b").unwrap(), sent(&value));
        }
    }
}
