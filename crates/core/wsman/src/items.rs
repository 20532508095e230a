//! The items of a listing (DSP0226 8.4 and 8.7), written one after the other as they stand in the reply, as many as
//! there is room for.

use crate::instance::Layout;
use crate::reply::style;
use crate::xml::Xml;
use crate::{Charset, Mode, Request};
use openrdms_cim::wql::Projection;
use openrdms_cim::{Instance, Repository};

/// Items, and the room that is left for more.
#[derive(Debug)]
pub struct Items {
    xml: Xml,
    len: usize,
    charset: Charset,
    bytes: usize,
    characters: Option<usize>,
}

/// Writes instances as items.
pub struct InstanceItems<'a> {
    request: &'a Request,
    mode: Mode,
    repository: &'a Repository,
    projection: &'a Projection,
    /// Of the last instance's class.
    layout: Option<Layout<'a>>,
}

impl Items {
    /// None yet, and room for so many bytes in that encoding, and for so many characters where that is limited.
    pub fn within(charset: Charset, bytes: usize, characters: Option<usize>) -> Self {
        Self { xml: Xml::default(), len: 0, charset, bytes, characters }
    }

    /// Puts an item at the end, if it fits.
    pub fn push(&mut self, item: &str) -> bool {
        self.write(|xml| xml.0.push_str(item))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many more would fit, if they were as long as those that are there; `None` while there are none.
    pub fn would_fit(&self) -> Option<usize> {
        let share = |room: usize, used: usize| room.saturating_mul(self.len).checked_div(used);
        let by_bytes = share(self.bytes, self.charset.encoded_len(&self.xml.0))?;
        let by_characters = self.characters.and_then(|room| share(room, self.xml.0.chars().count()));
        (self.len > 0).then(|| by_characters.map_or(by_bytes, |most| most.min(by_bytes)))
    }

    /// All of them.
    pub fn text(&self) -> &str {
        &self.xml.0
    }

    /// Puts at the end what `write` writes, if it fits.
    fn write(&mut self, write: impl FnOnce(&mut Xml)) -> bool {
        let start = self.xml.0.len();
        write(&mut self.xml);
        let item = &self.xml.0[start..];
        let bytes = self.bytes.checked_sub(self.charset.encoded_len(item));
        let characters = self.characters.map(|room| room.checked_sub(item.chars().count()));
        let (Some(bytes), None | Some(Some(_))) = (bytes, characters) else {
            self.xml.0.truncate(start);
            return false;
        };
        self.bytes = bytes;
        self.characters = characters.flatten();
        self.len += 1;
        true
    }
}

impl<'a> InstanceItems<'a> {
    /// For the answer to that request. Where a query asks for some properties only, an item is a fragment with
    /// just these.
    pub fn new(
        request: &'a Request,
        mode: Mode,
        repository: &'a Repository,
        projection: &'a Projection,
    ) -> Self {
        Self { request, mode, repository, projection, layout: None }
    }

    /// Puts an instance at the end, if it fits.
    pub fn push(&mut self, items: &mut Items, instance: &Instance) -> bool {
        items.write(|xml| match self.mode {
            Mode::Object => self.object(xml, instance),
            Mode::Epr => self.reference(xml, instance),
            Mode::ObjectAndEpr => xml.element("w:Item", &[], |xml| {
                self.object(xml, instance);
                self.reference(xml, instance);
            }),
        })
    }

    fn object(&mut self, xml: &mut Xml, instance: &Instance) {
        let style = style(self.request);
        match self.projection {
            Projection::All | Projection::Count => {
                let layout = self.layout.take().filter(|layout| layout.fits(instance));
                let layout = layout.unwrap_or_else(|| Layout::of(style, self.repository, instance));
                self.layout.insert(layout).write(xml, instance);
            }
            Projection::Properties(_) => {
                style.projected(xml, instance, &self.projection.of(instance, self.repository));
            }
        }
    }

    fn reference(&self, xml: &mut Xml, instance: &Instance) {
        style(self.request).endpoint_reference(xml, self.repository, instance);
    }
}

/// Puts what a query for a number lists at the end, if it fits: one fragment, which has no reference.
pub fn push_count(items: &mut Items, request: &Request, counted: &Instance) -> bool {
    items.write(|xml| style(request).projected(xml, counted, &counted.properties))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_room(bytes: usize, characters: Option<usize>) -> Items {
        Items::within(Charset::Utf8, bytes, characters)
    }

    #[test]
    fn items_fit_to_the_last_byte_and_character() {
        for (mut items, second) in [
            (with_room(6, None), "ää"),
            (with_room(100, Some(4)), "ää"),
            (Items::within(Charset::Utf16Le, 12, None), "ab"),
        ] {
            assert!(items.push("ab") && items.push(second) && !items.push("a"));
            assert_eq!((items.len(), items.text()), (2, &*format!("ab{second}")));
        }
    }

    #[test]
    fn what_would_fit_is_told_by_what_is_there() {
        let mut items = with_room(10, None);
        assert_eq!(items.would_fit(), None);
        assert!(items.push("abc"));
        assert_eq!(items.would_fit(), Some(2));
        let mut items = with_room(100, Some(10));
        assert!(items.push("ää"));
        assert_eq!(items.would_fit(), Some(4));
        assert!(items.push("12345678"));
        assert_eq!(items.would_fit(), Some(0));
    }
}
