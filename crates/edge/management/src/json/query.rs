//! What stands behind the question mark.

use super::problem::Problem;
use super::text;
use super::write::Fields;
use openrdms_cim::wql::Constant;
use openrdms_cim::{CimError, Class, Condition, Repository, Type, Value, WmiCode};

/// The most parameters.
const MOST: usize = 100;
/// The words of a list that are no properties.
pub(super) const WORDS: [&str; 4] = ["limit", "cursor", "fields", "where"];
/// By which a caller says whom it means.
pub(super) const OPTIONS: [&str; 2] = ["ExpectedUser", "ExpectedState"];

/// Names and values.
#[derive(Debug, PartialEq)]
pub(super) struct Pairs(Vec<(String, String)>);

/// What is asked of a list.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) limit: usize,
    pub(super) cursor: Option<String>,
    pub(super) fields: Fields,
    pub(super) condition: Option<Condition>,
}

impl Pairs {
    /// As forms write them (WHATWG URL, `application/x-www-form-urlencoded`).
    pub(super) fn parse(query: &str) -> Result<Self, Problem> {
        let parts = query.split('&').filter(|part| !part.is_empty());
        let mut pairs = Vec::new();
        for part in parts {
            if pairs.len() == MOST {
                return Err(Problem::wrong(format!("there are more than {MOST} parameters")));
            }
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            pairs.push((text::decode_query(name)?, text::decode_query(value)?));
        }
        Ok(Self(pairs))
    }

    /// Where nothing may be asked.
    pub(super) fn none(&self) -> Result<(), Problem> {
        self.only(&[])
    }

    /// Where an instance may be asked for in part.
    pub(super) fn only_fields(&self, class: &Class) -> Result<Fields, Problem> {
        self.only(&["fields"])?;
        self.fields(class)
    }

    /// The options of a call, by their own names.
    pub(super) fn options(&self) -> Result<Vec<(String, String)>, Problem> {
        self.only(&OPTIONS)?;
        let mut options = Vec::new();
        for name in OPTIONS {
            if let Some(value) = self.one(name)? {
                options.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(options)
    }

    /// The value of a parameter that may come once.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Problem> {
        let mut all = self.0.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let first = all.next();
        match all.next() {
            Some(_) => Err(Problem::wrong(format!("the parameter {name} comes twice"))),
            None => Ok(first.map(String::as_str)),
        }
    }

    /// Refuses what is not among these: a word that is mistyped must not be passed over.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.iter().find(|(name, _)| !known.iter().any(|k| k.eq_ignore_ascii_case(name))) {
            None => Ok(()),
            Some((name, _)) => Err(Problem::wrong(format!("there is no parameter '{}' here", short(name)))),
        }
    }

    /// What is asked of a list of that class.
    pub(super) fn of_list(
        &self,
        class: &Class,
        repository: &Repository,
        most: usize,
    ) -> Result<Asked, Problem> {
        let limit = match self.one("limit")? {
            None => 100.min(most),
            Some(text) => text.parse().ok().filter(|n| (1..=most).contains(n)).ok_or_else(|| {
                let detail = format!("limit is a number from 1 to {most}");
                Problem::from(CimError::new(WmiCode::WBEM_E_VALUE_OUT_OF_RANGE, detail))
            })?,
        };
        let mut condition = None;
        for (name, value) in &self.0 {
            self.one(name)?;
            if !WORDS.iter().any(|word| word.eq_ignore_ascii_case(name)) {
                let one = equality(class, name, value)?;
                condition = Some(match condition {
                    None => one,
                    Some(condition) => Condition::and(condition, one),
                });
            }
        }
        if let Some(text) = self.one("where")? {
            let one = Condition::parse(text).map_err(CimError::from)?;
            condition = Some(match condition {
                None => one,
                Some(condition) => Condition::and(condition, one),
            });
        }
        if let Some(condition) = &condition {
            condition.check(class, repository)?;
        }
        let cursor = self.one("cursor")?.map(str::to_owned);
        Ok(Asked { limit, cursor, fields: self.fields(class)?, condition })
    }

    fn fields(&self, class: &Class) -> Result<Fields, Problem> {
        let Some(list) = self.one("fields")? else { return Ok(Fields::All) };
        let named = |name: &str| {
            let found = class.property(name.trim()).map(|property| property.name.clone());
            found.ok_or_else(|| unknown(class, name))
        };
        list.split(',').map(named).collect::<Result<_, _>>().map(Fields::These)
    }
}

/// That a property has the value that a text means for its type.
fn equality(class: &Class, name: &str, text: &str) -> Result<Condition, Problem> {
    let property = class.property(name).ok_or_else(|| unknown(class, name))?;
    let constant = match property.ty {
        Type::String | Type::Reference | Type::Object => Constant::Text(text.to_owned()),
        ty => {
            let mismatch = || {
                let detail = format!("{} is a {}, and '{}' is not", property.name, ty.name(), short(text));
                CimError::new(WmiCode::WBEM_E_TYPE_MISMATCH, detail)
            };
            match Value::parse(ty, text).map_err(|_| mismatch())? {
                Value::Boolean(flag) => Constant::Boolean(flag),
                Value::Real32(n) if n.is_finite() => Constant::Real(n.into()),
                Value::Real64(n) if n.is_finite() => Constant::Real(n),
                Value::Real32(_) | Value::Real64(_) => return Err(mismatch().into()),
                value => match value.as_int() {
                    Some(number) => Constant::Integer(number),
                    None => Constant::Text(text.to_owned()),
                },
            }
        }
    };
    Ok(Condition::equal(&property.name, constant))
}

fn unknown(class: &Class, name: &str) -> Problem {
    Problem::wrong(format!("{} has no property '{}'", class.name, short(name)))
}

/// What a caller wrote, to be told back.
pub(super) fn short(text: &str) -> String {
    text.chars().take(60).collect()
}
