//! What is refused whatever the class: names that there are not, parameters that are missing or wrong, and callers that may
//! not. Each answers what came, or what is wrong.

use super::run::{Runner, code};
use super::script::Line;
use crate::{admin, garbage, user};
use openrdms_cim::{
    CimService as _, Class, Enumeration, Limits, Method, ObjectPath, Parameter, Params, Type, Value,
};

/// What a parameter that is missing is answered with, and one of another type, or of another name.
pub(crate) const MISSING: &str = "!MISSING_PARAMETER_ID";
pub(crate) const WRONG_TYPE: &str = "!INVALID_METHOD_PARAMETERS";

impl Runner<'_> {
    /// What somebody may see who is no administrator and has no session.
    pub(crate) async fn outsider_lists(&self, class: &Class) -> Result<String, String> {
        let (carol, everybody) = (user("carol"), self.list(&admin(), class).await);
        let expected = self.block.outsider.0.as_str();
        match (expected, self.list(&carol, class).await) {
            ("nothing", Ok(rows)) if rows[0].1 == "0" => Ok("none of others'".to_owned()),
            ("everything", Ok(rows)) if Ok(&rows) == everybody.as_ref() => Ok("all".to_owned()),
            (_, Err(error)) if code(error.code) == expected => Ok(expected.to_owned()),
            (_, other) => Err(format!("a list is {other:?}, not {expected}")),
        }
    }

    /// Nor do they make, change or remove anything.
    pub(crate) async fn outsider_changes(&self, class: &Class) -> Result<String, String> {
        let (carol, path) = (user("carol"), self.path(class, None));
        let of_class = ObjectPath::class(&class.namespace, &class.name);
        let answers = [
            self.rdms.create(&carol, &of_class, Params::default()).await.map(|_| ()),
            self.rdms.put(&carol, &path, Params::default()).await.map(|_| ()),
            self.rdms.delete(&carol, &path).await,
        ];
        let mut said = Vec::new();
        for answer in answers {
            let answer = answer.map_or_else(|error| code(error.code), |()| "0".to_owned());
            if !["ACCESS_DENIED", "PROVIDER_NOT_CAPABLE"].contains(&answer.as_str()) {
                return Err(format!("{answer} to somebody who may not"));
            }
            said.push(answer);
        }
        said.dedup();
        Ok(said.join(", "))
    }

    pub(crate) async fn unknown_key(&self, class: &Class) -> Result<String, String> {
        if class.keys().next().is_none() {
            return Ok("no keys".to_owned());
        }
        let found = self.rdms.get(&admin(), &self.nowhere(class)).await;
        is("NOT_FOUND", &found.map_or_else(|error| code(error.code), |_| "0".to_owned()))
    }

    pub(crate) async fn unknown_property(&self, class: &Class) -> Result<String, String> {
        let path = ObjectPath::class(&class.namespace, &class.name);
        let made = self.rdms.create(&admin(), &path, Params::default().with("NoSuch", 1_u32)).await;
        let made = is("INVALID_PARAMETER", &made.map_or_else(|error| code(error.code), |_| "0".to_owned()))?;
        let asked = self.query(class, Some("NoSuch = 1")).await;
        let asked = is("INVALID_QUERY", &asked.map_or_else(|error| code(error.code), |_| "0".to_owned()))?;
        Ok(format!("{made}, {asked}"))
    }

    pub(crate) async fn unknown_method(&self, class: &Class) -> Result<String, String> {
        let path = self.path(class, None);
        is("!INVALID_METHOD", &self.call(&admin(), &path, "NoSuch", Params::default()).await.0)
    }

    pub(crate) async fn unknown_namespace(&self, class: &Class) -> Result<String, String> {
        let what = Enumeration { class: ObjectPath::class("root/nowhere", &class.name), condition: None };
        let listed = self.rdms.enumerate(&admin(), &what, None, Limits { max_elements: 1 }).await;
        is("INVALID_NAMESPACE", &listed.map_or_else(|error| code(error.code), |_| "0".to_owned()))
    }

    /// A method called on no instance, and on one that there is not.
    pub(crate) async fn no_keys(
        &self,
        class: &Class,
        method: &Method,
        line: &Line,
    ) -> Result<String, String> {
        if method.is_static() {
            return Ok("static".to_owned());
        }
        let path = ObjectPath::class(&class.namespace, &class.name);
        let params = self.parameters(method, line);
        is("!INVALID_OBJECT_PATH", &self.call(&admin(), &path, &method.name, params).await.0)
    }

    pub(crate) async fn on_nothing(
        &self,
        class: &Class,
        method: &Method,
        line: &Line,
    ) -> Result<String, String> {
        if method.is_static() {
            return Ok("static".to_owned());
        }
        let params = self.parameters(method, line);
        is("!NOT_FOUND", &self.call(&admin(), &self.nowhere(class), &method.name, params).await.0)
    }

    /// Each parameter left out, or of another type, as `change` says.
    pub(crate) async fn each_parameter(
        &self,
        class: &Class,
        (method, line): (&Method, &Line),
        refused: &str,
        change: impl Fn(&mut Params, &Parameter),
    ) -> Result<String, String> {
        let (path, whole) = (self.path(class, line.keys.as_ref()), self.parameters(method, line));
        let may_miss = |name: &str| {
            refused == MISSING && self.block.optional.iter().any(|(m, p)| *m == method.name && p == name)
        };
        let mut said = "no parameters".to_owned();
        for parameter in method.parameters.iter().filter(|parameter| parameter.is_in()) {
            if may_miss(&parameter.name) {
                said = if said == "no parameters" { "may be missing".to_owned() } else { said };
                continue;
            }
            let mut params = whole.clone();
            change(&mut params, parameter);
            let came = self.call(&admin(), &path, &method.name, params).await.0;
            let unread = self.block.unread.contains(&method.name);
            let expected = if unread { line.code.as_str() } else { refused };
            said = is(expected, &came).map_err(|wrong| format!("{}: {wrong}", parameter.name))?;
        }
        Ok(said)
    }

    pub(crate) async fn unknown_parameter(
        &self,
        class: &Class,
        method: &Method,
        line: &Line,
    ) -> Result<String, String> {
        let params = self.parameters(method, line).with("NoSuch", 1_u32);
        let path = self.path(class, line.keys.as_ref());
        is(WRONG_TYPE, &self.call(&admin(), &path, &method.name, params).await.0)
    }

    pub(crate) async fn outsider_calls(
        &self,
        class: &Class,
        method: &Method,
        line: &Line,
    ) -> Result<String, String> {
        let (path, params) = (self.path(class, line.keys.as_ref()), self.parameters(method, line));
        is(&self.block.outsider.1, &self.call(&user("carol"), &path, &method.name, params).await.0)
    }

    /// The path of an instance that there is not.
    fn nowhere(&self, class: &Class) -> ObjectPath {
        class.keys().fold(ObjectPath::class(&class.namespace, &class.name), |path, key| match key.ty {
            Type::String => path.with_key(&key.name, "nowhere"),
            ty => path.with_key(&key.name, Value::integer(ty, 4_000_000_000).unwrap()),
        })
    }
}

pub(crate) fn leave_out(params: &mut Params, parameter: &Parameter) {
    params.0.retain(|(name, _)| *name != parameter.name);
}

pub(crate) fn mistype(params: &mut Params, parameter: &Parameter) {
    leave_out(params, parameter);
    params.0.push((parameter.name.clone(), garbage::of_another_type(parameter)));
}

fn is(expected: &str, came: &str) -> Result<String, String> {
    if came == expected { Ok(came.to_owned()) } else { Err(format!("{came}, not {expected}")) }
}
