//! CIM: types, values, classes, instances and object paths; the MOF reader that makes classes from
//! `schema/*.mof`; and [`service::CimService`], the one dispatch that every front end calls.
//!
//! This crate does no I/O and knows no class by name.

pub mod class;
pub mod error;
pub mod instance;
pub mod mof;
pub mod path;
pub mod repository;
pub mod service;
pub mod value;

pub use class::{Class, Method, Parameter, Property, Qualifier};
pub use error::{CimError, Kind, WmiCode};
pub use instance::{Instance, Params};
pub use path::ObjectPath;
pub use repository::Repository;
pub use service::{CimService, Enumeration, Limits, Listing, MethodResult, Principal};
pub use value::{Type, Value};
