//! Gives instances the types that their classes declare, and puts in place what aliases name.
//!
//! An alias that stands where a reference belongs becomes the path of the instance, and where an object belongs a copy
//! of it. Copies of copies grow fast, so their number and depth are limited.

use super::parser::{Place, Raw, RawInstance, Shared, error_at, simple};
use super::shapes::Found;
use super::{Diagnostic, MAX_DEPTH, Severity};
use crate::path::MAX_NESTING;
use crate::path::typed::typed;
use crate::{Instance, ObjectPath, Type, Value};
use std::collections::{HashMap, HashSet};

/// Most values that all instances together may have by way of aliases; long texts count for several.
const MAX_COPIES: usize = 1 << 20;
/// So many bytes of text count as much as a value.
const VALUE: usize = 64;
/// Most texts of instances in strings of each other.
const MAX_EMBEDDED: usize = 3;

/// Why a value could not be made.
pub(super) struct Trouble {
    pub(super) at: Place,
    pub(super) message: String,
}

/// Something that was made, how large it is in values, and how deep they stand.
#[derive(Clone, Debug)]
struct Made<T> {
    it: T,
    size: usize,
    depth: usize,
}

/// How far an instance, or the path of one, is.
#[derive(Clone, Debug)]
enum Work<T> {
    New,
    Begun,
    Done(Made<T>),
    Failed,
}

struct Resolver<'s, 'a> {
    shared: &'s mut Shared<'a>,
    raws: &'s [RawInstance],
    aliases: HashMap<&'s str, usize>,
    instances: Vec<Work<Instance>>,
    paths: Vec<Work<ObjectPath>>,
    copied: usize,
    /// How many instances are being made inside each other.
    depth: usize,
    embedded: usize,
    /// Classes that were told of as unknown.
    unknown: HashSet<String>,
}

type Making<T> = Result<Made<T>, Trouble>;

/// Makes all instances of a reading, at its end.
pub(super) fn resolve(shared: &mut Shared<'_>) {
    let raws = std::mem::take(&mut shared.instances);
    let mut resolver = Resolver::new(shared, &raws);
    for at in 0..raws.len() {
        if resolver.shared.is_full() {
            break;
        }
        // What is wrong with it is told once, where it is made first.
        let _ = resolver.instance_at(at);
    }
    let made = resolver.instances.into_iter().filter_map(|work| match work {
        Work::Done(made) => Some(made.it),
        Work::New | Work::Begun | Work::Failed => None,
    });
    shared.reading.instances.extend(made);
    let files: HashMap<&str, usize> =
        shared.files.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
    let place = |d: &Diagnostic| (files.get(d.file.as_str()).copied(), d.line, d.column);
    shared.reading.diagnostics.sort_by_key(place);
}

/// Makes one value, outside of any instance: aliases are not there.
pub(super) fn fit(
    shared: &mut Shared<'_>,
    at: Place,
    raw: &Raw,
    wanted: (Type, bool),
) -> Result<Value, Trouble> {
    let namespace = shared.namespace().to_owned();
    Resolver::new(shared, &[]).value(at, raw, Some(wanted), &namespace).map(|made| made.it)
}

impl<'s, 'a> Resolver<'s, 'a> {
    fn new(shared: &'s mut Shared<'a>, raws: &'s [RawInstance]) -> Self {
        let aliases =
            raws.iter().enumerate().filter_map(|(i, raw)| Some((raw.alias.as_deref()?, i))).collect();
        Self {
            shared,
            raws,
            aliases,
            instances: vec![Work::New; raws.len()],
            paths: vec![Work::New; raws.len()],
            copied: 0,
            depth: 0,
            embedded: 0,
            unknown: HashSet::new(),
        }
    }

    /// Makes the instance of that number, if it is not made yet. An error is told here.
    fn instance_at(&mut self, at: usize) -> Option<()> {
        let raws = self.raws;
        match self.instances.get(at)? {
            Work::Done(_) => return Some(()),
            Work::Begun | Work::Failed => return None,
            Work::New => {}
        }
        self.instances[at] = Work::Begun;
        self.instances[at] = match self.instance(raws.get(at)?) {
            Ok(made) => Work::Done(made),
            Err(trouble) => {
                self.remark(trouble.at, Severity::Error, &trouble.message);
                Work::Failed
            }
        };
        matches!(self.instances[at], Work::Done(_)).then_some(())
    }

    fn instance(&mut self, raw: &RawInstance) -> Making<Instance> {
        self.deeper(raw.at, |resolver| resolver.properties(raw))
    }

    fn properties(&mut self, raw: &RawInstance) -> Making<Instance> {
        let known = self.shared.shapes.has(&raw.namespace, &raw.class);
        if !known && self.unknown.insert(raw.class.to_ascii_lowercase()) {
            let message = format!("class {} is not known: values keep the types that they show", raw.class);
            self.remark(raw.at, Severity::Warning, &message);
        }
        let it =
            Instance { class: raw.class.clone(), namespace: raw.namespace.clone(), properties: Vec::new() };
        let mut made = Made { it, size: size(&[&raw.class, &raw.namespace]), depth: 1 };
        for (at, name, raw_value) in &raw.properties {
            let declared = match self.shared.shapes.property(&raw.namespace, &raw.class, name) {
                Found::Declared(declared) => Some(declared),
                Found::Unknown => None,
                Found::Missing => {
                    return Err(Trouble {
                        at: *at,
                        message: format!("{} has no property {name}", raw.class),
                    });
                }
            };
            let wanted = declared.as_ref().map(|d| (d.ty, d.array));
            let value = self.value(*at, raw_value, wanted, &raw.namespace)?;
            let name = declared.map_or_else(|| name.clone(), |declared| declared.name);
            made.size += value.size + size(&[&name]);
            made.depth = made.depth.max(value.depth + 1);
            made.it.properties.push((name, value.it));
        }
        if made.depth > MAX_DEPTH {
            return Err(Trouble { at: raw.at, message: "objects are nested too deep".to_owned() });
        }
        Ok(made)
    }

    /// The value in the wanted type; without one in the type that it shows.
    fn value(
        &mut self,
        at: Place,
        raw: &Raw,
        wanted: Option<(Type, bool)>,
        namespace: &str,
    ) -> Making<Value> {
        let (ty, array) = (wanted.map(|(ty, _)| ty), wanted.is_some_and(|(_, array)| array));
        match raw {
            Raw::List(items) if wanted.is_none() || array => {
                let mut made = Made { it: Vec::with_capacity(items.len()), size: 1, depth: 1 };
                for (at, item) in items {
                    let value = self.one(*at, item, ty, namespace)?;
                    made.size += value.size;
                    made.depth = made.depth.max(value.depth + 1);
                    made.it.push(value.it);
                }
                Ok(Made { it: Value::Array(made.it), size: made.size, depth: made.depth })
            }
            Raw::Plain(Value::Null) => Ok(Made { it: Value::Null, size: 1, depth: 1 }),
            _ if array => Err(Trouble { at, message: "expected a list in braces".to_owned() }),
            raw => self.one(at, raw, ty, namespace),
        }
    }

    fn one(&mut self, at: Place, raw: &Raw, ty: Option<Type>, namespace: &str) -> Making<Value> {
        let plain = |it: Value| Made { size: size_of(&it), it, depth: 1 };
        let misfit = |ty: Type| Trouble { at, message: format!("not a value of type {}", ty.name()) };
        match (raw, ty) {
            (Raw::Alias(name), Some(Type::Object)) => self.copy(at, name, namespace),
            (Raw::Alias(name), None | Some(Type::Reference)) => self.reference(at, name),
            (Raw::Instance(raw), None | Some(Type::Object)) => {
                let made = self.instance(raw)?;
                Ok(Made { it: Value::Object(Box::new(made.it)), size: made.size, depth: made.depth })
            }
            (Raw::Plain(Value::String(text)), Some(Type::Reference)) => match ObjectPath::parse(text) {
                Ok(path) => Ok(plain(Value::Reference(Box::new(self.typed_path(path, namespace, 0))))),
                Err(error) => Err(Trouble { at, message: format!("not an object path: {error}") }),
            },
            (Raw::Plain(Value::String(text)), Some(Type::Object)) => self.text(at, text, namespace),
            (Raw::Plain(Value::Null), _) => Ok(plain(Value::Null)),
            (raw, Some(ty)) => simple(raw, ty).map(plain).ok_or_else(|| misfit(ty)),
            (Raw::Plain(value), None) => Ok(plain(value.clone())),
            (Raw::Real(_), None) => simple(raw, Type::Real64).map(plain).ok_or_else(|| misfit(Type::Real64)),
            (Raw::List(_), None) => Err(Trouble { at, message: "a list inside a list".to_owned() }),
        }
    }

    /// The path with the names and types of its keys, as far as its class is known.
    fn typed_path(&mut self, mut path: ObjectPath, namespace: &str, depth: usize) -> ObjectPath {
        let namespace = if path.namespace.is_empty() { namespace.to_owned() } else { path.namespace.clone() };
        let declared = self.shared.shapes.keys(&namespace, &path.class);
        for (name, value) in &mut path.keys {
            let only = if name.is_empty() && declared.len() == 1 { declared.first() } else { None };
            let Some(key) = only.or_else(|| declared.iter().find(|key| key.name.eq_ignore_ascii_case(name)))
            else {
                continue;
            };
            key.name.clone_into(name);
            match typed(value, key.ty) {
                Some(Value::Reference(inner)) if depth < MAX_NESTING => {
                    *value = Value::Reference(Box::new(self.typed_path(*inner, &namespace, depth + 1)));
                }
                Some(typed) => *value = typed,
                None => {}
            }
        }
        path
    }

    /// An instance that stands as MOF in a string (DSP0004 5.6.3.14).
    fn text(&mut self, at: Place, text: &str, namespace: &str) -> Making<Value> {
        if self.embedded == MAX_EMBEDDED {
            return Err(Trouble { at, message: "instances in strings are nested too deep".to_owned() });
        }
        let place =
            |message: String| Trouble { at, message: format!("in the text of an instance: {message}") };
        let mut raw = self.shared.embedded(text, at.file).map_err(|d| place(d.to_string()))?;
        namespace.clone_into(&mut raw.namespace);
        self.embedded += 1;
        let made = self.instance(&raw).map_err(|trouble| place(trouble.message));
        self.embedded -= 1;
        made.map(|made| Made { it: Value::Object(Box::new(made.it)), size: made.size, depth: made.depth })
    }

    /// A copy of the instance that an alias names. It is of the namespace of what holds it: MOF has no way to say that an
    /// object is of another one.
    fn copy(&mut self, at: Place, alias: &str, namespace: &str) -> Making<Value> {
        let target = self.target(at, alias)?;
        if self.raws.get(target).is_some_and(|raw| raw.namespace != namespace) {
            return Err(Trouble { at, message: format!("${alias} is in another namespace") });
        }
        self.instance_at(target);
        match self.instances.get(target) {
            Some(Work::Done(made)) => {
                self.copied += made.size;
                if self.copied > MAX_COPIES {
                    return Err(Trouble { at, message: "too many copies by aliases".to_owned() });
                }
                let it = Value::Object(Box::new(made.it.clone()));
                Ok(Made { it, size: made.size, depth: made.depth })
            }
            Some(Work::Begun) => Err(Trouble { at, message: format!("${alias} is inside itself") }),
            _ => Err(Trouble { at, message: format!("${alias} could not be read") }),
        }
    }

    /// The path of the instance that an alias names. Of the instance only the keys are looked at, so two may refer to
    /// each other.
    fn reference(&mut self, at: Place, alias: &str) -> Making<Value> {
        let target = self.target(at, alias)?;
        if matches!(self.paths[target], Work::New) {
            self.paths[target] = Work::Begun;
            self.paths[target] = match self.deeper(self.raws[target].at, |r| r.path(target)) {
                Ok(made) => Work::Done(made),
                Err(trouble) => {
                    self.remark(trouble.at, Severity::Error, &trouble.message);
                    Work::Failed
                }
            };
        }
        match &self.paths[target] {
            Work::Done(made) => {
                self.copied += made.size;
                if self.copied > MAX_COPIES {
                    return Err(Trouble { at, message: "too many copies by aliases".to_owned() });
                }
                let it = Value::Reference(Box::new(made.it.clone()));
                Ok(Made { it, size: made.size, depth: made.depth })
            }
            Work::Begun => Err(Trouble { at, message: format!("${alias} is a key of itself") }),
            Work::New | Work::Failed => Err(Trouble { at, message: format!("${alias} has no path") }),
        }
    }

    fn path(&mut self, target: usize) -> Making<ObjectPath> {
        let raws = self.raws;
        let raw = &raws[target];
        let keys = self.shared.shapes.keys(&raw.namespace, &raw.class);
        if keys.is_empty() {
            let message = format!("the keys of {} are not known: references to this have none", raw.class);
            self.remark(raw.at, Severity::Warning, &message);
        }
        let it = ObjectPath { namespace: raw.namespace.clone(), class: raw.class.clone(), keys: Vec::new() };
        let mut made = Made { it, size: size(&[&raw.class, &raw.namespace]), depth: 1 };
        for key in keys.iter() {
            let given = raw.properties.iter().find(|(_, name, _)| name.eq_ignore_ascii_case(&key.name));
            let Some((at, _, raw_value)) = given else {
                return Err(Trouble { at: raw.at, message: format!("key {} has no value", key.name) });
            };
            let value = self.value(*at, raw_value, Some((key.ty, key.array)), &raw.namespace)?;
            made.size += value.size + size(&[&key.name]);
            made.depth = made.depth.max(value.depth + 1);
            made.it.keys.push((key.name.clone(), value.it));
        }
        if made.depth > MAX_NESTING {
            return Err(Trouble { at: raw.at, message: "references are nested too deep".to_owned() });
        }
        Ok(made)
    }

    fn target(&self, at: Place, alias: &str) -> Result<usize, Trouble> {
        let found = self.aliases.get(alias).copied();
        found.ok_or_else(|| Trouble { at, message: format!("alias ${alias} is not known here") })
    }

    fn deeper<T>(&mut self, at: Place, make: impl FnOnce(&mut Self) -> Making<T>) -> Making<T> {
        if self.depth == MAX_DEPTH {
            return Err(Trouble { at, message: "aliases are nested too deep".to_owned() });
        }
        self.depth += 1;
        let made = make(self);
        self.depth -= 1;
        made
    }

    fn remark(&mut self, at: Place, severity: Severity, message: &str) {
        let diagnostic = Diagnostic { severity, ..error_at(at.line, at.column, message) };
        self.shared.remark(at.file, diagnostic);
    }
}

/// How much a thing with these texts counts.
fn size(texts: &[&str]) -> usize {
    1 + texts.iter().map(|text| text.len()).sum::<usize>() / VALUE
}

/// How much a value counts that has no others in it, but for the keys of a path.
fn size_of(value: &Value) -> usize {
    match value {
        Value::String(text) => size(&[text]),
        Value::Reference(path) => {
            let keys = path.keys.iter().map(|(name, value)| size(&[name]) + size_of(value));
            size(&[&path.namespace, &path.class]) + keys.sum::<usize>()
        }
        _ => 1,
    }
}
