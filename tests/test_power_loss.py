"""What a command acknowledged is on the disk: content and name of every file that it needs, synced before it
ended. (What the store's own file may look like after a power loss: crates/edge/store/tests/durability.)"""

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.server import Server, make_data_dir, remove

CALLS = (
    "open,openat,creat,write,pwrite64,rename,renameat,renameat2,link,linkat,mkdir,mkdirat,fsync,fdatasync"
)
# What is made anew at every start, or does not matter after one; and the store, which has a test of its own.
PASSING = re.compile(
    r"(lock|ready\.json|openrdms\.sock|openrdms\.sqlite.*|homes|bin|bin/.*|desktops/\.trash"
    r"|desktops/[^/]+/start\.log)$"
)


@dataclass
class Name:
    """What the record says of one name, by its lines; 0 is never."""

    # When the name was given to what it names, and when its directory was synced after that.
    given: int = 0
    name_synced: int = 0
    written: int = 0
    content_synced: int = 0
    directory: bool = False


@dataclass
class Disk:
    root: Path
    names: dict[str, Name] = field(default_factory=dict)

    def missing(self) -> list[str]:
        """What a power loss now could take away."""
        found = []
        for path, name in self.names.items():
            inside = os.path.relpath(path, self.root)
            if not Path(path).exists() or inside == "." or PASSING.match(inside):
                continue
            if name.name_synced <= name.given:
                found.append(f"{inside}: its name")
            if name.content_synced < name.written:
                found.append(f"{inside}: its content")
        return found

    def read(self, record: str) -> None:
        begun: dict[str, tuple[int, str]] = {}
        for number, line in enumerate(record.splitlines(), 1):
            process, rest = line.split(maxsplit=1)
            start = number
            if rest.endswith(" <unfinished ...>"):
                begun[process] = number, rest.removesuffix(" <unfinished ...>")
                continue
            if rest.startswith("<... ") and process in begun:
                start, first = begun.pop(process)
                rest = first + rest.split(" resumed>", 1)[1]
            if called := re.match(r"(\w+)\((.*)\)\s+= \d", rest):
                self.call(called[1], called[2], start, number)

    def call(self, name: str, arguments: str, began: int, ended: int) -> None:
        paths = [self.path(words) for words in re.findall(r'"((?:\\x..)*)"', arguments)]
        opened = re.match(r"\d+<((?:\\x..)*)>", arguments)
        match name:
            case "open" | "openat" | "creat" if "O_CREAT" in arguments or name == "creat":
                if paths[0] not in self.names:
                    self.names[paths[0]] = Name(given=ended)
            case "mkdir" | "mkdirat":
                self.names[paths[0]] = Name(given=ended, directory=True)
            case "rename" | "renameat" | "renameat2":
                old = self.names.pop(paths[0], Name())
                self.names[paths[1]] = Name(ended, 0, old.written, old.content_synced, old.directory)
            case "link" | "linkat":
                old = self.names.get(paths[0], Name())
                self.names[paths[1]] = Name(ended, 0, old.written, old.content_synced)
            case "write" | "pwrite64" if opened:
                if known := self.names.get(self.path(opened[1])):
                    known.written = ended
            case "fsync" | "fdatasync":
                path = self.path(opened[1])
                if path in self.names:
                    self.names[path].content_synced = began
                for below, known in self.names.items():
                    if os.path.dirname(below) == path and known.given < began:
                        known.name_synced = max(known.name_synced, began)

    def path(self, words: str) -> str:
        return os.fsdecode(bytes.fromhex(words.replace("\\x", "")))


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Where strace writes, if it can be used here."""
    try:
        tried = subprocess.run(["strace", "-f", "-o", "/dev/null", "true"], capture_output=True, text=True)
        why = tried.stderr.strip() if tried.returncode else None
    except FileNotFoundError as missing:
        why = str(missing)
    if why and os.environ.get("CI"):
        pytest.fail(f"strace cannot be used here: {why}")
    if why:
        pytest.skip(f"strace cannot be used here: {why}")
    return tmp_path / "strace.log"


@pytest.fixture
def recorded(record: Path, tmp_path: Path) -> Iterator[Server]:
    """A server whose calls are recorded, from its very first start on."""
    data_dir = make_data_dir()
    # The recorder is a child of what it records: the server stays our own child.
    strace = ("strace", "-D", "-f", "-qq", "-y", "-xx", "-s", "4096", "--seccomp-bpf", "-e", f"trace={CALLS}")
    try:
        with Server(data_dir, tmp_path, prefix=(*strace, "-o", str(record))) as server:
            yield server
    finally:
        remove(data_dir)


def test_what_a_command_acknowledged_survives_a_power_loss(recorded: Server, record: Path):
    def missing(named: str) -> list[str]:
        disk = Disk(recorded.data_dir)
        disk.read(record.read_text())
        assert [path for path in disk.names if path.endswith(named)], f"the record knows {named}"
        return disk.missing()

    recorded.add_user("alice")
    assert missing("/node.key") == []
    recorded.add_collection("pool", 2)
    assert missing("/cert.der") == []
