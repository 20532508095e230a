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
        for c in text.chars() {
            self.escaped(c);
        }
    }

    fn begin(&mut self, name: &str, attributes: Attributes<'_>) {
        self.0.push('<');
        self.0.push_str(name);
        for (name, value) in attributes {
            self.0.push(' ');
            self.0.push_str(name);
            self.0.push_str("=\"");
            for c in value.chars() {
                match c {
                    '\t' => self.0.push_str("&#9;"),
                    '\n' => self.0.push_str("&#10;"),
                    c => self.escaped(c),
                }
            }
            self.0.push('"');
        }
    }

    fn escaped(&mut self, c: char) {
        match c {
            '&' => self.0.push_str("&amp;"),
            '<' => self.0.push_str("&lt;"),
            '>' => self.0.push_str("&gt;"),
            '"' => self.0.push_str("&quot;"),
            // A reader would make a line feed of it.
            '\r' => self.0.push_str("&#13;"),
            '\t' | '\n' => self.0.push(c),
            // XML has no way to write these; Windows sends a question mark too (MS-WSMV 3.1.4.1.25).
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => self.0.push('?'),
            c => self.0.push(c),
        }
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
