"""The figures of OpenRDMS, each measured beside a peer in the same run. `script/bench` calls this.

A figure is a function in FIGURES that yields results; ours and the peer alternate, several rounds, and the result is the
median of the rounds with the least and the most in its note.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from support import certificates, process, wait
from support.paths import ROOT, TARGET, tool
from support.server import Server, make_data_dir, remove

BENCH = TARGET / "release" / "openrdms-bench"
SESSION = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/rdms/Win32_VirtualDesktopSession"
SESSIONS = 10_000


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


def measure(*arguments) -> dict:
    command = [str(BENCH), *map(str, arguments)]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600).stdout)


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


class Bench:
    """A service with many sessions, and nginx beside it with the same certificate."""

    def __init__(self, where: Path, sessions: int):
        self.where = where
        # In memory: what is measured here is the service and not the disk under its store.
        self.data_dir = make_data_dir(Path("/dev/shm"))
        self.sessions = sessions

    @contextlib.contextmanager
    def running(self):
        certificates.make(self.where, ec.generate_private_key(ec.SECP256R1()))
        self.server = Server(self.data_dir, self.where, certificates.settings(self.where))
        try:
            measure("fill", self.data_dir, self.sessions)
            self.server.start()
            self.server.add_user("admin", role="admin")
            (self.where / "credentials").write_text(f"admin:{self.server.passwords['admin']}")
            with self.nginx() as self.peer:
                yield self
        finally:
            # Not `close`: none of these sessions has a desktop that could be logged off.
            if self.server.process:
                self.server.process.stop()
            remove(self.data_dir)

    @contextlib.contextmanager
    def nginx(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        here = self.where / "nginx"
        (here / "temp").mkdir(parents=True)
        text = (ROOT / "benches/peers/nginx.conf").read_text()
        certificate, key = self.where / "certificate.pem", self.where / "key.pem"
        for word, value in {"PORT": port, "CERTIFICATE": certificate, "PRIVATE_KEY": key, "ROOT": here}.items():
            text = text.replace(word, str(value))
        (here / "nginx.conf").write_text(text)
        command = [tool("nginx"), "-p", str(here), "-c", "nginx.conf"]
        peer = process.Process("nginx", command, here / "log")

        def listens() -> bool:
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                return True

        try:
            wait.until("nginx listens", listens, 10)
            yield f"https://127.0.0.1:{port}"
        finally:
            peer.stop()

    def ours(self, what: str, *arguments) -> dict:
        url = self.server.ready["wsman_https"]
        pin = ("--certificate", self.where / "certificate.pem")
        return measure(what, url, *pin, "--credentials", self.where / "credentials", *arguments)

    def theirs(self, size: int, count: int) -> dict:
        # A name of its own for each size: nginx remembers how long a file was, in each of its workers.
        name = f"body-{size}"
        (self.where / "nginx" / name).write_bytes(b"x" * size)
        pin = ("--certificate", self.where / "certificate.pem")
        return measure("repeat", f"{self.peer}/{name}", *pin, "--count", count)

    def post(self, action: str, selectors: dict, body: str = "") -> Path:
        """A file with a message."""
        listed = "".join(f'<w:Selector Name="{name}">{value}</w:Selector>' for name, value in selectors.items())
        path = self.where / "message.xml"
        path.write_text(
            '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" '
            'xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
            'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd"><s:Header>'
            f"<a:Action>{action}</a:Action><a:To>{self.server.ready['wsman_https']}</a:To>"
            f"<w:ResourceURI>{SESSION}</w:ResourceURI><a:MessageID>uuid:1</a:MessageID><a:ReplyTo><a:Address>"
            "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
            f"<w:SelectorSet>{listed}</w:SelectorSet></s:Header><s:Body>{body}</s:Body></s:Envelope>"
        )
        return path


def enumerate_10k(bench: Bench, rounds: int) -> Iterator[Result]:
    pid = bench.server.process.pid
    idle, most = resident(pid), 0.0
    ours, theirs, first, spent = [], [], [], []
    for _ in range(rounds):
        before = processor_time(pid)
        ran = bench.ours("enumerate", "--resource", SESSION, "--rounds", 5)
        spent.append((processor_time(pid) - before) / 6)  # one round more, which warms up
        assert ran["instances"] == bench.sessions, ran
        most = max(most, resident(pid))
        ours += [ran["instances"] / seconds for seconds in ran["seconds"]]
        first += ran["first_batch"]
        batches = max(1, round(ran["bytes"] / 500_000))
        peer = bench.theirs(ran["bytes"] // batches, batches * 5)
        theirs.append(ran["instances"] * 5 / peer["seconds"])
    note = f"Win32_VirtualDesktopSession, MaxElements 1000, one TLS connection, {ran['bytes'] >> 10} KiB; {spread(ours)}; "
    note += f"first batch {statistics.median(first) * 1000:.3g} ms; "
    note += f"{statistics.median(spent) * 1000:.3g} ms of processor time a listing; peer: nginx, a file of the same size ({spread(theirs)})"
    yield Result("enumerate-10k", statistics.median(ours), statistics.median(theirs), "instances/s", note)
    note = f"resident memory beyond idle ({idle:.4g} MiB) while listing"
    yield Result("enumerate-10k-memory", most - idle, None, "MiB", note)


def keyed(bench: Bench, rounds: int, name: str, message: Path, note: str) -> Iterator[Result]:
    ours, theirs = [], []
    for _ in range(rounds):
        ran = bench.ours("repeat", "--body", message, "--count", 2000)
        ours.append(ran["p50"] * 1000)
        theirs.append(bench.theirs(ran["bytes"], 2000)["p50"] * 1000)
    note += f", kept-alive TLS connection, store in memory; {spread(ours)}; peer: nginx, a file of the same size"
    yield Result(name, statistics.median(ours), statistics.median(theirs), "ms", note)


KEYS = {"VMHostName": "farm-1", "SessionId": 77}


def get_p50(bench: Bench, rounds: int) -> Iterator[Result]:
    message = bench.post("http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", KEYS)
    yield from keyed(bench, rounds, "get-p50-ms", message, "Get by keys")


def invoke_p50(bench: Bench, rounds: int) -> Iterator[Result]:
    body = f'<p:Disconnect_INPUT xmlns:p="{SESSION}"/>'
    message = bench.post(f"{SESSION}/Disconnect", KEYS, body)
    yield from keyed(bench, rounds, "invoke-p50-ms", message, "Disconnect of a lost session, with its audit record")


FIGURES = {"enumerate-10k": enumerate_10k, "get-p50-ms": get_p50, "invoke-p50-ms": invoke_p50}


def main() -> int:
    parser = argparse.ArgumentParser(prog="script/bench", description="The figures of OpenRDMS beside those of peers.")
    parser.add_argument("--quick", action="store_true", help="one round: to see that it runs, never to quote")
    parser.add_argument("--json", action="store_true", help="a line of JSON a figure, and nothing else")
    parser.add_argument("--only", choices=FIGURES, metavar="NAME", help=f"one of: {', '.join(FIGURES)}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="bench-") as where, Bench(Path(where), SESSIONS).running() as bench:
        for name, figure in FIGURES.items():
            if options.only in (None, name):
                for result in figure(bench, 1 if options.quick else 5):
                    print(result.json() if options.json else text(result), flush=True)
    return 0


def text(result: Result) -> str:
    peer = "" if result.peer is None else f"  peer {result.peer:.4g}  ratio {result.ours / result.peer:.2f}"
    return f"{result.name:24} {result.ours:.4g} {result.unit}{peer}\n    {result.note}"


if __name__ == "__main__":
    sys.exit(main())
