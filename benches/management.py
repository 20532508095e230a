"""Figures of the management interface, beside nginx serving files of the same size."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from figures import (
    SESSION,
    Result,
    Rounds,
    disconnect_message,
    fill_in,
    free_port,
    measure,
    median,
    message,
    processor_time,
    resident,
    spread,
    wait_listening,
)
from support import certificates, process
from support.paths import tool
from support.server import Server, make_data_dir, remove

FEW, SESSIONS, MANY = 100, 10_000, 100_000


class Management:
    """A service with many sessions, and nginx beside it with the same certificate."""

    def __init__(self, where: Path, sessions: int = SESSIONS):
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
        port = free_port()
        here = self.where / "nginx"
        (here / "temp").mkdir(parents=True)
        own = {"certificate": self.where / "certificate.pem", "private_key": self.where / "key.pem"}
        fill_in("nginx.conf", here, port=port, root=here, **own)
        with process.Process("nginx", [tool("nginx"), "-p", here, "-c", "nginx.conf"], here / "log") as peer:
            wait_listening(peer, port)
            yield f"https://127.0.0.1:{port}"

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

    def file(self, message: str) -> Path:
        path = self.where / "message.xml"
        path.write_text(message)
        return path


def enumerate_10k(bench: Management, rounds: Rounds) -> Iterator[Result]:
    yield from enumerate_all(bench, rounds, "enumerate-10k", listings=5)


def enumerate_100k(bench: Management, rounds: Rounds) -> Iterator[Result]:
    yield from enumerate_all(bench, rounds, "enumerate-100k", listings=1)


def enumerate_all(bench: Management, rounds: Rounds, name: str, listings: int) -> Iterator[Result]:
    pid = bench.server.process.pid
    idle, most = resident(pid), 0.0
    ours, theirs, first, spent = [], [], [], []
    for _ in range(rounds.count):
        before = processor_time(pid)
        ran = bench.ours("enumerate", "--resource", SESSION, "--rounds", listings)
        spent.append((processor_time(pid) - before) / (listings + 1))  # one round more, which warms up
        assert ran["instances"] == bench.sessions, ran
        most = max(most, resident(pid))
        ours += [ran["instances"] / seconds for seconds in ran["seconds"]]
        first += ran["first_batch"]
        batches = max(1, round(ran["bytes"] / 500_000))
        peer = bench.theirs(ran["bytes"] // batches, batches * listings)
        theirs.append(ran["instances"] * listings / peer["seconds"])
    note = f"Win32_VirtualDesktopSession, MaxElements 1000, one TLS connection, {ran['bytes'] >> 10} KiB; {spread(ours)}; "
    note += f"first batch {median(first) * 1000:.3g} ms; "
    note += f"{median(spent) * 1000:.3g} ms of processor time a listing; peer: nginx, a file of the same size ({spread(theirs)})"
    yield Result(name, median(ours), median(theirs), "instances/s", note)
    note = f"resident memory beyond idle ({idle:.4g} MiB) while listing"
    yield Result(f"{name}-memory", most - idle, None, "MiB", note)


def keyed(bench: Management, rounds: Rounds, name: str, request: Path, note: str) -> Iterator[Result]:
    ours, theirs = [], []
    for _ in range(rounds.count):
        ran = bench.ours("repeat", "--body", request, "--count", 2000)
        ours.append(ran["p50"] * 1000)
        theirs.append(bench.theirs(ran["bytes"], 2000)["p50"] * 1000)
    note += f", kept-alive TLS connection, store in memory; {spread(ours)}; peer: nginx, a file of the same size"
    yield Result(name, median(ours), median(theirs), "ms", note)


KEYS = {"VMHostName": "farm-1", "SessionId": 77}


def get_p50(bench: Management, rounds: Rounds) -> Iterator[Result]:
    url = bench.server.ready["wsman_https"]
    get = message(url, "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", KEYS)
    yield from keyed(bench, rounds, "get-p50-ms", bench.file(get), "Get by keys")


def get_100k(bench: Management, rounds: Rounds) -> Iterator[Result]:
    """How much more a Get costs among many sessions than among few: both services stand side by side."""
    action = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get"
    with tempfile.TemporaryDirectory(prefix="bench-") as where, Management(Path(where), FEW).running() as small:
        many, few = [], []
        for _ in range(rounds.count):
            for side, took in ((bench, many), (small, few)):
                body = side.file(message(side.server.ready["wsman_https"], action, KEYS))
                took.append(side.ours("repeat", "--body", body, "--count", 2000)["p50"] * 1000)
    note = f"Get by keys among {MANY:,} sessions ({spread(many)}); peer: the same among {FEW} ({spread(few)})"
    yield Result("get-100k-ms", median(many), median(few), "ms", note)


def invoke_p50(bench: Management, rounds: Rounds) -> Iterator[Result]:
    invoke = disconnect_message(bench.server.ready["wsman_https"], KEYS)
    note = "Disconnect of a lost session, with its audit record"
    yield from keyed(bench, rounds, "invoke-p50-ms", bench.file(invoke), note)
