"""docs/remotedesktop-cmdlets.md: every command, JSON call and CIM call on that page is run, as it stands there."""

import json
import re
import shlex
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import process
from support.classes import Class
from support.json import Json
from support.management import Management, WSManFaultError
from support.paths import openrdms
from support.server import Server, make_data_dir, remove

PAGE = Path(__file__).parents[1] / "docs" / "remotedesktop-cmdlets.md"
CMDLETS = 79
HOST, DOMAIN = "desk", "OPENRDMS"
RDMS = "root/cimv2/rdms"
SESSION_ON_THE_PAGE = r"\b17\b"
JOB_ON_THE_PAGE = "5b1f8c11-7b7c-4a51-9a39-2f3a5b1f8c11"
POOLS = "Win32_RDMSVirtualDesktopCollection"
# It waits for alice to leave the desktop, so that there is something to cancel.
JOB = """<ProvisioningJob xmlns="urn:openrdms:jobs:1" Collection="own"><RemoveDesktop Name="own-001"/></ProvisioningJob>"""
CODES = {"NOT_FOUND": 0x80041002, "NOT_SUPPORTED": 0x8004100C}

ASSIGNMENTS = f"""format = 1
[[assignment]]
CollectionAlias = "own"
DesktopName = "own-002"
UserDomain = "{DOMAIN}"
UserName = "bob"
"""


@dataclass(frozen=True)
class Row:
    cmdlet: str
    command: str
    json: str
    cim: str
    refused: str | None

    def of(self, way: str) -> str:
        return {"command": self.command, "json": self.json, "cim": self.cim}[way]


def _rows() -> tuple[list[Row], list[str]]:
    """The rows that do something, and the cmdlets that have no counterpart."""
    done, without = [], []
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|") or "-RD" not in cells[0]:
            continue
        if len(cells) == 2:
            assert cells[1], f"{cells[0]} has no reason"
            without.append(cells[0])
            continue
        cmdlet, *ways, answer = cells
        assert all(way.startswith("`") and way.endswith("`") for way in ways), line
        code = re.match(r"`([A-Z_]+)`", answer)
        done.append(Row(cmdlet, *(way.strip("`") for way in ways), code[1] if code else None))
    return done, without


ROWS, WITHOUT = _rows()


def test_every_cmdlet_of_the_module_is_on_the_page_once():
    names = [row.cmdlet for row in ROWS] + WITHOUT
    assert len(names) == len(set(names)) == CMDLETS


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    data_dir = make_data_dir()
    process.LOGS.clear()
    try:
        with Server(data_dir, tmp_path_factory.mktemp("server"), {"OPENRDMS_NODE_HOST_NAME": HOST}) as server:
            server.add_user("admin", "admin")
            for user in ("alice", "bob", "carol"):
                server.add_user(user)
            # a machine is whatever speaks RDP over TLS: here the service itself, where nobody is led
            server.cli("host", "add", "rdsh1", "--address", server.rdp)
            yield server
    finally:
        remove(data_dir)


@pytest.fixture(scope="module")
def api(server):
    with Json(server.ready["wsman_http"], "admin", server.passwords["admin"]) as api:
        yield api


@pytest.fixture(scope="module")
def management(server):
    with Management(server.ready["wsman_http"], "admin", server.passwords["admin"]) as management:
        yield management


def prepare(server: Server, api: Json) -> None:
    """Makes everything that the page speaks of as it says: what is added is not there, what is removed is."""

    def is_there(*path: str) -> bool:
        return api.request("GET", *path).status_code == 200

    def there(*path: str, **properties: object) -> None:
        if not is_there(*path):
            assert api.request("POST", path[0], json=properties).status_code == 201

    def gone(*path: str) -> None:
        assert api.request("DELETE", *path).status_code in (204, 404)

    there("OpenRDMS_Collection", "pool1", Alias="pool1", Size=1)
    assert api.request("PATCH", "OpenRDMS_Host", "rdsh1", json={"CollectionAlias": None}).status_code == 200
    there("OpenRDMS_Collection", "own", Alias="own", Kind="Personal", Size=3)
    there("OpenRDMS_Collection", "spare", Alias="spare", Size=0)
    gone("OpenRDMS_Collection", "lab")
    if not is_there("OpenRDMS_Desktop", "back-room"):
        api.call("OpenRDMS_Collection", "pool1", "AddDesktop", Name="back-room")
    if is_there("OpenRDMS_Desktop", "reading-room"):
        api.call("OpenRDMS_Collection", "pool1", "RemoveDesktop", Name="reading-room")

    owners = {row["DesktopName"]: row["UserName"] for row in api.list("Win32_RDMSDesktopAssignment")}
    if "own-002" in owners:
        api.call("OpenRDMS_Desktop", "own-002", "Unassign")
    for desktop, user in {"own-001": "alice", "own-003": "carol"}.items():
        if desktop not in owners:
            api.call("OpenRDMS_Desktop", desktop, "Assign", UserName=user)
    if api.session_of("alice") is None:
        api.call("OpenRDMS_Desktop", "own-001", "Start")

    app = {"PoolName": "pool1", "AppAlias": "editor"}
    there("Win32_RDMSPublishedApplication", "editor", "pool1", **app, AppPath="/usr/bin/editor")
    there("Win32_RDMSFileTypeAssociation", "editor", "pool1", ".txt", **app, ExtName=".txt")
    gone("Win32_RDMSPublishedApplication", "viewer", "pool1")
    gone("Win32_RDMSFileTypeAssociation", "editor", "pool1", ".md")
    if not is_there("Win32_RDMSJoinedNode", "old.example.org"):
        api.call("Win32_RDMSJoinedNode", "Join", NodeFQDN="old.example.org")
    if is_there("Win32_RDMSJoinedNode", "new.example.org"):
        api.call("Win32_RDMSJoinedNode", "new.example.org", "Unjoin")
    api.call("Win32_RDMSDeploymentSettings", "SetStringProperty", Key="WorkspaceName", Value="Work")
    api.call("OpenRDMS_Host", HOST, "Undrain")


def begin_job(api: Json) -> str:
    guid = api.call(POOLS, "ProvisioningJobExecute", JobInputXml=JOB)["JobGuid"]
    return guid.strip("{}")


def end_jobs(api: Json) -> None:
    for guid in api.call(POOLS, "ProvisioningEnumerateJobs", JobType=0)["JobGuids"] or []:
        api.call(POOLS, "ProvisioningJobCancel", JobGuid=guid)
    if api.request("GET", POOLS, "pool1").status_code == 200:
        assert api.request("POST", POOLS, "pool1", "CancelPatch", json={}).status_code in (200, 404)


def run_command(line: str, server: Server, folder: Path) -> int | None:
    """The command line: None, or the code that it says."""
    (folder / "assignments.toml").write_text(ASSIGNMENTS)
    name, *words = shlex.split(line)
    assert name == "openrdms"
    result = subprocess.run(
        [openrdms(), *words],
        env=server.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=folder,
    )
    if result.returncode == 0:
        return None
    code = re.search(r"\((?:WBEM_E_)?([A-Z_]+)\)|WBEM_E_([A-Z_]+)", result.stderr)
    assert code, f"{line} ended with {result.returncode}: {result.stderr}"
    return CODES[code[1] or code[2]]


def run_json(line: str, api: Json) -> int | None:
    """verb, address, body."""
    verb, address, *body = line.split(" ", 2)
    more = {"json": json.loads(body[0])} if body else {}
    url = api.root + address.removeprefix("/api/v1")
    answer = api.http.request(verb, url, timeout=60, **more)
    if answer.status_code < 400:
        return None
    return int(answer.json()["wmiCode"], 16)


# The PowerShell of the page: a cmdlet, positional words, options, and tables of values.
TOKEN = re.compile(r'"([^"]*)"|@\{(.*?)\}(?= |$)|(\S+)')
VALUE = re.compile(r"(\w+)=(?:(?:\[datetime\])?'([^']*)'|@\(([^)]*)\)|(\S+?))(?:; |$)")


def values(table: str) -> dict[str, str | list[str] | None]:
    found = {}
    for name, text, items, word in VALUE.findall(table):
        if items:
            found[name] = [item.strip().strip("'") for item in items.split(",")]
        elif word:
            found[name] = {"$true": "true", "$false": "false", "$null": None}.get(word, word)
        else:
            found[name] = text
    return found


@dataclass
class Call:
    cmdlet: str
    name: str
    method: str | None
    arguments: dict
    namespace: str
    condition: dict[str, str]


def parse_cim(line: str) -> Call:
    cmdlet, rest = line.split(" ", 1)
    options: dict[str, str] = {}
    positional: list[str] = []
    tables: list[str] = []
    name = None
    for quoted, table, word in TOKEN.findall(rest):
        if table:
            tables.append(table)
            name = None
        elif word.startswith("-"):
            name = word
        elif name:
            options[name] = quoted or word
            name = None
        else:
            positional.append(quoted or word)
    query, condition = options.get("-Query"), options.get("-Filter", "")
    if query:
        of, _, condition = query.removeprefix("SELECT * FROM ").partition(" WHERE ")
        positional.insert(0, of)
    method = options.get("-MethodName") or (positional[1] if len(positional) > 1 else None)
    pairs = re.findall(r"(\w+)='?([^' ]*)'?", condition)
    return Call(
        cmdlet, positional[0], method, values(tables[0]) if tables else {}, options.get("-Namespace", RDMS), dict(pairs)
    )


def run_cim(line: str, management: Management, keys: Callable[[str], list[str]]) -> int | None:
    """What PowerShell's CIM cmdlets send: those with a query look for the instances first."""
    call = parse_cim(line)
    class_ = Class(management, call.name, call.namespace)
    try:
        if call.cmdlet == "New-CimInstance":
            class_.create(**call.arguments)
            return None
        if call.cmdlet == "Invoke-CimMethod" and not call.condition:
            return class_.call(call.method, **call.arguments)["ReturnValue"] or None
        found = class_.list()
        found = [one for one in found if all(one[name] == value for name, value in call.condition.items())]
        if call.cmdlet == "Get-CimInstance":
            assert found, f"{line} finds nothing"
            return None
        [one] = found
        path = {key: one[key] for key in keys(call.name)}
        match call.cmdlet:
            case "Invoke-CimMethod":
                return class_.call(call.method, path, **call.arguments)["ReturnValue"] or None
            case "Set-CimInstance":
                class_.put(path, one | call.arguments)
            case "Remove-CimInstance":
                class_.delete(path)
            case other:
                raise AssertionError(other)
    except WSManFaultError as fault:
        return fault.code & 0xFFFFFFFF
    return None


@pytest.mark.parametrize("way", ["command", "json", "cim"])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.cmdlet)
def test_what_stands_on_the_page_is_what_happens(row, way, server, api, management, tmp_path):
    end_jobs(api)
    prepare(server, api)
    session = str(api.session_of("alice")["SessionId"])
    line = re.sub(SESSION_ON_THE_PAGE, session, row.of(way)) if "ession" in row.of(way) else row.of(way)
    if JOB_ON_THE_PAGE in line:
        line = line.replace(JOB_ON_THE_PAGE, begin_job(api))
    if way == "command":
        code = run_command(line, server, tmp_path)
    elif way == "json":
        code = run_json(line, api)
    else:
        index = {one["class"] if "class" in one else one["name"]: one["keys"] for one in api.get()["classes"]}
        code = run_cim(line, management, lambda name: index[name])
    assert code == (CODES[row.refused] if row.refused else None), line
