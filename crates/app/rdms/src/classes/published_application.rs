//! `Win32_RDMSPublishedApplication`: the applications that collections offer.
//!
//! `Folder` is described with the text of `AppPath`; by its name it is where users find the application. Both keys are
//! documented as writable: they are given when an application is made, and no key is ever changed.

use super::published::{
    self, LONGEST_LABEL, LONGEST_PATH, change_flag, change_icon, descriptor, filled, invalid, is_given, name,
    null, text,
};
use crate::error::MethodError;
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only};
use openrdms_broker::document::{CommandLine, Icon, PublishedApplication};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Params};

pub(crate) struct Application;

/// The class's keys, in the order of the document's.
const KEYS: [&str; 2] = ["PoolName", "AppAlias"];

#[async_trait::async_trait]
impl Provider for Application {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/cimv2/rdms", "Win32_RDMSPublishedApplication")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        published::list(cx, query, |application| instance(query.class, application)).await
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &published::find(cx, wanted, &KEYS).await?))
    }

    async fn create(&self, cx: &Context, call: &mut Call<'_>) -> Result<ObjectPath, MethodError> {
        admin_only(call.who)?;
        let alias = name(call.params, "AppAlias")?;
        call.audit.target.clone_from(&alias);
        let collection = published::pool(cx, call.params).await?;
        call.audit.target = format!("{collection}/{alias}");
        let mut application = PublishedApplication {
            display_name: alias.clone(),
            alias,
            collection,
            shown: true,
            security_descriptor: None,
            path: String::new(),
            virtual_path: None,
            command_line: CommandLine::default(),
            required_arguments: None,
            folder: None,
            icon: Icon::default(),
        };
        // null is as good as not given here
        let given = call.params.0.iter().filter(|(_, value)| !value.is_null()).cloned().collect();
        let given = Params(given);
        change(&mut application, &given)?;
        filled(&given, "AppPath", LONGEST_PATH)?;
        published::insert(cx, &application).await?;
        Ok(ObjectPath::class(&call.path.namespace, self.serves().1)
            .with_key("AppAlias", application.alias)
            .with_key("PoolName", application.collection.as_str()))
    }

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        published::change::<PublishedApplication>(cx, call, &KEYS, change).await
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        published::delete::<PublishedApplication>(cx, call, &KEYS).await
    }
}

/// Changes what was given.
fn change(application: &mut PublishedApplication, params: &Params) -> Result<(), CimError> {
    let given = |property: &str| is_given(params, property);
    if given("DisplayName") {
        application.display_name = filled(params, "DisplayName", LONGEST_LABEL)?;
    }
    change_flag(&mut application.shown, params, "ShowInPortal")?;
    if given("SecurityDescriptor") {
        application.security_descriptor = descriptor(params, "SecurityDescriptor")?;
    }
    if given("AppPath") {
        application.path = filled(params, "AppPath", LONGEST_PATH)?;
    }
    if given("VirtualPath") {
        application.virtual_path = text(params, "VirtualPath", LONGEST_PATH)?;
    }
    if given("CommandLineSetting") {
        application.command_line = match params.uint32("CommandLineSetting")? {
            Some(0) => CommandLine::Refused,
            Some(1) => CommandLine::Allowed,
            Some(2) => CommandLine::Required,
            Some(other) => return Err(invalid(format!("CommandLineSetting is 0, 1 or 2, not {other}"))),
            None => return Err(null("CommandLineSetting")),
        };
    }
    if given("RequiredCommandLine") {
        application.required_arguments = text(params, "RequiredCommandLine", LONGEST_PATH)?;
    }
    if given("Folder") {
        application.folder = text(params, "Folder", LONGEST_LABEL)?;
    }
    change_icon(&mut application.icon, params)
}

fn instance(class: &Class, application: &PublishedApplication) -> Instance {
    let command_line: u32 = match application.command_line {
        CommandLine::Refused => 0,
        CommandLine::Allowed => 1,
        CommandLine::Required => 2,
    };
    let icon = &application.icon;
    Instance::of(class)
        .with("AppAlias", application.alias.as_str())
        .with("PoolName", application.collection.as_str())
        .with("DisplayName", application.display_name.as_str())
        .with("ShowInPortal", application.shown)
        .with("SecurityDescriptor", application.security_descriptor.as_deref())
        .with("AppPath", application.path.as_str())
        .with("VirtualPath", application.virtual_path.as_deref())
        .with("CommandLineSetting", command_line)
        .with("RequiredCommandLine", application.required_arguments.as_deref())
        .with("Folder", application.folder.as_deref())
        .with("IconPath", icon.path.as_deref())
        .with("IconIndex", icon.index)
        .with("IconContents", icon.contents.clone())
}
