"""Hosts: listed, drained, gone and back. A host is gone here by serving the same data under another name."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

from support import processes, wait
from support.terminal import Terminal

OK, NOT_FOUND, CONFLICT = 0, 3, 6
ELSEWHERE = "elsewhere"


def host(server) -> dict:
    """The host that the server serves now."""
    return next(h for h in server.json("host", "list") if h["State"] != "Lost")


def test_the_list_of_hosts(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    heading, *rows = server.cli("host", "list").strip().splitlines()
    assert heading.split() == ["HOST", "KIND", "STATE", "SESSIONS", "DESKTOPS", "COLLECTION", "ADDRESS", "VERSION"]
    assert [row.split()[:5] for row in rows] == [[session["HostName"], "local", "Up", "1", "3"]]
    assert host(server)["BootId"]


def test_a_drained_host_takes_no_new_users_and_lets_the_others_come_back(server, desk):
    client = desk.freerdp("alice")
    pid = Terminal(server, client, "alice").shell_pid()
    name = host(server)["Name"]
    server.cli("host", "drain", name.upper())
    try:
        assert host(server)["State"] == "Drained"
        refused = desk.freerdp("bob")
        assert refused.refused()[0] != 0
        assert server.session_of("bob") is None

        server.cli("session", "disconnect", "--user", "alice", "--force")
        client.wait_end()
        assert Terminal(server, desk.freerdp("alice"), "alice").shell_pid() == pid

        # it stays so through a restart
        server.stop()
        server.start()
        assert host(server)["State"] == "Drained"
        assert server.wait_state("alice", "Disconnected")
    finally:
        server.cli("host", "undrain", name)
    assert host(server)["State"] == "Up"
    desk.freerdp("bob").desktop()
    server.wait_state("bob", "Active")


def test_a_drained_node_takes_no_new_users_and_lets_the_others_come_back(server, desk):
    client = desk.freerdp("alice")
    pid = Terminal(server, client, "alice").shell_pid()
    (node,) = server.json("node", "list")
    assert (node["HostName"], node["State"]) == (host(server)["Name"], "Up")
    server.cli("node", "drain", node["Id"])
    try:
        # it stays so through a restart
        server.stop()
        server.start()
        (drained,) = server.json("node", "list")
        assert (drained["Id"], drained["State"]) == (node["Id"], "Drained")
        assert host(server)["State"] == "Up"
        refused = desk.freerdp("bob")
        assert refused.refused()[0] != 0
        assert server.session_of("bob") is None
        client.wait_end()
        assert Terminal(server, desk.freerdp("alice"), "alice").shell_pid() == pid
    finally:
        server.cli("node", "undrain", node["Id"])
    desk.freerdp("bob").desktop()
    server.wait_state("bob", "Active")


def test_what_is_not_there_is_not_drained(server):
    for what in ("host", "node"):
        assert server.run(what, "drain", "nowhere").returncode == NOT_FOUND


def test_a_killed_service_has_its_host_at_once_when_it_is_started_again(server, desk):
    desk.freerdp("alice").desktop()
    uid = server.wait_state("alice", "Active")["Uid"]
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait_end(10)
    server.start()
    # within the lease of the one that was killed, and without waiting for its end
    assert host(server)["State"] == "Up"
    assert server.session_of("alice")["Uid"] == uid
    desk.freerdp("bob").desktop()


@contextmanager
def served_as(server, name: str) -> Iterator[None]:
    """The same data under another host's name: nobody serves the one before."""
    server.stop()
    before = server.settings.get("OPENRDMS_NODE_HOST_NAME")
    server.settings["OPENRDMS_NODE_HOST_NAME"] = name
    server.start()
    try:
        yield
    finally:
        server.stop()
        server.settings.pop("OPENRDMS_NODE_HOST_NAME")
        if before is not None:
            server.settings["OPENRDMS_NODE_HOST_NAME"] = before
        server.start()


def test_a_session_of_a_host_that_is_gone_is_lost_and_comes_back_with_it(server, desk):
    pid = Terminal(server, desk.freerdp("alice"), "alice").shell_pid()
    uid = server.session_of("alice")["Uid"]
    with served_as(server, ELSEWHERE):
        lost = server.wait_state("alice", "Lost", 8)
        assert (lost["Uid"], lost["StateReason"]) == (uid, "its host does not answer")
        assert {h["Name"]: h["State"] for h in server.json("host", "list")} == {
            ELSEWHERE: "Up",
            lost["HostName"]: "Lost",
        }
        # nobody can say what becomes of it
        with server.management() as management:
            session = management.session_of("alice")
            for method in ("Disconnect", "Logoff"):
                assert management.invoke(session, method) == 0x80041009  # WBEM_E_NOT_AVAILABLE
    assert server.wait_state("alice", "Disconnected")["Uid"] == uid
    assert Terminal(server, desk.freerdp("alice"), "alice").shell_pid() == pid


def test_a_forgotten_session_is_gone_and_so_is_its_desktop_when_the_host_is_back(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    refused = server.run("session", "forget", "--user", "alice", "--force")
    assert refused.returncode == CONFLICT, refused.stderr
    with served_as(server, ELSEWHERE):
        server.wait_state("alice", "Lost", 8)
        server.cli("session", "forget", "--uid", session["Uid"], "--force")
        assert server.session_of("alice") is None
        assert processes.of_desktops(server.data_dir, "alice"), "nobody was there to end it"
    wait.until("the desktop is ended", lambda: not processes.of_desktops(server.data_dir, "alice"))
    assert server.session_of("alice") is None
    desk.freerdp("alice").desktop()
    assert server.wait_state("alice", "Active")["SessionId"] != session["SessionId"]
