"""Win32_VirtualDesktopSession.Disconnect: the client goes, the desktop stays."""

import signal
import time

import pytest
from support import processes, wait
from support.management import ACTIVE, DISCONNECTED, SESSION, SESSION_CIM, WBEM_E_NOT_FOUND, WSManFaultError
from support.stall import Forwarder
from support.terminal import MAGENTA, Terminal

TOLD = "ERRINFO_RPC_INITIATED_DISCONNECT"  # 0x00000001
# At most 1 s of telling and 2 s of reading the client out, and some time to answer on a busy machine.
LIMIT = 4.0


def disconnect(server, user: str, uri: str = SESSION) -> float:
    """Disconnects a user's session through WS-Management. Checks 0 and the state; returns how long it took."""
    with server.management(uri=uri) as management:
        session = management.session_of(user)
        assert management.state(session) == ACTIVE
        start = time.monotonic()
        assert management.invoke(session, "Disconnect") == 0
        took = time.monotonic() - start
        assert management.state(session) == DISCONNECTED
        return took


@pytest.mark.parametrize("uri", [SESSION, SESSION_CIM], ids=["wmi", "cim-schema"])
def test_the_client_is_told_and_the_desktop_is_the_same_after_reconnecting(server, desk, uri):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(MAGENTA)

    assert disconnect(server, "alice", uri) < LIMIT
    assert client.refused() == (1, TOLD)
    assert processes.alive_inside(server.data_dir, pid, "bash")

    again = Terminal(server, desk.freerdp("alice"), "alice")
    again.wait_painted(MAGENTA)
    assert again.shell_pid() == pid


def test_ten_times_under_heavy_screen_output(server, desk):
    pid = None
    for turn in range(10):
        client = desk.freerdp("alice", name=f"xfreerdp-{turn}")
        client.desktop()
        server.wait_state("alice", "Active")
        if pid is None:
            pid = Terminal(server, client, "alice").shell_pid()
            client.screen.type("while :; do seq 1 100000; done")
        client.screen.wait_change("the output is running")
        assert disconnect(server, "alice") < LIMIT, f"turn {turn}"
        assert client.refused() == (1, TOLD), f"turn {turn}"
        assert processes.alive_inside(server.data_dir, pid, "bash"), f"turn {turn}"


def test_a_stopped_client_does_not_hold_the_answer_up(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    client.screen.type("while :; do seq 1 100000; done")
    client.signal(signal.SIGSTOP)
    assert disconnect(server, "alice") < LIMIT
    assert processes.alive_inside(server.data_dir, pid, "bash")
    Terminal(server, desk.freerdp("alice"), "alice")


def test_a_client_that_stops_reading_in_the_middle_of_a_pdu_does_not_hold_the_answer_up(server, desk):
    with Forwarder(server.rdp) as forwarder:
        client = desk.freerdp("alice", address=forwarder.address)
        terminal = Terminal(server, client, "alice")
        pid = terminal.shell_pid()
        client.screen.type("while :; do seq 1 100000; done")
        before = forwarder.bytes_to_client
        wait.until("the output is flowing", lambda: forwarder.bytes_to_client > before + 200_000)
        forwarder.go_deaf()
        assert disconnect(server, "alice") < LIMIT
        assert processes.alive_inside(server.data_dir, pid, "bash")


def test_disconnecting_twice_is_no_error(server, desk):
    client = desk.freerdp("alice")
    client.desktop()
    disconnect(server, "alice")
    with server.management() as management:
        session = management.session_of("alice")
        assert management.invoke(session, "Disconnect") == 0
        assert management.state(session) == DISCONNECTED


def test_a_client_that_is_killed_leaves_a_disconnected_session(server, desk):
    client = desk.freerdp("alice")
    pid = Terminal(server, client, "alice").shell_pid()
    client.signal(signal.SIGKILL)
    server.wait_state("alice", "Disconnected")
    assert processes.alive_inside(server.data_dir, pid, "bash")


def test_an_unknown_session_is_a_fault_that_carries_the_wmi_code(server):
    with server.management() as management, pytest.raises(WSManFaultError) as fault:
        management.invoke({"VMHostName": "nowhere", "SessionId": 4_000_000_000}, "Disconnect")
    assert fault.value.code == WBEM_E_NOT_FOUND
