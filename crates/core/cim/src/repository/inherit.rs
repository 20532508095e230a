//! What a class has from its superclass (DSP0004 5.1.2.8, 5.6.1.2).

use super::{Repository, RepositoryError};
use crate::{Class, Method, Parameter, Property, Qualifier};
use std::collections::HashMap;

/// Puts what `base` has before what `class` declares; what is declared again stays in the base's place.
pub(super) fn inherit(
    repository: &Repository,
    class: &mut Class,
    base: &Class,
) -> Result<(), RepositoryError> {
    let heir = Heir { repository, namespace: &base.namespace };
    heir.pass(&class.name, &base.qualifiers, &mut class.qualifiers)?;
    let differs =
        |member: &str| RepositoryError::Override { class: class.name.clone(), member: member.to_owned() };
    let mut properties: Vec<Property> = base.properties.iter().map(|p| heir.property(p)).collect();
    let places = places(base.properties.iter().map(|p| p.name.as_str()));
    for mut own in class.properties.drain(..) {
        match places.get(&own.name.to_ascii_lowercase()).map(|at| &mut properties[*at]) {
            Some(old) if old.ty != own.ty || old.array != own.array => return Err(differs(&own.name)),
            Some(old) => {
                heir.pass(&format!("{}.{}", class.name, own.name), &old.qualifiers, &mut own.qualifiers)?;
                *old = own;
            }
            None => properties.push(own),
        }
    }
    let mut methods: Vec<Method> = base.methods.iter().map(|m| heir.method(m)).collect();
    let places = self::places(base.methods.iter().map(|m| m.name.as_str()));
    for mut own in class.methods.drain(..) {
        match places.get(&own.name.to_ascii_lowercase()).map(|at| &mut methods[*at]) {
            Some(old) if old.returns != own.returns => return Err(differs(&own.name)),
            Some(old) => {
                let name = format!("{}.{}", class.name, own.name);
                heir.pass(&name, &old.qualifiers, &mut own.qualifiers)?;
                for parameter in &mut own.parameters {
                    if let Some(old) = old.parameter(&parameter.name) {
                        heir.pass(
                            &format!("{name}({})", parameter.name),
                            &old.qualifiers,
                            &mut parameter.qualifiers,
                        )?;
                    }
                }
                *old = own;
            }
            None => methods.push(own),
        }
    }
    class.properties = properties;
    class.methods = methods;
    Ok(())
}

struct Heir<'a> {
    repository: &'a Repository,
    namespace: &'a str,
}

impl Heir<'_> {
    /// Adds to `own` what passes on from `base` and is not given anew. A key stays a key: nobody repeats the
    /// qualifier on an override.
    fn pass(
        &self,
        member: &str,
        base: &[Qualifier],
        own: &mut Vec<Qualifier>,
    ) -> Result<(), RepositoryError> {
        for old in self.passing(base) {
            match own.iter().find(|q| q.name.eq_ignore_ascii_case(&old.name)) {
                None => own.push(old),
                Some(new) => {
                    let fixed = !self.repository.flavors(self.namespace, &old).overridable;
                    if fixed && !new.value.same(&old.value) {
                        let (member, qualifier) = (member.to_owned(), new.name.clone());
                        return Err(RepositoryError::Fixed { member, qualifier });
                    }
                }
            }
        }
        Ok(())
    }

    fn passing(&self, base: &[Qualifier]) -> Vec<Qualifier> {
        let passes = |q: &&Qualifier| self.repository.flavors(self.namespace, q).to_subclass;
        base.iter().filter(passes).map(|q| Qualifier { propagated: true, ..q.clone() }).collect()
    }

    fn property(&self, base: &Property) -> Property {
        Property { qualifiers: self.passing(&base.qualifiers), ..base.clone() }
    }

    fn method(&self, base: &Method) -> Method {
        let parameter = |p: &Parameter| Parameter { qualifiers: self.passing(&p.qualifiers), ..p.clone() };
        let parameters = base.parameters.iter().map(parameter).collect();
        Method { qualifiers: self.passing(&base.qualifiers), parameters, ..base.clone() }
    }
}

fn places<'a>(names: impl Iterator<Item = &'a str>) -> HashMap<String, usize> {
    names.enumerate().map(|(at, name)| (name.to_ascii_lowercase(), at)).collect()
}
