//! Desktops and their files: made and removed, lost and broken.
#![expect(clippy::unwrap_used, reason = "a failure here fails the test")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
mod support;

use openrdms_broker::ports::Refusal;
use openrdms_broker::ports::front::ConnectionEnd;
use openrdms_broker::{Collection, CollectionAlias, DesktopName, Timestamp};
use openrdms_engine::{Engine, EngineError};
use std::collections::BTreeSet;
use support::World;

fn name(name: &str) -> DesktopName {
    DesktopName::new(name).unwrap()
}

fn collection(alias: &str, size: u32) -> Collection {
    Collection { size, ..Collection::new(CollectionAlias::new(alias).unwrap(), Timestamp(0)) }
}

async fn rows(engine: &Engine) -> BTreeSet<DesktopName> {
    let page = engine.store().desktops(None, None, 1000).await.unwrap();
    page.rows.into_iter().map(|desktop| desktop.name).collect()
}

fn files(world: &World) -> BTreeSet<DesktopName> {
    world.host.files.lock().unwrap().keys().cloned().collect()
}

#[tokio::test]
async fn one_broken_desktop_does_not_make_a_pool_unusable() {
    let world = World::new().await;
    world.host.broken.lock().unwrap().insert("pool-001".to_owned());
    let client = world.active("alice").await;
    assert_eq!(world.session(client.session).await.desktop, name("pool-002"));
    assert_eq!(world.attach("bob").await.err(), Some(Refusal::NoneFree), "there is no third");
    client.goes_away().await;

    // mended, and still the last to be chosen for a while
    world.host.broken.lock().unwrap().clear();
    let client = world.active("bob").await;
    assert_eq!(world.session(client.session).await.desktop, name("pool-001"));
}

#[tokio::test]
async fn a_desktop_whose_files_were_lost_is_known_by_its_new_certificate() {
    let world = World::new().await;
    world.host.files.lock().unwrap().clear();
    *world.host.certificate.lock().unwrap() = [8; 32];
    let client = world.attach("alice").await.unwrap();
    assert_eq!(client.admission.certificate_sha256, [8; 32]);
    let row = world.engine.store().desktop(&name("pool-001")).await.unwrap().unwrap();
    assert_eq!(row.certificate_sha256, [8; 32]);
    client.admission.attachment.closed(ConnectionEnd::ClientGone).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_collection_that_could_not_be_made() {
    let world = World::new().await;
    world.host.fail_preparing.lock().unwrap().insert("new-003".to_owned());
    let refused = world.engine.create_collection(collection("new", 5)).await;
    assert!(matches!(refused, Err(EngineError::Host(_))), "{refused:?}");
    assert_eq!(files(&world), rows(&world.engine).await);
    // that of another collection is nobody's to throw away
    let taken = world.engine.add_desktop("pool", name("pool-002")).await;
    assert!(matches!(taken, Err(EngineError::Store(_))), "{taken:?}");
    assert_eq!(files(&world).len(), 2);
}

#[tokio::test]
async fn what_a_killed_service_left_of_desktops_is_thrown_away_at_the_next_start() {
    let world = World::new().await;
    world.host.files.lock().unwrap().insert(name("half-001"), [7; 32]);
    let engine = world.restarted().await;
    engine.recover().await.unwrap();
    assert_eq!(files(&world), rows(&engine).await);
    assert_eq!(files(&world).len(), 2);
}

#[tokio::test]
async fn a_collection_that_is_made_while_its_namesake_is_deleted_keeps_its_files() {
    let world = World::new().await;
    for _ in 0..50 {
        let again = async {
            loop {
                match world.engine.create_collection(collection("pool", 2)).await {
                    Ok(()) => return,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        let (deleted, ()) = tokio::join!(world.engine.delete_collection("pool"), again);
        deleted.unwrap();
        assert_eq!(rows(&world.engine).await.len(), 2);
        assert_eq!(files(&world), rows(&world.engine).await);
    }
}
