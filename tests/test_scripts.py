"""script/server --json: the contract with tools."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from support import processes, wait
from support.clients import FreeRdp
from support.management import Management
from support.paths import ROOT, openrdms
from support.process import Process, tail
from support.screen import Screen
from support.server import make_data_dir, remove

KEYS = {"rdp", "wsman_http", "wsman_https", "admin", "user", "collection", "data_dir"}


@pytest.fixture
def running(tmp_path, monkeypatch):
    """Starts the script with options; its output is a file of its own."""
    monkeypatch.setenv("OPENRDMS_BIN", str(openrdms()))
    scripts: list[subprocess.Popen] = []

    def start(*options: str):
        out = tmp_path / "out"
        with out.open("wb") as stdout, (tmp_path / "err").open("wb") as stderr:
            script = subprocess.Popen(
                [ROOT / "script" / "server", "--json", *options],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        scripts.append(script)

        def line() -> str:
            assert script.poll() is None, tail(tmp_path / "err")
            return out.read_text() if out.read_text().endswith("\n") else ""

        return script, json.loads(wait.until("script/server prints its line", line, 90)), out

    yield start
    for script in scripts:
        if script.poll() is None:
            script.terminate()
        script.wait(60)


def test_one_line_of_json_a_desktop_and_a_clean_end(running, tmp_path):
    script, ready, out = running()
    assert set(ready) == KEYS and len(out.read_text().splitlines()) == 1
    user, admin = ready["user"], ready["admin"]
    with Screen(tmp_path) as screen:
        with FreeRdp(ready["rdp"], user["user"], user["password"], screen, tmp_path) as client:
            client.desktop()
            with Management(ready["wsman_http"], admin["user"], admin["password"]) as management:
                assert management.session_of(user["user"])["CollectionId"] == ready["collection"]
            data_dir = Path(ready["data_dir"])
            assert processes.of_desktops(data_dir)
            script.send_signal(signal.SIGTERM)
            assert script.wait(30) == 0
            assert processes.of_desktops(data_dir) == [], "its desktops are logged off"
            assert not data_dir.exists(), "a throw-away directory is thrown away"
            client.wait_end()
    assert len(out.read_text().splitlines()) == 1


def test_a_data_directory_that_is_given_is_kept_and_can_be_used_again(running, tmp_path):
    data_dir = make_data_dir()
    try:
        for _ in range(2):
            script, ready, _ = running("--data-dir", str(data_dir))
            assert ready["data_dir"] == str(data_dir)
            with Management(
                ready["wsman_https"], ready["admin"]["user"], ready["admin"]["password"]
            ) as management:
                assert management.sessions() == []
            script.send_signal(signal.SIGTERM)
            assert script.wait(30) == 0
        assert (data_dir / "openrdms.sqlite").exists()
    finally:
        remove(data_dir)


def test_ports_are_the_ones_asked_for(running):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    _, ready, _ = running("--rdp-port", str(port))
    assert ready["rdp"] == f"127.0.0.1:{port}"


def test_a_wrong_option_is_a_usage_error(tmp_path):
    with Process("script/server", [ROOT / "script" / "server", "--nonsense"], tmp_path / "log") as script:
        assert script.wait_end(60) == 2
