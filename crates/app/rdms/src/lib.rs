//! The providers: one file a CIM class under `classes/`, and [`Rdms`], the one dispatch in front of them.
//!
//! The dispatch checks class, method and parameters against the schema, asks the provider, and writes one
//! audit record a method call. A provider turns a class into calls of the engine and the store; it holds no
//! state and never contacts a host to answer a list.

mod changes;
mod classes;
mod dispatch;
mod error;
mod events;
mod provider;
mod stated;

pub use dispatch::{Rdms, SchemaError, repository};
pub use provider::Passwords;
