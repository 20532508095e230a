"""The desktop that was left is the desktop that is found, whatever the client."""

import pytest
from support.server import leave
from support.terminal import CYAN, GREEN, Terminal


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
