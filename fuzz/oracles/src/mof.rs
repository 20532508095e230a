//! MOF.

use crate::bounded;
use openrdms_cim::mof::{self, Context, Included, Reading, print};

/// The most that copies by aliases may come to, in bytes of print: they are limited in number, not by the text alone.
const MOST_COPIES: usize = 256 << 20;

/// What is read of a text, once printed and read again, stays the same.
pub fn mof(bytes: &[u8]) -> bool {
    let text = mof::decode(bytes);
    let read = settles(text.len(), mof::read(&text));

    // the same in two files: an include in the first names the second
    let Some((first, second)) = text.split_once("//---\n") else { return read };
    let mut include = |name: &str, _: &str| match name {
        "second" => Ok(Included { name: "second".to_owned(), text: second.to_owned() }),
        _ => Err("there is no such text".to_owned()),
    };
    let context = Context { name: "first", include: Some(&mut include), ..Context::default() };
    settles(text.len(), mof::read_with(first, context)) || read
}

/// Answers whether there was anything to settle.
fn settles(length: usize, reading: Reading) -> bool {
    assert!(reading.diagnostics.len() <= mof::MAX_DIAGNOSTICS + 1);
    for diagnostic in &reading.diagnostics {
        bounded("the diagnostic", &diagnostic.to_string(), length, 4);
    }
    let printed = print::reading(&reading);
    if printed.len() > MOST_COPIES {
        panic!("{} bytes of {length}", printed.len());
    }
    // aliases stand for what they name
    if !printed.is_empty() && length > 0 && reading.instances.is_empty() {
        bounded("what was read", &printed, length, 256);
    }
    if printed.len() > mof::MAX_TEXT {
        return true;
    }
    let read = !printed.is_empty();
    // in the first round a qualifier's declaration may move before its use, which it may not fit, and a reference that
    // nobody declares become a text
    let moved = !reading.qualifiers.is_empty();
    let once = mof::read(&printed);
    assert!(moved || once.errors().next().is_none(), "{:?} in {printed}", once.diagnostics);
    let printed = print::reading(&once);
    let twice = mof::read(&printed);
    assert_eq!(twice.errors().next(), None, "{printed}");
    assert_eq!(plain(once), plain(twice), "{printed}");
    read
}

/// A reading without its remarks, as a text in which what is no number is equal to itself.
fn plain(reading: Reading) -> String {
    format!("{:?}", Reading { diagnostics: Vec::new(), ..reading })
}
