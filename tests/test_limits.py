"""How long sessions of a collection may last: idle, active, disconnected."""

import json
import sqlite3
import time

import pytest
from support import processes, wait
from support.screen import share
from support.terminal import CYAN, Terminal

IDLE_TIMEOUT = (3, "ERRINFO_IDLE_TIMEOUT")  # 0x03; FreeRDP ends with the same number
LOGON_TIMEOUT = (4, "ERRINFO_LOGON_TIMEOUT")  # 0x04: the active limit


@pytest.fixture(autouse=True)
def without_limits(server):
    """Tests do not see each other's limits."""
    yield
    never = ["--idle-limit", "never", "--active-limit", "never", "--disconnected-limit", "never"]
    server.cli("collection", "limits", "pool", *never, "--limit-action", "disconnect", "--limit-warning", "1m")


def limits(server, *words: str) -> dict:
    return server.json("collection", "limits", "pool", *words)[0]


def ended_because(server, uid: str):
    """The end of a session, as history has it."""
    with sqlite3.connect(f"file:{server.data_dir}/openrdms.sqlite?mode=ro", uri=True) as store:
        rows = [json.loads(row) for (row,) in store.execute("SELECT row FROM session")]
    return next(row["state"]["reason"] for row in rows if row["uid"] == uid)


def policy_audit(server) -> list[dict]:
    """What the policy has done, oldest first."""
    with sqlite3.connect(f"file:{server.data_dir}/openrdms.sqlite?mode=ro", uri=True) as store:
        rows = [json.loads(row) for (row,) in store.execute("SELECT row FROM audit ORDER BY rowid")]
    return [row for row in rows if row["actor"] == "policy"]


def test_an_idle_user_is_warned_on_the_screen_then_disconnected_and_told(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(CYAN)
    client.screen.wait_picture("the whole terminal is painted", lambda p: share(p, CYAN[1]) > 0.5)
    limits(server, "--idle-limit", "6s")
    client.screen.wait_picture("a window over the terminal", lambda p: share(p, CYAN[1]) < 0.45)
    assert server.session_of("alice")["State"] == "Active", "the warning comes first"
    assert client.refused() == IDLE_TIMEOUT
    session = server.wait_state("alice", "Disconnected")
    assert session["StateReason"] == "idle limit reached"
    wait.until("the disconnect is audited", lambda: policy_audit(server))
    record = policy_audit(server)[-1]
    assert (record["action"], record["outcome"], record["detail"]) == (
        "Disconnect",
        "Done",
        "idle limit reached",
    )

    limits(server, "--idle-limit", "never")
    assert processes.alive_inside(server.data_dir, pid, "bash")
    again = desk.freerdp("alice")
    again.desktop()
    assert server.wait_state("alice", "Active")["Uid"] == session["Uid"]


def test_input_keeps_a_session(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    limits(server, "--idle-limit", "6s", "--limit-warning", "never")
    end = time.monotonic() + 14
    while time.monotonic() < end:
        assert terminal.ask("echo here") == "here"
    assert client.exit_code is None
    stopped = time.monotonic()
    assert client.refused() == IDLE_TIMEOUT
    assert time.monotonic() - stopped > 3, "idleness counts from the last input, which is a moment ago"


def test_output_is_no_input(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.screen.type("while :; do date +%N; sleep 0.1; done")
    client.screen.wait_change("the output is running")
    limits(server, "--idle-limit", "4s", "--limit-warning", "never")
    assert client.refused() == IDLE_TIMEOUT


def test_the_disconnected_limit_logs_off(server, desk):
    client = desk.freerdp("alice")
    client.desktop()
    uid = server.wait_state("alice", "Active")["Uid"]
    limits(server, "--disconnected-limit", "4s")
    client.stop()
    server.wait_state("alice", "Disconnected")
    server.wait_no_session("alice")
    assert processes.of_desktops(server.data_dir, "alice") == []
    assert ended_because(server, uid) == {"name": "limit", "detail": "disconnected"}


def test_new_limits_hold_for_a_running_session_and_may_log_it_off(server, desk):
    client = desk.freerdp("alice")
    Terminal(server, client, "alice")
    uid = server.wait_state("alice", "Active")["Uid"]
    limits(server, "--active-limit", "3s", "--limit-action", "logoff", "--limit-warning", "never")
    assert client.refused() == LOGON_TIMEOUT
    server.wait_no_session("alice")
    assert processes.of_desktops(server.data_dir, "alice") == []
    assert ended_because(server, uid) == {"name": "limit", "detail": "active"}


def test_limits_are_set_one_by_one_and_shown(server):
    server.cli("collection", "create", "short", "--idle-limit", "30m", "--limit-action", "logoff")
    try:
        server.cli("collection", "limits", "short", "--active-limit", "8h", "--disconnected-limit", "2d")
        shown = server.json("collection", "show", "short")
        assert (shown["IdleLimitSeconds"], shown["ActiveLimitSeconds"]) == (1800, 28800)
        assert (shown["DisconnectedLimitSeconds"], shown["LimitWarningSeconds"]) == (172800, 60)
        assert shown["LimitAction"] == "Logoff"
        table = server.cli("collection", "limits", "short")
        assert table.split()[-5:] == ["30m00s", "8h00m", "2d00h", "Logoff", "1m00s"]
    finally:
        server.cli("collection", "delete", "short", "--force")


def test_wrong_limits_are_refused(server):
    wrong = server.run("collection", "limits", "pool", "--idle-limit", "30")
    assert wrong.returncode == 2 and "such as 30s, 15m, 8h or 2d" in wrong.stderr
    unknown = server.run("collection", "limits", "nowhere", "--idle-limit", "30m")
    assert unknown.returncode == 3
