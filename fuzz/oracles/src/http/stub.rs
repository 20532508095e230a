//! What is behind the front: one person who can prove who it is, and a service that has one of everything.

use crate::world;
use openrdms_cim::{
    CimError, CimService, Enumeration, Instance, Limits, Listing, MethodResult, ObjectPath, Params,
    Principal, Repository,
};
use openrdms_management::{AuthFailure, Authenticate};
use std::sync::atomic::{AtomicUsize, Ordering};
use zeroize::Zeroizing;

/// `LAB\root:secret`, as it has to stand in a request.
pub(crate) const PROOF: &str = "TEFCXHJvb3Q6c2VjcmV0";

pub(crate) struct People;

pub(crate) struct Stub {
    pub(crate) calls: AtomicUsize,
}

#[async_trait::async_trait]
impl Authenticate for People {
    async fn basic(
        &self,
        user: &str,
        password: Zeroizing<String>,
        from: &str,
    ) -> Result<Principal, AuthFailure> {
        match (user, password.as_str()) {
            ("LAB\\root", "secret") => {
                Ok(Principal { name: user.to_owned(), admin: true, from: from.to_owned(), proof: None })
            }
            ("away", _) => Err(AuthFailure::Unavailable),
            _ => Err(AuthFailure::Denied),
        }
    }
}

impl Stub {
    fn called(&self, who: &Principal) {
        assert_eq!(who.name, "LAB\\root");
        self.calls.fetch_add(1, Ordering::Relaxed);
    }
}

#[async_trait::async_trait]
impl CimService for Stub {
    fn repository(&self) -> &Repository {
        world::repository()
    }

    async fn enumerate(
        &self,
        who: &Principal,
        what: &Enumeration,
        after: Option<&str>,
        limits: Limits,
    ) -> Result<Listing, CimError> {
        self.called(who);
        assert!(limits.max_elements > 0);
        let class = self.repository().class(&what.class.namespace, &what.class.class)?;
        // two pages
        let next = after.is_none().then(|| "second".to_owned());
        Ok(Listing { instances: vec![Instance::of(class)], next })
    }

    async fn get(&self, who: &Principal, path: &ObjectPath) -> Result<Instance, CimError> {
        self.called(who);
        let named = Instance::of(self.repository().class(&path.namespace, &path.class)?);
        Ok(path.keys.iter().fold(named, |named, (name, value)| named.with(name, value.clone())))
    }

    async fn put(&self, who: &Principal, path: &ObjectPath, _: Params) -> Result<Instance, CimError> {
        self.get(who, path).await
    }

    async fn create(&self, who: &Principal, class: &ObjectPath, _: Params) -> Result<ObjectPath, CimError> {
        self.called(who);
        Ok(class.clone())
    }

    async fn delete(&self, who: &Principal, _: &ObjectPath) -> Result<(), CimError> {
        self.called(who);
        Ok(())
    }

    async fn invoke(
        &self,
        who: &Principal,
        _: &ObjectPath,
        _: &str,
        _: Params,
        _: &[(String, String)],
    ) -> Result<MethodResult, CimError> {
        self.called(who);
        Ok(MethodResult { return_value: 0u32.into(), out: Params::default(), reason: None })
    }
}
