//! Queries: WQL (the SQL of WMI) and the plain part of CQL (DSP0202) that it has a form for.
//!
//! [`Select::parse`] reads a query without knowing any class; [`Select::check`] holds it against the classes;
//! [`Select::plan`] says what has to be listed for it; [`Condition::holds`] judges one instance. Printing gives a
//! text that parses to the same.
//!
//! Logic has three values, as in SQL: a comparison with null is unknown, and what is unknown is not listed.
//! Strings compare without case, as everywhere in WMI.
//!
//! ```text
//! select     = SELECT projection FROM class [WITHIN seconds] [WHERE or] [GROUP WITHIN seconds [BY list] [HAVING n]]
//! projection = '*' | COUNT '(' '*' ')' | property {',' property}
//! or         = and {OR and}
//! and        = not {AND not}
//! not        = NOT not | '(' or ')' | term
//! term       = operand comparison operand | property [NOT] LIKE string | property IS [NOT] NULL | property ISA class
//! property   = name ['[' number ']'] {'.' name ['[' number ']']}
//! ```

mod check;
mod compare;
mod error;
mod evaluate;
mod lexer;
mod like;
mod parser;
mod plan;
mod print;
mod subject;
mod truth;

pub use error::{Problem, QueryError};
pub use like::Pattern;
pub use plan::{Plan, count_of};
pub use truth::Truth;

use crate::{Type, Value};
use std::time::Duration;

/// The longest query, in bytes.
pub const MAX_LENGTH: usize = 64 * 1024;
/// How deep parentheses and NOT may be nested.
pub const MAX_DEPTH: usize = 32;
/// How many comparisons a query may have, and how many properties a list.
pub const MAX_TERMS: usize = 1000;
/// The longest pattern of LIKE, in characters.
pub const MAX_PATTERN: usize = 1024;

/// A query.
#[derive(Clone, Debug, PartialEq)]
pub struct Select {
    /// What to give of each match.
    pub projection: Projection,
    /// The class, in the query's spelling.
    pub from: String,
    /// How often an event query looks, to the millisecond.
    pub within: Option<Duration>,
    /// Which instances, classes or events; `None`: all.
    pub condition: Option<Condition>,
    /// How an event query puts events together.
    pub group: Option<Group>,
}

/// What to give of each match.
#[derive(Clone, Debug, PartialEq)]
pub enum Projection {
    /// `*`: all of it.
    All,
    /// `COUNT(*)`: how many there are.
    Count,
    /// These properties.
    Properties(Vec<Property>),
}

/// How an event query puts events together.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// How long events are gathered, to the millisecond.
    pub within: Duration,
    /// What has to be equal among the events of a group; empty: nothing.
    pub by: Vec<Property>,
    /// How many events a group needs to be told of.
    pub having: Option<Having>,
}

/// `HAVING NumberOfEvents > 5`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Having {
    /// How the number of events compares ...
    pub comparison: Comparison,
    /// ... to this.
    pub events: u32,
}

/// Which instances are meant.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// All of these; two or more.
    And(Vec<Condition>),
    /// One of these; two or more.
    Or(Vec<Condition>),
    /// Not this.
    Not(Box<Condition>),
    /// `Property = 5`, and with the property on the right turned around; or two properties.
    Compare {
        /// The left side.
        property: Property,
        /// The operator.
        comparison: Comparison,
        /// The right side.
        operand: Operand,
    },
    /// `Property LIKE "pattern"`.
    Like {
        /// The property.
        property: Property,
        /// The pattern.
        pattern: Pattern,
    },
    /// `Property IS NULL`, also as `= NULL`.
    IsNull(Property),
    /// `Property IS NOT NULL`, also as `<> NULL`.
    IsNotNull(Property),
    /// `Property ISA "Class"`; the property `__this` is the instance or class itself.
    IsA {
        /// An embedded object or a reference.
        property: Property,
        /// The class, in the query's spelling.
        class: String,
    },
}

/// The operators that compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// `=`.
    Equal,
    /// `<>` or `!=`.
    NotEqual,
    /// `<`.
    Less,
    /// `<=`.
    LessOrEqual,
    /// `>`.
    Greater,
    /// `>=`.
    GreaterOrEqual,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Operand {
    /// A constant. It is taken for a value of the property's type: `"7"` is a number beside a number.
    Constant(Constant),
    /// Another property.
    Property(Property),
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    /// `"text"` or `'text'`.
    Text(String),
    /// `7`, `-7` or `0x7`.
    Integer(i128),
    /// `7.5` or `75e-1`: finite.
    Real(f64),
    /// `TRUE` or `FALSE`.
    Boolean(bool),
}

/// A property by its path: `Name`, `TargetInstance.Name`, `Tags[0]`. May begin with the name of the class.
#[derive(Clone, Debug, PartialEq)]
pub struct Property {
    /// One or more.
    pub steps: Vec<Step>,
    /// Where it stands in the query.
    pub at: At,
}

/// One name in a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The name, in the query's spelling.
    pub name: String,
    /// The element of an array, from 0.
    pub index: Option<u32>,
}

/// A place in a query: the number of the character, from 1; 0 where there is no text. All places are equal, so
/// that queries are equal that say the same.
#[derive(Clone, Copy, Debug, Default)]
pub struct At(pub usize);

impl Select {
    /// Reads WQL.
    ///
    /// # Errors
    /// The first thing that does not belong there or is not offered, and past the limits of length, depth and terms.
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parser::select(text, lexer::Dialect::Wql)
    }

    /// Reads the part of CQL (DSP0202) that is also WQL in another spelling: one class, plain properties, the
    /// comparisons, `IS NULL`, `ISA Class`. Strings have single quotes. Joins, functions and CQL's own LIKE,
    /// which takes regular expressions, are refused. Strings compare without case here too.
    ///
    /// # Errors
    /// The first thing that does not belong there or is not offered, and past the limits of length, depth and terms.
    pub fn parse_cql(text: &str) -> Result<Self, QueryError> {
        parser::select(text, lexer::Dialect::Cql)
    }
}

impl Condition {
    /// Reads what stands behind WHERE.
    ///
    /// # Errors
    /// As [`Select::parse`].
    pub fn parse(text: &str) -> Result<Self, QueryError> {
        parser::condition(text)
    }

    /// That a property of the instance has a value.
    pub fn equal(name: &str, value: impl Into<Constant>) -> Self {
        Condition::Compare {
            property: Property::named(name),
            comparison: Comparison::Equal,
            operand: Operand::Constant(value.into()),
        }
    }

    /// That all of these properties have these values; `None` for an empty list, which asks for nothing.
    pub fn equalities_of<N: AsRef<str>, V: Into<Constant>>(
        pairs: impl IntoIterator<Item = (N, V)>,
    ) -> Option<Self> {
        pairs.into_iter().map(|(name, value)| Self::equal(name.as_ref(), value)).reduce(Self::and)
    }

    /// This and the other.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Condition::And(mut all) => {
                all.push(other);
                Condition::And(all)
            }
            one => Condition::And(vec![one, other]),
        }
    }

    /// The equalities between a property of the instance itself and a constant that every match fulfils: what a
    /// store may look up by.
    pub fn equalities(&self) -> Vec<(&str, &Constant)> {
        let mut found = Vec::new();
        self.collect_equalities(&mut found);
        found
    }

    /// The same, if the condition says nothing else; else `None`.
    pub fn only_equalities(&self) -> Option<Vec<(&str, &Constant)>> {
        let mut found = Vec::new();
        self.collect_equalities(&mut found).then_some(found)
    }

    /// Answers whether there was nothing else.
    fn collect_equalities<'a>(&'a self, found: &mut Vec<(&'a str, &'a Constant)>) -> bool {
        match self {
            Condition::And(all) => {
                let mut only = true;
                for one in all {
                    only &= one.collect_equalities(found);
                }
                only
            }
            Condition::Compare {
                property,
                comparison: Comparison::Equal,
                operand: Operand::Constant(constant),
            } => match property.name() {
                Some(name) => {
                    found.push((name, constant));
                    true
                }
                None => false,
            },
            Condition::Or(_)
            | Condition::Not(_)
            | Condition::Compare { .. }
            | Condition::Like { .. }
            | Condition::IsNull(_)
            | Condition::IsNotNull(_)
            | Condition::IsA { .. } => false,
        }
    }
}

impl Comparison {
    /// The same with the sides exchanged.
    #[must_use]
    pub fn turned(self) -> Self {
        match self {
            Comparison::Equal | Comparison::NotEqual => self,
            Comparison::Less => Comparison::Greater,
            Comparison::LessOrEqual => Comparison::GreaterOrEqual,
            Comparison::Greater => Comparison::Less,
            Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        }
    }

    /// Whether two things in that order compare so.
    pub fn admits(self, ordering: std::cmp::Ordering) -> bool {
        match self {
            Comparison::Equal => ordering.is_eq(),
            Comparison::NotEqual => ordering.is_ne(),
            Comparison::Less => ordering.is_lt(),
            Comparison::LessOrEqual => ordering.is_le(),
            Comparison::Greater => ordering.is_gt(),
            Comparison::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

impl Constant {
    /// As text, without quotes: what a selector of WS-Management holds.
    pub fn text(&self) -> String {
        match self {
            Constant::Text(text) => text.clone(),
            Constant::Integer(n) => n.to_string(),
            Constant::Real(n) => n.to_string(),
            Constant::Boolean(flag) => flag.to_string(),
        }
    }

    /// As the value of a property of that type that equals it; `None` where there is none, or not just one.
    pub fn value(&self, ty: Type) -> Option<Value> {
        match (self, ty) {
            (Constant::Integer(n), _)
                if !matches!(ty, Type::String | Type::Boolean | Type::Real32 | Type::Real64) =>
            {
                Value::integer(ty, *n)
            }
            (Constant::Text(_), Type::Char16) => None,
            (Constant::Real(_) | Constant::Boolean(_), Type::String) => None,
            (constant, _) => Value::parse(ty, &constant.text()).ok(),
        }
    }
}

impl Property {
    /// A property of the instance itself.
    pub fn named(name: &str) -> Self {
        Self { steps: vec![Step { name: name.to_owned(), index: None }], at: At::default() }
    }

    /// Its name, if it is a property of the instance itself, and not an element of an array.
    pub fn name(&self) -> Option<&str> {
        match self.steps.as_slice() {
            [Step { name, index: None }] => Some(name),
            _ => None,
        }
    }
}

impl PartialEq for At {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for At {}

impl From<&str> for Constant {
    fn from(text: &str) -> Self {
        Constant::Text(text.to_owned())
    }
}

impl From<String> for Constant {
    fn from(text: String) -> Self {
        Constant::Text(text)
    }
}

impl From<u32> for Constant {
    fn from(number: u32) -> Self {
        Constant::Integer(number.into())
    }
}

impl From<bool> for Constant {
    fn from(flag: bool) -> Self {
        Constant::Boolean(flag)
    }
}

#[cfg(test)]
mod tests;
