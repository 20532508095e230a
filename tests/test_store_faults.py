"""The store fails while people work: they work on, nobody is told a lie, and afterwards everything is true again
without hands."""

import contextlib
import os
import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import processes, wait
from support.management import ACTIVE, WSManFaultError
from support.needs import lacking
from support.server import Server, make_data_dir, remove
from support.store_faults import DATABASE, FAULTS, DiskFull, Fault, Impossible, mounted
from support.terminal import Terminal

WBEM_E_NOT_AVAILABLE = 0x80041009
# A caller hears within seconds: a turn for the write before, one for its own, the same for the audit record.
LIMIT = 6.0


@contextlib.contextmanager
def skipped_where_impossible() -> Iterator[None]:
    try:
        yield
    except Impossible as why:
        lacking(f"this fault cannot be made here: {why}")


@pytest.fixture(params=FAULTS.values(), ids=FAULTS.keys())
def fault(request) -> Iterator[Fault]:
    with contextlib.ExitStack() as stack:
        with skipped_where_impossible():
            if request.param is DiskFull:
                where = mounted("16m")
            else:
                where = tempfile.TemporaryDirectory(prefix="openrdms-store-", dir="/tmp")
            fault = request.param(Path(stack.enter_context(where)))
            fault.try_out()
        yield fault


@pytest.fixture
def small_disk() -> Iterator[Path]:
    with contextlib.ExitStack() as stack:
        with skipped_where_impossible():
            store = stack.enter_context(mounted("16m"))
        yield store


@pytest.fixture
def server(fault: Fault, tmp_path: Path) -> Iterator[Server]:
    """Its database, and nothing else of its data, lies where the fault is: desktops' homes stay as they are."""
    data_dir = make_data_dir()
    (data_dir / DATABASE).symlink_to(fault.store / DATABASE)
    try:
        logs = tmp_path / "server"
        logs.mkdir()
        with Server(data_dir, logs) as server:
            server.populate()
            yield server
    finally:
        remove(data_dir)


def terminal_of(server: Server, client, user: str) -> Terminal:
    """A terminal that has the focus for certain, however busy the machine was when its window appeared."""
    terminal = Terminal(server, client, user)
    client.screen.click(200, 200)
    return terminal


def not_available(server: Server, user: str, method: str) -> None:
    """A method that would have to write says that it cannot, and soon."""
    with server.management() as management:
        session = management.session_of(user)
        start = time.monotonic()
        with pytest.raises(WSManFaultError) as refused:
            management.invoke(session, method)
        took = time.monotonic() - start
        assert refused.value.code == WBEM_E_NOT_AVAILABLE, refused.value
        assert took < LIMIT, f"{method} took {took:.1f} s to say so"
        assert management.state(session) == ACTIVE


def test_work_goes_on_and_afterwards_everything_is_true_without_hands(server, fault, desk):
    alice = desk.freerdp("alice")
    terminal = terminal_of(server, alice, "alice")
    shell = terminal.shell_pid()
    terminal_of(server, desk.freerdp("carol"), "carol")
    with contextlib.ExitStack() as over:
        fault.begin()
        over.callback(fault.end)
        not_available(server, "alice", "Disconnect")
        not_available(server, "alice", "Logoff")
        assert terminal.ask("echo typed") == "typed", "a relayed session does not need the store"
        assert desk.freerdp("bob").refused()[1] == "ERRINFO_SERVER_DENIED_CONNECTION"

        # What happens meanwhile cannot be written down yet.
        alice.signal(signal.SIGKILL)
        init = [p for p in processes.of_desktops(server.data_dir, "carol") if p.pid_inside == 1]
        assert len(init) == 1, init
        os.kill(init[0].pid, signal.SIGKILL)
        wait.until("the desktop of carol is gone", lambda: not processes.of_desktops(server.data_dir, "carol"))
        assert {s["UserName"] for s in server.json("session", "list")} == {"alice", "carol"}

    server.wait_state("alice", "Disconnected", limit=5)
    server.wait_no_session("carol", limit=5)
    assert processes.alive_inside(server.data_dir, shell, "bash")
    assert terminal_of(server, desk.freerdp("alice", name="xfreerdp-again"), "alice").shell_pid() == shell
    terminal_of(server, desk.freerdp("bob", name="xfreerdp-later"), "bob")

    def told() -> bool:
        with contextlib.closing(sqlite3.connect(f"file:{server.data_dir / DATABASE}?mode=ro", uri=True)) as db:
            rows = [row for (row,) in db.execute("SELECT row FROM audit")]
        refused = [row for row in rows if str(WBEM_E_NOT_AVAILABLE) in row]
        return {"Connect", "Disconnect", "Logoff"} <= {
            action for action in ("Connect", "Disconnect", "Logoff") if any(action in row for row in refused)
        }

    wait.until("what was refused is in the audit trail, after all", told, 5)


def test_the_service_can_stop_and_what_it_could_not_write_is_true_after_the_next_start(server, fault, desk):
    alice = desk.freerdp("alice")
    shell = terminal_of(server, alice, "alice").shell_pid()
    with contextlib.ExitStack() as over:
        fault.begin()
        over.callback(fault.end)
        assert server.stop() == 0
    assert alice.wait_end() != 0
    server.start()
    assert server.wait_state("alice", "Disconnected", limit=5)
    assert terminal_of(server, desk.freerdp("alice", name="xfreerdp-again"), "alice").shell_pid() == shell


def start_says(server: Server) -> str:
    """What a start that is refused says."""
    with pytest.raises(AssertionError, match="openrdms serve ended") as refused:
        server.start()
    return str(refused.value).rsplit("Error:", 1)[-1]


def test_a_store_on_a_read_only_file_system_is_refused_with_the_reason(small_disk, tmp_path):
    data_dir = make_data_dir()
    try:
        (data_dir / DATABASE).symlink_to(small_disk / DATABASE)
        with Server(data_dir, tmp_path) as server:
            server.add_user("alice")
            assert server.stop() == 0
            subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
            said = start_says(server)
            assert "opening the store" in said and DATABASE in said and "ead-only" in said, said
            subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
            server.start()
            assert [u["UserName"] for u in server.json("user", "list")] == ["alice"]
    finally:
        remove(data_dir)


def test_a_store_that_a_newer_openrdms_wrote_is_refused_with_the_reason(tmp_path):
    data_dir = make_data_dir()
    try:
        with Server(data_dir, tmp_path) as server:
            assert server.stop() == 0
            with contextlib.closing(sqlite3.connect(data_dir / DATABASE)) as db, db:
                db.execute(
                    "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)"
                    " VALUES (999, 'of the future', 1, x'00', 0)"
                )
            said = start_says(server)
            assert "schema 999" in said and "use the newer version" in said, said
            with contextlib.closing(sqlite3.connect(data_dir / DATABASE)) as db, db:
                db.execute("DELETE FROM _sqlx_migrations WHERE version = 999")
            server.start()
    finally:
        remove(data_dir)
