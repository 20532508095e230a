//! A class whose instances can be made, changed and removed, for the tests of changes.

use openrdms_cim::{CimError, Instance, ObjectPath, Params, Repository, Value, WmiCode};
use std::sync::Mutex;

pub(crate) const NAMESPACE: &str = "root/notes";
const MOF: &str =
    "[SupportsCreate, SupportsDelete] class Note { [Key] string Name; [Write] string Text; [Write] uint32 Size; [Write] string Tags[]; };
                   class Note_Long : Note { string More; };";

/// The notes there are.
pub(crate) struct Notes(Mutex<Vec<Instance>>);

impl Notes {
    pub(crate) fn load(repository: &mut Repository) -> Self {
        repository.load(NAMESPACE, MOF).expect("the classes are good");
        let first = Instance::of(repository.class(NAMESPACE, "Note").expect("it is declared"))
            .with("Name", "first")
            .with("Text", "a<b")
            .with("Tags", vec!["x", "y"]);
        Self(Mutex::new(vec![first]))
    }

    pub(crate) fn all(&self) -> Vec<Instance> {
        self.0.lock().unwrap().clone()
    }

    pub(crate) fn get(&self, path: &ObjectPath) -> Result<Instance, CimError> {
        let name = path.key("Name").cloned().unwrap_or(Value::Null);
        let found = self.all().into_iter().find(|note| note.get("Name").same(&name));
        found.ok_or_else(|| CimError::new(WmiCode::WBEM_E_NOT_FOUND, "no such note"))
    }

    pub(crate) fn create(&self, class: &ObjectPath, given: Params) -> Result<ObjectPath, CimError> {
        let note =
            Instance { class: class.class.clone(), namespace: class.namespace.clone(), properties: given.0 };
        let path = class.clone().with_key("Name", note.get("Name").clone());
        if self.get(&path).is_ok() {
            return Err(CimError::new(WmiCode::WBEM_E_ALREADY_EXISTS, "there is such a note"));
        }
        self.0.lock().unwrap().push(note);
        Ok(path)
    }

    pub(crate) fn put(&self, path: &ObjectPath, given: Params) -> Result<Instance, CimError> {
        let mut note = self.get(path)?;
        for (name, value) in given.0 {
            if name == "Name" && !note.get("Name").same(&value) {
                return Err(CimError::new(WmiCode::WBEM_E_READ_ONLY, "Name cannot be written"));
            }
            note.properties.retain(|(n, _)| *n != name);
            note.properties.push((name, value));
        }
        self.delete(path)?;
        self.0.lock().unwrap().push(note.clone());
        Ok(note)
    }

    pub(crate) fn delete(&self, path: &ObjectPath) -> Result<(), CimError> {
        let note = self.get(path)?;
        self.0.lock().unwrap().retain(|other| other != &note);
        Ok(())
    }
}
