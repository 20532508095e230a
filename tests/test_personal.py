"""Personal desktops, and desktops that forget: with real clients."""

import pytest
from support import wait
from support.clients import route_to
from support.server import CommandFailed

POOL_NOT_FREE = "ERRINFO_CB_DESTINATION_POOL_NOT_FREE"  # 0x408
MICROSOFT = "root/cimv2/rdms"
# Each logon writes a line into the home.
COUNTS_LOGONS = "echo here >> logons; exec sleep infinity"


@pytest.fixture(scope="module")
def server_settings():
    return {"OPENRDMS_LOCAL_SESSION_COMMAND": COUNTS_LOGONS}


def owners(server, collection: str) -> dict[str, str | None]:
    desktops = server.json("desktop", "list", "--collection", collection)
    return {desktop["Name"]: desktop["Owner"] for desktop in desktops}


def log_on_and_off(server, desk, user: str, collection: str) -> str:
    """The desktop that the user had."""
    client = desk.freerdp(user, route=route_to(collection))
    session = server.wait_state(user, "Active")
    server.cli("session", "logoff", "--user", user, "--force")
    client.wait_end()
    server.wait_no_session(user)
    return session["DesktopName"]


def test_a_desktop_that_an_administrator_assigns_is_its_owners(server, desk):
    server.cli("collection", "create", "own", "--kind", "personal", "--size", "2")
    code, reason = desk.freerdp("alice", route=route_to("own")).refused()
    assert code != 0 and reason == POOL_NOT_FREE, "none is hers yet"
    server.cli("desktop", "assign", "own-002", "alice")
    assert log_on_and_off(server, desk, "alice", "own") == "own-002"
    with pytest.raises(CommandFailed, match="already"):
        server.cli("desktop", "assign", "own-002", "bob")
    server.cli("desktop", "unassign", "own-002")
    assert set(owners(server, "own").values()) == {None}


def test_the_first_logon_makes_a_desktop_ones_own(server, desk):
    server.cli("collection", "create", "auto", "--kind", "auto-personal", "--size", "1")
    server.cli("collection", "add", "auto", "reading-room")
    hers = log_on_and_off(server, desk, "alice", "auto")
    his = log_on_and_off(server, desk, "bob", "auto")
    assert {hers, his} == {"auto-001", "reading-room"}
    assert log_on_and_off(server, desk, "alice", "auto") == hers
    code, reason = desk.freerdp("carol", route=route_to("auto")).refused()
    assert code != 0 and reason == POOL_NOT_FREE, "both are somebody's"
    owned = owners(server, "auto")
    assert owned[hers].endswith("\\alice") and owned[his].endswith("\\bob")
    listed = server.json("cim", "query", "SELECT * FROM Win32_RDMSDesktopAssignment", "--namespace", MICROSOFT)
    assert {(row["DesktopName"], row["UserName"]) for row in listed} == {(hers, "alice"), (his, "bob")}


def test_a_desktop_with_an_owner_is_started_before_they_come(server, desk):
    server.cli("collection", "create", "ready", "--kind", "personal", "--size", "1")
    server.cli("desktop", "assign", "ready-001", "alice")
    server.cli("desktop", "start", "ready-001")
    session = server.wait_state("alice", "Disconnected")
    desk.freerdp("alice", route=route_to("ready"))
    assert server.wait_state("alice", "Active")["Uid"] == session["Uid"]
    server.cli("desktop", "stop", "ready-001", "--force")
    server.wait_no_session("alice")
    with pytest.raises(CommandFailed):
        server.cli("desktop", "start", "pool-001")  # nobody's


@pytest.mark.parametrize(("words", "logons"), [((), 2), (("--rollback",), 1)])
def test_what_a_user_writes_is_thrown_away_where_the_collection_says_so(server, desk, words, logons):
    alias = "forgets" if words else "keeps"
    server.cli("collection", "create", alias, *words)
    log_on_and_off(server, desk, "alice", alias)
    desk.freerdp("alice", route=route_to(alias))
    server.wait_state("alice", "Active")

    def written() -> list[int]:
        found = [path for path in server.data_dir.glob("**/logons") if alias in str(path)]
        return [path.read_text().count("here") for path in found]

    wait.until(f"the home has {logons} logons", lambda: written() == [logons])
