"""The command line: what it prints, what it refuses, how it ends."""

import json

import pytest

OK, USAGE, NOT_FOUND, UNREACHED, CONFLICT = 0, 2, 3, 5, 6


def test_a_table_for_people_has_a_heading_and_a_line_a_session(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    heading, *rows = server.cli("session", "list").strip().splitlines()
    assert heading.split() == ["COLLECTION", "USER", "HOST", "ID", "STATE", "IDLE", "AGE", "CLIENT"]
    assert len(rows) == 1
    for word in ("pool", "alice", session["HostName"], str(session["SessionId"]), "Active"):
        assert word in rows[0]


def test_json_is_what_the_class_says(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    listed = server.json("session", "list")
    assert isinstance(listed, list) and [s["Uid"] for s in listed] == [session["Uid"]]
    shown = server.json("session", "show", "--uid", session["Uid"])
    assert isinstance(shown, dict) and shown["Uid"] == session["Uid"]
    assert shown["CollectionAlias"] == "pool" and shown["ConnectState"] == 0
    assert (shown["DesktopWidth"], shown["DesktopHeight"]) == (1024, 768)


@pytest.mark.parametrize("way", ["id", "host and id", "user", "uid"])
def test_a_session_is_named_in_each_of_the_ways(server, desk, way):
    client = desk.freerdp("alice")
    client.desktop()
    session = server.wait_state("alice", "Active")
    number = str(session["SessionId"])
    words = {
        "id": [number],
        "host and id": [session["HostName"], number],
        "user": ["--user", "alice"],
        "uid": ["--uid", session["Uid"]],
    }[way]
    assert server.json("session", "show", *words)["Uid"] == session["Uid"]
    server.cli("session", "disconnect", *words, "--force")
    assert server.session_of("alice")["State"] == "Disconnected"
    assert client.refused() == (1, "ERRINFO_RPC_INITIATED_DISCONNECT")


@pytest.mark.parametrize("method", ["disconnect", "logoff"])
def test_a_dry_run_tells_and_does_nothing(server, desk, method):
    client = desk.freerdp("alice")
    client.desktop()
    before = server.wait_state("alice", "Active")
    said = server.run("session", method, "--user", "alice", "--dry-run")
    assert said.returncode == OK
    assert "alice" in said.stdout + said.stderr
    assert server.session_of("alice")["State"] == "Active"
    assert server.session_of("alice")["Uid"] == before["Uid"]
    assert client.exit_code is None


def test_nobody_is_hit_when_nobody_can_be_asked(server, desk):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    said = server.run("session", "logoff", "--user", "alice")
    assert said.returncode != OK
    assert "--force" in said.stderr
    assert server.session_of("alice")["State"] == "Active"


def test_a_message_by_the_command_line(server, desk):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    server.cli("session", "message", "--user", "alice", "--title", "Hello", "--text", "How are you?")


@pytest.mark.parametrize(
    "words",
    [
        ("session", "show", "4000000000"),
        ("session", "show", "--user", "nobody"),
        ("session", "disconnect", "4000000000", "--force"),
        ("collection", "show", "nowhere"),
        ("collection", "delete", "nowhere", "--force"),
        ("user", "delete", "nobody", "--force"),
    ],
)
def test_what_is_not_there_is_not_found(server, words):
    said = server.run(*words)
    assert said.returncode == NOT_FOUND, said
    assert said.stdout == "" and said.stderr.strip() != ""


@pytest.mark.parametrize(
    "words", [("session",), ("session", "dance"), ("user", "add"), ("--nonsense", "user", "list")]
)
def test_a_mistake_in_the_words_is_a_usage_error(server, words):
    said = server.run(*words)
    assert said.returncode == USAGE
    assert "usage" in said.stderr.lower()


def test_without_a_server_it_says_what_to_do(server, tmp_path):
    said = server.run("--socket", str(tmp_path / "none.sock"), "session", "list")
    assert said.returncode == UNREACHED
    assert "none.sock" in said.stderr


def test_users_are_added_listed_changed_and_deleted(server, desk):
    server.add_user("dora")
    assert "dora" in [u["UserName"] for u in server.json("user", "list")]
    again = server.run("user", "add", "DORA", "--password-stdin", text="another password\n")
    assert again.returncode == CONFLICT, "the name is taken, however it is written"
    server.cli("user", "passwd", "dora", "--password-stdin", text="a new password\n")
    assert desk.freerdp("dora", server.passwords["dora"]).refused()[0] != 0
    desk.freerdp("dora", "a new password").desktop()
    server.log_everybody_off()
    server.cli("user", "delete", "dora", "--force")
    assert "dora" not in [u["UserName"] for u in server.json("user", "list")]


def test_a_password_appears_nowhere(server):
    password = server.add_user("erin")
    for place in (server.cli("user", "list"), json.dumps(server.json("user", "list")), server.process.log):
        assert password not in place
    stored = b"".join(p.read_bytes() for p in server.data_dir.glob("openrdms.sqlite*"))
    assert stored and password.encode() not in stored and password.encode("utf-16-le") not in stored
    server.cli("user", "delete", "erin", "--force")


def test_collections_are_made_shown_and_deleted(server):
    server.cli("collection", "create", "lab", "--size", "2", "--name", "The laboratory", "--user", "alice")
    shown = server.json("collection", "show", "lab")
    assert (shown["Alias"], shown["DisplayName"], shown["Size"]) == ("lab", "The laboratory", 2)
    desktops = [d for d in server.json("desktop", "list") if d["CollectionAlias"] == "lab"]
    assert len(desktops) == 2 and len({d["Name"] for d in desktops}) == 2
    server.cli("collection", "delete", "lab", "--force")
    assert server.run("collection", "show", "lab").returncode == NOT_FOUND
