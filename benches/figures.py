"""What all figures share: how one is told, and how processes are looked at."""

import contextlib
import json
import os
import socket
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

from support import wait
from support.paths import ROOT, TARGET
from support.process import Process

SESSION = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession"
BENCH = TARGET / "release" / "openrdms-bench"


@dataclass
class Result:
    name: str
    ours: float
    peer: float | None
    unit: str
    note: str

    def json(self) -> str:
        ratio = self.ours / self.peer if self.peer else None
        short = [None if figure is None else float(f"{figure:.4g}") for figure in (self.ours, self.peer, ratio)]
        ours, peer, ratio = short
        line = {"name": self.name, "ours": ours, "peer": peer, "ratio": ratio, "unit": self.unit, "note": self.note}
        return json.dumps(line, ensure_ascii=False)

    def __str__(self) -> str:
        peer = "" if self.peer is None else f"  peer {self.peer:.4g}  ratio {self.ours / self.peer:.2f}"
        return f"{self.name:24} {self.ours:.4g} {self.unit}{peer}\n    {self.note}"


@dataclass
class Rounds:
    """How often, for `--quick` and else."""

    quick: bool

    @property
    def count(self) -> int:
        return 1 if self.quick else 5

    def of(self, full: int, quick: int) -> int:
        return quick if self.quick else full


def measure(*arguments) -> dict:
    command = [str(BENCH), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=900).stdout)


def message(to: str, action: str, selectors: dict, body: str = "") -> str:
    """A request about a session."""
    listed = "".join(f'<w:Selector Name="{name}">{value}</w:Selector>' for name, value in selectors.items())
    return (
        '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
        'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
        'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>'
        f"<a:Action>{action}</a:Action><a:To>{to}</a:To>"
        f"<w:ResourceURI>{SESSION}</w:ResourceURI><a:MessageID>uuid:1</a:MessageID><a:ReplyTo><a:Address>"
        "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
        f"<w:SelectorSet>{listed}</w:SelectorSet></s:Header><s:Body>{body}</s:Body></s:Envelope>"
    )


def disconnect_message(to: str, keys: dict) -> str:
    return message(to, f"{SESSION}/Disconnect", keys, f'<p:Disconnect_INPUT xmlns:p="{SESSION}"/>')


def median(values: list[float]) -> float:
    return statistics.median(values)


def spread(values: list[float], unit: str = "") -> str:
    return f"{min(values):.4g} to {max(values):.4g}{unit}"


def resident(pid: int) -> float:
    """MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def processor_time(pid: int) -> float:
    """Seconds, in user space and in the kernel."""
    # What follows the name in parentheses: the 14th and 15th fields of the whole line.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def fill_in(peer: str, where: Path, **words) -> Path:
    """The configuration of a peer, with its words in capitals replaced, as a file in `where`."""
    text = (ROOT / "benches/peers" / peer).read_text()
    for word, value in words.items():
        text = text.replace(word.upper(), str(value))
    path = where / peer
    path.write_text(text)
    return path


def wait_listening(process: Process, port: int) -> None:
    def listens() -> bool:
        assert process.exit_code is None, f"{process.name} ended:\n{process.log}"
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return True

    wait.until(f"{process.name} listens", listens, 10)
