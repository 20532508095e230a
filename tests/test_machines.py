"""Machines: real session hosts (Debian's xrdp with sesman) that users are led to, and what is known of them."""

import hashlib
import signal
from collections.abc import Iterator

import pytest
from support import wait
from support.classes import Class
from support.link import Link
from support.management import DISCONNECTED, Management, WSManFaultError
from support.server import CommandFailed
from support.session_host import SessionHost

NOT_SUPPORTED, CONFLICT = 0x8004100C, 6
FARM = "tsv://MS Terminal Services Plugin.1.farm"
USERS = ("alice", "bob")


@pytest.fixture(scope="module")
def hosts(server, tmp_path_factory) -> Iterator[list[SessionHost]]:
    """Two session hosts whose accounts have the passwords that the deployment's have, and a collection without them."""
    directory = tmp_path_factory.mktemp("hosts")
    users = {user: server.passwords[user] for user in USERS}
    server.cli("collection", "create", "farm", "--size", "0")
    with SessionHost(directory, "rdsh1", users) as one, SessionHost(directory, "rdsh2", users) as two:
        yield [one, two]


@pytest.fixture
def farm(server, desk, hosts) -> Iterator[dict[str, SessionHost]]:
    """The session hosts in the collection. Whoever was logged on there is forgotten afterwards."""
    for host in hosts:
        server.cli("host", "add", host.name, "--address", host.address, "--collection", "farm", "--logon", "forward")
    yield {host.name: host for host in hosts}
    clear(server, *(host.name for host in hosts))


def clear(server, *names: str) -> None:
    """Removes machines, and forgets who was there."""
    for session in server.json("session", "list"):
        if session["HostName"] in names:
            server.run("session", "disconnect", "--uid", session["Uid"], "--force")
            server.run("session", "forget", "--uid", session["Uid"], "--force")
    for name in names:
        server.cli("host", "remove", name, "--force")


@pytest.fixture
def admin(server) -> Iterator[Management]:
    with server.management() as management:
        yield management


def connect(desk, farm, user: str, **more):
    """A client of a user's whose desktop is seen, and the machine that it is on."""
    client = desk.freerdp(user, route=FARM, **more)
    session = desk.server.wait_state(user, "Active", 30)
    host = farm[session["HostName"]]
    host.wait_desktop(client)
    return client, host, session


def test_users_get_desktops_on_machines_and_come_back_to_them(server, desk, farm, admin):
    client, host, session = connect(desk, farm, "alice")
    assert session["DesktopName"] == host.name, "the desktop of a machine has its name"
    pid = host.ask(client, "alice", "echo $$")
    other = connect(desk, farm, "bob", security="nla")[1]
    assert other is not host, "they are spread"
    heading, *rows = server.cli("host", "list").strip().splitlines()
    assert heading.split() == ["HOST", "KIND", "STATE", "SESSIONS", "DESKTOPS", "COLLECTION", "ADDRESS", "VERSION"]
    assert [row.split()[:7] for row in rows if "machines" in row] == [
        [name, "machines", "Up", "1", "1", "farm", farm[name].address] for name in ("rdsh1", "rdsh2")
    ]

    known = admin.session_of("alice")
    assert (known["VMHostName"], known["VMName"]) == (host.name, host.name)
    assert admin.invoke(known, "Disconnect") == 0
    assert admin.state(known) == DISCONNECTED
    assert client.refused()[1] == "ERRINFO_RPC_INITIATED_DISCONNECT"
    client, again, back = connect(desk, farm, "alice")
    assert (again, back["Uid"]) == (host, session["Uid"])
    assert host.ask(client, "alice", "echo $$") == pid, "the same shell"
    assert sum(host.sessions() for host in farm.values()) == 2


def test_a_service_that_was_killed_finds_what_stands(server, desk, farm):
    client, host, session = connect(desk, farm, "alice")
    pid = host.ask(client, "alice", "echo $$")
    server.process.signal(signal.SIGKILL)
    server.process.wait_end()
    client.wait_end()
    server.start()
    assert server.wait_state("alice", "Disconnected")["Uid"] == session["Uid"]
    client, again, _ = connect(desk, farm, "alice")
    assert (again, host.ask(client, "alice", "echo $$")) == (host, pid)


def test_what_cannot_be_done_on_a_machine_says_so_and_is_not_done(server, desk, farm, admin):
    client, host, session = connect(desk, farm, "alice")
    known = admin.session_of("alice")
    assert admin.invoke(known, "Logoff") == NOT_SUPPORTED
    assert admin.invoke(known, "SendMessage", Title="t", Message="m") == NOT_SUPPORTED
    said = server.run("session", "logoff", "--uid", session["Uid"], "--force")
    assert said.returncode != 0 and "log a user off" in said.stderr
    assert "on, off or paused" in server.run("desktop", "stop", host.name, "--force").stderr
    assert server.session_of("alice")["State"] == "Active"
    assert client.exit_code is None
    with pytest.raises(CommandFailed) as busy:
        server.cli("host", "remove", host.name, "--force")
    assert busy.value.result.returncode == CONFLICT


def test_a_logoff_that_the_machine_does_not_tell_of_is_not_made_up(server, desk, farm):
    """xrdp closes in the same way whether its user has logged off or somebody else has taken the session."""
    client, host, session = connect(desk, farm, "alice")
    begun = host.sessions()
    client.screen.type("exit")
    client.wait_end()
    assert server.wait_state("alice", "Disconnected")["StateReason"] == "closed by the desktop"
    _, again, back = connect(desk, farm, "alice")
    assert (again, back["Uid"]) == (host, session["Uid"]), "who comes back is led there, and logged on anew"
    assert host.sessions() == begun + 1
    active = server.run("session", "forget", "--uid", session["Uid"], "--force")
    assert active.returncode == CONFLICT, "nobody is cut off"
    server.cli("session", "disconnect", "--uid", session["Uid"], "--force")
    server.cli("session", "forget", "--uid", session["Uid"], "--force")
    server.wait_no_session("alice")


def test_a_machine_that_asks_itself_is_told_no_password(server, desk, farm):
    server.cli("host", "change", "rdsh1", "--logon", "ask")
    server.cli("host", "drain", "rdsh2")
    begun = farm["rdsh1"].sessions()
    client = desk.freerdp("alice", route=FARM)
    server.wait_state("alice", "Active")
    # its own logon window is there, and waits
    wait.until("a logon window is on the screen", lambda: client.screen.share((0x00, 0x9C, 0xB5)) > 0.5)
    assert farm["rdsh1"].sessions() == begun
    server.cli("host", "undrain", "rdsh2")


def test_a_silent_machine_is_noticed_and_its_users_go_elsewhere(server, desk, hosts):
    with Link(hosts[0].address) as link:
        for name, address in (("near", link.address), ("far", hosts[1].address)):
            server.cli("host", "add", name, "--address", address, "--collection", "farm", "--logon", "forward")
        try:
            server.cli("host", "drain", "far")
            client, _, session = connect(desk, {"near": hosts[0]}, "alice")
            server.cli("session", "disconnect", "--uid", session["Uid"], "--force")
            client.wait_end()
            server.cli("host", "undrain", "far")
            link.fall_silent()
            server.wait_state("alice", "Lost", 12)
            refused = [h["State"] for h in server.json("host", "list") if h["Name"] == "near"]
            assert refused == ["Lost"]
            elsewhere = desk.freerdp("alice", route=FARM)
            hosts[1].wait_desktop(elsewhere)
            link.cut()
            wait.until(
                "the machine answers again",
                lambda: [h["State"] for h in server.json("host", "list") if h["Name"] == "near"] == ["Up"],
            )
            kept = wait.until(
                "the session of before is kept",
                lambda: [s for s in server.json("session", "list") if s["Uid"] == session["Uid"]],
            )
            assert kept[0]["State"] == "Lost", "its user has another"
        finally:
            clear(server, "near", "far")


def test_a_machine_has_to_show_the_certificate_that_is_pinned(server, hosts):
    pin = hashlib.sha256(hosts[0].certificate).hexdigest()
    wrong = server.run("host", "add", "m", "--address", hosts[0].address, "--pin", "00" * 32)
    assert wrong.returncode != 0 and pin in wrong.stderr
    nobody = server.run("host", "add", "m", "--address", "127.0.0.1:1")
    assert nobody.returncode != 0 and "nobody answers" in nobody.stderr
    assert pin in server.cli("host", "add", "m", "--address", hosts[0].address)
    server.cli("host", "change", "m", "--session-limit", "7", "--weight", "5", "--pin", pin)
    known = server.json("cim", "get", 'root/openrdms:OpenRDMS_Host.Name="m"')
    assert (known["SessionLimit"], known["RelativeWeight"], known["CertificateSha256"]) == (7, 5, pin)
    server.cli("host", "remove", "m", "--force")


def test_session_hosts_as_scripts_know_them(server, admin, hosts):
    servers = Class(admin, "Win32_RDSHServer")
    with pytest.raises(WSManFaultError) as fault:
        servers.create(Name="nobody.invalid", CollectionAlias="farm")
    assert "nobody.invalid:3389" in str(fault.value)
    server.cli("host", "add", "rdsh1", "--address", hosts[0].address)
    of = {"Name": "rdsh1"}
    known = servers.get(of)
    assert (known["CollectionAlias"], known["ServerState"]) == (None, "3")
    servers.put(of, {"CollectionAlias": "farm"})
    assert servers.get(of)["CollectionAlias"] == "farm"
    assert servers.call("SetInt32Property", of, Key="SessionLimit", Value="3") == {"ReturnValue": 0}
    assert servers.call("GetInt32Property", of, Key="sessionlimit") == {"ReturnValue": 0, "Value": "3"}
    assert servers.call("GetPendingStartServerList", maxServers="9")["ReturnValue"] == 0
    servers.delete(of)
    assert "rdsh1" not in server.cli("host", "list")


def test_a_machine_that_is_this_very_service_does_not_go_round_in_circles(server, desk, hosts):
    server.cli("host", "add", "mirror", "--address", server.rdp, "--collection", "farm", "--logon", "forward")
    try:
        told = server.process.log.count("leads back to this service")
        assert desk.freerdp("alice", route=FARM).wait_end() != 0
        server.wait_no_session("alice")
        assert server.process.log.count("leads back to this service") == told + 1
    finally:
        clear(server, "mirror")
