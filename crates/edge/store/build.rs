//! Builds anew when a migration is added: the compiler only notices changes of files it has seen.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
