//! The qualifiers that need no declaration.

use crate::QualifierType;
use std::collections::HashMap;
use std::sync::OnceLock;

/// The declaration of a qualifier of DSP0004 5.6.3 or of WMI, by its name without case.
pub fn standard(name: &str) -> Option<&'static QualifierType> {
    static ALL: OnceLock<HashMap<String, QualifierType>> = OnceLock::new();
    // The text has declarations only and no use of a qualifier, so reading it does not come back here.
    let all = ALL.get_or_init(|| {
        let declared = super::read(include_str!("standard.mof")).qualifiers;
        declared.into_iter().map(|q| (q.name.to_ascii_lowercase(), q)).collect()
    });
    all.get(&name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Type, Value};

    #[test]
    fn the_standard_qualifiers_are_read_without_a_remark() {
        assert_eq!(super::super::read(include_str!("standard.mof")).diagnostics, []);
        let values = standard("VALUES").unwrap();
        assert_eq!((values.ty, values.array, &values.default), (Type::String, true, &Value::Null));
        assert_eq!(standard("in").unwrap().default, Value::Boolean(true));
        assert_eq!(standard("Nobody"), None);
    }
}
