//! The command line where no service is needed: every block of `tests/cmd/*.md` is run and compared. What needs a
//! service is run by the end-to-end tests, which also run the examples of the README and of the manual pages.
//!
//! `TRYCMD=overwrite cargo test -p openrdms --test commands` writes what is said now; read the difference.

#[test]
fn what_is_written_is_what_is_said() {
    let home = tempfile::tempdir().expect("there is room");
    trycmd::TestCases::new()
        .env("HOME", home.path().to_str().expect("a plain path"))
        .env("XDG_CONFIG_HOME", "")
        .env("OPENRDMS_SOCKET", "/nowhere/openrdms.sock")
        .env("OPENRDMS_CONTEXT", "")
        .env("OPENRDMS_PASSWORD_FILE", "")
        .case("tests/cmd/*.md");
}
