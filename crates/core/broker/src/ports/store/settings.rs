//! Settings in the store.

use super::StoreError;
use crate::setting::{Compared, Setting, SettingOwner, SettingValue};

/// Named values. As everywhere in the store, a write is durable when it returns, and every call is cancel-safe.
#[async_trait::async_trait]
pub trait Settings {
    /// A setting; the name compares without case.
    async fn setting(&self, owner: &SettingOwner, name: &str) -> Result<Option<SettingValue>, StoreError>;

    /// All settings of an owner, by name: there are few.
    async fn settings(&self, owner: &SettingOwner) -> Result<Vec<Setting>, StoreError>;

    /// How many settings an owner has.
    async fn count_settings(&self, owner: &SettingOwner) -> Result<u32, StoreError>;

    /// Writes a setting, whether it was there or not; `NotFound` where its collection is not.
    async fn set_setting(&self, owner: &SettingOwner, setting: &Setting) -> Result<(), StoreError>;

    /// Removes a setting, or says `NotFound`.
    async fn remove_setting(&self, owner: &SettingOwner, name: &str) -> Result<(), StoreError>;

    /// Writes a text where there is none, or `expected`, in one step. A value that is no text is `NotFound`.
    async fn compare_and_set(
        &self,
        owner: &SettingOwner,
        name: &str,
        expected: Option<&str>,
        new: &str,
    ) -> Result<Compared, StoreError>;
}
