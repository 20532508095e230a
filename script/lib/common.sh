# What the scripts share. Source it; it runs nothing by itself.
# shellcheck shell=bash

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
venv=$target/venv
tools=$target/tools
mof=$target/mof
# rustup's usual place, for shells that do not have it in PATH.
PATH=$PATH:${CARGO_HOME:-$HOME/.cargo}/bin

say() { printf '%s\n' "$*" >&2; }
fail() { printf '%s: %s\n' "$(basename "$0")" "$*" >&2; exit 1; }

# python MODULE-OR-FILE ARGS...: our Python with the support library of the tests in reach.
run_python() { PYTHONPATH=$root/tests PYTHONDONTWRITEBYTECODE=1 exec "$venv/bin/python" "$@"; }

# Makes sure that OPENRDMS_BIN names a binary: the one given, or the release build.
release_build() {
    if [[ -z ${OPENRDMS_BIN-} ]]; then
        (cd "$root" && cargo build --release --locked --package openrdms)
        export OPENRDMS_BIN=$target/release/openrdms
    fi
    [[ -x $OPENRDMS_BIN ]] || fail "$OPENRDMS_BIN is not a program (OPENRDMS_BIN)"
}
