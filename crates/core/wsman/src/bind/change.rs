//! What Put and Create say (DSP0226 7), with the types that the class declares.

use super::scalar;
use crate::{Fault, Fragment, Input, Subcode};
use openrdms_cim::{Class, Instance, Params, Value};

/// The properties that were sent, each once. Whether they may be written is for the service to say.
///
/// # Errors
/// A fault (`wxf:InvalidRepresentation`) for a property that the class has not, that comes twice, or is not of its type.
pub fn properties(class: &Class, given: &[(String, Input)]) -> Result<Params, Fault> {
    let mut properties = Params::default();
    for (at, (name, _)) in given.iter().enumerate() {
        let property =
            class.property(name).ok_or_else(|| invalid(format!("{} has no property {name}", class.name)))?;
        let is_same = |(other, _): &&(String, Input)| other.eq_ignore_ascii_case(name);
        if given.iter().take(at).any(|one| is_same(&one)) {
            if property.array {
                continue;
            }
            return Err(invalid(format!("property {} comes twice", property.name)));
        }
        let inputs: Vec<&Input> = given.iter().filter(is_same).map(|(_, input)| input).collect();
        let value = match inputs.as_slice() {
            [Input::Null] => Some(Value::Null),
            many if property.array => {
                many.iter().map(|one| scalar(property.ty, one)).collect::<Option<_>>().map(Value::Array)
            }
            [one] => scalar(property.ty, one),
            _ => None,
        };
        let value = value
            .ok_or_else(|| invalid(format!("property {} is not a {}", property.name, property.ty.name())))?;
        properties.0.push((property.name.clone(), value));
    }
    Ok(properties)
}

/// The value of a fragment of an instance: its property's declared name, whether that is an array, and the value.
///
/// # Errors
/// A fault (`wxf:InvalidRepresentation`) where the class has no such property.
pub fn fragment<'c>(
    class: &'c Class,
    instance: &Instance,
    fragment: &Fragment,
) -> Result<(&'c str, bool, Value), Fault> {
    let property = class
        .property(&fragment.property)
        .ok_or_else(|| no_fragment(format!("{} has no property {}", class.name, fragment.property)))?;
    let value = instance.get(&property.name);
    match (fragment.index, value) {
        (None, value) => Ok((&property.name, property.array, value.clone())),
        (Some(index), Value::Array(items)) => {
            // XPath counts from one, and finding nothing is no mistake
            let item = items.get(index - 1).cloned().unwrap_or(Value::Null);
            Ok((&property.name, false, item))
        }
        (Some(1), value) => Ok((&property.name, property.array, value.clone())),
        (Some(_), _) => Ok((&property.name, false, Value::Null)),
    }
}

/// Refuses to write a part of a property.
///
/// # Errors
/// A fault (`w:UnsupportedFeature`) where it is about one element of an array.
pub fn whole_property(fragment: &Fragment) -> Result<(), Fault> {
    match fragment.index {
        None => Ok(()),
        Some(_) => Err(Fault::new(Subcode::UnsupportedFeature, "an array is written whole")
            .detail("FragmentLevelAccess")),
    }
}

fn invalid(reason: String) -> Fault {
    Fault::new(Subcode::InvalidRepresentation, reason).detail("InvalidValues")
}

fn no_fragment(reason: String) -> Fault {
    Fault::new(Subcode::InvalidRepresentation, reason).detail("InvalidFragment")
}
