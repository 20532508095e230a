"""The other two methods, and the end of a session."""

import os

import pytest
from PIL import Image, ImageChops
from support import processes, wait
from support.management import Management
from support.screen import share
from support.terminal import CYAN, Terminal


@pytest.fixture(scope="module")
def server_settings():
    """Uids that nobody else on this machine uses, so that what is left of them can be counted."""
    first = 10_000_000 + os.getpid() % 10_000 * 100
    return {"OPENRDMS_LOCAL_UID_FIRST": str(first), "OPENRDMS_LOCAL_UID_COUNT": "100"}


def test_a_message_is_on_the_screen_when_the_call_returns(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.paint(CYAN)
    before = client.screen.picture()
    with server.management() as management:
        session = management.session_of("alice")
        assert (
            management.invoke(session, "SendMessage", Title="Maintenance", Message="Ätna at 18:00 — säve.")
            == 0
        )
    after = client.screen.wait_picture("a window over the terminal", lambda p: _changed(before, p) > 0.02)
    assert share(after, CYAN[1]) < share(before, CYAN[1]), "the window lies over the terminal"


def _changed(before: Image.Image, after: Image.Image) -> float:
    same = ImageChops.difference(before, after).convert("L").histogram()[0]
    return 1 - same / (before.width * before.height)


def test_a_message_to_nobody_is_there_when_the_user_returns(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.paint(CYAN)
    before = client.screen.picture()
    with server.management() as management:
        session = management.session_of("alice")
        assert management.invoke(session, "Disconnect") == 0
        assert management.invoke(session, "SendMessage", Title="Hello", Message="Welcome back.") == 0
    again = desk.freerdp("alice")
    picture = again.desktop()
    assert 0.05 < share(picture, CYAN[1]) < share(before, CYAN[1]), "the window lies over the same terminal"


def test_logoff_ends_every_process_of_the_desktop_and_the_session(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.ask(
        "setsid nohup sleep 1000 >/dev/null 2>&1 & (trap '' TERM HUP; sleep 2000) >/dev/null 2>&1 & echo"
    )
    uid = {p.uid for p in processes.of_desktops(server.data_dir, "alice")}.pop()
    own_uid = uid != os.geteuid()  # only as root has each user a uid
    assert _of_uid(uid)
    with server.management() as management:
        session = management.session_of("alice")
        assert management.invoke(session, "Logoff") == 0
        # 0 means that they have ended, so there is nothing to wait for.
        assert processes.of_desktops(server.data_dir, "alice") == []
        assert not own_uid or _of_uid(uid) == []
        assert management.session_of("alice") is None
    assert client.refused() == (2, "ERRINFO_RPC_INITIATED_LOGOFF")


def _of_uid(uid: int) -> list[int]:
    return [process.pid for process in processes.everything() if process.uid == uid]


def test_after_a_logoff_the_home_is_there_and_the_session_is_new(server, desk):
    client = desk.freerdp("alice")
    terminal = Terminal(server, client, "alice")
    terminal.ask("echo kept > ~/kept")
    with server.management() as management:
        first = management.session_of("alice")
        assert management.invoke(first, "Logoff") == 0
    client.wait_end()

    again = Terminal(server, desk.freerdp("alice"), "alice")
    assert again.ask("cat ~/kept") == "kept"
    with server.management() as management:
        assert management.session_of("alice")["SessionId"] != first["SessionId"], "an id is never used again"


def test_a_disconnected_session_can_be_logged_off(server, desk):
    client = desk.freerdp("alice")
    Terminal(server, client, "alice")
    with server.management() as management:
        session = management.session_of("alice")
        assert management.invoke(session, "Disconnect") == 0
        assert management.invoke(session, "Logoff") == 0
        assert management.session_of("alice") is None
    assert processes.of_desktops(server.data_dir, "alice") == []


def test_a_user_who_ends_the_session_from_inside_is_logged_off(server, desk):
    client = desk.freerdp("alice")
    Terminal(server, client, "alice")
    client.screen.type("openbox --exit")
    client.wait_end()
    server.wait_no_session("alice")
    wait.until("no process is left", lambda: not processes.of_desktops(server.data_dir, "alice"))


def test_pypsrp_over_https_sees_the_same(server, desk):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    with Management(server.ready["wsman_https"], "admin", server.passwords["admin"]) as https:
        with server.management() as http:
            assert https.sessions() == http.sessions() != []
