"""The JSON API against a real service: its main job, who sees what, what cannot be done, and events."""

import json
import re
import socket
import ssl
import subprocess
import threading
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests
import urllib3
from pypsrp.wsman import SelectorSet
from support import wait
from support.json import SESSION, Json
from support.management import WSManFaultError

urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)

README = Path(__file__).parents[1] / "README.md"
OURS = "OpenRDMS_Session"
NOT_CAPABLE = 0x80041024
GARBAGE = "garbage-or-so-'ä" * 625


@pytest.fixture
def admin(server):
    with Json(server.ready["wsman_http"], "admin", server.passwords["admin"]) as api:
        yield api


@pytest.fixture
def alice(server):
    with Json(server.ready["wsman_http"], "alice", server.passwords["alice"]) as api:
        yield api


def test_the_main_job_over_json_alone(server, desk, admin):
    client = desk.freerdp("alice")
    client.desktop()
    server.wait_state("alice", "Active")
    session = admin.session_of("ALICE")
    assert (session["ConnectState"], session["CollectionId"]) == (0, "pool")
    keys = (SESSION, session["VMHostName"], session["SessionId"])
    assert admin.get(*keys) == session
    assert session["@id"] == f"/api/v1/{'/'.join(map(str, keys))}"
    assert admin.list(SESSION, UserName="bob") == []

    assert admin.call(*keys, "SendMessage", Title="Maintenance", Message="Please save.") == {"ReturnValue": 0}
    somebody = admin.refused("POST", *keys, "Disconnect", json={}, params={"ExpectedUser": "bob"})
    assert somebody == (409, "WBEM_E_INVALID_OBJECT")
    assert admin.get(*keys)["ConnectState"] == 0, "nothing was done"
    expected = {"ExpectedUser": "alice", "ExpectedState": "Active"}
    assert admin.call(*keys, "Disconnect", params=expected) == {"ReturnValue": 0}
    assert admin.get(*keys)["ConnectState"] == 4
    client.wait_end()

    answer = admin.request("POST", *keys, "SendMessage", json={"Title": "t", "Message": "x" * 100_000})
    problem = answer.json()
    assert (answer.status_code, problem["wmiName"]) == (400, "WBEM_E_INVALID_PARAMETER")
    assert problem["ReturnValue"] == int(problem["wmiCode"], 16) == 0x80041008

    assert admin.call(*keys, "Logoff") == {"ReturnValue": 0}
    assert admin.refused("GET", *keys) == (404, "WBEM_E_NOT_FOUND")
    audit = admin.get("OpenRDMS_Audit", where="Action LIKE '%Session.%'", limit=10)["items"]
    done = [(row["Action"], row["Result"], row["Door"]) for row in audit if row["Door"].startswith("json ")]
    assert (f"{SESSION}.Disconnect", 0, "json 127.0.0.1") in done, audit
    assert (f"{SESSION}.Disconnect", 0x8004100F, "json 127.0.0.1") in done
    assert all(isinstance(row["Number"], str) for row in audit), "64 bits are text"


def test_what_a_method_found_instead_is_told_beside_its_code(server, admin):
    entries = ("Win32_RDSHCollection", server.json("collection", "list")[0]["Alias"])

    def set_entry(comparand: str, new: str) -> dict:
        named = {"Key": "Counter", "Comparand": comparand, "NewValue": new}
        return admin.request("POST", *entries, "KeyValueCompareAndSet", json=named).json()

    assert set_entry("", "0") == {"ReturnValue": 0, "InitialValue": None}
    # a guess that is wrong is told what there is, and the next try goes on from there
    guess, tries = "7", 0
    for _ in range(3):
        while (answer := set_entry(guess, str(int(guess) + 1)))["ReturnValue"]:
            assert (answer["status"], answer["wmiName"]) == (409, "WBEM_E_INVALID_OBJECT")
            guess, tries = answer["InitialValue"], tries + 1
        assert answer["InitialValue"] == guess
    assert (guess, tries) == ("2", 3), "each answer tells what was there before it"
    assert admin.call(*entries, "KeyValueGet", Key="Counter")["Value"] == "3"
    assert admin.call(*entries, "KeyValueDelete", Key="Counter") == {"ReturnValue": 0}
    gone = admin.request("POST", *entries, "KeyValueGet", json={"Key": "Counter"}).json()
    assert (gone["wmiName"], gone["Value"]) == ("WBEM_E_NOT_FOUND", None)

    host = server.json("host", "list")[0]["Name"]
    states = {"Comparand": 10, "NewState": 3}
    kept = admin.request("POST", "Win32_RDSHServer", host, "TestAndSetState", json=states).json()
    assert (kept["wmiName"], kept["InitState"]) == ("WBEM_E_INVALID_OBJECT", 3)


def test_why_a_method_returned_a_code_is_told(server, admin):
    order = '<ProvisioningJob xmlns="urn:openrdms:jobs:1" Collection="pool"><AddDesktops Count="0"/></ProvisioningJob>'
    jobs = ("Win32_RDMSVirtualDesktopCollection", "ProvisioningJobExecute")
    answer = admin.request("POST", *jobs, json={"JobInputXml": order}).json()
    assert (answer["wmiName"], answer["JobGuid"]) == ("WBEM_E_INVALID_PARAMETER", None)
    assert answer["detail"].startswith("line 1, column ") and "Count" in answer["detail"]
    record = server.json("audit", "--action", jobs[1], "--limit", "1")[0]
    assert record["Detail"] == answer["detail"]


def test_a_user_sees_and_ends_their_own_sessions_only(server, desk, admin, alice):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    assert {s["UserName"] for s in admin.list(SESSION)} == {"alice", "bob"}
    assert [s["UserName"] for s in alice.list(SESSION)] == ["alice"]
    of_bob = admin.session_of("bob")
    keys = (SESSION, of_bob["VMHostName"], of_bob["SessionId"])
    # not found, not denied: an answer that tells nobody what there is
    assert alice.refused("GET", *keys) == (404, "WBEM_E_NOT_FOUND")
    assert alice.refused("POST", *keys, "Disconnect", json={}) == (404, "WBEM_E_NOT_FOUND")
    assert alice.refused("GET", "OpenRDMS_User") == (403, "WBEM_E_ACCESS_DENIED")
    assert server.session_of("bob")["State"] == "Active"
    own = alice.list(OURS)[0]
    assert alice.call(OURS, own["Uid"], "Disconnect") == {"ReturnValue": 0}


@pytest.mark.parametrize("door", ["wsman_http", "wsman_https"])
def test_nobody_comes_in_unproved(server, door):
    for user, password in ((None, ""), ("admin", "wrong"), ("nobody", "x")):
        with Json(server.ready[door], user, password) as api:
            for path in ((), ("openapi.json",), (SESSION,), ("events",)):
                answer = api.request("GET", *path)
                assert answer.status_code == 401
                assert answer.headers["WWW-Authenticate"].startswith("Basic")
            answer = api.request("POST", "OpenRDMS_Collection", "CreateCollection", json={"Alias": "x", "Size": 1})
            assert answer.status_code == 401
    with Json(server.ready[door], "admin", server.passwords["admin"]) as api:
        assert api.get(SESSION)["items"] == []


def test_the_local_socket_is_a_door_too(server):
    connection = socket.socket(socket.AF_UNIX)
    with connection:
        connection.connect(server.ready["socket"])
        connection.sendall(b"GET /api/v1/OpenRDMS_Host HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b""
        while part := connection.recv(65536):
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    assert json.loads(body)["items"][0]["State"] == "Up"


def test_a_collection_is_made_changed_and_removed(server, admin, alice):
    refused = alice.refused("POST", "OpenRDMS_Collection", json={"Alias": "extra"})
    assert refused == (403, "WBEM_E_ACCESS_DENIED")
    made = admin.request("POST", "OpenRDMS_Collection", json={"Alias": "extra", "Size": 1, "IdleLimitSeconds": 600})
    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/OpenRDMS_Collection/extra")
    one = ("OpenRDMS_Collection", "extra")
    got = admin.request("GET", *one)
    assert got.json() == made.json()
    assert admin.request("GET", *one, headers={"If-None-Match": got.headers["ETag"]}).status_code == 304
    whole = {**got.json(), "DisplayName": "Extra desktops"}
    changed = admin.request("PATCH", *one, json=whole, headers={"If-Match": got.headers["ETag"]})
    assert changed.json()["DisplayName"] == "Extra desktops"
    stale = admin.refused("PATCH", *one, json={"DisplayName": "x"}, headers={"If-Match": got.headers["ETag"]})
    assert stale == (412, "WBEM_E_INVALID_OBJECT")

    def change(tag: str, name: str) -> int:
        with Json(server.ready["wsman_http"], "admin", server.passwords["admin"]) as api:
            return api.request("PATCH", *one, json={"DisplayName": name}, headers={"If-Match": tag}).status_code

    for turn in range(10):
        tag = admin.request("GET", *one).headers["ETag"]
        with ThreadPoolExecutor(4) as writers:
            codes = list(writers.map(lambda writer: change(tag, f"{turn} {writer}"), range(4)))  # noqa: B023
        assert sorted(codes) == [200, 412, 412, 412], "of those who have seen the same one changes it"
    assert admin.refused("PATCH", *one, json={"Size": 5}) == (400, "WBEM_E_READ_ONLY")
    assert admin.refused("POST", "OpenRDMS_Collection", json={"Alias": "EXTRA"}) == (409, "WBEM_E_ALREADY_EXISTS")
    assert admin.request("DELETE", *one).status_code == 204
    assert admin.refused("GET", *one) == (404, "WBEM_E_NOT_FOUND")


def test_a_list_that_changes_is_gone_on_with_and_a_cursor_outlives_a_restart(server, admin):
    names = [f"user{number}" for number in range(7)]
    for name in names:
        admin.call("OpenRDMS_User", "AddUser", UserName=name, Password="correct horse")
    try:
        page = admin.get("OpenRDMS_User", limit=3, where="UserName LIKE 'user%'", fields="UserName")
        seen = [item["UserName"] for item in page["items"]]
        server.stop()
        server.start()
        admin.root = f"{server.ready['wsman_http'].rsplit('/', 1)[0]}/api/v1"
        while page["next"]:
            page = admin.get(
                "OpenRDMS_User", limit=3, where="UserName LIKE 'user%'", fields="UserName", cursor=page["next"]
            )
            seen += [item["UserName"] for item in page["items"]]
        assert seen == names
    finally:
        for name in names:
            admin.request("DELETE", "OpenRDMS_User", admin.list("OpenRDMS_User", UserName=name)[0]["DomainName"], name)


def served(api) -> list[str]:
    """The classes that somebody stands behind: some are only stated, and say 501 to everything."""
    names = [entry["name"] for entry in api.get()["classes"]]
    return [name for name in names if api.request("GET", name, params={"limit": 1}).status_code != 501]


def everything(api) -> list[tuple]:
    """What there is, but for what differs by time alone."""
    return [
        (name, row["@id"])
        for name in ("OpenRDMS_Collection", "OpenRDMS_User", "OpenRDMS_Desktop", SESSION)
        for row in api.list(name)
    ]


def test_what_is_documented_to_be_made_or_removed_can_be_and_nothing_else(server, admin):
    """The schema's qualifiers and what providers do, asked through the other door: neither may say more."""
    paths = admin.get("openapi.json")["paths"]
    behind = served(admin)
    with server.management() as management:
        for entry in admin.get()["classes"]:
            name = entry["name"]
            if name not in behind:
                continue
            uri = f"http://schemas.microsoft.com/wbem/wsman/1/wmi/{entry['namespace']}/{name}"
            with pytest.raises(WSManFaultError) as refused:
                management.client.create(uri, ET.Element("{%s}%s" % (uri, name)))
            assert (refused.value.code != NOT_CAPABLE) == ("post" in paths[entry["href"]]), name
            made = admin.request("POST", name, json={})
            assert (made.status_code == 405) == (refused.value.code == NOT_CAPABLE), (name, made.text)
            assert ("POST" in made.headers.get("Allow", "POST")) == (made.status_code != 405)

            instance = paths.get("/".join([entry["href"], *("{%s}" % key for key in entry["keys"])]))
            if not entry["keys"]:
                continue
            words = [key["schema"].get("type") == "string" for key in instance["parameters"]]
            values = ["nothing" if is_word else "1" for is_word in words]
            selectors = SelectorSet()
            for key, value in zip(entry["keys"], values, strict=True):
                selectors.add_option(key, value)
            with pytest.raises(WSManFaultError) as refused:
                management.client.delete(uri, selector_set=selectors)
            assert (refused.value.code != NOT_CAPABLE) == ("delete" in instance), name
            removed = admin.request("DELETE", name, *values)
            assert (removed.status_code == 405) == (refused.value.code == NOT_CAPABLE), (name, removed.text)


def test_garbage_changes_nothing_and_is_told_the_documented_code(admin):
    document = admin.get("openapi.json")
    before, asked, behind = everything(admin), 0, served(admin)
    for path, item in document["paths"].items():
        if path.endswith(("/events", "/openapi.json")) or path == "/api/v1":
            continue
        shared = item.get("parameters", [])
        parts = [part for part in path.split("/")[3:]]
        garbage = [GARBAGE if part.startswith("{") else part for part in parts]
        for verb, operation in item.items():
            if verb == "parameters":
                continue
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "$ref" in body:
                body = document["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]
            names = list(body.get("properties", {}))
            bodies = [{name: GARBAGE for name in names}, {name: [[1]] for name in names}, {"Unknown": 1}]
            bodies += ["", "[]", "nothing", '{"a": ' * 10_000]
            for one in bodies if verb in ("post", "patch") else [None]:
                if one == {} or (verb == "post" and not names and one == bodies[0]):
                    continue
                sent = one if isinstance(one, str) else json.dumps(one)
                answer = admin.request(
                    verb.upper(), *garbage, data=sent, headers={"Content-Type": "application/json"} if one is not None else {}
                )
                asked += 1
                if answer.status_code == 501:  # documented for all, and nothing is done
                    continue
                if verb == "get" and not shared:
                    assert answer.status_code == 200
                    continue
                assert 400 <= answer.status_code < 500, (verb, path, answer.text)
                assert str(answer.status_code) in operation["responses"], (verb, path, answer.status_code)
                assert len(answer.content) < 2000, "what came is not sent back at any length"
    for name in behind:
        for params in ({"where": GARBAGE}, {"cursor": GARBAGE}, {"fields": GARBAGE}, {"limit": GARBAGE}, {GARBAGE: "1"}):
            assert admin.refused("GET", name, params=params)[0] == 400
    assert asked > 100
    assert everything(admin) == before


def test_what_has_no_place_is_not_found(admin):
    assert admin.refused("GET", "Win32_Process") == (404, "WBEM_E_INVALID_CLASS")
    assert admin.refused("GET", "root", "cimv2", SESSION) == (404, "WBEM_E_INVALID_CLASS")
    assert admin.refused("POST", SESSION, "host", 1, "Explode", json={}) == (404, "WBEM_E_INVALID_METHOD")
    assert admin.refused("PUT", SESSION) == (405, "WBEM_E_NOT_SUPPORTED")
    form = admin.request("POST", SESSION, "host", 1, "Logoff", data={"a": "b"})
    assert form.status_code == 415


class Events(threading.Thread):
    """A stream of events, read until it ends."""

    def __init__(self, api: Json, last: str | None = None, **params):
        super().__init__(daemon=True)
        headers = {} if last is None else {"Last-Event-ID": last}
        self.answer = requests.Session()
        self.answer.trust_env = False
        self.answer = self.answer.get(
            f"{api.root}/events", params=params, auth=api.http.auth, headers=headers, stream=True, timeout=30
        )
        self.seen: list[dict] = []
        self.over = threading.Event()
        if self.answer.status_code == 200:
            self.start()

    def run(self) -> None:
        event: dict = {}
        for line in self.answer.iter_lines(decode_unicode=True, chunk_size=1):
            name, _, value = line.partition(": ")
            if line == "":
                if "data" in event:
                    self.seen.append({**event, "data": json.loads(event["data"])})
                event = {}
            elif name:
                event[name] = value
        self.over.set()

    def until(self, what: str, found) -> list[dict]:
        return wait.until(what, lambda: self.seen if any(map(found, self.seen)) else None, 20)


def test_what_happens_is_told_as_it_happens_and_missed_by_nobody(server, desk, admin, alice):
    # the first line is the position: from here on nothing is missed
    events = Events(admin, **{"class": OURS})
    own = Events(alice, query=f"SELECT * FROM __InstanceModificationEvent WHERE TargetInstance ISA '{OURS}'")
    for user in ("bob", "alice"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    session = server.session_of("alice")
    admin.call(OURS, session["Uid"], "Logoff")

    def is_end(event):
        return event["event"] == "deleted" and event["data"]["before"]["UserName"] == "alice"

    seen = events.until("alice's session ends", is_end)
    of_alice = [e for e in seen if (e["data"]["after"] or e["data"]["before"])["UserName"] == "alice"]
    kinds = [e["event"] for e in of_alice]
    assert (kinds[0], kinds[-1]) == ("created", "deleted") and set(kinds[1:-1]) == {"modified"}
    states = [e["data"]["after"]["State"] for e in of_alice[:-1]]
    assert states[0] == "Starting" and "Active" in states
    assert all(e["data"]["before"] is not None for e in of_alice[1:])
    assert [int(e["id"]) for e in seen] == sorted({int(e["id"]) for e in seen})
    assert own.until("alice hears", lambda e: e["data"]["after"]["State"] == "Active")
    assert {e["data"]["after"]["UserName"] for e in own.seen} == {"alice"}, "nobody else's"

    again = Events(admin, last=seen[0]["id"], **{"class": OURS})
    assert again.until("the end again", is_end)[: len(seen) - 1] == seen[1:], "what was missed is told"
    never = Events(admin, last="999999999", **{"class": OURS}).answer
    assert (never.status_code, never.json()["wmiName"]) == (410, "WBEM_E_QUEUE_OVERFLOW")


@pytest.mark.parametrize("end", ["delete", "another password"])
def test_a_stream_ends_with_its_account_and_with_its_password(server, end):
    password = server.add_user("eve")
    with Json(server.ready["wsman_http"], "eve", password) as api:
        events = Events(api, **{"class": OURS})
        if end == "another password":
            server.cli("user", "passwd", "eve", "--password-stdin", text="another one\n")
            assert events.over.wait(20), "it ends"
        server.cli("user", "delete", "eve", "--force")
        assert events.over.wait(20), "it ends"
    last = events.seen[-1]
    assert (last["event"], last["data"]["wmiName"]) == ("problem", "WBEM_E_ACCESS_DENIED")


def test_streams_end_when_the_service_stops(server, admin):
    events = Events(admin, **{"class": SESSION})
    server.stop()
    assert events.over.wait(20)
    server.start()


def test_a_broken_request_leaves_the_door_open(server):
    parts = urlsplit(server.ready["wsman_https"])
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for path in ("/api/v1/%00", "/api/v1/" + "a/" * 5000, "/api/v1/?" + "&".join(["x"] * 5000), "/api/v1/" + quote("\ud7ff")):
        with socket.create_connection((parts.hostname, parts.port), timeout=10) as plain:
            with context.wrap_socket(plain) as secured:
                secured.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answer = b""
                while part := secured.recv(65536):
                    answer += part
        assert answer.startswith(b"HTTP/1.1 401"), (path[:40], answer[:200])


def test_what_the_readme_shows_of_curl_works(server, desk):
    desk.freerdp("alice").desktop()
    session = server.wait_state("alice", "Active")
    lines = re.findall(r"^curl .*/api/v1/.*$", README.read_text(), re.MULTILINE)
    assert len(lines) == 3
    parts = urlsplit(server.ready["wsman_https"])
    for line in lines:
        line = line.replace("desk.example.org:5986", parts.netloc)
        line = line.replace("/desk/1/", f"/{session['HostName']}/{session['SessionId']}/")
        line = line.replace("-u admin", f"-u admin:{server.passwords['admin']}")
        # a stream has no end
        line += " --max-time 2 || true" if " -N " in line else ""
        said = subprocess.run(
            ["bash", "-c", line.replace("curl ", "curl -sS -k --noproxy '*' --fail-with-body ")],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert said.returncode == 0, (line, said.stdout, said.stderr)
        assert '"UserName":"alice"' in said.stdout or '"ReturnValue":0' in said.stdout or "id: " in said.stdout, said
    server.wait_state("alice", "Disconnected")
