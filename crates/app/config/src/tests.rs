use super::keys::{Key, document};
use super::load;
use super::read::ConfigError;
use std::io::Write as _;

fn check(toml: &str, env: &[(&str, &str)]) -> Result<super::Config, ConfigError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(toml.as_bytes()).unwrap();
    load(Some(file.path()), env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())))
}

#[test]
fn every_default_is_valid() {
    let config = check("", &[]).unwrap();
    assert!(config.rdp.nla && config.rdp.tls);
    assert_eq!(config.rdp.listen.len(), 2);
}

#[test]
fn all_mistakes_are_reported_together() {
    let toml = "[rdp]\nlisten = [\"here\"]\nsecurity = [\"rdp\"]\nlistn = 1\n[local]\nmax_starting = 0\n";
    let ConfigError(mistakes) =
        check(toml, &[("OPENRDMS_LOG_FORMAT", "xml"), ("OPENRDMS_LOG_COLOR", "1")]).unwrap_err();
    for part in ["listn", "'here'", "'rdp'", "max_starting", "'xml'", "OPENRDMS_LOG_COLOR"] {
        assert!(mistakes.iter().any(|m| m.contains(part)), "{part} is not in {mistakes:#?}");
    }
}

#[test]
fn what_serve_would_refuse_is_a_mistake_already() {
    let socket = |length: usize| format!("[management]\nsocket = \"/{}\"\n", "s".repeat(length - 1));
    check(&socket(107), &[]).unwrap();
    for (toml, told) in [
        ("[log]\nlevel = \"==\"\n", "[log] level: '=='"),
        (&socket(108), "(108 bytes)"),
        ("[foo]\n", "[foo]: there is no such section; there are deployment, node,"),
    ] {
        let ConfigError(mistakes) = check(toml, &[]).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].contains(told), "{mistakes:?}");
    }
}

#[test]
fn no_section_is_forgotten_in_the_environment() {
    for key in Key::ALL {
        let variable = format!("OPENRDMS_{}_NONESUCH", key.section.to_uppercase());
        let ConfigError(mistakes) = check("", &[(&variable, "1")]).unwrap_err();
        assert_eq!(mistakes, [format!("{variable}: there is no such key")]);
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line_or_for_what_it_is() {
    let dots = format!("[rdp]\na{} = 1\n", ".a".repeat(200));
    for (toml, told) in [("[rdp]\nlisten = \n", "line 2"), (dots.as_str(), "too many dots")] {
        let ConfigError(mistakes) = check(toml, &[]).unwrap_err();
        assert!(mistakes.len() == 1 && mistakes[0].contains(told), "{mistakes:?}");
    }
}

#[test]
fn the_environment_wins() {
    let env = [
        ("OPENRDMS_RDP_LISTEN", "127.0.0.1:0, 127.0.0.2:0"),
        ("OPENRDMS_LOCAL_SESSION_COMMAND", "exec xterm"),
        ("OPENRDMS_ACCOUNTS_KEEP_NT_HASH", "false"),
        ("OPENRDMS_SOCKET", "/x"),
    ];
    let config = check("[rdp]\nlisten = [\"0.0.0.0:1\"]\n", &env).unwrap();
    assert_eq!(config.rdp.listen.len(), 2);
    assert_eq!(config.local.session_command, ["/bin/sh", "-c", "exec xterm"]);
    assert!(!config.accounts.keep_nt_hash);
}

#[test]
fn plain_http_is_for_loopback() {
    let ConfigError(mistakes) = check("[management]\nhttp = \"0.0.0.0:5985\"\n", &[]).unwrap_err();
    assert!(mistakes[0].contains("loopback"), "{mistakes:?}");
}

#[test]
fn the_page_in_schema_is_the_table_in_the_code() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../schema/config.md");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(file, document()).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == document(), "schema/config.md is not what the code says: run with UPDATE_SCHEMA=1");
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let shown = check("[rdp]\nlisten = [\"127.0.0.1:1\"]\n", &[]).unwrap();
    assert_eq!(check(&shown.to_toml(), &[]).unwrap(), shown);
    let keys = shown.to_toml().lines().filter(|line| !line.starts_with('#') && line.contains(" = ")).count();
    assert_eq!(keys, Key::ALL.len(), "a key is missing from `config show`");
}
