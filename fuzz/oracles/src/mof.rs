//! MOF.

use crate::bounded;
use openrdms_cim::mof::{self, Context, Included, Reading, print};

/// The most that copies by aliases may come to, in bytes of print: they are limited in number, not by the text alone.
const MOST_COPIES: usize = 256 << 20;

/// What is read of a text, once printed and read again, stays the same.
pub fn mof(bytes: &[u8]) {
    let text = mof::decode(bytes);
    settles(text.len(), mof::read(&text));

    // the same in two files: an include in the first names the second
    let Some((first, second)) = text.split_once("//---\n") else { return };
    let mut include = |name: &str, _: &str| match name {
        "second" => Ok(Included { name: "second".to_owned(), text: second.to_owned() }),
        _ => Err("there is no such text".to_owned()),
    };
    let context = Context { name: "first", include: Some(&mut include), ..Context::default() };
    settles(text.len(), mof::read_with(first, context));
}

fn settles(length: usize, reading: Reading) {
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
        return;
    }
    // in the first round a declaration may move before its use, and a reference that nobody declares become a text
    let once = plain(mof::read(&printed), &printed);
    let printed = print::reading(&once);
    let twice = plain(mof::read(&printed), &printed);
    assert_eq!(format!("{once:?}"), format!("{twice:?}"), "{printed}");
}

/// A reading without its warnings; there is nothing wrong in what is printed.
fn plain(reading: Reading, printed: &str) -> Reading {
    assert_eq!(reading.errors().next(), None, "{printed}");
    Reading { diagnostics: Vec::new(), ..reading }
}
