//! `Win32_RDMSManagementData`: makes what is offered to users the one that is served to them. It has methods only.
//!
//! What is served is one document in the store, so that all nodes serve the same version; what is edited meanwhile is
//! not seen before the next synchronisation. The documentation says nothing of what `Context` is: here it is the alias
//! of a collection.

use crate::error::MethodError;
use crate::provider::{Call, Context, Provider, admin_only, no_method};
use openrdms_broker::document::{
    Document, FileTypeAssociation, Icon, Publication, PublishedApplication, PublishedCollection, Stored,
    joined,
};
use openrdms_broker::ports::StoreError;
use openrdms_broker::{Collection, CollectionAlias};
use openrdms_cim::WmiCode;
use std::collections::HashSet;

pub(crate) struct ManagementData;

/// How many documents are read from the store at once.
const PAGE: u32 = 50;
/// Most applications and associations that are published.
const MOST: usize = 2000;
/// Most bytes of their texts and icons.
const MOST_BYTES: usize = 8 << 20;
/// How often it is tried anew where somebody else is faster.
const ATTEMPTS: usize = 8;

#[async_trait::async_trait]
impl Provider for ManagementData {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSManagementData")
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let context = match call.method {
            "SynchronizeAllPublishingData" => None,
            "SynchronizePublishingData" => call.params.string("Context")?.filter(|text| !text.is_empty()),
            _ => return Err(no_method(call)),
        };
        call.audit.target = context.unwrap_or("all collections").to_owned();
        let only = match context {
            None => None,
            Some(alias) => {
                let found = cx.engine.store().collection(alias).await?;
                let none =
                    || MethodError::said(WmiCode::WBEM_E_NOT_FOUND, "Context is the alias of no collection");
                Some(found.ok_or_else(none)?.alias)
            }
        };
        let version = synchronise(cx, only.as_ref()).await?;
        call.audit.detail = format!("version {version}");
        Ok(())
    }
}

/// Publishes one collection, or all; answers the version that is served then.
async fn synchronise(cx: &Context, only: Option<&CollectionAlias>) -> Result<u64, MethodError> {
    let store = cx.engine.store();
    for _ in 0..ATTEMPTS {
        let stored = store.document::<Publication>("").await?;
        let next = next(cx, stored.as_ref().map(|stored| &stored.document), only).await?;
        let written = match &stored {
            Some(Stored { document, .. }) if *document == next => return Ok(next.version),
            Some(Stored { generation, .. }) => store.update_document(&next, *generation).await,
            None => store.insert_document(&next).await,
        };
        match written {
            Ok(()) => return Ok(next.version),
            Err(StoreError::Stale | StoreError::Conflict(_) | StoreError::NotFound(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let message = "others synchronise at the same time again and again; try later";
    Err(MethodError::said(WmiCode::WBEM_E_NOT_AVAILABLE, message))
}

/// What is to be served: the same as `now` where nothing differs.
async fn next(
    cx: &Context,
    now: Option<&Publication>,
    only: Option<&CollectionAlias>,
) -> Result<Publication, MethodError> {
    let is_kept = |alias: &CollectionAlias| only.is_some_and(|only| !same(only, alias));
    let empty = Publication {
        version: 0,
        at: cx.engine.now(),
        collections: Vec::new(),
        applications: Vec::new(),
        associations: Vec::new(),
    };
    let mut next = now.cloned().unwrap_or(empty);
    next.collections.retain(|part| is_kept(&part.alias));
    next.applications.retain(|part| is_kept(&part.collection));
    next.associations.retain(|part| is_kept(&part.collection));
    for collection in cx.engine.store().collections().await? {
        if is_kept(&collection.alias) || !collection.shown {
            continue;
        }
        add(cx, &mut next, collection).await?;
    }
    // in one order, however it came about
    next.collections.sort_by(|a, b| a.alias.cmp(&b.alias));
    next.applications.sort_by_cached_key(Document::key);
    next.associations.sort_by_cached_key(Document::key);
    let parts = |p: &Publication| (p.collections.clone(), p.applications.clone(), p.associations.clone());
    if now.is_none_or(|now| parts(now) != parts(&next)) {
        next.version += 1;
        next.at = cx.engine.now();
    }
    Ok(next)
}

async fn add(cx: &Context, next: &mut Publication, collection: Collection) -> Result<(), MethodError> {
    let within = joined(&[collection.alias.as_str(), ""]);
    let mut after = None;
    loop {
        let page = cx.engine.store().documents::<PublishedApplication>(&within, after, PAGE).await?;
        next.applications.extend(page.rows.into_iter().map(|stored| stored.document).filter(|app| app.shown));
        limit(next)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let applications: HashSet<_> = next.applications.iter().map(|app| app.key().to_lowercase()).collect();
    let mut after = None;
    loop {
        let page = cx.engine.store().documents::<FileTypeAssociation>(&within, after, PAGE).await?;
        // what opens with an application that users do not get is of no use to them
        let offered = |found: &FileTypeAssociation| {
            let application = joined(&[found.collection.as_str(), &found.application]);
            found.published && applications.contains(&application.to_lowercase())
        };
        next.associations.extend(page.rows.into_iter().map(|stored| stored.document).filter(offered));
        limit(next)?;
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    next.collections.push(PublishedCollection {
        alias: collection.alias,
        display_name: collection.display_name,
        security_descriptor: collection.security_descriptor,
    });
    Ok(())
}

/// One document is read and written whole: it must not grow without end.
fn limit(publication: &Publication) -> Result<(), MethodError> {
    let Publication { applications, associations, .. } = publication;
    let of_applications: usize = applications.iter().map(weight).sum();
    let of_associations: usize = associations.iter().map(|found| icon_weight(&found.icon)).sum();
    if applications.len() + associations.len() > MOST || of_applications + of_associations > MOST_BYTES {
        let message = format!(
            "more than {MOST} applications and file types, or {MOST_BYTES} bytes of texts and icons, are not published"
        );
        return Err(MethodError::said(WmiCode::WBEM_E_QUOTA_VIOLATION, message));
    }
    Ok(())
}

/// The bytes of what may be long.
fn weight(application: &PublishedApplication) -> usize {
    let PublishedApplication { security_descriptor, virtual_path, required_arguments, .. } = application;
    let texts = [security_descriptor, virtual_path, required_arguments];
    let texts: usize = texts.into_iter().flatten().map(String::len).sum();
    texts + application.path.len() + icon_weight(&application.icon)
}

fn icon_weight(icon: &Icon) -> usize {
    icon.path.as_ref().map_or(0, String::len) + icon.contents.as_ref().map_or(0, Vec::len)
}

fn same(one: &CollectionAlias, other: &CollectionAlias) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}
