"""The service itself: it may stop and start while people work."""

import contextlib
import os
import shutil
import socket
from collections.abc import Iterable
from pathlib import Path

import pytest
from support import processes
from support.clients import FreeRdp
from support.negotiate import CHOSEN, TLS, certificate, connect, negotiate
from support.screen import Screen
from support.server import Server, make_data_dir, remove
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


def open_in(pids: Iterable[int]) -> set[str]:
    """What processes have open."""
    descriptors = [fd for pid in pids for fd in Path(f"/proc/{pid}/fd").iterdir()]
    found = set()
    for descriptor in descriptors:
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(descriptor))
    return found


def test_files_of_desktops_that_are_lost_or_left_behind_are_in_nobodys_way(server, desk):
    server.cli("collection", "create", "worn", "--size", "3")
    server.stop()
    desktops = server.data_dir / "desktops"
    for name in ("worn-001", "worn-002"):
        shutil.rmtree(desktops / name)
    (desktops / "worn-001").write_text("no directory")
    (desktops / "half-001").mkdir()
    (desktops / "half-001" / "key.pem").write_text("of a collection that was never made")
    server.start()
    assert not (desktops / "half-001").exists()
    # the first one cannot be mended by anybody here; the second has a new certificate
    desk.freerdp("alice", route="tsv://MS Terminal Services Plugin.1.worn").desktop()
    assert server.wait_state("alice", "Active")["DesktopName"] == "worn-002"
    server.cli("session", "logoff", "--user", "alice", "--force")
    server.cli("collection", "delete", "worn", "--force")


def test_who_connects_to_a_door_that_is_held_open_waits_for_the_next_start(tmp_path):
    data_dir = make_data_dir()
    server = Server(data_dir, tmp_path)
    try:
        with contextlib.ExitStack() as stack:
            for name in ("rdp", "https"):
                server.held[name] = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=8))
            stack.enter_context(server)
            address = "127.0.0.1:%d" % server.held["rdp"].getsockname()[1]
            assert server.rdp == address
            assert server.ready["wsman_https"].endswith(":%d/wsman" % server.held["https"].getsockname()[1])
            assert certificate(address)

            # no desktop gets hold of a door
            server.add_user("alice")
            server.add_collection("pool", 1)
            screen = stack.enter_context(Screen(tmp_path, (640, 480)))
            client = FreeRdp(server.rdp, "alice", server.passwords["alice"], screen, tmp_path)
            stack.enter_context(client).desktop()
            doors = {f"socket:[{os.fstat(door.fileno()).st_ino}]" for door in server.held.values()}
            assert doors & open_in([server.process.pid]) == doors
            assert not doors & open_in(p.pid for p in processes.of_desktops(data_dir, "alice"))

            assert server.stop() == 0
            with connect(address) as waiting:
                server.start()
                assert negotiate(waiting, TLS) == (CHOSEN, TLS)
    finally:
        remove(data_dir)


def test_a_held_door_of_an_unknown_name_is_refused(tmp_path):
    data_dir = make_data_dir()
    server = Server(data_dir, tmp_path)
    try:
        with socket.create_server(("127.0.0.1", 0)) as door:
            server.held["rpd"] = door
            with pytest.raises(AssertionError, match="a listener 'rpd' was passed"):
                server.start()
    finally:
        remove(data_dir)


@pytest.fixture
def data_dir():
    path = make_data_dir()
    yield path
    remove(path)


@pytest.fixture
def copy():
    path = make_data_dir()
    yield path
    remove(path)


def test_after_a_stop_the_store_is_one_file_that_can_be_copied(data_dir, copy, tmp_path):
    with Server(data_dir, tmp_path) as server:
        for name in ("alice", "bob"):
            server.add_user(name)
        accounts = server.json("user", "list")
        assert server.stop() == 0
        journal = data_dir / "openrdms.sqlite-wal"
        assert not journal.exists() or journal.stat().st_size == 0
        for name in ("openrdms.sqlite", "node.key"):
            shutil.copy2(data_dir / name, copy / name)
    with Server(copy, tmp_path) as server:
        assert server.json("user", "list") == accounts
        assert "node key" not in server.process.log


def test_a_node_key_of_another_store_is_told_at_the_start_and_accounts_can_be_mended(data_dir, tmp_path):
    with Server(data_dir, tmp_path) as server:
        for name in ("alice", "bob"):
            server.add_user(name)
        assert server.stop() == 0
        (data_dir / "node.key").rename(data_dir / "kept.key")

        server.start()
        [told] = [line for line in server.process.log.splitlines() if "the node key is not the one" in line]
        for word in ("ERROR", f"{data_dir}/node.key", "accounts=2", "NLA", "openrdms user passwd"):
            assert word in told
        made = (data_dir / "node.key").read_bytes()
        server.cli("user", "passwd", "alice", "--password-stdin", text="anew\n")
        assert server.stop() == 0

        server.start()
        assert (data_dir / "node.key").read_bytes() == made
        told = [line for line in server.process.log.splitlines() if "the node key is not the one" in line]
        assert "accounts=1" in told[-1] and "bob" in told[-1]
        server.cli("user", "passwd", "bob", "--password-stdin", text="anew\n")
        assert server.stop() == 0

        server.start()
        assert "the node key is not the one" not in server.process.log.rsplit("stopping", 1)[-1]


def test_a_socket_that_is_somebody_elses_file_is_refused_and_stays(data_dir, tmp_path):
    file = tmp_path / "important"
    file.write_text("important")
    server = Server(data_dir, tmp_path, {"OPENRDMS_MANAGEMENT_SOCKET": str(file)})
    with pytest.raises(AssertionError, match=f"{file} is there and is no socket"):
        server.start()
    assert file.read_text() == "important"


def test_two_services_do_not_take_each_others_socket(data_dir, copy, tmp_path):
    with Server(data_dir, tmp_path) as server:
        other = Server(copy, tmp_path, {"OPENRDMS_MANAGEMENT_SOCKET": server.ready["socket"]})
        with pytest.raises(AssertionError, match="somebody serves .* already"):
            other.start()
        assert server.json("user", "list") == []


def test_a_lock_that_is_none_is_told_by_name(data_dir, tmp_path):
    (data_dir / "lock").mkdir()
    with pytest.raises(AssertionError, match=f"opening the lock {data_dir}/lock"):
        Server(data_dir, tmp_path).start()
