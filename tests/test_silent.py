"""Clients that fall silent: their packets are dropped on the way, and no end of the connection ever arrives."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator

import pytest
from support import processes, wait
from support.needs import lacking
from support.server import Server, make_data_dir, remove
from support.terminal import Terminal

# From the last packet that arrived to Disconnected in the list.
LIMIT = 60.0
# Before the kernel gives up a connection on which nothing was sent.
LATE = 14.0


class Network:
    """A network of two: this machine, and a namespace with clients in it. It can be cut."""

    def __init__(self):
        self.namespace = f"openrdms-{os.getpid()}"
        self.ours, self.theirs = f"or{os.getpid()}a", f"or{os.getpid()}b"
        # 198.18.0.0/15 is for tests of networks (RFC 2544): no real neighbour has these addresses
        self.address, self.client_address = "198.18.77.1", "198.18.77.2"

    def __enter__(self):
        if shutil.which("ip") is None or os.geteuid() != 0:
            lacking("a network namespace needs root and the program ip (package iproute2)")
        made = subprocess.run(["ip", "netns", "add", self.namespace], capture_output=True, text=True)
        if made.returncode != 0:
            lacking(f"a network namespace cannot be made here: {made.stderr.strip()}")
        try:
            self._ip("link", "add", self.ours, "type", "veth", "peer", "name", self.theirs)
            self._ip("link", "set", self.theirs, "netns", self.namespace)
            self._ip("address", "add", f"{self.address}/30", "dev", self.ours)
            self._ip("link", "set", self.ours, "up")
            self._inside("address", "add", f"{self.client_address}/30", "dev", self.theirs)
            self._inside("link", "set", "lo", "up")
            self._inside("link", "set", self.theirs, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        subprocess.run(["ip", "link", "delete", self.ours], capture_output=True)
        subprocess.run(["ip", "netns", "delete", self.namespace], check=True)

    def _ip(self, *words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    def _inside(self, *words: str) -> None:
        self._ip("-netns", self.namespace, *words)

    @property
    def prefix(self) -> tuple[str, ...]:
        """Before a command: it runs in the namespace."""
        return ("ip", "netns", "exec", self.namespace)

    def cut(self) -> None:
        """From now on every packet is lost, both ways, and neither side is told."""
        self._inside("link", "set", self.theirs, "down")


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network() as network:
        yield network


@pytest.fixture(scope="module")
def server(network: Network, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data_dir = make_data_dir()
    settings = {"OPENRDMS_RDP_LISTEN": f"{network.address}:0"}
    try:
        with Server(data_dir, tmp_path_factory.mktemp("server"), settings) as server:
            server.populate()
            yield server
    finally:
        remove(data_dir)


def cut_and_measure(server: Server, network: Network, users: set[str], late) -> dict[str, float]:
    """Cuts the network; after how many seconds each user's session was Disconnected. `late` is called once, LATE
    seconds after the cut."""
    # The panels' clocks speak once a minute: not now, and not before the silence of who says nothing is noticed.
    wait.until("the clocks have just been set", lambda: 2 < time.time() % 60 < 30, 60.0)
    network.cut()
    start = time.monotonic()
    took: dict[str, float] = {}
    said: list[bool] = []

    def all_noticed() -> bool:
        if not said and time.monotonic() - start > LATE:
            said.append(True)
            late()
        for session in server.json("session", "list"):
            if session["State"] == "Disconnected" and session["UserName"] not in took:
                assert session["StateReason"] == "client gone"
                took[session["UserName"]] = time.monotonic() - start
        return not users - took.keys()

    wait.until(f"silence is noticed on the connections of {users}", all_noticed, LIMIT)
    return took


def test_a_silent_client_is_noticed_within_a_minute_whatever_there_is_to_send(server, network, desk):
    """alice's desktop has nothing to say, bob's says something all the time, carol's says something late: the
    kernel notices each in another way."""
    clients = {user: desk.freerdp(user, prefix=network.prefix) for user in ("alice", "bob", "carol")}
    terminals = {user: Terminal(server, client, user) for user, client in clients.items()}
    for client in clients.values():
        client.screen.click(200, 200)
    shells = {user: terminal.shell_pid() for user, terminal in terminals.items()}
    # before the others' last words: at the cut nothing of carol's is on its way
    clients["carol"].screen.type("while [ ! -e ~/speak ]; do sleep 0.1; done; seq 1 100")
    terminals["alice"].ask("true")
    clients["bob"].screen.type("while :; do seq 1 100000; done")
    clients["bob"].screen.wait_change("the output is running")
    [home] = server.data_dir.glob("homes/*/carol@*")

    took = cut_and_measure(server, network, set(clients), (home / "speak").touch)
    print(
        f"noticed after {took['alice']:.1f} s (nothing to send), {took['bob']:.1f} s (output all the time),"
        f" {took['carol']:.1f} s (output after {LATE} s)"
    )
    assert min(took.values()) > 5, "it was the silence that was noticed, not an end of the connection"
    assert took["carol"] > LATE + 15, "what was said late was sent, and waited for"
    for user, shell in shells.items():
        assert processes.alive_inside(server.data_dir, shell, "bash"), f"the desktop of {user} runs on"

    # Back from a network that works.
    again = desk.freerdp("alice")
    terminal = Terminal(server, again, "alice")
    again.screen.click(200, 200)
    assert terminal.shell_pid() == shells["alice"]
