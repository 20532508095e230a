use super::*;
use crate::provider::{Context, Passwords};
use openrdms_broker::{Credentials, UserName};
use openrdms_cim::wql::Select;
use openrdms_cim::{CimService as _, Instance, Repository, Value};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

#[path = "../../../../engine/tests/support/mod.rs"]
#[expect(dead_code, reason = "shared with the engine's tests, which use all of it")]
#[allow(unfulfilled_lint_expectations, reason = "it expects to unwrap outside of `cfg(test)`")]
mod support;

const NS: &str = "root/test";
const MOF: &str = r"
    [abstract] class Test_Root { [Key] uint32 Id; };
    class Test_Base : Test_Root { string Kind; };
    class Test_A : Test_Base { string More; };
    class Test_B : Test_Base {};
    class Test_Many { [Key] uint32 Id; string Kind; };
";

/// Instances of one class: those with these numbers.
struct Numbers {
    class: &'static str,
    ids: std::ops::Range<u32>,
    lists: Arc<AtomicUsize>,
    gets: Arc<AtomicUsize>,
}

impl Numbers {
    fn instance(&self, class: &Class, id: u32) -> Instance {
        Instance::of(class).with("Id", id).with("Kind", self.class)
    }
}

#[async_trait::async_trait]
impl Provider for Numbers {
    fn serves(&self) -> (&'static str, &'static str) {
        (NS, self.class)
    }

    async fn enumerate(&self, _: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        self.lists.fetch_add(1, Ordering::SeqCst);
        let from = query.after.map_or(self.ids.start, |text| text.parse().unwrap());
        let to = self.ids.end.min(from + u32::try_from(query.limits.max_elements).unwrap());
        Ok(Listing {
            instances: (from..to).map(|id| self.instance(query.class, id)).collect(),
            next: (to < self.ids.end).then(|| to.to_string()),
        })
    }

    async fn get(&self, _: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        let id = wanted.path.key("Id").and_then(Value::as_int).and_then(|id| u32::try_from(id).ok()).unwrap();
        let found = self.ids.contains(&id).then(|| self.instance(wanted.class, id));
        found.ok_or_else(|| CimError::new(WmiCode::WBEM_E_NOT_FOUND, "no such number"))
    }
}

struct None_;

#[async_trait::async_trait]
impl Passwords for None_ {
    async fn credentials(&self, _: &UserName, _: Zeroizing<String>) -> Result<Credentials, String> {
        Err("there are none".into())
    }
}

struct Fixture {
    _world: support::World,
    rdms: Rdms,
    lists: Arc<AtomicUsize>,
    gets: Arc<AtomicUsize>,
}

impl Fixture {
    async fn new() -> Self {
        let world = support::World::new().await;
        let (lists, gets) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let provider = |class, ids| -> Box<dyn Provider> {
            Box::new(Numbers { class, ids, lists: lists.clone(), gets: gets.clone() })
        };
        let providers = vec![
            provider("Test_B", 20..25),
            provider("Test_Base", 0..3),
            provider("Test_A", 10..11),
            provider("Test_Many", 0..5000),
        ];
        let mut repository = Repository::default();
        repository.load(NS, MOF).unwrap();
        let context = Context {
            engine: world.engine.clone(),
            passwords: Arc::new(None_),
            deployment: "TEST".into(),
            uids: 1000..=1010,
        };
        Self { _world: world, rdms: Rdms { context, repository, providers }, lists, gets }
    }

    /// Pages of at most `size`, each as `class:id`.
    async fn pages(&self, query: &str, size: usize) -> Vec<Vec<String>> {
        let what = self.what(query);
        let (mut pages, mut after) = (Vec::new(), None::<String>);
        loop {
            let limits = Limits { max_elements: size };
            let page = self.rdms.enumerate(&who(), &what, after.as_deref(), limits).await.unwrap();
            pages.push(
                page.instances
                    .iter()
                    .map(|i| format!("{}:{}", i.class, i.get("Id").text().unwrap()))
                    .collect(),
            );
            after = page.next;
            if after.is_none() {
                return pages;
            }
        }
    }

    fn what(&self, query: &str) -> Enumeration {
        use openrdms_cim::wql::Plan;
        match Select::parse(query).unwrap().plan(&self.rdms.repository, NS).unwrap() {
            Plan::Instances(what) | Plan::Count(what) => what,
            Plan::Classes(_) => panic!("it is about instances"),
        }
    }

    fn reads(&self) -> (usize, usize) {
        (self.lists.swap(0, Ordering::SeqCst), self.gets.swap(0, Ordering::SeqCst))
    }
}

fn who() -> Principal {
    Principal { name: "TEST\\root".into(), admin: true, from: "test".into(), proof: None }
}

const ALL: [&str; 9] = [
    "Test_Base:0",
    "Test_Base:1",
    "Test_Base:2",
    "Test_A:10",
    "Test_B:20",
    "Test_B:21",
    "Test_B:22",
    "Test_B:23",
    "Test_B:24",
];

#[tokio::test]
async fn instances_of_derived_classes_are_listed_with_their_base() {
    let fixture = Fixture::new().await;
    for size in [1, 2, 3, 100] {
        let pages = fixture.pages("SELECT * FROM Test_Base", size).await;
        assert_eq!(pages.concat(), ALL, "{size}");
        assert!(pages.iter().all(|page| page.len() <= size), "{size}");
        // nobody serves the root itself
        let mut all = fixture.pages("SELECT * FROM Test_Root WHERE Id >= 0", size).await.concat();
        all.sort_by_key(|text| ALL.iter().position(|known| known == text));
        assert_eq!(all, ALL, "{size}");
    }
    assert_eq!(fixture.pages("SELECT * FROM Test_A", 5).await, [["Test_A:10"]]);
    assert_eq!(fixture.pages("SELECT * FROM Test_Base WHERE More IS NULL", 50).await.concat().len(), 9);
    let of_a = "SELECT * FROM Test_Base WHERE __CLASS = 'test_a'";
    assert_eq!(fixture.pages(of_a, 5).await.concat(), ["Test_A:10"]);
}

#[tokio::test]
async fn only_the_last_page_may_be_empty() {
    let fixture = Fixture::new().await;
    let pages = fixture.pages("SELECT * FROM Test_Base WHERE Id = 2 OR Id = 24", 1).await;
    assert_eq!(pages, [["Test_Base:2"], ["Test_B:24"]]);
    let pages = fixture.pages("SELECT * FROM Test_Base WHERE Id = 2 OR Id = 20", 2).await;
    assert_eq!(pages, [vec!["Test_Base:2"], vec!["Test_B:20"], vec![]]);
    assert_eq!(fixture.pages("SELECT * FROM Test_Base WHERE Id > 99", 2).await, [[""; 0]]);
}

#[tokio::test]
async fn where_all_keys_are_stated_nothing_is_listed() {
    let fixture = Fixture::new().await;
    for (query, found) in [
        ("SELECT * FROM Test_B WHERE Id = 22", vec!["Test_B:22"]),
        ("SELECT * FROM Test_B WHERE Kind LIKE 'test%' AND '22' = id", vec!["Test_B:22"]),
        ("SELECT * FROM Test_B WHERE Id = 22 AND Kind = 'other'", vec![]),
        ("SELECT * FROM Test_B WHERE Id = 22 AND Id = 23", vec![]),
        ("SELECT * FROM Test_B WHERE Id = 99", vec![]),
    ] {
        assert_eq!(fixture.pages(query, 5).await, [found], "{query}");
        assert_eq!(fixture.reads(), (0, 1), "{query}");
    }
    assert_eq!(fixture.pages("SELECT * FROM Test_Base WHERE Id = 10", 5).await.concat(), ["Test_A:10"]);
    assert_eq!(fixture.reads(), (0, 3), "one look into each of the three classes");
    assert_eq!(fixture.pages("SELECT * FROM Test_B WHERE Id = 22 OR Id = 23", 9).await.concat().len(), 2);
    assert_eq!(fixture.reads(), (1, 0));
}

#[tokio::test]
async fn few_matches_are_found_in_few_reads_and_many_fill_no_page_too_full() {
    let fixture = Fixture::new().await;
    for (condition, expected, most_reads) in [
        ("Id = 4999 OR Id = 4999", vec![4999], 20),
        ("Id > 5000", vec![], 20),
        ("Id >= 4997", vec![4997, 4998, 4999], 40),
        ("Id < 5 OR Id > 3000 AND Id < 3006", vec![0, 1, 2, 3, 4, 3001, 3002, 3003, 3004, 3005], 60),
    ] {
        for size in [1, 2, 7] {
            let pages = fixture.pages(&format!("SELECT * FROM Test_Many WHERE {condition}"), size).await;
            assert!(pages.iter().all(|page| page.len() <= size), "{condition} {size}: {pages:?}");
            let expected: Vec<_> = expected.iter().map(|id: &u32| format!("Test_Many:{id}")).collect();
            assert_eq!(pages.concat(), expected, "{condition} {size}");
            let (lists, _) = fixture.reads();
            assert!(lists <= most_reads, "{condition} {size}: {lists} reads");
        }
    }
}

#[tokio::test]
async fn a_cursor_of_another_listing_is_refused() {
    let fixture = Fixture::new().await;
    let what = fixture.what("SELECT * FROM Test_A");
    for after in ["Test_B/21", "Nothing", ""] {
        let answer = fixture.rdms.enumerate(&who(), &what, Some(after), Limits { max_elements: 5 }).await;
        assert_eq!(answer.unwrap_err().code, WmiCode::WBEM_E_INVALID_PARAMETER, "{after}");
    }
}

#[tokio::test]
async fn a_count_goes_page_by_page() {
    let fixture = Fixture::new().await;
    let count = async |query: &str| fixture.rdms.count(&who(), &fixture.what(query)).await;
    assert_eq!(count("SELECT COUNT(*) FROM Test_Base").await, Ok(9));
    assert_eq!(count("SELECT COUNT(*) FROM Test_Base WHERE Id < 2 OR Kind = 'Test_A'").await, Ok(3));
    assert_eq!(count("SELECT COUNT(*) FROM Test_Base WHERE Id > 99").await, Ok(0));
}
