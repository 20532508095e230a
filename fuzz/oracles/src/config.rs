//! Configuration: a TOML file and, behind a zero byte, lines of `NAME=VALUE` for the environment.

use crate::{bounded, text};
use openrdms_config::{Config, ConfigError, parse};
use std::path::Path;

/// Either there are mistakes, each with its place, or a configuration that prints as a file which says the same.
pub fn config(bytes: &[u8]) -> bool {
    let text = text(bytes);
    let (file, environment) = text.split_once('\0').unwrap_or((&text, ""));
    let environment = environment.lines().filter_map(|line| line.split_once('='));
    match read(file, environment) {
        Ok(config) => {
            let printed = config.to_toml();
            // every key, and for each what it means
            bounded("the configuration", &printed, text.len(), 8);
            match read(&printed, []) {
                Ok(again) => assert_eq!(again, config, "{printed}"),
                Err(mistakes) => panic!("{mistakes}\n{printed}"),
            }
            true
        }
        Err(ConfigError(mistakes)) => {
            assert!(!mistakes.is_empty());
            // a key that is not known is answered with those that are
            bounded("the list of mistakes", &mistakes.concat(), text.len(), 256);
            for mistake in &mistakes {
                let told = mistake.contains("line ") || mistake.contains("too many dots");
                let file = mistake.starts_with("FILE: ") && told;
                let place =
                    mistake.starts_with("OPENRDMS_") || mistake.starts_with('[') || mistake.starts_with('\'');
                assert!(file || place, "where is that? {mistake}");
            }
            // in a file that is TOML
            !mistakes.iter().any(|mistake| mistake.starts_with("FILE: "))
        }
    }
}

fn read<'a>(
    file: &str,
    environment: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Config, ConfigError> {
    let environment = environment.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
    parse(Path::new("FILE"), file, environment)
}
