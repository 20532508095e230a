//! CIM: types, values, classes, instances and object paths; MOF read and written ([`mof`]), the [`Repository`] that
//! resolves inheritance, classes as CIM-XML ([`cim_xml`]); and [`service::CimService`], the one dispatch that every
//! front end calls.
//!
//! This crate does no I/O and knows no class by name.

pub mod cim_xml;
pub mod class;
pub mod error;
pub mod instance;
pub mod mof;
pub mod path;
pub mod repository;
pub mod service;
pub mod value;
pub mod wql;

pub use class::{Class, Flavors, Method, Parameter, Property, Qualifier, QualifierType};
pub use error::{CimError, Kind, WmiCode};
pub use instance::{Instance, Params};
pub use path::ObjectPath;
pub use repository::Repository;
pub use service::{CimService, Enumeration, Limits, Listing, MethodResult, Principal};
pub use value::{Type, Value};
pub use wql::Condition;
