"""`session watch` and `cim watch`: the list, then every change, whatever happens to the service."""

import json
import signal

import pytest
from support import wait
from support.paths import openrdms
from support.process import Process


class Watcher(Process):
    """The command line, watching, with what it printed as JSON lines."""

    def __init__(self, server, logs, *words: str):
        command = [openrdms(), "-o", "json", *words]
        super().__init__("openrdms watch", command, logs / "watch.log", server.environment)

    def told(self) -> list[dict]:
        whole, _, _ = self.log.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def wait_for(self, what: str, fits) -> dict:
        return wait.until(what, lambda: next((t for t in self.told() if fits(t)), None))

    def wait_change(self, change: str, user: str, state: str) -> dict:
        fits = {"Change": change, "UserName": user, "State": state}
        return self.wait_for(f"{change} {user} {state}", lambda t: fits.items() <= t.items())

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


def test_filters_of_a_watch_hold_for_the_list_and_the_changes(server, desk, tmp_path):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    with Watcher(server, tmp_path, "session", "watch", "--user", "alice", "--state", "disconnected") as watcher:
        server.cli("session", "disconnect", "--user", "bob", "--force")
        server.cli("session", "disconnect", "--user", "alice", "--force")
        watcher.wait_change("Modified", "alice", "Disconnected")
        assert {t["UserName"] for t in watcher.told()} == {"alice"}
        assert watcher.interrupt() == 0


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
