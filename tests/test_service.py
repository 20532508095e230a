"""The service itself: it may stop and start while people work."""

from support import processes
from support.terminal import GREEN, Terminal


def test_sigterm_leaves_the_desktops_running_and_the_next_start_adopts_them(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(GREEN)
    before = server.session_of("alice")

    assert server.stop() == 0
    assert client.wait_end() != 0
    assert processes.alive_inside(server.data_dir, pid, "bash"), (
        "stopping the service leaves desktops running"
    )

    server.start()
    after = server.wait_state("alice", "Disconnected")
    assert (after["Uid"], after["SessionId"]) == (before["Uid"], before["SessionId"])
    terminal = Terminal(server, desk.freerdp("alice"), "alice")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid

    # An adopted desktop can be ended like any other.
    with server.management() as management:
        assert management.invoke(management.session_of("alice"), "Logoff") == 0
    assert processes.of_desktops(server.data_dir, "alice") == []


def test_a_desktop_that_ends_while_the_service_is_down_is_no_session_afterwards(server, desk):
    Terminal(server, desk.freerdp("alice"), "alice")
    assert server.stop() == 0
    assert processes.end_desktops(server.data_dir), "there was a desktop to end"
    server.start()
    server.wait_no_session("alice")
    Terminal(server, desk.freerdp("alice"), "alice")
