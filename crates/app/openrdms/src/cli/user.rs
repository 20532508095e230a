//! `openrdms user …`

use super::Failure;
use super::args::{PasswordSource, RoleArg, UserCommand};
use super::list;
use super::output::{Column, Output, confirm, text};
use super::remote::{OURS, Remote};
use openrdms_cim::{ObjectPath, Params};
use serde_json::json;
use std::io::{BufRead as _, IsTerminal as _, Read as _};
use zeroize::Zeroizing;

const CLASS: &str = "OpenRDMS_User";

const COLUMNS: &[Column] = &[
    Column::new("USER", &["UserName"]),
    Column::new("DOMAIN", &["DomainName"]),
    Column::new("ROLE", &["Role"]),
    Column::new("UID", &["Uid"]),
    Column::new("CREATED", &["Created"]).wide(),
    Column::made("NLA", &["NlaReady"], |i| {
        if i.get("NlaReady").as_bool() == Some(true) { "yes".to_owned() } else { "no".to_owned() }
    }),
];

pub(super) async fn run(command: &UserCommand, remote: &Remote, output: &Output) -> Result<(), Failure> {
    let class = ObjectPath::class(OURS, CLASS);
    match command {
        UserCommand::List(watching) => {
            let look = async || Ok(remote.list(CLASS, Vec::new()));
            list::run(output, COLUMNS, remote.class(CLASS), *watching, look).await
        }
        UserCommand::Add { name, role, password } => {
            let role = match role {
                RoleArg::User => "user",
                RoleArg::Admin => "admin",
            };
            let password = read_password(password)?;
            let params = Params::default()
                .with("UserName", name.as_str())
                .with("Password", password.as_str())
                .with("Role", role);
            remote.invoke(&class, "AddUser", params, &[]).await?;
            output.done(
                &format!("user {name} is added"),
                &[("UserName", json!(name)), ("Result", json!("added"))],
            )
        }
        UserCommand::Passwd { name, password } => {
            let password = read_password(password)?;
            let params = Params::default().with("Password", password.as_str());
            remote.invoke(&account(name, remote).await?, "SetPassword", params, &[]).await?;
            output.done(
                &format!("the password of {name} is set"),
                &[("UserName", json!(name)), ("Result", json!("password set"))],
            )
        }
        UserCommand::Delete { name, force } => {
            confirm(&format!("Delete the account {name}? Its homes are kept."), *force)?;
            remote.invoke(&account(name, remote).await?, "DeleteUser", Params::default(), &[]).await?;
            output.done(
                &format!("user {name} is deleted"),
                &[("UserName", json!(name)), ("Result", json!("deleted"))],
            )
        }
    }
}

/// The path of an account. Its domain is the deployment's name, which only the service knows.
async fn account(name: &str, remote: &Remote) -> Result<ObjectPath, Failure> {
    let equals = match name.split_once('\\') {
        Some((domain, name)) => vec![("DomainName", domain), ("UserName", name)],
        None => vec![("UserName", name)],
    };
    let found = remote.list(CLASS, equals).all().await?;
    let Some(account) = found.first() else {
        return Err(Failure::not_found("no such user: `openrdms user list` shows which there are"));
    };
    let path = ObjectPath::class(OURS, CLASS).with_key("DomainName", text(account.get("DomainName")));
    Ok(path.with_key("UserName", text(account.get("UserName"))))
}

/// A password longer than this is a mistake such as a file piped in.
const MAX_PASSWORD: u64 = 1024;

fn read_password(source: &PasswordSource) -> Result<Zeroizing<String>, Failure> {
    if source.password_stdin {
        let mut line = Zeroizing::new(String::new());
        std::io::stdin().lock().take(MAX_PASSWORD).read_line(&mut line)?;
        return Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()));
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("there is no terminal to ask for the password on: use --password-stdin"));
    }
    let first = Zeroizing::new(rpassword::prompt_password("Password: ")?);
    let again = Zeroizing::new(rpassword::prompt_password("Again: ")?);
    if *first == *again {
        Ok(first)
    } else {
        Err(Failure::failed("the two passwords differ; nothing was done"))
    }
}
