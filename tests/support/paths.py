"""Where things are."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))


def openrdms() -> Path:
    """The binary under test: OPENRDMS_BIN, or the debug build."""
    path = Path(os.environ.get("OPENRDMS_BIN", TARGET / "debug" / "openrdms"))
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; build it with: cargo build -p openrdms")
    return path.resolve()


def tool(name: str) -> str:
    """The full path of a program that script/setup installs."""
    path = shutil.which(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed; run script/setup")
    return path
