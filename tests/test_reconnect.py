"""The desktop that was left is the desktop that is found, whatever the client."""

import pytest
from support.management import DISCONNECTED
from support.terminal import CYAN, GREEN, Terminal


def leave(server, client, user):
    """Disconnects a session and waits for the client's end."""
    with server.management() as management:
        session = management.session_of(user)
        assert management.invoke(session, "Disconnect") == 0
        assert management.state(session) == DISCONNECTED
    client.wait_end()
    return session


@pytest.mark.parametrize("size", [(1280, 800), (800, 600)])
def test_at_another_size(server, desk, size):
    client = desk.freerdp("alice", size=(1024, 768))
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(CYAN)
    left = leave(server, client, "alice")

    again = Terminal(server, desk.freerdp("alice", size=size), "alice")
    again.wait_painted(CYAN)
    assert again.shell_pid() == pid
    now = again.ask("xdpyinfo | grep dimensions")
    assert f"{size[0]}x{size[1]}" in now
    with server.management() as management:
        assert management.session_of("alice")["SessionId"] == left["SessionId"]


def test_from_freerdp_to_rdesktop_and_back(server, desk):
    client = desk.freerdp("alice", security="nla")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(GREEN)
    leave(server, client, "alice")

    other = desk.rdesktop("alice")
    terminal = Terminal(server, other, "alice")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid
    leave(server, other, "alice")

    terminal = Terminal(server, desk.freerdp("alice", security="nla"), "alice")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid


def test_a_second_connection_of_the_same_user_takes_the_session_over(server, desk):
    first = desk.freerdp("alice")
    terminal = Terminal(server, first, "alice")
    pid = terminal.shell_pid()
    terminal.paint(GREEN)

    second = desk.freerdp("alice", name="xfreerdp-second")
    terminal = Terminal(server, second, "alice")
    assert first.refused() == (5, "ERRINFO_DISCONNECTED_BY_OTHER_CONNECTION")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid
    assert [s["State"] for s in server.json("session", "list")] == ["Active"]
