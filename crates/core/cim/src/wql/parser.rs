//! From tokens to a query: recursive descent, no deeper than [`MAX_DEPTH`].

use super::lexer::{Dialect, Placed, Token, tokens};
use super::{
    At, Comparison, Condition, Constant, Group, Having, MAX_DEPTH, MAX_TERMS, Operand, Pattern, Problem,
    Projection, Property, QueryError, Select, Step,
};
use std::time::Duration;

/// The names that no property has: where one of them stands something is missing.
const RESERVED: [&str; 11] =
    ["SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "IS", "ISA", "LIKE", "NULL", "TRUE"];
/// How long a path may be: `TargetInstance.Owner.Name`.
const MAX_STEPS: usize = 8;
/// The longest time in a query, in seconds: a year.
const MAX_SECONDS: f64 = 366.0 * 86_400.0;

struct Parser<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<Placed>>,
    dialect: Dialect,
    depth: usize,
    terms: usize,
}

/// One side of a comparison.
enum Side {
    Property(Property),
    Constant(Constant),
    Null,
}

pub(super) fn select(text: &str, dialect: Dialect) -> Result<Select, QueryError> {
    let first = text.split_whitespace().next().unwrap_or_default();
    if ["ASSOCIATORS", "REFERENCES"].iter().any(|keyword| keyword.eq_ignore_ascii_case(first)) {
        // before the rest is read, which has a form of its own
        let problem = "queries for associations are not offered: ask with SELECT";
        return Err(QueryError::new(text, 1, Problem::NotOffered(problem.into())));
    }
    let mut parser = Parser::new(text, dialect)?;
    let select = parser.select()?;
    let end = if select.group.is_some() {
        "the end"
    } else if select.condition.is_some() {
        "AND, OR, GROUP or the end"
    } else {
        "WHERE or the end"
    };
    parser.end(end)?;
    Ok(select)
}

pub(super) fn condition(text: &str) -> Result<Condition, QueryError> {
    let mut parser = Parser::new(text, Dialect::Wql)?;
    let condition = parser.or()?;
    parser.end("AND, OR or the end")?;
    Ok(condition)
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, dialect: Dialect) -> Result<Self, QueryError> {
        let tokens = tokens(text, dialect)?.into_iter().peekable();
        Ok(Self { text, tokens, dialect, depth: 0, terms: 0 })
    }

    fn select(&mut self) -> Result<Select, QueryError> {
        if !self.take_word("SELECT") {
            return Err(self.expected("SELECT"));
        }
        let projection = self.projection()?;
        if !self.take_word("FROM") {
            let all = projection == Projection::All || projection == Projection::Count;
            return Err(self.expected(if all { "FROM" } else { "',' or FROM" }));
        }
        let (from, _) = self.name("the name of a class")?;
        let within = if self.take_word("WITHIN") { Some(self.seconds()?) } else { None };
        let condition = if self.take_word("WHERE") { Some(self.or()?) } else { None };
        let group = if self.take_word("GROUP") { Some(self.group()?) } else { None };
        Ok(Select { projection, from, within, condition, group })
    }

    fn projection(&mut self) -> Result<Projection, QueryError> {
        if self.take_mark("*") {
            return Ok(Projection::All);
        }
        let (name, at) = self.name("a property, '*' or COUNT(*)")?;
        if name.eq_ignore_ascii_case("COUNT") && self.take_mark("(") {
            self.mark("*")?;
            self.mark(")")?;
            return Ok(Projection::Count);
        }
        let first = self.property(name, at)?;
        Ok(Projection::Properties(self.list(first)?))
    }

    /// The properties behind `first`, and commas between.
    fn list(&mut self, first: Property) -> Result<Vec<Property>, QueryError> {
        let mut all = vec![first];
        while self.take_mark(",") {
            self.count()?;
            let (name, at) = self.name("a property")?;
            all.push(self.property(name, at)?);
        }
        Ok(all)
    }

    /// Behind GROUP.
    fn group(&mut self) -> Result<Group, QueryError> {
        if !self.take_word("WITHIN") {
            return Err(self.expected("WITHIN"));
        }
        let within = self.seconds()?;
        let mut by = Vec::new();
        if self.take_word("BY") {
            let (name, at) = self.name("a property")?;
            let first = self.property(name, at)?;
            by = self.list(first)?;
        }
        let mut having = None;
        if self.take_word("HAVING") {
            if !self.take_word("NumberOfEvents") {
                return Err(self.expected("NumberOfEvents"));
            }
            let comparison = self.comparison().ok_or_else(|| self.expected("a comparison"))?;
            let events = match self.peek() {
                Token::Integer(n) => u32::try_from(*n).ok(),
                _ => None,
            };
            let events = events.ok_or_else(|| self.expected("a number of events"))?;
            self.next();
            having = Some(Having { comparison, events });
        }
        Ok(Group { within, by, having })
    }

    fn seconds(&mut self) -> Result<Duration, QueryError> {
        let seconds = match self.peek() {
            #[expect(clippy::cast_precision_loss, reason = "what does not fit is too long anyway")]
            Token::Integer(n) => Some(*n as f64),
            Token::Real(n) => Some(*n),
            Token::Word(_) | Token::Text(_) | Token::Mark(_) | Token::End => None,
        };
        let seconds = seconds
            .filter(|seconds| (0.0..=MAX_SECONDS).contains(seconds))
            .ok_or_else(|| self.expected("a number of seconds, not negative and not above a year"))?;
        self.next();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "it is between 0 and a year"
        )]
        Ok(Duration::from_millis((seconds * 1000.0).round() as u64))
    }

    fn or(&mut self) -> Result<Condition, QueryError> {
        self.chain("OR", Self::and, Condition::Or)
    }

    fn and(&mut self) -> Result<Condition, QueryError> {
        self.chain("AND", Self::not, Condition::And)
    }

    /// One, or several with a keyword between.
    fn chain(
        &mut self,
        keyword: &str,
        one: fn(&mut Self) -> Result<Condition, QueryError>,
        several: fn(Vec<Condition>) -> Condition,
    ) -> Result<Condition, QueryError> {
        let first = one(self)?;
        if !self.peek_word(keyword) {
            return Ok(first);
        }
        let mut all = vec![first];
        while self.take_word(keyword) {
            all.push(one(self)?);
        }
        Ok(several(all))
    }

    fn not(&mut self) -> Result<Condition, QueryError> {
        let negated = self.peek_word("NOT");
        if !negated && *self.peek() != Token::Mark("(") {
            return self.term();
        }
        if self.depth == MAX_DEPTH {
            let text = format!("parentheses and NOT are nested more than {MAX_DEPTH} deep");
            return Err(self.error(Problem::Wrong(text)));
        }
        self.next();
        self.depth += 1;
        let inner = if negated {
            Condition::Not(Box::new(self.not()?))
        } else {
            let inner = self.or()?;
            if !self.take_mark(")") {
                return Err(self.expected("AND, OR or ')'"));
            }
            inner
        };
        self.depth -= 1;
        Ok(inner)
    }

    fn term(&mut self) -> Result<Condition, QueryError> {
        self.count()?;
        let left = self.side("a property, a constant, NOT or '('")?;
        if let Side::Property(property) = left {
            return self.about(property);
        }
        let comparison = self.comparison().ok_or_else(|| self.expected("a comparison"))?;
        let (name, at) = self.name("a property")?;
        let property = self.property(name, at)?;
        self.compare(property, comparison.turned(), left)
    }

    /// What is said about a property.
    fn about(&mut self, property: Property) -> Result<Condition, QueryError> {
        if let Some(comparison) = self.comparison() {
            let side = self.side("a constant or a property")?;
            return self.compare(property, comparison, side);
        }
        if self.take_word("ISA") {
            let class = match self.peek() {
                Token::Text(class) => class.clone(),
                Token::Word(class) if !reserved(class) => class.clone(),
                Token::Word(_) | Token::Integer(_) | Token::Real(_) | Token::Mark(_) | Token::End => {
                    return Err(self.expected("the name of a class"));
                }
            };
            if !is_name(&class) {
                return Err(self.expected("the name of a class"));
            }
            self.next();
            return Ok(Condition::IsA { property, class });
        }
        if self.take_word("IS") {
            let negated = self.take_word("NOT");
            return match (self.take_word("NULL"), negated) {
                (true, false) => Ok(Condition::IsNull(property)),
                (true, true) => Ok(Condition::IsNotNull(property)),
                (false, false) => Err(self.expected("NULL or NOT NULL")),
                (false, true) => Err(self.expected("NULL")),
            };
        }
        let negated = self.take_word("NOT");
        if !self.peek_word("LIKE") {
            let what = if negated { "LIKE" } else { "a comparison, LIKE, IS or ISA" };
            return Err(self.expected(what));
        }
        if self.dialect == Dialect::Cql {
            let text = "LIKE is not offered in CQL, where it takes regular expressions: ask in WQL";
            return Err(self.error(Problem::NotOffered(text.into())));
        }
        self.next();
        let Token::Text(text) = self.peek() else { return Err(self.expected("a pattern in quotes")) };
        let pattern = Pattern::new(text).map_err(|what| self.error(Problem::Wrong(what.to_owned())))?;
        self.next();
        let like = Condition::Like { property, pattern };
        Ok(if negated { Condition::Not(Box::new(like)) } else { like })
    }

    fn compare(
        &mut self,
        property: Property,
        comparison: Comparison,
        side: Side,
    ) -> Result<Condition, QueryError> {
        let operand = match side {
            Side::Constant(constant) => Operand::Constant(constant),
            Side::Property(other) => Operand::Property(other),
            Side::Null => {
                return match comparison {
                    Comparison::Equal => Ok(Condition::IsNull(property)),
                    Comparison::NotEqual => Ok(Condition::IsNotNull(property)),
                    Comparison::Less
                    | Comparison::LessOrEqual
                    | Comparison::Greater
                    | Comparison::GreaterOrEqual => {
                        let text = "NULL is neither less nor greater than anything".to_owned();
                        Err(QueryError::new(self.text, property.at.0, Problem::Wrong(text)))
                    }
                };
            }
        };
        Ok(Condition::Compare { property, comparison, operand })
    }

    fn side(&mut self, what: &str) -> Result<Side, QueryError> {
        let side = match self.peek().clone() {
            Token::Text(text) => Side::Constant(Constant::Text(text)),
            Token::Integer(n) => Side::Constant(Constant::Integer(n)),
            Token::Real(n) => Side::Constant(Constant::Real(n)),
            Token::Word(word) if word.eq_ignore_ascii_case("TRUE") => Side::Constant(Constant::Boolean(true)),
            Token::Word(word) if word.eq_ignore_ascii_case("FALSE") => {
                Side::Constant(Constant::Boolean(false))
            }
            Token::Word(word) if word.eq_ignore_ascii_case("NULL") => Side::Null,
            Token::Word(_) | Token::Mark(_) | Token::End => {
                let (name, at) = self.name(what)?;
                return self.property(name, at).map(Side::Property);
            }
        };
        self.next();
        Ok(side)
    }

    fn comparison(&mut self) -> Option<Comparison> {
        let Token::Mark(mark) = self.peek() else { return None };
        let comparison = match *mark {
            "=" => Comparison::Equal,
            "<>" | "!=" => Comparison::NotEqual,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        self.next();
        Some(comparison)
    }

    /// What follows the first name of a path.
    fn property(&mut self, first: String, at: usize) -> Result<Property, QueryError> {
        let mut steps = vec![Step { name: first, index: self.index()? }];
        while self.take_mark(".") {
            if steps.len() == MAX_STEPS {
                let text = format!("a path has more than {MAX_STEPS} names");
                return Err(self.error(Problem::Wrong(text)));
            }
            let name = self.word("a property")?;
            steps.push(Step { name, index: self.index()? });
        }
        Ok(Property { steps, at: At(at) })
    }

    fn index(&mut self) -> Result<Option<u32>, QueryError> {
        if !self.take_mark("[") {
            return Ok(None);
        }
        let index = match self.peek() {
            Token::Integer(n) => u32::try_from(*n).ok(),
            Token::Word(_) | Token::Text(_) | Token::Real(_) | Token::Mark(_) | Token::End => None,
        };
        let index = index.ok_or_else(|| self.expected("the number of an element"))?;
        self.next();
        self.mark("]")?;
        Ok(Some(index))
    }

    /// A name where a keyword would mean that the name is missing, and its place.
    fn name(&mut self, what: &str) -> Result<(String, usize), QueryError> {
        let at = self.at();
        match self.peek() {
            Token::Word(word) if !reserved(word) => Ok((self.word(what)?, at)),
            Token::Word(_)
            | Token::Text(_)
            | Token::Integer(_)
            | Token::Real(_)
            | Token::Mark(_)
            | Token::End => Err(self.expected(what)),
        }
    }

    fn word(&mut self, what: &str) -> Result<String, QueryError> {
        if let Token::Word(word) = self.peek() {
            let word = word.clone();
            self.next();
            return Ok(word);
        }
        Err(self.expected(what))
    }

    fn mark(&mut self, mark: &'static str) -> Result<(), QueryError> {
        if self.take_mark(mark) { Ok(()) } else { Err(self.expected(&format!("'{mark}'"))) }
    }

    fn take_mark(&mut self, mark: &'static str) -> bool {
        let there = *self.peek() == Token::Mark(mark);
        if there {
            self.next();
        }
        there
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let there = self.peek_word(keyword);
        if there {
            self.next();
        }
        there
    }

    fn peek_word(&mut self, keyword: &str) -> bool {
        matches!(self.peek(), Token::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    fn end(&mut self, what: &str) -> Result<(), QueryError> {
        if *self.peek() == Token::End { Ok(()) } else { Err(self.expected(what)) }
    }

    fn count(&mut self) -> Result<(), QueryError> {
        self.terms += 1;
        if self.terms <= MAX_TERMS {
            return Ok(());
        }
        Err(self
            .error(Problem::Wrong(format!("a query has more than {MAX_TERMS} comparisons and properties"))))
    }

    fn peek(&mut self) -> &Token {
        self.tokens.peek().map_or(&Token::End, |placed| &placed.token)
    }

    fn at(&mut self) -> usize {
        self.tokens.peek().map_or(0, |placed| placed.at)
    }

    /// Goes on, but never behind the end.
    fn next(&mut self) {
        self.tokens.next_if(|placed| placed.token != Token::End);
    }

    fn expected(&mut self, what: &str) -> QueryError {
        let found = self.peek().to_string();
        self.error(Problem::Expected { what: what.to_owned(), found })
    }

    fn error(&mut self, problem: Problem) -> QueryError {
        QueryError::new(self.text, self.at(), problem)
    }
}

fn reserved(word: &str) -> bool {
    RESERVED.iter().any(|r| r.eq_ignore_ascii_case(word)) || word.eq_ignore_ascii_case("FALSE")
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_alphanumeric() || c == '_')
}
