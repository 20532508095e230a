"""The processes of local desktops, seen from outside their sandboxes."""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Inside:
    """A process in a sandbox."""

    pid: int
    pid_inside: int
    uid: int
    command: str


def read(pid: int) -> Inside | None:
    """A process, unless it has ended."""
    try:
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        if status["State"].split()[0] == "Z":
            return None
        command = (
            Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        )
        return Inside(pid, int(status["NSpid"].split()[-1]), int(status["Uid"].split()[0]), command)
    except (OSError, KeyError):
        return None


def of_desktops(data_dir: Path, home_of: str | None = None) -> list[Inside]:
    """All live processes in whose mount namespace something of `data_dir` is bound in: the desktops' and only
    theirs, wherever their parents went. With `home_of` only of those that have that user's home."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            mounts = (entry / "mountinfo").read_text()
            # Field 4 is the path inside its file system, whatever that is mounted on.
            sources = [line.split()[3] + "/" for line in mounts.splitlines()]
            ours = [source for source in sources if f"/{data_dir.name}/" in source]
            if not ours or (home_of and not any(f"/{home_of.lower()}@" in source.lower() for source in ours)):
                continue
            process = read(int(entry.name))
            if process:
                found.append(process)
    return found


def everything() -> list[Inside]:
    """All live processes of this machine."""
    found = [read(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    return [process for process in found if process]


def alive_inside(data_dir: Path, pid_inside: int, name: str) -> bool:
    """Whether a process of that number, as it is seen in its sandbox, and that name still lives."""
    return any(p.pid_inside == pid_inside and name in p.command for p in of_desktops(data_dir))


def end_desktops(data_dir: Path) -> list[Inside]:
    """Ends whatever is left in desktops of `data_dir`, by pid. Returns what there was: ought to be nothing."""
    left = of_desktops(data_dir)
    for process in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    return left
