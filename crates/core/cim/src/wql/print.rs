//! Queries as text that parses to the same.

use super::{Comparison, Condition, Constant, Group, Having, Operand, Projection, Property, Select};
use std::fmt::{self, Display, Write as _};
use std::time::Duration;

impl Display for Select {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {} FROM {}", self.projection, self.from)?;
        if let Some(within) = self.within {
            write!(f, " WITHIN {}", Seconds(within))?;
        }
        if let Some(condition) = &self.condition {
            write!(f, " WHERE {condition}")?;
        }
        match &self.group {
            Some(group) => write!(f, " {group}"),
            None => Ok(()),
        }
    }
}

impl Display for Projection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Projection::All => f.write_str("*"),
            Projection::Count => f.write_str("COUNT(*)"),
            Projection::Properties(all) => list(f, all),
        }
    }
}

impl Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GROUP WITHIN {}", Seconds(self.within))?;
        if !self.by.is_empty() {
            f.write_str(" BY ")?;
            list(f, &self.by)?;
        }
        match self.having {
            Some(Having { comparison, events }) => write!(f, " HAVING NumberOfEvents {comparison} {events}"),
            None => Ok(()),
        }
    }
}

impl Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Condition::And(all) => chain(f, all, " AND "),
            Condition::Or(all) => chain(f, all, " OR "),
            Condition::Not(inner) => {
                f.write_str("NOT ")?;
                enclosed(f, inner, matches!(**inner, Condition::And(_) | Condition::Or(_)))
            }
            Condition::Compare { property, comparison, operand } => {
                write!(f, "{property} {comparison} {operand}")
            }
            Condition::Like { property, pattern } => {
                write!(f, "{property} LIKE ")?;
                quoted(f, pattern.text())
            }
            Condition::IsNull(property) => write!(f, "{property} IS NULL"),
            Condition::IsNotNull(property) => write!(f, "{property} IS NOT NULL"),
            Condition::IsA { property, class } => write!(f, "{property} ISA \"{class}\""),
        }
    }
}

impl Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        })
    }
}

impl Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operand::Constant(constant) => constant.fmt(f),
            Operand::Property(property) => property.fmt(f),
        }
    }
}

impl Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Constant::Text(text) => quoted(f, text),
            Constant::Integer(n) => n.fmt(f),
            // with a point or an exponent, so that it stays a real
            Constant::Real(n) => write!(f, "{n:?}"),
            Constant::Boolean(true) => f.write_str("TRUE"),
            Constant::Boolean(false) => f.write_str("FALSE"),
        }
    }
}

impl Display for Property {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.steps.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { "." }, step.name)?;
            if let Some(index) = step.index {
                write!(f, "[{index}]")?;
            }
        }
        Ok(())
    }
}

/// A time in seconds, to the millisecond.
struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.subsec_millis() {
            0 => write!(f, "{}", self.0.as_secs()),
            millis => write!(f, "{}.{millis:03}", self.0.as_secs()),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, all: &[Property]) -> fmt::Result {
    for (i, property) in all.iter().enumerate() {
        write!(f, "{}{property}", if i == 0 { "" } else { ", " })?;
    }
    Ok(())
}

/// AND binds closer than OR, so an AND needs no parentheses within an OR; a chain within its like keeps them.
fn chain(f: &mut fmt::Formatter<'_>, all: &[Condition], between: &str) -> fmt::Result {
    let inner_and = between == " OR ";
    for (i, one) in all.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        enclosed(
            f,
            one,
            matches!(one, Condition::Or(_)) || (matches!(one, Condition::And(_)) && !inner_and),
        )?;
    }
    Ok(())
}

fn enclosed(f: &mut fmt::Formatter<'_>, condition: &Condition, parentheses: bool) -> fmt::Result {
    if parentheses { write!(f, "({condition})") } else { condition.fmt(f) }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}
