//! `openrdms context …`: other servers by name, and which one is in use.

mod file;

pub(crate) use file::Known;

use super::args::ContextCommand;
use super::args::global::Global;
use super::output::{Column, Output, row};
use super::remote::{Address, FirstUse, Place};
use super::{Failure, args};
use file::{Context, File};
use openrdms_cim::{Instance, Value};
use openrdms_config::Config;
use serde_json::json;
use std::path::PathBuf;

/// The service on this machine.
const LOCAL: &str = "local";

const COLUMNS: &[Column] = &[
    Column::made("CURRENT", &["Current"], |i| {
        if i.get("Current").as_bool() == Some(true) { "*".to_owned() } else { String::new() }
    }),
    Column::new("NAME", &["Name"]),
    Column::new("SERVER", &["Server"]),
    Column::new("USERNAME", &["UserName"]),
    Column::new("PASSWORD FILE", &["PasswordFile"]).wide(),
    Column::new("CERTIFICATE", &["CertificateSha256"]).wide(),
];

/// Where the service is: as the command line says, then the environment, then the context in use.
pub(crate) fn place(global: &Global, config: &Config) -> Result<Place, Failure> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let local = || Place::Socket(global.socket.clone().unwrap_or_else(|| config.management.socket.clone()));
    if let Some(server) = &global.server {
        let context = Context { server: server.clone(), ..Context::default() };
        return elsewhere(&context, global);
    }
    if let Some(name) = &global.context {
        return named(name, &File::load()?, global, local);
    }
    if global.socket.is_some() {
        return Ok(local());
    }
    if let Some(name) = variable("OPENRDMS_CONTEXT") {
        return named(&name.to_string_lossy(), &File::load()?, global, local);
    }
    if let Some(socket) = variable("OPENRDMS_SOCKET") {
        return Ok(Place::Socket(socket.into()));
    }
    let file = File::load()?;
    named(file.current.as_deref().unwrap_or(LOCAL), &file, global, local)
}

fn named(name: &str, file: &File, global: &Global, local: impl FnOnce() -> Place) -> Result<Place, Failure> {
    if name == LOCAL {
        return Ok(local());
    }
    elsewhere(file.contexts.get(name).ok_or_else(|| unknown(name))?, global)
}

fn elsewhere(context: &Context, global: &Global) -> Result<Place, Failure> {
    let username = global.username.clone().or_else(|| context.username.clone());
    let file = std::env::var_os("OPENRDMS_PASSWORD_FILE").filter(|f| !f.is_empty()).map(PathBuf::from);
    let pinned =
        match (global.certificate_sha256, &context.certificate_sha256) {
            (Some(pinned), _) => Some(pinned),
            (None, Some(text)) => Some(text.parse().map_err(|why| {
                Failure::usage(format!("certificate_sha256 of the context is wrong: {why}"))
            })?),
            (None, None) => None,
        };
    Ok(Place::Server {
        address: Address::parse(&context.server)?,
        username: username.ok_or_else(|| Failure::usage("say as whom: --username NAME"))?,
        password_file: file.or_else(|| context.password_file.clone()),
        pinned,
        first_use: if global.trust_on_first_use { FirstUse::Trust } else { FirstUse::Refuse },
    })
}

fn unknown(name: &str) -> Failure {
    Failure::not_found(format!("there is no context '{name}': `openrdms context list` shows which there are"))
}

pub(super) fn run(command: &ContextCommand, global: &args::Global, output: &Output) -> Result<(), Failure> {
    let mut file = File::load()?;
    match command {
        ContextCommand::List => {
            let current = file.current.as_deref().unwrap_or(LOCAL);
            let local = Context { server: "this machine".to_owned(), ..Context::default() };
            let rows = std::iter::once((LOCAL, &local))
                .chain(file.contexts.iter().map(|(name, context)| (name.as_str(), context)));
            let rows: Vec<Instance> =
                rows.map(|(name, context)| instance(name, context, name == current)).collect();
            output.all(COLUMNS, None, &rows)
        }
        ContextCommand::Current => {
            let name = file.current.as_deref().unwrap_or(LOCAL);
            output.done(name, &[("Name", json!(name))])
        }
        ContextCommand::Use { name } => {
            if name != LOCAL && !file.contexts.contains_key(name) {
                return Err(unknown(name));
            }
            file.current = (name != LOCAL).then(|| name.clone());
            file.save()?;
            done(output, name, "used from now on", "in use")
        }
        ContextCommand::Add { name, password_file } => {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || name.len() > 64 || !name.chars().all(is_name) || name == LOCAL {
                return Err(Failure::usage(
                    "a context's name has letters, digits, - and _, and is not 'local'",
                ));
            }
            if file.contexts.contains_key(name) {
                return Err(Failure::conflict(format!(
                    "there is a context '{name}' already: remove it first"
                )));
            }
            let server = global.server.as_deref().ok_or_else(|| Failure::usage("say where: --server URL"))?;
            let context = Context {
                server: Address::parse(server)?.url(),
                username: global.username.clone(),
                password_file: password_file.as_deref().map(std::path::absolute).transpose()?,
                certificate_sha256: global.certificate_sha256.map(|f| f.to_string()),
            };
            file.contexts.insert(name.clone(), context);
            file.save()?;
            done(output, name, "remembered", "added")
        }
        ContextCommand::Remove { name } => {
            file.contexts.remove(name).ok_or_else(|| unknown(name))?;
            if file.current.as_ref() == Some(name) {
                file.current = None;
            }
            file.save()?;
            done(output, name, "forgotten", "removed")
        }
        ContextCommand::Distrust { address } => {
            let address = address.to_ascii_lowercase();
            file.known.remove(&address).ok_or_else(|| {
                Failure::not_found(format!("no certificate of {address} was accepted on first use"))
            })?;
            file.save()?;
            let sentence = format!("the certificate of {address} is forgotten");
            output.done(&sentence, &[("Server", json!(address)), ("Result", json!("distrusted"))])
        }
    }
}

fn done(output: &Output, name: &str, said: &str, result: &str) -> Result<(), Failure> {
    output.done(&format!("context {name} is {said}"), &[("Name", json!(name)), ("Result", json!(result))])
}

fn instance(name: &str, context: &Context, current: bool) -> Instance {
    let file = context.password_file.as_ref().map(|file| file.display().to_string());
    row("Context")
        .with("Name", name)
        .with("Current", Value::Boolean(current))
        .with("Server", context.server.as_str())
        .with("UserName", context.username.clone())
        .with("PasswordFile", file)
        .with("CertificateSha256", context.certificate_sha256.clone())
}
