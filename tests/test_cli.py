"""The command line: what it prints, what it refuses, how it ends."""

import csv
import io
import json
import subprocess

import pytest
from support import wait
from support.management import WSManFaultError
from support.paths import openrdms
from support.terminal_program import on_a_terminal

OK, FAILED, USAGE, NOT_FOUND, UNREACHED, CONFLICT = 0, 1, 2, 3, 5, 6


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


def test_a_request_that_is_too_long_is_told_so(server, tmp_path):
    file = tmp_path / "name"
    file.write_text("x" * 600_000)
    name = server.json("collection", "show", "pool")["DisplayName"]
    path = 'root/openrdms:OpenRDMS_Collection.Alias="pool"'
    said = server.run("cim", "set", path, f"DisplayName=@{file}", "--force")
    assert said.returncode == USAGE, said
    assert "the request is too long: it has 60" in said.stderr and "takes 512000 at most" in said.stderr
    assert server.json("collection", "show", "pool")["DisplayName"] == name


def test_what_xml_cannot_carry_is_refused_and_not_changed(server):
    said = server.run("collection", "create", "escaped", "--size", "1", "--name", "a\x1b[2Jb")
    assert said.returncode == USAGE, said
    assert "DisplayName: the character U+001B cannot be sent" in said.stderr
    assert server.run("collection", "show", "escaped").returncode == NOT_FOUND


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


def test_csv_has_a_heading_of_property_names_and_a_record_a_session(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    text = server.cli("-o", "csv", "session", "list")
    (record,) = csv.DictReader(io.StringIO(text, newline=""))
    assert set(record) == set(session)
    assert (record["Uid"], record["UserName"], record["SessionId"]) == (
        session["Uid"],
        "alice",
        str(session["SessionId"]),
    )
    server.log_everybody_off()
    assert server.cli("-o", "csv", "session", "list").strip().split(",") == list(record)


def test_columns_are_chosen_by_heading_or_property(server, desk):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    heading, row = server.cli("session", "list", "--columns", "user,ClientAddress").splitlines()
    assert heading.split() == ["USER", "ClientAddress"] and row.split() == ["alice", "127.0.0.1"]
    (session,) = json.loads(server.cli("-o", "json", "session", "list", "--columns", "user,ClientAddress"))
    assert session == {"UserName": "alice", "ClientAddress": "127.0.0.1"}
    assert server.cli("-o", "csv", "session", "list", "--columns", "user").split() == ["UserName", "alice"]
    wrong = server.run("session", "list", "--columns", "colour")
    assert wrong.returncode == USAGE and "CLIENT" in wrong.stderr and "ClientAddress" in wrong.stderr


def test_the_wide_table_tells_more(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    heading, row = server.cli("-o", "wide", "session", "list").splitlines()
    assert {"DESKTOP", "UID", "SCREEN"} <= set(heading.split())
    assert session["Uid"] in row and "1024x768" in row


def test_filters_narrow_the_list(server, desk):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        session = server.wait_state(user, "Active")

    def users(*words):
        return sorted(s["UserName"] for s in server.json("session", "list", *words))

    assert users("--user", "ALICE") == ["alice"]
    assert users("--user", f"{session['DomainName']}\\bob") == ["bob"]
    assert users("--user", "elsewhere\\bob") == []
    assert users("--host", session["HostName"], "--state", "active") == ["alice", "bob"]
    assert users("--host", "elsewhere") == [] == users("--state", "lost")
    assert users("--older-than", "1d") == [] == users("--in-state-for", "1d")
    wait.until("both are older than a second", lambda: users("--older-than", "1s") == ["alice", "bob"])
    wait.until("both stay as they are", lambda: users("--in-state-for", "1s") == ["alice", "bob"])


def test_several_sessions_are_hit_only_when_all_are_meant(server, desk):
    clients = [desk.freerdp(user) for user in ("alice", "bob")]
    for client, user in zip(clients, ("alice", "bob"), strict=True):
        client.desktop()
        server.wait_state(user, "Active")
    refused = server.run("session", "disconnect", "--collection", "pool", "--force")
    assert refused.returncode == USAGE
    assert "--all" in refused.stderr and "alice" in refused.stderr and "bob" in refused.stderr
    unsaid = server.run("session", "disconnect", "--force")
    assert unsaid.returncode == USAGE and "say which session" in unsaid.stderr
    dry = server.cli("session", "disconnect", "--collection", "pool", "--all", "--dry-run")
    assert dry.count("would call Disconnect") == 2
    assert {s["State"] for s in server.json("session", "list")} == {"Active"}

    done = server.json("session", "disconnect", "--collection", "pool", "--all", "--force")
    assert sorted((d["UserName"], d["Result"]) for d in done) == [("alice", "done"), ("bob", "done")]
    assert {s["State"] for s in server.json("session", "list")} == {"Disconnected"}
    for client in clients:
        assert client.refused() == (1, "ERRINFO_RPC_INITIATED_DISCONNECT")


def test_among_several_those_that_are_not_expected_are_left_alone(server, desk):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    said = server.run("session", "disconnect", "--all", "--expect-user", "alice", "--force")
    assert said.returncode == CONFLICT
    assert "1 of 2 sessions" in said.stderr
    assert server.session_of("alice")["State"] == "Disconnected"
    assert server.session_of("bob")["State"] == "Active"


def test_the_audit_trail_tells_who_did_what_newest_first(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    server.cli("session", "disconnect", "--user", "alice", "--force")
    disconnect, connect = server.json("audit", "--limit", "2")
    assert (disconnect["Action"], disconnect["Result"]) == ("OpenRDMS_Session.Disconnect", 0)
    assert disconnect["Subject"].endswith("\\alice") and str(session["SessionId"]) in disconnect["Target"]
    assert (connect["Action"], connect["Actor"]) == ("Connect", disconnect["Subject"])
    assert connect["Time"] <= disconnect["Time"]
    assert server.json("audit", "--action", "disconnect", "--limit", "1") == [disconnect]
    assert server.json("audit", "--actor", "alice", "--limit", "1") == [connect]
    since = server.json("audit", "--since", disconnect["Time"], "--limit", "0")
    assert disconnect in since and connect not in since
    assert server.json("cim", "get", f"OpenRDMS_Audit.Number={connect['Number']}") == connect
    query = f"SELECT * FROM OpenRDMS_Audit WHERE Number = {connect['Number']}"
    assert server.json("cim", "query", query) == [connect]
    heading, *rows = server.cli("audit").splitlines()
    assert heading.split() == ["TIME", "ACTOR", "ACTION", "SUBJECT", "RESULT"] and rows


def test_a_list_of_several_batches_is_printed_whole_and_in_order(server):
    with server.management() as management:
        nobody = {"VMHostName": "nowhere", "SessionId": "1"}
        for _ in range(1100):  # each is a record; a batch is 500
            with pytest.raises(WSManFaultError):
                management.invoke(nobody, "Disconnect")
    words = ["audit", "--actor", "admin", "--limit", "0"]
    numbers = [r["Number"] for r in server.json(*words)]
    assert len(numbers) >= 1100 and numbers == sorted(set(numbers), reverse=True)
    records = csv.DictReader(io.StringIO(server.cli("-o", "csv", *words), newline=""))
    assert [int(r["Number"]) for r in records] == numbers
    heading, *rows = server.cli(*words, "--columns", "number").splitlines()
    assert [int(row) for row in rows] == numbers
    assert len(server.json("audit", "--limit", "600")) == 600


def test_any_class_is_looked_at_and_called(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    assert "Win32_VirtualDesktopSession" in server.cli("cim", "classes", "root/cimv2/rdms")
    members = server.cli("cim", "class", "win32_virtualdesktopsession", "-n", r"root\cimv2\rdms")
    assert "uint32(string Title, string Message)" in members
    assert "class OpenRDMS_Session" in server.cli("cim", "mof", "OpenRDMS_Session")

    host, number = session["HostName"], session["SessionId"]
    path = f'root/cimv2/rdms:Win32_VirtualDesktopSession.VMHostName="{host}",SessionId={number}'
    assert server.json("cim", "get", path)["UserName"] == "alice"
    query = "SELECT UserName, SessionId FROM OpenRDMS_Session WHERE State = 'Active'"
    assert server.json("cim", "query", query) == [{"UserName": "alice", "SessionId": number}]
    wrong = server.run("cim", "query", "SELECT * FORM OpenRDMS_Session")
    assert wrong.returncode == FAILED and "FORM" in wrong.stderr

    assert "--force" in server.run("cim", "invoke", path, "Disconnect").stderr
    assert server.json("cim", "invoke", path, "Disconnect", "--force") == {"ReturnValue": 0}
    assert server.session_of("alice")["State"] == "Disconnected"
    denied = server.run("cim", "invoke", path, "SendMessage", "Message=" + "x" * 5000, "--force")
    assert denied.returncode == FAILED and "WBEM_E_INVALID_PARAMETER" in denied.stderr
    assert server.run("cim", "get", path.replace(str(number), "4000000000")).returncode == NOT_FOUND
    assert server.run("cim", "mof", "No_Such_Class").returncode == NOT_FOUND


def test_a_query_about_classes_lists_them(server):
    words = ["cim", "query", "SELECT * FROM meta_class", "-n", "root/cimv2/rdms"]
    assert server.cli(*words) == server.cli("cim", "classes", "-n", "root/cimv2/rdms")
    some = server.json("cim", "query", "SELECT * FROM meta_class WHERE __Class LIKE 'OpenRDMS_H%'")
    assert [row["Name"] for row in some] == ["OpenRDMS_Host"]
    assert server.json("cim", "query", "SELECT * FROM meta_class WHERE __Class = 'None'") == []


def test_a_query_has_no_columns_that_its_class_has_not(server):
    query = ["cim", "query", "SELECT * FROM OpenRDMS_Host", "--columns"]
    wrong = server.run(*query, "nope")
    assert wrong.returncode == USAGE and "there is no column 'nope'" in wrong.stderr
    assert list(server.json(*query, "name")[0]) == ["Name"]
    assert server.cli("-o", "csv", "cim", "query", "SELECT COUNT(*) FROM OpenRDMS_Host", "--columns", "Count")


def test_properties_of_a_class_are_as_wide_as_they_have_to_be(server):
    class_ = ["cim", "class", "Win32_RDMSVirtualDesktopCollection", "-n", "root/cimv2/rdms"]
    properties, methods = server.cli(*class_).split("\n\n")
    assert properties.splitlines()[0].index("DESCRIPTION") < 60
    assert methods.splitlines()[0].split() == ["KIND", "NAME", "TYPE"] and "method" not in properties.split()
    members = server.json(*class_)
    assert len(members) == len(properties.splitlines()) + len(methods.splitlines()) - 2


def test_an_owner_is_named_before_their_machine_moves(server):
    server.cli("collection", "create", "mine", "--kind", "personal", "--size", "0")
    server.cli("host", "add", "pc9", "--address", server.rdp, "--collection", "mine")
    server.cli("desktop", "assign", "pc9", "alice")
    server.cli("host", "change", "pc9", "--weight", "7", "--collection", "MINE")
    for move in (["--no-collection"], ["--collection", "pool"]):
        asked = server.run("host", "change", "pc9", *move)
        assert asked.returncode == USAGE and "--force" in asked.stderr
    assert [row["UserName"] for row in server.json("assignment", "list", "--collection", "mine")] == ["alice"]
    said = on_a_terminal(server, ["host", "change", "pc9", "--no-collection"], answers={"[y/N] ": "n\n"})[1]
    assert "no longer the desktop of OPENRDMS\\alice" in said
    server.cli("host", "change", "pc9", "--no-collection", "--force")
    assert server.json("assignment", "list", "--collection", "mine") == []
    server.cli("host", "change", "pc9", "--collection", "mine")
    server.cli("host", "remove", "pc9", "--force")
    server.cli("collection", "delete", "mine", "--force")


def test_a_terminal_gets_colours_and_questions_and_a_file_gets_neither(server, desk):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    listing = ["session", "list"]
    assert "\x1b[32mActive\x1b[0m" in on_a_terminal(server, listing)[1]
    assert "\x1b" not in on_a_terminal(server, listing, {"NO_COLOR": "1"})[1]
    assert "\x1b" not in server.cli(*listing)
    narrow = on_a_terminal(server, listing, columns=70)[1]
    assert all(len(line.replace("\x1b[32m", "").replace("\x1b[0m", "")) <= 70 for line in narrow.splitlines())

    ended, said = on_a_terminal(server, ["session", "logoff", "--user", "alice"], answers={"[y/N] ": "n\n"})
    assert ended == FAILED and "[y/N]" in said and "nothing was done" in said
    assert server.session_of("alice")["State"] == "Active"
    ended, said = on_a_terminal(server, ["session", "logoff", "--user", "alice"], answers={"[y/N] ": "y\n"})
    assert ended == OK and "logged off" in said
    assert server.session_of("alice") is None


def test_a_reader_that_has_seen_enough_is_no_failure(server):
    with subprocess.Popen(
        [str(openrdms()), "-o", "json", "audit", "--limit", "0"],
        env=server.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as program:
        program.stdout.close()
        assert program.stderr.read() == ""
        assert program.wait(20) == OK
