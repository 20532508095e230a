"""`session watch`, `cim watch` and `list --watch`: the list, then every change, whatever happens to the service."""

import csv
import io
import json
import re
import signal

import pytest
from support import wait
from support.paths import openrdms
from support.process import Process


class Watcher(Process):
    """The command line, watching, with what it printed, as JSON lines where nothing else is said."""

    def __init__(self, server, logs, *words: str, form: str = "json"):
        command = [openrdms(), "-o", form, *words]
        super().__init__("openrdms watch", command, logs / "watch.log", server.environment)

    def told(self) -> list[dict]:
        whole, _, _ = self.log.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait_for(self, what: str, fits) -> dict:
        return wait.until(what, lambda: next((t for t in self.told() if fits(t)), None))

    def wait_change(self, change: str, user: str, state: str) -> dict:
        fits = {"Change": change, "UserName": user, "State": state}
        return self.wait_for(f"{change} {user} {state}", lambda t: fits.items() <= t.items())

    def changes_of(self, key: str, value: str) -> list[str]:
        return [t["Change"] for t in self.told() if t[key] == value]

    def interrupt(self) -> int:
        self.signal(signal.SIGINT)
        return self.wait_end(20)


def test_a_watch_lists_and_then_tells_every_change_in_order(server, desk, tmp_path):
    desk.freerdp("alice").desktop()
    server.wait_state("alice", "Active")
    with Watcher(server, tmp_path, "session", "watch") as watcher:
        watcher.wait_change("Listed", "alice", "Active")
        desk.freerdp("bob").desktop()
        server.wait_state("bob", "Active")
        server.cli("session", "disconnect", "--user", "bob", "--force")
        server.cli("session", "logoff", "--user", "bob", "--force")
        watcher.wait_for("bob's end", lambda t: t["Change"] == "Deleted" and t["UserName"] == "bob")
        of_bob = [(t["Change"], t["State"]) for t in watcher.told() if t["UserName"] == "bob"]
        assert of_bob[0] == ("Created", "Starting")
        assert of_bob[-1][0] == "Deleted"
        states = list(dict.fromkeys(state for _, state in of_bob))
        assert states == ["Starting", "Active", "Disconnected", "LoggingOff"]
        times = [t["Time"] for t in watcher.told() if t["Change"] != "Listed"]
        assert all(times)
        assert watcher.interrupt() == 0


@pytest.mark.parametrize("words", [("watch",), ("list", "--watch")])
def test_filters_of_a_watch_hold_for_the_list_and_the_changes(server, desk, tmp_path, words):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    with Watcher(server, tmp_path, "session", *words, "--user", "alice", "--state", "active") as watcher:
        watcher.wait_change("Listed", "alice", "Active")
        for user in ("bob", "alice"):
            server.cli("session", "disconnect", "--user", user, "--force")
        watcher.wait_change("Modified", "alice", "Disconnected")
        # of states that nobody asked for, and then of one that somebody did
        server.cli("session", "logoff", "--user", "alice", "--force")
        server.wait_no_session("alice")
        desk.freerdp("alice").desktop()
        wait.until("alice's next session", lambda: len({t["Uid"] for t in watcher.told()}) == 2)
        assert watcher.interrupt() == 0
        assert {t["UserName"] for t in watcher.told()} == {"alice"}
        first = watcher.told()[0]["Uid"]
        assert [t["State"] for t in watcher.told() if t["Uid"] == first] == ["Active", "Disconnected"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_watch_outlives_the_service_and_misses_nothing(server, desk, tmp_path, end):
    client = desk.freerdp("alice")
    client.desktop()
    session = server.wait_state("alice", "Active")
    with Watcher(server, tmp_path, "session", "watch") as watcher:
        watcher.wait_change("Listed", "alice", "Active")
        server.process.signal(end)
        server.process.wait_end(20)
        wait.until("the watch says that it waits", lambda: "waiting for it" in watcher.log)
        server.start()
        # its client went with the service; what happened before the watch is back is told all the same
        server.wait_state("alice", "Disconnected")
        told = watcher.wait_change("Modified", "alice", "Disconnected")
        assert told["Uid"] == session["Uid"]
        server.cli("session", "logoff", "--user", "alice", "--force")
        watcher.wait_for("alice's end", lambda t: t["Change"] == "Deleted")
        assert watcher.log.count("the service is back") == 1
        assert watcher.interrupt() == 0


def test_any_query_of_events_is_watched(server, desk, tmp_path):
    query = (
        "SELECT * FROM __InstanceModificationEvent WITHIN 1 "
        "WHERE TargetInstance ISA 'Win32_VirtualDesktopSession' AND TargetInstance.ConnectState = 4"
    )
    with Watcher(server, tmp_path, "cim", "watch", query, "-n", "root/cimv2/rdms") as watcher:
        desk.freerdp("alice").desktop()
        server.wait_state("alice", "Active")
        server.cli("session", "disconnect", "--user", "alice", "--force")
        event = watcher.wait_for("the event", lambda t: t["TargetInstance"]["UserName"] == "alice")
        assert event["Event"] == "__InstanceModificationEvent"
        assert (event["PreviousInstance"]["ConnectState"], event["TargetInstance"]["ConnectState"]) == (0, 4)
        assert watcher.interrupt() == 0


def test_a_query_that_cannot_be_watched_is_refused_at_once(server):
    said = server.run("cim", "watch", "SELECT * FROM OpenRDMS_Session")
    assert said.returncode != 0 and said.stderr.strip()


def test_a_list_is_told_on_by_key_with_what_was_before(server, tmp_path):
    with Watcher(server, tmp_path, "collection", "list", "--watch", "--every", "1") as watcher:
        watcher.wait_for("the list", lambda t: (t["Change"], t["Alias"]) == ("Listed", "pool"))
        server.cli("collection", "create", "lab", "--size", "1")
        watcher.wait_for("its beginning", lambda t: (t["Change"], t["Alias"]) == ("Created", "lab"))
        server.cli("collection", "limits", "lab", "--idle-limit", "30m")
        changed = watcher.wait_for("its change", lambda t: t["Change"] == "Modified")
        assert (changed["Alias"], changed["IdleLimitSeconds"]) == ("lab", 1800)
        assert changed["Previous"] == {"IdleLimitSeconds": 0}
        server.cli("collection", "delete", "lab", "--force")
        gone = watcher.wait_for("its end", lambda t: t["Change"] == "Deleted")
        assert (gone["Alias"], gone["IdleLimitSeconds"], gone["Previous"]) == ("lab", 1800, None)
        assert watcher.changes_of("Alias", "lab") == ["Created", "Modified", "Deleted"]
        assert watcher.changes_of("Alias", "pool") == ["Listed"]
        assert watcher.interrupt() == 0


def test_a_lease_that_is_renewed_is_no_change_of_a_host(server, tmp_path):
    lease = server.json("host", "list")[0]["LeaseUntil"]
    with Watcher(server, tmp_path, "host", "list", "--watch", "--every", "1") as watcher:
        host = watcher.wait_for("the list", lambda t: t["Change"] == "Listed")["Name"]
        wait.until("the lease is renewed", lambda: server.json("host", "list")[0]["LeaseUntil"] != lease)
        for words, state in (("drain", "Drained"), ("undrain", "Up")):
            server.cli("host", words, host)
            watcher.wait_for(state, lambda t, s=state: (t["Change"], t["State"]) == ("Modified", s))
        assert watcher.changes_of("Name", host) == ["Listed", "Modified", "Modified"]
        assert [t["Previous"] for t in watcher.told()] == [
            None,
            {"State": "Up", "Drained": False},
            {"State": "Drained", "Drained": True},
        ]
        assert watcher.interrupt() == 0


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_watched_list_outlives_the_service(server, tmp_path, end):
    server.cli("setting", "set", "Before", "1")
    with Watcher(server, tmp_path, "setting", "list", "--watch", "--every", "1") as watcher:
        watcher.wait_for("a setting", lambda t: t["Name"] == "Before")
        server.process.signal(end)
        server.process.wait_end(20)
        wait.until("the watch says that it waits", lambda: "waiting for it" in watcher.log)
        server.start()
        server.cli("setting", "set", "After", "1")
        watcher.wait_for("what came later", lambda t: (t["Change"], t["Name"]) == ("Created", "After"))
        server.cli("setting", "unset", "Before")
        watcher.wait_for("what went", lambda t: (t["Change"], t["Name"]) == ("Deleted", "Before"))
        # nothing had gone, or come anew, because nobody answered
        assert watcher.changes_of("Name", "Before") == ["Listed", "Deleted"]
        assert watcher.log.count("the service is back") == 1
        assert watcher.interrupt() == 0
    server.cli("setting", "unset", "After")


def test_a_watched_list_as_people_and_spreadsheets_read_it(server, tmp_path):
    (tmp_path / "csv").mkdir()
    table = Watcher(server, tmp_path, "user", "list", "--watch", "--every", "1", form="table")
    commas = Watcher(server, tmp_path / "csv", "user", "list", "--watch", "--every", "1", form="csv")
    with table, commas:
        for watcher in (table, commas):
            wait.until("the list", lambda w=watcher: "alice" in w.log)
        server.add_user("dora")
        for watcher in (table, commas):
            wait.until("a new account", lambda w=watcher: "dora" in w.log)
        server.cli("user", "delete", "dora", "--force")
        for watcher in (table, commas):
            wait.until("its end", lambda w=watcher: w.log.count("dora") == 2)
            assert watcher.interrupt() == 0
    heading, *rows = table.log.splitlines()
    assert heading.split() == ["TIME", "CHANGE", "USER", "DOMAIN", "ROLE", "UID", "NLA", "DIFFERENCE"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ  (Listed|Created|Deleted) +\w", row) for row in rows)
    assert [row.split()[1] for row in rows if "dora" in row] == ["Created", "Deleted"]
    rows = list(csv.DictReader(io.StringIO(commas.log)))
    assert [row["Change"] for row in rows if row["UserName"] == "dora"] == ["Created", "Deleted"]
    assert {row["Change"] for row in rows if row["UserName"] != "dora"} == {"Listed"}


@pytest.mark.parametrize("of", ["app", "assignment", "desktop", "job", "node"])
def test_a_list_with_nothing_new_says_nothing(server, tmp_path, of):
    with Watcher(server, tmp_path, of, "list", "--watch", form="table") as watcher:
        wait.until("the heading", lambda: watcher.log.startswith("TIME"))
        assert watcher.interrupt() == 0
    heading, *rows = watcher.log.splitlines()
    assert heading.split()[:2] == ["TIME", "CHANGE"]
    assert len(rows) == len(server.json(of, "list")) and all("  Listed " in row for row in rows)


def test_a_list_that_cannot_be_had_is_not_waited_for(server):
    said = server.run("--socket", "/nowhere/openrdms.sock", "host", "list", "--watch")
    assert said.returncode == 5 and "is not reached" in said.stderr
