//! `OpenRDMS_User`: local accounts.

use super::datetime;
use crate::changes;
use crate::error::{MethodError, fault};
use crate::provider::{Call, Context, Provider, Query, Wanted, admin_only, no_method};
use openrdms_broker::{Account, AccountChange, Role, UserName};
use openrdms_cim::{CimError, Class, Instance, Listing, ObjectPath, Value, WmiCode};
use openrdms_engine::EngineError;
use zeroize::Zeroizing;

pub(crate) struct OpenRdmsUser;

#[async_trait::async_trait]
impl Provider for OpenRdmsUser {
    fn serves(&self) -> (&'static str, &'static str) {
        ("root/openrdms", "OpenRDMS_User")
    }

    async fn enumerate(&self, cx: &Context, query: &Query<'_>) -> Result<Listing, CimError> {
        admin_only(query.who)?;
        let after = query.after.map(str::to_owned);
        let page = cx.engine.store().accounts(after, query.limit()).await.map_err(fault)?;
        let instances = page.rows.iter().map(|account| instance(query.class, account)).collect();
        Ok(Listing { instances, next: page.next })
    }

    async fn get(&self, cx: &Context, wanted: &Wanted<'_>) -> Result<Instance, CimError> {
        admin_only(wanted.who)?;
        Ok(instance(wanted.class, &find(cx, wanted.path).await?))
    }

    async fn invoke(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        if call.method == "AddUser" {
            return add(cx, call).await;
        }
        let account = find(cx, call.path).await?;
        call.audit.subject = account.user.to_string();
        match call.method {
            "SetPassword" => {
                let change = AccountChange::Credentials(credentials(cx, call, &account.user).await?);
                Ok(cx.engine.store().change_account(&account.user, &change).await?)
            }
            "SetRole" => {
                let change = AccountChange::Role(role(call.params.required_string("Role")?)?);
                Ok(cx.engine.store().change_account(&account.user, &change).await?)
            }
            "DeleteUser" => Ok(cx.engine.store().delete_account(&account.user).await?),
            _ => Err(no_method(call)),
        }
    }

    // There is no `create`: an account without a password is nobody's, and a password is no property. AddUser takes it.

    async fn put(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let account = find(cx, call.path).await?;
        call.audit.subject = account.user.to_string();
        changes::given(call.params, "Role")?;
        let Some(text) = call.params.string("Role")? else { return Ok(()) };
        call.audit.detail = format!("Role: {text}");
        let change = AccountChange::Role(role(text)?);
        Ok(cx.engine.store().change_account(&account.user, &change).await?)
    }

    async fn delete(&self, cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
        admin_only(call.who)?;
        let account = find(cx, call.path).await?;
        call.audit.subject = account.user.to_string();
        Ok(cx.engine.store().delete_account(&account.user).await?)
    }
}

async fn find(cx: &Context, path: &ObjectPath) -> Result<Account, CimError> {
    let key = |name: &str| path.key(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let not_found = || fault(EngineError::NotFound("user"));
    let user = UserName::new(&key("DomainName"), &key("UserName")).map_err(|_| not_found())?;
    cx.engine.store().account(&user).await.map_err(fault)?.ok_or_else(not_found)
}

async fn add(cx: &Context, call: &mut Call<'_>) -> Result<(), MethodError> {
    let user = cx.parse_user(call.params.required_string("UserName")?)?;
    call.audit.subject = user.to_string();
    if !user.domain().eq_ignore_ascii_case(&cx.deployment) {
        let text = format!("local accounts belong to the domain {}", cx.deployment);
        return Err(CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, text).into());
    }
    let role = role(call.params.string("Role")?.unwrap_or("user"))?;
    if cx.engine.store().account(&user).await?.is_some() {
        return Err(
            CimError::new(WmiCode::WBEM_E_ALREADY_EXISTS, format!("the user {user} exists already")).into()
        );
    }
    let credentials = credentials(cx, call, &user).await?;
    let account = Account { user, role, credentials, uid: 0, created: cx.engine.now() };
    cx.engine.store().insert_account(&account, cx.uids.clone()).await?;
    Ok(())
}

async fn credentials(
    cx: &Context,
    call: &Call<'_>,
    user: &UserName,
) -> Result<openrdms_broker::Credentials, MethodError> {
    let password = Zeroizing::new(call.params.required_string("Password")?.to_owned());
    cx.passwords
        .credentials(user, password)
        .await
        .map_err(|why| CimError::new(WmiCode::WBEM_E_INVALID_PARAMETER, why).into())
}

fn role(text: &str) -> Result<Role, CimError> {
    match text.to_ascii_lowercase().as_str() {
        "user" => Ok(Role::User),
        "admin" => Ok(Role::Admin),
        _ => Err(CimError::new(
            WmiCode::WBEM_E_INVALID_PARAMETER,
            format!("there is no role '{text}': it is user or admin"),
        )),
    }
}

fn instance(class: &Class, account: &Account) -> Instance {
    let role = match account.role {
        Role::User => "user",
        Role::Admin => "admin",
    };
    Instance::of(class)
        .with("DomainName", account.user.domain())
        .with("UserName", account.user.name())
        .with("Role", role)
        .with("Uid", account.uid)
        .with("NlaReady", account.credentials.sealed_nt_hash.is_some())
        .with("Created", datetime(account.created))
}
