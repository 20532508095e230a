"""Figures of the relay, beside HAProxy between the same client and the same desktop: one that is nothing but output."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from figures import (
    BENCH,
    Result,
    Rounds,
    fill_in,
    free_port,
    measure,
    median,
    processor_time,
    resident,
    spread,
    wait_listening,
)
from support import certificates, wait
from support.paths import tool
from support.process import Process
from support.server import make_data_dir, remove

USERS = 1000
LEGS = "TLS 1.3, AES-256-GCM, X25519, P-256 on both legs, a desktop on a Unix socket"


@dataclass
class Side:
    """A relay or its peer, and how clients speak to it."""

    process: Process
    door: str
    speech: tuple[str, ...] = ()

    def measure(self, what: str, *arguments) -> dict:
        return measure(what, self.door, *self.speech, *arguments)


class Relay:
    """A desktop with relays in front of it."""

    def __init__(self, where: Path):
        self.where = where

    @contextlib.contextmanager
    def running(self):
        for who in ("desktop", "relay"):
            (self.where / who).mkdir()
            certificates.make(self.where / who, ec.generate_private_key(ec.SECP256R1()))
        self.socket = self.where / "desktop" / "rdp.sock"
        command = [BENCH, "rdp-desktop", self.socket, *self.own("desktop")]
        with Process("desktop", command, self.where / "desktop.log") as desktop:
            wait.until("the desktop is there", lambda: "{}" in desktop.log, 10)
            yield self

    def own(self, who: str) -> tuple:
        return ("--certificate", self.where / who / "certificate.pem", "--private-key", self.where / who / "key.pem")

    @contextlib.contextmanager
    def ours(self, *arguments) -> Iterator[Side]:
        """Engine, store (in memory: the disk is not measured) and relay, as the service has them."""
        data_dir = make_data_dir(Path("/dev/shm"))
        command = [BENCH, "rdp-service", "--data-dir", data_dir, "--desktop", self.socket, "--users", USERS]
        command += ["--desktop-certificate", self.where / "desktop/certificate.pem", *self.own("relay"), *arguments]
        log = self.where / "relay.log"
        log.unlink(missing_ok=True)
        try:
            with Process("relay", command, log) as process:
                wait.until("the relay is there", lambda: process.exit_code is not None or "address" in process.log, 60)
                yield Side(process, json.loads(process.log.splitlines()[-1])["address"])
        finally:
            remove(data_dir)

    @contextlib.contextmanager
    def haproxy(self) -> Iterator[Side]:
        here = self.where / "haproxy"
        shutil.rmtree(here, ignore_errors=True)
        here.mkdir()
        # The certificate and its key in one file.
        own = here / "own.pem"
        own.write_text("".join((self.where / "relay" / part).read_text() for part in ("certificate.pem", "key.pem")))
        port = free_port()
        pinned = self.where / "desktop/certificate.pem"
        path = fill_in("haproxy.cfg", here, port=port, certificate=own, desktop=self.socket, pinned=pinned)
        with Process("haproxy", [tool("haproxy"), "-db", "-f", path], here / "log") as process:
            wait_listening(process, port)
            yield Side(process, f"127.0.0.1:{port}", ("--tls",))


def throughput(relay: Relay, rounds: Rounds) -> Iterator[Result]:
    connections = 2
    size = rounds.of(3_000_000_000, 300_000_000)
    speeds, costs = ([], []), ([], [])
    with relay.ours() as ours, relay.haproxy() as theirs:
        for _ in range(rounds.count):
            for side, speed, cost in zip((ours, theirs), speeds, costs, strict=True):
                before = processor_time(side.process.pid)
                ran = side.measure("rdp-transfer", "--bytes", size, "--connections", connections)
                spent = processor_time(side.process.pid) - before
                speed.append(ran["bytes"] / ran["seconds"] / 1e6)
                cost.append(spent / (ran["bytes"] + ran["warmed"]) * 1e9)
    what = f"output by {connections} clients, frames of 16000, 90 and 60 bytes; {LEGS}"
    note = f"{what}; {spread(speeds[0])}; peer: HAProxy ({spread(speeds[1])})"
    yield Result("relay-throughput", median(speeds[0]), median(speeds[1]), "MB/s", note)
    note = f"processor time, user and system; {what}; {spread(costs[0])}; peer: HAProxy ({spread(costs[1])})"
    yield Result("relay-cpu-per-gb", median(costs[0]), median(costs[1]), "s/GB", note)


def memory(relay: Relay, rounds: Rounds) -> Iterator[Result]:
    connections, output, idle = rounds.of(500, 50), rounds.of(10, 2), rounds.of(30, 3)
    found = ([], [])
    for _ in range(rounds.of(3, 1)):
        for start, kib in zip((relay.ours, relay.haproxy), found, strict=True):
            # a process of its own each time: what was once taken is not given back
            with start() as side:
                side.measure("rdp-transfer", "--bytes", 100_000_000, "--connections", 4)
                before = resident(side.process.pid)
                with held(side, connections, output):
                    time.sleep(idle)  # what is measured is a connection that was idle for so long
                    kib.append((resident(side.process.pid) - before) * 1024 / connections)
    note = f"resident memory a connection, {connections} of them, after {output} s of full output and {idle} s idle; {LEGS}; "
    note += f"ours with its session's share of engine and store; {spread(found[0])}; peer: HAProxy ({spread(found[1])})"
    yield Result("relay-memory-per-session", median(found[0]), median(found[1]), "KiB", note)


@contextlib.contextmanager
def held(side: Side, connections: int, output: int):
    """Connections that had output, and are open and quiet now."""
    command = [BENCH, "rdp-hold", side.door, *side.speech, "--connections", connections, "--seconds", output]
    child = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        quiet = child.stdout.readline()
        assert quiet, "the clients could not be held"
        yield json.loads(quiet)
    finally:
        rest, _ = child.communicate(timeout=60)
    assert json.loads(rest)["held"] == connections, rest


def handshakes(relay: Relay, rounds: Rounds) -> Iterator[Result]:
    with relay.ours("--tls-alone") as ours, relay.haproxy() as theirs:
        ours.speech = theirs.speech
        speeds, costs = come_and_go(ours, theirs, rounds)
    note = f"16 at once, TLS alone on both legs, and a word from the desktop; {LEGS}; {spread(speeds[0])}; "
    note += f"processor time {median(costs[0]):.3g} ms each; peer: HAProxy ({spread(speeds[1])}, {median(costs[1]):.3g} ms)"
    yield Result("handshakes-per-second", median(speeds[0]), median(speeds[1]), "/s", note)


def logons(relay: Relay, rounds: Rounds) -> Iterator[Result]:
    with relay.ours() as ours:
        direct = Side(ours.process, str(relay.socket))
        speeds, costs = come_and_go(ours, direct, rounds)
    note = f"16 at once, from the first packet to a desktop that answers, each user back in their session; store in memory, no password hash; {LEGS}; "
    note += f"{spread(speeds[0])}; processor time {median(costs[0]):.3g} ms each; peer: the desktop without a relay ({spread(speeds[1])})"
    yield Result("logons-per-second", median(speeds[0]), median(speeds[1]), "/s", note)


def come_and_go(ours: Side, theirs: Side, rounds: Rounds):
    speeds, costs = ([], []), ([], [])
    for _ in range(rounds.count):
        for side, speed, cost in zip((ours, theirs), speeds, costs, strict=True):
            before = processor_time(side.process.pid)
            ran = side.measure("rdp-come-and-go", "--users", USERS, "--seconds", rounds.of(4, 1))
            speed.append(ran["served"] / ran["seconds"])
            cost.append((processor_time(side.process.pid) - before) / (ran["served"] + ran["before"]) * 1000)
    return speeds, costs
