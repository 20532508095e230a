//! Settings and documents, and what a host is turned to in one step.

use super::{Subject, alias, collection};
use openrdms_broker::document::{
    Document, FileTypeAssociation, Icon, JoinedNode, Publication, PublishedApplication, Stored, joined,
};
use openrdms_broker::ports::{Existing, StoreError};
use openrdms_broker::{Compared, Intake, Lease, NodeId, Setting, SettingOwner, SettingValue, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;

fn setting(name: &str, value: SettingValue) -> Setting {
    Setting { name: name.to_owned(), value }
}

fn text(text: &str) -> SettingValue {
    SettingValue::Text(text.to_owned())
}

fn server(name: &str) -> JoinedNode {
    JoinedNode { fqdn: name.to_owned(), sid: None, os_version: None, joined: Timestamp(1), left: None }
}

fn application(pool: &str, name: &str) -> PublishedApplication {
    PublishedApplication {
        alias: name.to_owned(),
        collection: alias(pool),
        display_name: format!("{name} ä"),
        shown: true,
        security_descriptor: Some("D:(A;;GX;;;WD)".to_owned()),
        path: "/bin/a".to_owned(),
        virtual_path: None,
        command_line: openrdms_broker::document::CommandLine::Required,
        required_arguments: Some("-a".to_owned()),
        folder: None,
        icon: Icon { path: None, index: -1, contents: Some(vec![0, 255]) },
    }
}

fn association(pool: &str, application: &str, extension: &str) -> FileTypeAssociation {
    FileTypeAssociation {
        application: application.to_owned(),
        collection: alias(pool),
        extension: extension.to_owned(),
        prog_id: None,
        icon: Icon::default(),
        primary: false,
        published: true,
    }
}

pub(crate) async fn settings_are_kept_by_owner_and_name_without_case(store: Subject) {
    store.insert_collection(&collection("Pool", 0), &[]).await.unwrap();
    let owners = [
        SettingOwner::Deployment,
        SettingOwner::Collection(alias("Pool")),
        SettingOwner::Entries(alias("Pool")),
        SettingOwner::Host("Pool".parse().unwrap()),
    ];
    for (number, owner) in owners.iter().enumerate() {
        assert_eq!(store.setting(owner, "Name").await.unwrap(), None);
        let number = i32::try_from(number).unwrap();
        store.set_setting(owner, &setting("Name", SettingValue::Int(number))).await.unwrap();
    }
    for (number, owner) in owners.iter().enumerate() {
        let number = i32::try_from(number).unwrap();
        assert_eq!(store.setting(owner, "nAME").await.unwrap(), Some(SettingValue::Int(number)), "{owner}");
    }
    let same = SettingOwner::Collection(alias("pOOL"));
    for value in [text("ä"), SettingValue::List(vec![]), SettingValue::List(vec!["b".into(), "a".into()])] {
        store.set_setting(&same, &setting("NAME", value.clone())).await.unwrap();
        assert_eq!(store.setting(&owners[1], "name").await.unwrap(), Some(value));
    }
    store.set_setting(&same, &setting("a first", text("x"))).await.unwrap();
    let names: Vec<_> =
        store.settings(&same).await.unwrap().into_iter().map(|setting| setting.name).collect();
    assert_eq!(names, ["a first", "NAME"], "by name, as it was written last");
    store.remove_setting(&same, "name").await.unwrap();
    assert!(matches!(store.remove_setting(&same, "name").await, Err(StoreError::NotFound(_))));
    assert_eq!(store.setting(&owners[2], "name").await.unwrap(), Some(SettingValue::Int(2)), "another's");
}

pub(crate) async fn settings_go_with_their_collection(store: Subject) {
    let of_pool = SettingOwner::Collection(alias("pool"));
    let entries = SettingOwner::Entries(alias("pool"));
    for owner in [&of_pool, &entries] {
        let nowhere = store.set_setting(owner, &setting("n", text("x"))).await;
        assert!(matches!(nowhere, Err(StoreError::NotFound(_))), "{nowhere:?}");
    }
    store.insert_collection(&collection("Pool", 0), &[]).await.unwrap();
    for owner in [&of_pool, &entries, &SettingOwner::Deployment] {
        store.set_setting(owner, &setting("n", text("x"))).await.unwrap();
    }
    store.delete_collection(&alias("pool")).await.unwrap();
    store.insert_collection(&collection("Pool", 0), &[]).await.unwrap();
    assert_eq!(store.settings(&of_pool).await.unwrap(), []);
    assert_eq!(store.settings(&entries).await.unwrap(), []);
    assert_eq!(store.settings(&SettingOwner::Deployment).await.unwrap().len(), 1);
}

pub(crate) async fn a_text_is_set_where_it_is_the_expected_one(store: Subject) {
    let owner = SettingOwner::Deployment;
    let compared = |before: Option<&str>, set| Compared { before: before.map(str::to_owned), set };
    let result = store.compare_and_set(&owner, "Key", Some("other"), "one").await.unwrap();
    assert_eq!(result, compared(None, true), "where there is nothing it is made");
    let result = store.compare_and_set(&owner, "kEY", Some("ONE"), "two").await.unwrap();
    assert_eq!(result, compared(Some("one"), false), "values compare with case");
    let result = store.compare_and_set(&owner, "key", None, "two").await.unwrap();
    assert_eq!(result, compared(Some("one"), false));
    let result = store.compare_and_set(&owner, "KEY", Some("one"), "two").await.unwrap();
    assert_eq!(result, compared(Some("one"), true));
    assert_eq!(store.setting(&owner, "Key").await.unwrap(), Some(text("two")));
    store.set_setting(&owner, &setting("number", SettingValue::Int(1))).await.unwrap();
    let number = store.compare_and_set(&owner, "number", Some("1"), "2").await;
    assert!(matches!(number, Err(StoreError::NotFound(_))), "{number:?}");
}

pub(crate) async fn of_many_who_compare_and_set_each_wins_once(store: Subject) {
    const TASKS: u32 = 8;
    const ROUNDS: u32 = 10;
    let owner = SettingOwner::Deployment;
    store.set_setting(&owner, &setting("counter", text("0"))).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..TASKS {
        let (store, owner) = (store.clone(), owner.clone());
        tasks.spawn(async move {
            for _ in 0..ROUNDS {
                let mut seen = "0".to_owned();
                loop {
                    let next = (seen.parse::<u32>().unwrap() + 1).to_string();
                    let result = store.compare_and_set(&owner, "Counter", Some(&seen), &next).await.unwrap();
                    if result.set {
                        break;
                    }
                    seen = result.before.unwrap();
                }
            }
        });
    }
    tasks.join_all().await;
    assert_eq!(store.setting(&owner, "counter").await.unwrap(), Some(text(&(TASKS * ROUNDS).to_string())));
}

pub(crate) async fn a_document_reads_back_as_it_was_written(store: Subject) {
    store.insert_collection(&collection("Pool", 0), &[]).await.unwrap();
    let (one, two) = (application("Pool", "Editor"), association("Pool", "Editor", ".Txt"));
    assert_eq!(store.document::<PublishedApplication>(&one.key()).await.unwrap(), None);
    store.insert_document(&one).await.unwrap();
    store.insert_document(&two).await.unwrap();
    let kept = |document| Some(Stored { generation: 1, document });
    let key = joined(&["pOOL", "eDITOR"]);
    assert_eq!(store.document(&key).await.unwrap(), kept(one.clone()));
    assert_eq!(store.document(&joined(&[&key, ".TXT"])).await.unwrap().map(|s| s.document), Some(two));
    let again = store.insert_document(&application("POOL", "EDITOR")).await;
    assert!(matches!(again, Err(StoreError::Conflict(Existing::Document))), "{again:?}");
    assert_eq!(store.document(&key).await.unwrap(), kept(one));
    let nowhere = store.insert_document(&application("nowhere", "Editor")).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound(_))), "{nowhere:?}");
    // one that there is one of only has an empty key
    let publication = Publication {
        version: 1,
        at: Timestamp(1),
        collections: vec![],
        applications: vec![],
        associations: vec![],
    };
    store.insert_document(&publication).await.unwrap();
    assert_eq!(store.document("").await.unwrap().map(|s| s.document), Some(publication));
}

pub(crate) async fn a_document_is_changed_by_who_has_seen_it_last(store: Subject) {
    let gone = store.update_document(&server("a"), 1).await;
    assert!(matches!(gone, Err(StoreError::NotFound(_))), "{gone:?}");
    store.insert_document(&server("A")).await.unwrap();
    let mut tasks = JoinSet::new();
    for number in 0..16 {
        let store = store.clone();
        tasks.spawn(async move {
            let mine = JoinedNode { os_version: Some(number.to_string()), ..server("a") };
            store.update_document(&mine, 1).await
        });
    }
    let results = tasks.join_all().await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    assert_eq!(results.iter().filter(|r| matches!(r, Err(StoreError::Stale))).count(), 15);
    let stored = store.document::<JoinedNode>("a").await.unwrap().unwrap();
    assert_eq!((stored.generation, stored.document.fqdn.as_str()), (2, "a"));
    store.delete_document::<JoinedNode>("A").await.unwrap();
    assert!(matches!(store.delete_document::<JoinedNode>("a").await, Err(StoreError::NotFound(_))));
    assert!(matches!(store.update_document(&stored.document, 2).await, Err(StoreError::NotFound(_))));
}

pub(crate) async fn documents_are_listed_in_pages_within_what_was_asked_for(store: Subject) {
    for pool in ["Pool", "Pool2"] {
        store.insert_collection(&collection(pool, 0), &[]).await.unwrap();
        for number in 0..7 {
            store.insert_document(&application(pool, &format!("App{number}"))).await.unwrap();
        }
    }
    store.insert_document(&association("Pool", "App0", ".txt")).await.unwrap();
    for (within, count) in [("", 14), ("pool\u{1f}", 7), ("POOL2\u{1f}", 7), ("pool\u{1f}app3", 1), ("x", 0)]
    {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let page = store.documents::<PublishedApplication>(within, after, 3).await.unwrap();
            assert!(page.rows.len() <= 3);
            keys.extend(page.rows.iter().map(|stored| stored.document.key().to_lowercase()));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(keys.len(), count, "{within:?}");
        assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
    }
}

pub(crate) async fn documents_go_with_what_they_belong_to(store: Subject) {
    let associations =
        async || store.documents::<FileTypeAssociation>("", None, 100).await.unwrap().rows.len();
    store.insert_collection(&collection("Pool", 0), &[]).await.unwrap();
    for name in ["App", "App2"] {
        store.insert_document(&application("Pool", name)).await.unwrap();
        for extension in [".a", ".b"] {
            store.insert_document(&association("Pool", name, extension)).await.unwrap();
        }
    }
    store.insert_document(&server("pool")).await.unwrap();
    store.delete_document::<PublishedApplication>(&joined(&["POOL", "APP"])).await.unwrap();
    assert_eq!(associations().await, 2, "those of an application whose name begins with its own stay");
    store.delete_collection(&alias("pool")).await.unwrap();
    assert_eq!(associations().await, 0);
    assert!(store.documents::<PublishedApplication>("", None, 100).await.unwrap().rows.is_empty());
    assert!(store.document::<JoinedNode>("pool").await.unwrap().is_some());
}

pub(crate) async fn of_many_who_turn_a_host_each_turn_is_ones(store: Subject) {
    let nowhere = store.turn_intake("host", Intake::Drained, Timestamp(5)).await;
    assert!(matches!(nowhere, Err(StoreError::NotFound(_))), "{nowhere:?}");
    let lease = Lease {
        host: "Host".parse().unwrap(),
        kind: "local".to_owned(),
        boot_id: "boot".to_owned(),
        node: NodeId(Uuid::from_u128(1)),
        version: "1".to_owned(),
        until: Timestamp(10),
    };
    store.renew_lease(&lease, Timestamp(1)).await.unwrap();
    let mut tasks = JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        tasks.spawn(
            async move { store.turn_intake("HOST", Intake::Drained, Timestamp(5)).await.unwrap().intake },
        );
    }
    let before = tasks.join_all().await;
    assert_eq!(before.iter().filter(|intake| **intake == Intake::Open).count(), 1, "one has turned it");
    assert_eq!(store.host("host").await.unwrap().unwrap().intake, Intake::Drained);
    // one that is silent stays as it is
    store.turn_intake("host", Intake::Open, Timestamp(10)).await.unwrap();
    assert_eq!(store.host("host").await.unwrap().unwrap().intake, Intake::Drained);
}
