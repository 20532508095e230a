//! Parameters of a method, which may be passwords: no front keeps them, and they are wiped when the call has ended,
//! however it ends.

use openrdms_cim::{Params, Value};
use zeroize::Zeroize as _;

/// Wipes the texts in it on drop.
pub(super) struct Wiped(pub(super) Params);

impl Drop for Wiped {
    fn drop(&mut self) {
        self.0.0.iter_mut().for_each(|(_, value)| wipe(value));
    }
}

/// References and embedded objects name things, and no method takes a secret in one.
fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_wiped_wherever_they_are() {
        let mut values = [Value::from("a password"), Value::from(vec!["one", "two"]), Value::Uint32(7)];
        values.iter_mut().for_each(wipe);
        assert_eq!(values, [Value::from(""), Value::from(vec!["", ""]), Value::Uint32(7)]);
    }
}
