"""What keeps the store from being written: a full disk, another's lock, files that turned read-only."""

import contextlib
import sqlite3
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

DATABASE = "openrdms.sqlite"


class Impossible(Exception):
    """This machine cannot make that fault, and why."""


@contextlib.contextmanager
def mounted(size: str, image: bool = False) -> Iterator[Path]:
    """A small file system: in memory, or with `image` ext4 in a file, which knows immutable files too."""
    with contextlib.ExitStack() as stack:
        where = Path(tempfile.mkdtemp(prefix="openrdms-store-", dir="/tmp"))
        stack.callback(where.rmdir)
        if image:
            file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="openrdms-image-"))
            file.truncate(int(size.removesuffix("m")) << 20)
            _do("mkfs.ext4", "-q", "-m", "0", file.name)
            _do("mount", "-o", "loop", file.name, where)
        else:
            _do("mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "openrdms-test", where)
        stack.callback(subprocess.run, ["umount", where], check=True)
        yield where


def _do(*command: str | Path) -> None:
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError as missing:
        raise Impossible(str(missing)) from None
    if made.returncode != 0:
        raise Impossible(f"{command[0]}: {made.stderr.strip()}")


class Fault:
    """Something that keeps the store from being written, from `begin` to `end`."""

    # Whether for certain nothing can be written meanwhile.
    total = True

    def __init__(self, store: Path):
        self.store = store

    def try_out(self) -> None:
        """Raises `Impossible` where it cannot be made."""

    def begin(self) -> None:
        raise NotImplementedError

    def end(self) -> None:
        raise NotImplementedError


class DiskFull(Fault):
    """Needs a file system of its own. What has its blocks can be written: a journal that begins anew."""

    total = False

    def begin(self) -> None:
        with (self.store / "filler").open("wb", buffering=0) as filler:
            for chunk in (1 << 20, 4096):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(chunk)):
                        pass

    def end(self) -> None:
        (self.store / "filler").unlink()


class Locked(Fault):
    def begin(self) -> None:
        self.other = sqlite3.connect(self.store / DATABASE, isolation_level=None, timeout=30)
        self.other.execute("BEGIN EXCLUSIVE")

    def end(self) -> None:
        self.other.execute("ROLLBACK")
        self.other.close()


class ReadOnly(Fault):
    """As a file system that turned read-only after an error: also what is open cannot be written any more."""

    def files(self) -> list[Path]:
        return [self.store / DATABASE, self.store / f"{DATABASE}-wal"]

    def try_out(self) -> None:
        probe = self.store / "probe"
        try:
            with probe.open("wb", buffering=0) as already_open:
                _do("chattr", "+i", probe)
                with contextlib.suppress(OSError):
                    already_open.write(b"x")
                    raise Impossible("an immutable file can be written by who has it open")
        finally:
            subprocess.run(["chattr", "-i", probe], capture_output=True)
            probe.unlink()

    def begin(self) -> None:
        subprocess.run(["chattr", "+i", *self.files()], check=True)

    def end(self) -> None:
        subprocess.run(["chattr", "-i", *self.files()], check=True)


FAULTS: dict[str, type[Fault]] = {"full": DiskFull, "locked": Locked, "read-only": ReadOnly}
