//! Queries in WQL and CQL.

use crate::{bounded, text, world};
use openrdms_cim::Condition;
use openrdms_cim::wql::{MAX_LENGTH, QueryError, Select, Truth};

/// A query in WQL prints to one that is the same, and can be judged.
pub fn wql(bytes: &[u8]) -> bool {
    let text = text(bytes);
    if let Ok(condition) = Condition::parse(&text) {
        let printed = condition.to_string();
        bounded("the condition", &printed, text.len(), 16);
        if printed.len() <= MAX_LENGTH {
            assert_eq!(Condition::parse(&printed), Ok(condition), "{printed}");
        }
        return true;
    }
    is_read(&text, Select::parse(&text))
}

/// A query in CQL prints to one in WQL that is the same, and can be judged.
pub fn cql(bytes: &[u8]) -> bool {
    let text = text(bytes);
    is_read(&text, Select::parse_cql(&text))
}

fn is_read(text: &str, query: Result<Select, QueryError>) -> bool {
    let Ok(select) = query else { return false };
    prints_to_the_same(text, &select);
    is_judged(&select);
    true
}

fn prints_to_the_same(text: &str, select: &Select) {
    let printed = select.to_string();
    bounded("the query", &printed, text.len(), 16);
    // what was as long as it may be is longer with spaces and escapes
    if printed.len() <= MAX_LENGTH {
        assert_eq!(Select::parse(&printed).as_ref(), Ok(select), "{printed}");
    }
}

fn is_judged(select: &Select) {
    let (repository, thing) = (world::repository(), world::thing());
    for namespace in repository.namespaces() {
        let checked = select.check(repository, namespace);
        let planned = select.plan(repository, namespace);
        assert!(checked.is_ok() || planned.is_err(), "what is not checked is not planned: {select}");
    }
    let _ = select.projection.of(&thing, repository);
    let Some(condition) = &select.condition else { return };
    let class = repository.class(world::NS, "T_Special").expect("it is one of the world's");
    let _ = condition.holds_for_class(class, repository);
    let truth = condition.holds(&thing, repository);
    let denied = Condition::Not(Box::new(condition.clone())).holds(&thing, repository);
    assert_eq!(!truth, denied, "{condition}");
    if truth != Truth::True {
        return;
    }
    // what a store looks up by excludes no match
    for (name, constant) in condition.equalities() {
        let alone = Condition::equal(name, constant.clone());
        assert_eq!(alone.holds(&thing, repository), Truth::True, "{alone} of {condition}");
    }
}
