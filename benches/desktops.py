"""Figures of the whole service with real desktops (xrdp) and real clients."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from figures import Result, Rounds, disconnect_message, measure, median, spread
from support import certificates
from support.clients import FreeRdp, Rdesktop
from support.management import DISCONNECTED
from support.screen import Screen
from support.server import Server, make_data_dir, remove

# What a desktop shows: nothing, or as much as it can.
QUIET = "exec sleep infinity"
BUSY = "exec xterm -geometry 160x60 -e sh -c 'while :; do seq 1 100000; done'"


@contextlib.contextmanager
def service(where: Path, shows: str) -> Iterator[Server]:
    """A service on a real disk, and the only desktop that its user has."""
    data_dir = make_data_dir()
    where.mkdir(exist_ok=True)
    certificates.make(where, ec.generate_private_key(ec.SECP256R1()))
    settings = {"OPENRDMS_LOCAL_SESSION_COMMAND": shows, "OPENRDMS_RDP_SECURITY": "tls"}
    try:
        with Server(data_dir, where, {**settings, **certificates.settings(where)}) as server:
            server.add_user("admin", role="admin")
            server.add_user("alice")
            server.add_collection("office", size=1, users=("alice",))
            (where / "password").write_text(server.passwords["alice"])
            (where / "credentials").write_text(f"admin:{server.passwords['admin']}")
            yield server
    finally:
        remove(data_dir)


def as_alice(where: Path) -> tuple:
    return ("--user", "alice", "--password", where / "password")


def connect_added(where: Path, rounds: Rounds) -> Iterator[Result]:
    count = rounds.of(20, 5)
    with service(where, QUIET) as server:
        # The first logon starts the desktop.
        measure("rdp-connect", server.rdp, *as_alice(where), "--count", 1)
        [socket] = server.data_dir.glob("desktops/*/**/rdp.sock")
        through, direct = [], []
        for _ in range(rounds.count):
            through += measure("rdp-connect", server.rdp, *as_alice(where), "--count", count)["seconds"]
            direct += measure("rdp-connect", socket, "--user", "alice", "--count", count)["seconds"]
    hash_ms = median(measure("hash", where, "--count", rounds.of(20, 3))["seconds"]) * 1000
    added = (median(through) - median(direct)) * 1000 - hash_ms
    note = f"{len(through)} connects from the first packet to xrdp's Demand Active, by a client that does not poll: "
    note += f"through us {median(through) * 1000:.3g} ms ({spread([s * 1000 for s in through])}), "
    note += f"to the desktop itself {median(direct) * 1000:.3g} ms ({spread([s * 1000 for s in direct])}); "
    note += f"the password's hash, which takes {hash_ms:.3g} ms at each logon, is taken off; store on disk"
    yield Result("connect-added-ms", added, None, "ms", note)


def disconnect_server(where: Path, rounds: Rounds) -> Iterator[Result]:
    count = rounds.of(100, 5)
    with service(where, BUSY) as server:
        measure("rdp-connect", server.rdp, *as_alice(where), "--count", 1)
        with server.management() as management:
            session = management.session_of("alice")
        body = where / "disconnect.xml"
        keys = {name: session[name] for name in ("VMHostName", "SessionId")}
        body.write_text(disconnect_message(server.ready["wsman_https"], keys))
        at = ("--management", server.ready["wsman_https"], "--certificate", where / "certificate.pem")
        said = ("--credentials", where / "credentials", "--body", body)
        ran = measure("rdp-disconnect", server.rdp, *as_alice(where), "--count", count, *at, *said)
    ms = sorted(second * 1000 for second in ran["seconds"])
    note = f"Disconnect over WS-Man, {count} times under heavy output of xrdp, with a client that closes once it is told; store on disk; "
    note += f"{spread(ms)}, p95 {ms[int(len(ms) * 0.95)]:.3g}; {ran['gone_at_the_answer']} of {count} had been told when the answer came"
    yield Result("disconnect-server-ms", median(ms), None, "ms", note)


def disconnect_client_gone(where: Path, rounds: Rounds) -> Iterator[Result]:
    count = rounds.of(100, 2)
    with service(where, BUSY) as server, Screen(where) as screen, server.management() as management:
        for family in (FreeRdp, Rdesktop):
            took, ended, gone = [], [], 0
            for turn in range(count):
                logs = where / f"{family.__name__}-{turn}"
                logs.mkdir()
                with family(server.rdp, "alice", server.passwords["alice"], screen, logs) as client:
                    server.wait_state("alice", "Active")
                    screen.wait_change("there is output")
                    session = management.session_of("alice")
                    begun = time.monotonic()
                    assert management.invoke(session, "Disconnect") == 0
                    answered = time.monotonic()
                    gone += not connected_to(server.rdp)
                    client.wait_end()
                    took.append((answered - begun) * 1000)
                    ended.append((time.monotonic() - begun) * 1000)
                    assert management.state(session) == DISCONNECTED
            name = "xfreerdp" if family is FreeRdp else "rdesktop"
            note = f"{name}, {count} times under heavy output, from the call to the answer, at which the client is to be gone: {gone} of {count} were; "
            note += f"{spread(took)}; its process had ended after {median(ended):.3g} ms ({spread(ended)})"
            yield Result(f"disconnect-client-gone-ms/{name}", median(took), None, "ms", note)


def connected_to(address: str) -> bool:
    """Whether anybody has a connection to this port that is open on their side (`/proc/net/tcp`, state 1)."""
    port = int(address.rpartition(":")[2])
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return any(int(remote.rpartition(":")[2], 16) == port and state == "01" for _, _, remote, state, *_ in lines)
