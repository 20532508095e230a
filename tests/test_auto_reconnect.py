"""Clients that come back by themselves after their network failed, and those that must not."""

import signal
import socket
from contextlib import ExitStack

import pytest
from support import wait
from support.clients import FreeRdp
from support.link import Link
from support.management import DISCONNECTED
from support.screen import Screen
from support.server import Server, make_data_dir, remove
from support.terminal import CYAN, Terminal

OURSELVES = ("+auto-reconnect", "/auto-reconnect-max-retries:3")


@pytest.fixture
def link(server):
    with Link(server.rdp) as link:
        yield link


@pytest.mark.parametrize("security", ["tls", "nla"])
def test_a_client_whose_network_fails_comes_back_by_itself_to_the_same_screen(server, desk, link, security):
    client = desk.freerdp("alice", address=link.address, extra=OURSELVES, security=security)
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(CYAN)
    session = server.wait_state("alice", "Active")
    begun = len(server.arrivals("alice"))

    # the second time by the cookie that it was given the first time
    for turn in (1, 2):
        link.cut()
        wait.until("it is back", lambda turn=turn: len(server.arrivals("alice")) == begun + turn, 30)
        assert server.wait_state("alice", "Active")["Uid"] == session["Uid"]
        terminal.wait_painted(CYAN)
        assert terminal.shell_pid() == pid
        terminal.paint(CYAN)
    assert server.arrivals("alice")[-2:] == ["Automatic", "Automatic"]
    assert client.exit_code is None


def test_a_client_that_was_sent_away_and_could_not_be_told_does_not_come_back_by_itself(server, desk, link):
    client = desk.freerdp("alice", address=link.address, extra=OURSELVES)
    pid = Terminal(server, client, "alice").shell_pid()
    begun = len(server.arrivals("alice"))
    link.fall_silent()
    with server.management() as management:
        session = management.session_of("alice")
        assert management.invoke(session, "Disconnect") == 0
        link.cut()
        # it tries, hears why not, and ends or gives up
        assert client.refused(60) == (1, "ERRINFO_RPC_INITIATED_DISCONNECT")
        came = server.arrivals("alice")[begun:]
        assert came and set(came) == {"Automatic"}
        assert management.state(session) == DISCONNECTED

    again = Terminal(server, desk.freerdp("alice", address=link.address), "alice")
    assert server.arrivals("alice")[-1] == "Person"
    assert again.shell_pid() == pid


def test_a_client_that_was_taken_over_and_could_not_be_told_does_not_take_the_session_back(server, desk, link):
    first = desk.freerdp("alice", address=link.address, extra=OURSELVES)
    pid = Terminal(server, first, "alice").shell_pid()
    link.fall_silent()
    second = desk.freerdp("alice", name="xfreerdp-second")
    terminal = Terminal(server, second, "alice")
    server.wait_state("alice", "Active")
    link.cut()
    assert first.refused(60) == (5, "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION")
    assert terminal.shell_pid() == pid
    assert second.exit_code is None


def test_a_client_comes_back_by_itself_when_the_service_was_killed(tmp_path):
    """What a cookie is good for is in the store. The door is held open, as systemd does it."""
    data_dir = make_data_dir()
    server = Server(data_dir, tmp_path)
    try:
        with socket.create_server(("127.0.0.1", 0), backlog=8) as door, ExitStack() as stack:
            server.held["rdp"] = door
            stack.enter_context(server)
            server.add_user("alice")
            server.add_collection("pool", 1)
            screen = stack.enter_context(Screen(tmp_path, (640, 480)))
            client = FreeRdp(
                server.rdp, "alice", server.passwords["alice"], screen, tmp_path, extra=OURSELVES
            )
            pid = Terminal(server, stack.enter_context(client), "alice").shell_pid()

            server.process.signal(signal.SIGKILL)
            server.process.wait_end()
            server.start()
            wait.until("it is back", lambda: server.arrivals("alice") == ["Person", "Automatic"], 30)
            server.wait_state("alice", "Active")
            assert Terminal(server, client, "alice").shell_pid() == pid
    finally:
        remove(data_dir)
