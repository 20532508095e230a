"""What is really so, seen past OpenRDMS: the kernel's processes and connections, the store's file."""

import contextlib
import json
import os
import re
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

from .processes import Inside, read

# Part of a desktop -> how its command line begins or what it holds.
PARTS = {
    "supervisor": r"^\S+ desktop-supervisor /run/desk-etc/",
    "xorg": r"^/usr/lib/xorg/Xorg ",
    "xrdp": r"^/usr/sbin/xrdp -n",
    "chansrv": r"^/usr/sbin/xrdp-chansrv",
    "session": r"^dbus-run-session ",
    "bus": r"^dbus-daemon ",
    "window manager": r"^openbox",
    "terminal": r"^xterm ",
    "shell": r"^bash",
}


@dataclass
class Desktop:
    """A desktop of which at least one process lives."""

    name: str
    # The directories in homes/COLLECTION/ that are bound in: one, unless something is very wrong.
    homes: set[str] = field(default_factory=set)
    namespaces: set[str] = field(default_factory=set)
    processes: list[Inside] = field(default_factory=list)

    @property
    def user(self) -> str:
        return next(iter(self.homes)).split("@")[0]

    def part(self, name: str) -> list[Inside]:
        """Its processes that are that part, oldest first."""
        return sorted(
            (p for p in self.processes if re.search(PARTS[name], p.command)), key=lambda p: p.pid_inside
        )


def desktops(data_dir: Path) -> dict[str, Desktop]:
    """Every desktop of `data_dir` with a live process, wherever that process's parents went."""
    ours = f"/{data_dir.name}/"
    found: dict[str, Desktop] = {}
    seen: dict[str, tuple[str, str] | None] = {}  # mount namespace -> desktop and home
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            namespace = os.readlink(entry / "ns/mnt")
            if namespace not in seen:
                # Field 4 is the path inside its file system, whatever that is mounted on.
                sources = [line.split()[3] for line in (entry / "mountinfo").read_text().splitlines()]
                inside = [source.split(ours, 1)[1].split("/") for source in sources if ours in source]
                desk = next((parts[1] for parts in inside if parts[0] == "desktops"), None)
                home = next((parts[2] for parts in inside if parts[0] == "homes"), None)
                seen[namespace] = (desk, home) if desk and home else None
            place = seen[namespace]
            process = read(int(entry.name)) if place else None
            if process:
                desktop = found.setdefault(place[0], Desktop(place[0]))
                desktop.homes.add(place[1])
                desktop.namespaces.add(namespace)
                desktop.processes.append(process)
    return found


def of_uids(uids: range) -> list[Inside]:
    """Every live process that belongs to one of these uids, in a sandbox or outside."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if entry.stat().st_uid in uids and (process := read(int(entry.name))):
                found.append(process)
    return found


def established(port: int) -> set[int]:
    """The clients' ports of all connections that the server at `port` (IPv4, loopback) still holds open."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, *_ = line.split()
        if int(local.split(":")[1], 16) == port and state == "01":
            found.add(int(remote.split(":")[1], 16))
    return found


def ports_of(pid: int) -> set[int]:
    """The local ports of a process's TCP connections (IPv4)."""
    inodes = set()
    with contextlib.suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                if inode := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(entry)):
                    inodes.add(inode[1])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(line[1].split(":")[1], 16) for line in lines if line[9] in inodes}


def descriptors(pid: int) -> int:
    """How many files and sockets a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))


def history(data_dir: Path) -> list[dict]:
    """Every session that ever was, in the order of their ids, as the store's file has it."""
    return _rows(data_dir, "SELECT row FROM session ORDER BY session_id")


def audit(data_dir: Path) -> list[dict]:
    """The audit trail, oldest first, as the store's file has it."""
    return _rows(data_dir, "SELECT row FROM audit ORDER BY id")


def _rows(data_dir: Path, query: str) -> list[dict]:
    with contextlib.closing(sqlite3.connect(f"file:{data_dir}/openrdms.sqlite?mode=ro", uri=True)) as store:
        return [json.loads(row) for (row,) in store.execute(query)]


def state(data_dir: Path, uid: str) -> dict:
    """Where one session stands, or why it ended."""
    return next(session["state"] for session in history(data_dir) if session["uid"] == uid)


def drafts(data_dir: Path) -> list[Path]:
    """Files that were begun and neither finished nor removed."""
    return [path for end in ("new", "draft") for path in (data_dir / "desktops").glob(f"*/*.{end}")]
