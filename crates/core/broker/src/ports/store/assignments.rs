//! Assignments in the store: unique indexes hold that a desktop has one owner, and a user one desktop a collection.

use super::{Page, StoreError};
use crate::{Assignment, CollectionAlias, DesktopName, UserName};

/// Who owns which desktop. As everywhere in the store, a write is durable when it returns, and every call is cancel-safe.
#[async_trait::async_trait]
pub trait Assignments {
    /// Assigns a desktop; [`super::Existing::AssignmentOfDesktop`] or [`super::Existing::AssignmentOfUser`] where
    /// there is one, `NotFound` where the desktop is not, or not in that collection.
    async fn insert_assignment(&self, assignment: &Assignment) -> Result<(), StoreError>;

    /// Takes a desktop from its owner, whoever that is, or says `NotFound`.
    async fn delete_assignment(&self, desktop: &DesktopName) -> Result<(), StoreError>;

    /// Whose a desktop is.
    async fn assignment(&self, desktop: &DesktopName) -> Result<Option<Assignment>, StoreError>;

    /// The user's desktop in a collection.
    async fn assignment_of_user(
        &self,
        collection: &CollectionAlias,
        user: &UserName,
    ) -> Result<Option<Assignment>, StoreError>;

    /// A page of assignments by desktop, optionally of one collection.
    async fn assignments(
        &self,
        collection: Option<&CollectionAlias>,
        after: Option<DesktopName>,
        limit: u32,
    ) -> Result<Page<Assignment, DesktopName>, StoreError>;
}
