//! `Win32_RDMSFileTypeAssociation`: which published application opens which files.
//!
//! Of the three keys two are documented as writable and one as read-only: all are given when an association is made,
//! and no key is ever changed. `ProgIdHint`, which is read-only, is given only then too.

use super::published::{self, LONGEST_LABEL, change_flag, change_icon, invalid, name, text};
use crate::error::MethodError;
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::document::{Document as _, FileTypeAssociation, Icon, PublishedApplication, joined};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params};
use openrdms_engine::EngineError;

pub(crate) struct Association;

/// The class's keys, in the order of the document's.
const KEYS: [&str; 3] = ["PoolName", "AppAlias", "ExtName"];

#[async_trait::async_trait]
impl Provider for Association {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSFileTypeAssociation")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        published::list(cx, query, |association| instance(query.class, association)).await
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &published::find(cx, wanted, &KEYS).await?))
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let alias = name(call.params, "AppAlias")?;
        let extension = name(call.params, "ExtName")?;
        if !extension.starts_with('.') || extension.len() < 2 || extension.contains(' ') {
            return Err(invalid("ExtName is a dot and what follows it in a file's name".to_owned()).into());
        }
        call.audit.target = format!("{alias}/{extension}");
        let collection = published::pool(cx, call.params).await?;
        call.audit.target = format!("{collection}/{alias}/{extension}");
        let application = application(cx, collection.as_str(), &alias).await?;
        let given = call.params.0.iter().filter(|(_, value)| !value.is_null()).cloned().collect();
        let given = Params(given);
        let mut association = FileTypeAssociation {
            application: application.alias,
            collection,
            extension,
            prog_id: text(&given, "ProgIdHint", LONGEST_LABEL)?,
            icon: Icon::default(),
            primary: false,
            published: true,
        };
        change(&mut association, &given)?;
        published::insert(cx, &association).await?;
        // gone meanwhile: what belongs to it goes with it, and so does this
        let FileTypeAssociation { collection, application: alias, .. } = &association;
        if let Err(gone) = self::application(cx, collection.as_str(), alias).await {
            cx.engine.store().delete_document::<FileTypeAssociation>(&association.key()).await?;
            return Err(gone);
        }
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1)
            .with_key("AppAlias", association.application)
            .with_key("PoolName", association.collection.as_str())
            .with_key("ExtName", association.extension))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        published::change::<FileTypeAssociation>(cx, call, &KEYS, change).await
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        published::delete::<FileTypeAssociation>(cx, call, &KEYS).await
    }
}

/// The application that is to open it.
async fn application(
    cx: &Context,
    collection: &str,
    alias: &str,
) -> Result<PublishedApplication, MethodError> {
    let found = cx.engine.store().document::<PublishedApplication>(&joined(&[collection, alias])).await?;
    Ok(found.ok_or(EngineError::NotFound("published application"))?.document)
}

/// Changes what was given.
fn change(association: &mut FileTypeAssociation, params: &Params) -> Result<(), CimError> {
    change_flag(&mut association.primary, params, "IsPrimaryHandler")?;
    change_flag(&mut association.published, params, "IsPublished")?;
    change_icon(&mut association.icon, params)
}

fn instance(class: &Class, association: &FileTypeAssociation) -> Instance {
    let icon = &association.icon;
    Instance::of(class)
        .with("AppAlias", association.application.as_str())
        .with("PoolName", association.collection.as_str())
        .with("ExtName", association.extension.as_str())
        .with("ProgIdHint", association.prog_id.as_deref())
        .with("IconPath", icon.path.as_deref())
        .with("IconIndex", icon.index)
        .with("IconContents", icon.contents.clone())
        .with("IsPrimaryHandler", association.primary)
        .with("IsPublished", association.published)
}
