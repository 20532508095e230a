"""What operators are told: numbered events for a hook, and the service's state for systemd."""

import contextlib
import json
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from support import wait
from support.needs import lacking
from support.server import Server, make_data_dir, remove
from support.terminal import Terminal


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> Path:
    """Where the hook writes what it is told."""
    return tmp_path_factory.mktemp("hook") / "told"


@pytest.fixture(scope="module")
def server_settings(told: Path) -> dict[str, str]:
    # one event hangs the hook for longer than it may take: the others must come all the same
    hook = f'line=$(cat); echo "$line" >>{told}; case $line in *session-connected*) exec sleep 1000;; esac'
    return {"OPENRDMS_EVENTS_HOOK": hook, "OPENRDMS_EVENTS_HOOK_TIMEOUT_SECONDS": "2"}


def test_a_hook_gets_what_happens_to_users_and_a_hanging_one_is_not_in_the_way(server, desk, told):
    client = desk.freerdp("alice")
    Terminal(server, client, "alice")
    server.cli("session", "disconnect", "--user", "alice", "--force")
    server.cli("session", "logoff", "--user", "alice", "--force")
    kinds = [
        "session-started",
        "session-connected",
        "session-disconnected",
        "session-logging-off",
        "session-ended",
    ]

    def all_told():
        events = [json.loads(line) for line in told.read_text().splitlines()] if told.exists() else []
        return events if len(events) >= len(kinds) else None

    events = wait.until("the hook was told everything", all_told, 20)
    assert [event["event"] for event in events] == kinds
    assert [event["id"] for event in events] == [1000, 1001, 1002, 1003, 1004]
    assert events[2]["reason"] == "disconnected by an administrator"
    assert {event["user"]["name"] for event in events} == {"alice"}


def test_systemd_hears_ready_alive_and_stopping(tmp_path):
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(path))
        notify.settimeout(20)
        data_dir = make_data_dir()
        try:
            with Server(data_dir, tmp_path, {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": "1000000"}) as server:
                assert notify.recv(1024).strip() == b"READY=1"
                assert notify.recv(1024).strip() == b"WATCHDOG=1"
                assert notify.recv(1024).strip() == b"WATCHDOG=1"
                assert server.stop() == 0
                said = b""
                while b"STOPPING=1" not in said:
                    said = notify.recv(1024)
        finally:
            remove(data_dir)


def test_who_hears_that_the_service_is_ready_can_stop_it_cleanly_at_once(tmp_path):
    path = tmp_path / "notify"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as others,
    ):
        notify.bind(str(path))
        notify.settimeout(20)
        others.setblocking(False)
        # full, so that the service stays just behind its ready file, at telling systemd
        with contextlib.suppress(BlockingIOError):
            while True:
                others.sendto(b"others", str(path))
        data_dir = make_data_dir()
        try:
            with Server(data_dir, tmp_path, {"NOTIFY_SOCKET": str(path)}) as server:
                server.process.signal(signal.SIGTERM)
                while notify.recv(1024).strip() != b"READY=1":
                    pass
                assert server.process.wait_end(20) == 0
        finally:
            remove(data_dir)


def test_the_unit_file_is_one_that_systemd_takes(tmp_path):
    if shutil.which("systemd-analyze") is None:
        lacking("not installed: systemd-analyze (package systemd, which xserver-xorg-core needs)")
    unit = Path(__file__).parents[1] / "dist" / "openrdms.service"
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace("/usr/local/bin/openrdms", "/bin/true"))
    result = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
