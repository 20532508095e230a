use super::*;

fn leaves(command: &Command, path: &mut Vec<String>, found: &mut Vec<String>) {
    let mut inner = command.get_subcommands().filter(|c| !c.is_hide_set()).peekable();
    if inner.peek().is_none() {
        found.push(path.join(" "));
    }
    for command in inner {
        path.push(command.get_name().to_owned());
        leaves(command, path, found);
        path.pop();
    }
}

/// The words of a line, as a shell would find them: quotes and backslashes, no more.
fn words(line: &str) -> Vec<OsString> {
    let (mut words, mut word, mut quote, mut open) = (Vec::new(), String::new(), None, false);
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (None, '\'' | '"') => (quote, open) = (Some(c), true),
            (None, '\\') => word.extend(rest.next()),
            (None, ' ') if !word.is_empty() || open => {
                words.push(OsString::from(std::mem::take(&mut word)));
                open = false;
            }
            (None, ' ') => {}
            (_, c) => word.push(c),
        }
    }
    if !word.is_empty() || open {
        words.push(word.into());
    }
    words
}

#[test]
fn the_definition_is_sound() {
    command().debug_assert();
}

#[test]
fn every_command_has_examples_that_parse_as_that_command() {
    let mut found = Vec::new();
    leaves(&command(), &mut Vec::new(), &mut found);
    for path in &found {
        let lines = examples::of(path);
        assert!(!lines.is_empty(), "`{path}` has no example");
        for line in lines {
            // a line that is wrapped cannot be copied; a query of events has no shorter form
            assert!(line.len() <= 78 || path == "cim watch", "{line}");
            let line = line.split(" | ").find(|part| part.contains("openrdms ")).expect("it is about us");
            let line = line.split(" > ").next().unwrap().split(" < ").next().unwrap();
            let words: Vec<OsString> =
                words(line).into_iter().skip_while(|word| word != "openrdms").collect();
            let matches = command().try_get_matches_from(&words).unwrap_or_else(|e| panic!("{line}: {e}"));
            let (mut at, mut typed) = (&matches, Vec::new());
            while let Some((name, inner)) = at.subcommand() {
                typed.push(name);
                at = inner;
            }
            assert_eq!(&typed.join(" "), path, "{line}");
        }
    }
    for (path, _) in examples::ALL {
        assert!(found.iter().any(|leaf| leaf == path), "an example of `{path}`, which there is not");
    }
}

#[test]
fn there_is_a_page_for_every_command_with_its_examples() {
    let dir = tempfile::tempdir().unwrap();
    man(Some(dir.path())).unwrap();
    let page = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    let disconnect = page("openrdms-session-disconnect.1");
    assert!(disconnect.contains("EXAMPLES") && disconnect.contains("EXIT STATUS"));
    assert!(page("openrdms.1").contains("openrdms\\-session(1)") || page("openrdms.1").contains("session"));
    assert!(!dir.path().join("openrdms-desktop-supervisor.1").exists());
}

#[test]
fn help_of_a_command_is_asked_for_in_either_way() {
    let said = |words: &str| {
        let words = words.split(' ').map(std::ffi::OsString::from);
        super::parse(words).expect_err("it is no command to run").to_string()
    };
    assert_eq!(said("openrdms help job show"), said("openrdms job show --help"));
    assert_eq!(said("openrdms help"), said("openrdms --help"));
    assert!(said("openrdms help nothing").contains("unrecognized subcommand 'nothing'"));
}
