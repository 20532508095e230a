//! Documents in the store: rows by kind and key; [`dyn Store`](Store) reads and writes them by type.

use super::{Page, Store, StoreError};
use crate::CollectionAlias;
use crate::document::{Document, Stored};

/// A document as the store keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocumentRow {
    /// [`Document::KIND`].
    pub kind: &'static str,
    /// [`Document::key`]; compared without case.
    pub key: String,
    /// [`Document::collection`].
    pub collection: Option<CollectionAlias>,
    /// The document as JSON.
    pub row: String,
}

/// The rows. As everywhere in the store, a write is durable when it returns, and every call is cancel-safe.
#[async_trait::async_trait]
pub trait Documents {
    /// Generation and JSON of a document.
    async fn document_row(&self, kind: &'static str, key: &str)
    -> Result<Option<Stored<String>>, StoreError>;

    /// A page of documents of a kind, by key: those whose key begins with `within`.
    async fn document_rows(
        &self,
        kind: &'static str,
        within: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<Stored<String>, String>, StoreError>;

    /// Inserts a document with generation 1; [`super::Existing::Document`] where there is one, `NotFound` where its
    /// collection is not.
    async fn insert_document_row(&self, row: DocumentRow) -> Result<(), StoreError>;

    /// Replaces a document that still has this generation, or says `Stale`, or `NotFound`.
    async fn update_document_row(&self, row: DocumentRow, generation: u64) -> Result<(), StoreError>;

    /// Removes a document and those of the kind `owned` whose key begins with its own and goes on behind a separator
    /// (see [`crate::document::joined`]), or says `NotFound`.
    async fn delete_document_row(
        &self,
        kind: &'static str,
        key: &str,
        owned: Option<&'static str>,
    ) -> Result<(), StoreError>;
}

impl dyn Store {
    /// A document by its key. Cancel-safe.
    ///
    /// # Errors
    /// As the store's.
    pub async fn document<T: Document>(&self, key: &str) -> Result<Option<Stored<T>>, StoreError> {
        self.document_row(T::KIND, key).await?.map(read).transpose()
    }

    /// A page of documents by key; `within`: only those whose key begins so. Cancel-safe.
    ///
    /// # Errors
    /// As the store's.
    pub async fn documents<T: Document>(
        &self,
        within: &str,
        after: Option<String>,
        limit: u32,
    ) -> Result<Page<Stored<T>, String>, StoreError> {
        let page = self.document_rows(T::KIND, within, after, limit).await?;
        let rows = page.rows.into_iter().map(read).collect::<Result<_, _>>()?;
        Ok(Page { rows, next: page.next })
    }

    /// Keeps a new document. Cancel-safe.
    ///
    /// # Errors
    /// `Conflict` where there is one with this key; `NotFound` where its collection is not.
    pub async fn insert_document<T: Document>(&self, document: &T) -> Result<(), StoreError> {
        self.insert_document_row(row(document)?).await
    }

    /// Replaces a document that was read with this generation. Cancel-safe.
    ///
    /// # Errors
    /// `Stale` where it has changed since, `NotFound` where it is gone.
    pub async fn update_document<T: Document>(
        &self,
        document: &T,
        generation: u64,
    ) -> Result<(), StoreError> {
        self.update_document_row(row(document)?, generation).await
    }

    /// Removes a document, and what belongs to it ([`Document::OWNED`]). Cancel-safe.
    ///
    /// # Errors
    /// `NotFound` where there is none.
    pub async fn delete_document<T: Document>(&self, key: &str) -> Result<(), StoreError> {
        self.delete_document_row(T::KIND, key, T::OWNED).await
    }
}

fn row<T: Document>(document: &T) -> Result<DocumentRow, StoreError> {
    let row = serde_json::to_string(document).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(DocumentRow { kind: T::KIND, key: document.key(), collection: document.collection().cloned(), row })
}

fn read<T: Document>(stored: Stored<String>) -> Result<Stored<T>, StoreError> {
    let document = serde_json::from_str(&stored.document)
        .map_err(|error| StoreError::Corrupt(format!("{}: {error}", T::KIND)))?;
    Ok(Stored { generation: stored.generation, document })
}
