"""Desktops that are turned on and off, and paused, by the management class, while a real client looks on."""

import json
import signal
from pathlib import Path

import pytest
from support import processes, wait
from support.clients import route_to
from support.management import ACTIVE, DISCONNECTED
from support.server import leave
from support.terminal import CYAN, MAGENTA, Terminal

ON, OFF, PAUSED, SUSPENDED, STARTING = 2, 3, 32768, 32769, 32770
COUNTER = "n=0; while :; do n=$((n+1)); echo $n > ~/count; sleep 0.05; done"


class Desktops:
    """The class Win32_RDMSVirtualDesktop of a server."""

    def __init__(self, server):
        self.server = server

    def _path(self, desktop: str) -> str:
        return f'root/cimv2/rdms:Win32_RDMSVirtualDesktop.Name="{desktop}"'

    def of(self, user: str) -> str:
        return self.server.session_of(user)["DesktopName"]

    def ask(self, desktop: str, state: int):
        words = ["SetVirtualDesktopState", f"VMState={state}", "--force"]
        return self.server.run("-o", "json", "cim", "invoke", self._path(desktop), *words)

    def set(self, desktop: str, state: int) -> None:
        done = self.ask(desktop, state)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == {"ReturnValue": 0}

    def refused(self, desktop: str, state: int) -> str:
        done = self.ask(desktop, state)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def state(self, desktop: str) -> int:
        said = self.server.json("cim", "invoke", self._path(desktop), "GetVirtualDesktopState", "--force")
        listed = self.server.json("cim", "get", self._path(desktop))["VMState"]
        assert (said["ReturnValue"], said["VMState"]) == (0, listed)
        return listed


@pytest.fixture
def desktops(server):
    return Desktops(server)


def count(server) -> int:
    texts = [path.read_text() for path in server.data_dir.glob("homes/*/alice@*/count")]
    return int(texts[0]) if texts and texts[0].endswith("\n") else 0


def counts_on(server) -> None:
    before = count(server)
    wait.until("the counter goes on", lambda: count(server) > before)


def states(server, user: str = "alice") -> list[str]:
    """The letters of proc_pid_stat(5) for the processes of a desktop, without its supervisor."""
    inside = [p for p in processes.of_desktops(server.data_dir, user) if p.pid_inside > 1]
    found = []
    for process in inside:
        try:
            text = Path(f"/proc/{process.pid}/stat").read_text()
        except OSError:
            continue
        if "desktop-supervisor" not in process.command:
            found.append(text.rpartition(")")[2].split()[0])
    return found


def stands(server, user: str = "alice") -> bool:
    found = states(server, user)
    assert found, "there is a desktop"
    # D: stopped while it waits in the kernel, as a shell does for what it starts
    return set(found) <= {"T", "Z", "D"}


def test_a_paused_desktop_stands_still_for_its_user_and_goes_on(server, desk, desktops):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.screen.type(f"({COUNTER}) &")
    counts_on(server)
    terminal.paint(CYAN)
    desktop = desktops.of("alice")
    assert desktops.state(desktop) == ON
    for _ in range(3):
        desktops.set(desktop, PAUSED)
        assert (desktops.state(desktop), stands(server)) == (PAUSED, True)
        stood = count(server)
        before = client.screen.picture()
        # What the user types meanwhile waits for them.
        terminal.screen.type(f"clear; printf '\\e[48;5;{MAGENTA[0]}m\\e[2J'")
        desktops.set(desktop, PAUSED)
        assert (count(server), client.screen.picture().tobytes()) == (stood, before.tobytes())
        assert server.session_of("alice")["State"] == "Active"
        desktops.set(desktop, ON)
        assert desktops.state(desktop) == ON
        terminal.wait_painted(MAGENTA)
        counts_on(server)
        terminal.paint(CYAN)
    desktops.set(desktop, ON)
    assert client.exit_code is None, "it was connected all the time"


def test_a_user_who_comes_back_to_a_paused_desktop_finds_it_running(server, desk, desktops):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    desktop = desktops.of("alice")
    desktops.set(desktop, PAUSED)
    uid = server.session_of("alice")["Uid"]
    refused = server.run("session", "message", "--uid", uid, "--text", "Hello", "--force")
    assert refused.returncode != 0 and "paused" in refused.stderr, refused.stderr
    # A frozen desktop closes no leg, and the client is told all the same.
    session = leave(server, client, "alice")
    assert (desktops.state(desktop), stands(server)) == (PAUSED, True)
    again = desk.freerdp("alice")
    assert Terminal(server, again, "alice").shell_pid() == pid
    with server.management() as management:
        assert management.state(session) == ACTIVE
    assert desktops.state(desktop) == ON
    # And while somebody is connected: the next client of the same user takes it over.
    desktops.set(desktop, PAUSED)
    other = desk.freerdp("alice")
    other.desktop()
    again.wait_end()
    assert desktops.state(desktop) == ON


def test_a_paused_desktop_logs_off_as_any(server, desk, desktops):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.screen.type(f"({COUNTER}) &")
    counts_on(server)
    desktop = desktops.of("alice")
    desktops.set(desktop, PAUSED)
    with server.management() as management:
        assert management.invoke(management.session_of("alice"), "Logoff") == 0
    assert processes.of_desktops(server.data_dir, "alice") == []
    assert desktops.state(desktop) == OFF


def test_off_ends_everything_and_on_needs_an_owner(server, desk, desktops):
    client = desk.freerdp("alice")
    client.desktop()
    desktop = desktops.of("alice")
    desktops.set(desktop, OFF)
    assert processes.of_desktops(server.data_dir, "alice") == []
    assert client.refused() == (2, "ERRINFO_RPC_INITIATED_LOGOFF")
    assert (desktops.state(desktop), server.session_of("alice")) == (OFF, None)
    desktops.set(desktop, OFF)
    assert "WBEM_E_NOT_SUPPORTED" in desktops.refused(desktop, ON), "nobody knows for whom"
    assert "WBEM_E_INVALID_OPERATION" in desktops.refused(desktop, PAUSED)
    assert "WBEM_E_NOT_SUPPORTED" in desktops.refused(desktop, SUSPENDED)
    for nothing in (0, 1, STARTING, 2**32 - 1):
        assert "WBEM_E_INVALID_PARAMETER" in desktops.refused(desktop, nothing)
    assert desktops.ask("nowhere", ON).returncode != 0
    assert desktops.state(desktop) == OFF


def test_a_service_that_was_killed_finds_paused_what_was_paused(server, desk, desktops):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    desktop = desktops.of("alice")
    desktops.set(desktop, PAUSED)
    server.process.signal(signal.SIGKILL)
    server.process.wait_end()
    server.start()
    assert stands(server)
    assert desktops.state(desktop) == PAUSED
    with server.management() as management:
        assert management.state(management.session_of("alice")) == DISCONNECTED
    again = desk.freerdp("alice")
    assert Terminal(server, again, "alice").shell_pid() == pid
    assert desktops.state(desktop) == ON


@pytest.fixture
def collection(server):
    """Makes a collection that is gone when the test is over."""
    made = []

    def make(alias: str, *words: str) -> str:
        server.cli("collection", "create", alias, "--size", "1", *words)
        made.append(alias)
        return f"{alias}-001"

    yield make
    for alias in made:
        server.cli("collection", "delete", alias, "--force")


def test_a_personal_desktop_is_started_for_its_owner_who_finds_it_running(server, collection, desk, desktops):
    desktop = collection("own", "--kind", "personal")
    assert "WBEM_E_NOT_SUPPORTED" in desktops.refused(desktop, ON), "it is nobody's yet"
    path = f'root/cimv2/rdms:Win32_RDMSVirtualDesktop.Name="{desktop}"'
    words = ["UserName=alice", "UserDomain=OPENRDMS", "--force"]
    assert server.json("cim", "invoke", path, "SetUserAssignment", *words)["ReturnValue"] == 0
    desktops.set(desktop, ON)
    session = server.session_of("alice")
    assert (session["State"], session["DesktopName"]) == ("Disconnected", desktop)
    assert desktops.state(desktop) == ON
    assert [p for p in processes.of_desktops(server.data_dir, "alice") if "Xorg" in p.command]
    desk.freerdp("alice", route=route_to("own")).desktop()
    assert server.wait_state("alice", "Active")["Uid"] == session["Uid"]


def _shell(server) -> bool:
    """Whether a shell runs in whichever desktop."""
    return any("bash" in process.command for process in processes.of_desktops(server.data_dir))


def test_a_collection_that_rolls_back_begins_anew_at_each_logon(server, collection, desk):
    desktop = collection("fresh", "--rollback")
    home = server.data_dir / "desktops" / desktop / "home"
    for _ in range(2):
        client = desk.freerdp("alice", route=route_to("fresh"))
        client.desktop()
        wait.until("a shell runs", lambda: _shell(server))
        client.screen.type("echo mine >> ~/file; wc -l < ~/file > ~/lines")
        lines = home / "lines"
        written = wait.until("it is written", lambda: lines.exists() and lines.read_text())
        assert written == "1\n", "nothing is left of the time before"
        server.log_everybody_off()
        assert not home.exists()
        client.wait_end()
    assert not list(server.data_dir.glob("homes/fresh/*")), "and there is no other home"
