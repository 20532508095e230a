//! What published applications and file types have in common: how their texts and icons are checked, and how their
//! documents are found, listed and changed.
//!
//! Where a value is wrong nothing is stored. Who may not see anything of them is told so before a value is looked at.

use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Query, Wanted, cannot_continue};
use openrdms_broker::document::{Document, Icon, Stored, joined};
use openrdms_broker::ports::StoreError;
use openrdms_broker::{CollectionAlias, SecurityDescriptor};
use openrdms_cim::{CimError, Listing, ObjectPath, Params, Value, WmiCode};
use openrdms_engine::EngineError;

/// Longest short name, in characters.
const LONGEST_NAME: usize = 128;
/// Longest text for people.
pub(crate) const LONGEST_LABEL: usize = 256;
/// Longest path, and longest line of arguments.
pub(crate) const LONGEST_PATH: usize = 4096;
/// Most bytes of an icon: one byte takes 36 in a message of WS-Management, and an instance has to fit a message.
const LONGEST_ICON: usize = 12 << 10;
/// Most instances of a page: icons make them large.
const PAGE: u32 = 50;
/// How often a change is tried anew where somebody else is faster.
const ATTEMPTS: usize = 8;

/// A page of documents, of one collection where the query says so.
pub(crate) async fn list<T: Document>(
    cx: &Context,
    query: &Query<'_>,
    instance: impl Fn(&T) -> openrdms_cim::Instance,
) -> Result<Listing, CimError> {
    let within = query.equal("PoolName").map(|pool| joined(&[&pool, ""])).unwrap_or_default();
    let after = query.after.map(key_of).transpose()?;
    let page =
        cx.engine.store().documents::<T>(&within, after, query.limit().min(PAGE)).await.map_err(fault)?;
    let instances = page.rows.iter().map(|stored| instance(&stored.document)).collect();
    Ok(Listing { instances, next: page.next.as_deref().map(cursor_of) })
}

/// A key as the cursor of a listing: no name has a slash.
fn cursor_of(key: &str) -> String {
    key.replace('\u{1f}', "/")
}

fn key_of(cursor: &str) -> Result<String, CimError> {
    let parts: Vec<_> = cursor.split('/').collect();
    if parts.iter().all(|part| is_name(part)) { Ok(joined(&parts)) } else { Err(cannot_continue()) }
}

/// The key that a path names: `keys` in the order of the document's.
pub(crate) fn key(path: &ObjectPath, keys: &[&str]) -> Result<String, EngineError> {
    let parts: Vec<_> =
        keys.iter().map(|key| path.key(key).and_then(Value::as_str).unwrap_or_default()).collect();
    // what is no name names nothing
    if parts.iter().all(|part| is_name(part)) {
        Ok(joined(&parts))
    } else {
        Err(EngineError::NotFound("object"))
    }
}

/// The document that a path names.
pub(crate) async fn find<T: Document>(
    cx: &Context,
    wanted: &Wanted<'_>,
    keys: &[&str],
) -> Result<T, CimError> {
    let key = key(wanted.path, keys).map_err(fault)?;
    let found = cx.engine.store().document::<T>(&key).await.map_err(fault)?;
    Ok(found.ok_or_else(|| fault(EngineError::NotFound(T::KIND)))?.document)
}

/// Changes a document by what is asked for, on whatever it is by then.
pub(crate) async fn change<T: Document>(
    cx: &Context,
    call: &mut Call<'_>,
    keys: &[&str],
    change: impl Fn(&mut T, &Params) -> Result<(), CimError>,
) -> Result<(), MethodError> {
    let key = key(call.path, keys)?;
    call.audit.target = cursor_of(&key);
    let names: Vec<_> = call.params.0.iter().map(|(name, _)| name.as_str()).collect();
    call.audit.detail = names.join(", ");
    for _ in 0..ATTEMPTS {
        let found = cx.engine.store().document::<T>(&key).await?;
        let Stored { generation, mut document } = found.ok_or(EngineError::NotFound(T::KIND))?;
        change(&mut document, call.params)?;
        match cx.engine.store().update_document(&document, generation).await {
            Err(StoreError::Stale) => {}
            written => return Ok(written?),
        }
    }
    Err(StoreError::Stale.into())
}

/// Removes the document that the call's path names.
pub(crate) async fn delete<T: Document>(
    cx: &Context,
    call: &mut Call<'_>,
    keys: &[&str],
) -> Result<(), MethodError> {
    let key = key(call.path, keys)?;
    call.audit.target = cursor_of(&key);
    cx.engine.store().delete_document::<T>(&key).await.map_err(|error| match error {
        StoreError::NotFound(_) => EngineError::NotFound(T::KIND).into(),
        error => error.into(),
    })
}

/// Keeps a new document.
pub(crate) async fn insert<T: Document>(cx: &Context, document: &T) -> Result<(), MethodError> {
    cx.engine.store().insert_document(document).await.map_err(|error| match error {
        StoreError::NotFound(_) => EngineError::NotFound("collection").into(),
        error => error.into(),
    })
}

/// The alias of the collection that a new document is for, as the collection spells it.
pub(crate) async fn pool(cx: &Context, params: &Params) -> Result<CollectionAlias, MethodError> {
    let alias = name(params, "PoolName")?;
    let found = cx.engine.store().collection(&alias).await?;
    Ok(found.ok_or(EngineError::NotFound("collection"))?.alias)
}

/// A short name: it is part of paths, of files and of what clients ask for.
fn is_name(text: &str) -> bool {
    let fits = !text.is_empty() && text.chars().nth(LONGEST_NAME).is_none() && text.trim() == text;
    fits && !text.chars().any(|c| c.is_control() || "\\/:*?\"<>|".contains(c))
}

/// A short name that must be there.
pub(crate) fn name(params: &Params, property: &str) -> Result<String, CimError> {
    match params.string(property)? {
        None => Err(null(property)),
        Some(text) if is_name(text) => Ok(text.to_owned()),
        Some(_) => Err(invalid(format!(
            "{property} has 1 to {LONGEST_NAME} characters without control characters or any of \\ / : * ? \" < > |"
        ))),
    }
}

/// A text within its limit; `None` where it is null or not given.
pub(crate) fn text(params: &Params, property: &str, longest: usize) -> Result<Option<String>, CimError> {
    let Some(text) = params.string(property)? else { return Ok(None) };
    if text.chars().nth(longest).is_some() || text.chars().any(char::is_control) {
        let rule = format!("{property} has at most {longest} characters, none of them a control character");
        return Err(invalid(rule));
    }
    Ok(Some(text.to_owned()))
}

/// A text that is not empty.
pub(crate) fn filled(params: &Params, property: &str, longest: usize) -> Result<String, CimError> {
    let text = text(params, property, longest)?.ok_or_else(|| null(property))?;
    if text.trim().is_empty() { Err(invalid(format!("{property} is empty"))) } else { Ok(text) }
}

/// A descriptor that can be read, as it is written; none where the text is empty.
pub(crate) fn descriptor(params: &Params, property: &str) -> Result<Option<String>, CimError> {
    let Some(text) = params.string(property)?.filter(|text| !text.is_empty()) else { return Ok(None) };
    match SecurityDescriptor::parse(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(invalid(format!("{property} is no SDDL: {error}"))),
    }
}

/// Whether the property is among what was given.
pub(crate) fn is_given(params: &Params, property: &str) -> bool {
    params.0.iter().any(|(name, _)| name.eq_ignore_ascii_case(property))
}

/// Changes an icon by what was given of it.
pub(crate) fn change_icon(icon: &mut Icon, params: &Params) -> Result<(), CimError> {
    if is_given(params, "IconPath") {
        icon.path = text(params, "IconPath", LONGEST_PATH)?;
    }
    if is_given(params, "IconIndex") {
        icon.index = params.sint32("IconIndex")?.ok_or_else(|| null("IconIndex"))?;
    }
    if is_given(params, "IconContents") {
        let contents = params.bytes("IconContents")?;
        if contents.as_ref().is_some_and(|bytes| bytes.len() > LONGEST_ICON) {
            return Err(invalid(format!("IconContents has at most {LONGEST_ICON} bytes")));
        }
        // an empty array and none cannot be told apart on every way here
        icon.contents = contents.filter(|bytes| !bytes.is_empty());
    }
    Ok(())
}

/// A truth value that was given, or what it is already.
pub(crate) fn change_flag(flag: &mut bool, params: &Params, property: &str) -> Result<(), CimError> {
    if is_given(params, property) {
        *flag = params.boolean(property)?.ok_or_else(|| null(property))?;
    }
    Ok(())
}

pub(crate) fn null(property: &str) -> CimError {
    CimError::new(WmiCode::WBEM_E_ILLEGAL_NULL, format!("property {property} cannot be null"))
}

pub(crate) fn invalid(message: String) -> CimError {
    CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, message)
}
