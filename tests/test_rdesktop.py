"""A second client, which shares no code with FreeRDP: what works is the protocol, not a habit of one client.

The server has an RSA certificate here. It offers NLA, which rdesktop tries first and, without Kerberos, gives up
for TLS; with a certificate of another kind rdesktop 1.9 crashes at that in about one of three attempts.
"""

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from support.certificates import make, settings
from support.link import Link
from support.server import leave
from support.terminal import GREEN, Terminal


@pytest.fixture(scope="module")
def server_settings(tmp_path_factory):
    directory = tmp_path_factory.mktemp("certificate")
    make(directory, rsa.generate_private_key(65537, 2048))
    return settings(directory)


def test_the_right_password_brings_a_desktop(server, desk):
    terminal = Terminal(server, desk.rdesktop("alice"), "alice")
    assert terminal.ask("id -un") == "alice"
    assert server.wait_state("alice", "Active")["ClientAddress"].startswith("127.0.0.1")


def test_a_wrong_password_brings_none(server, desk):
    client = desk.rdesktop("alice", "wrong")
    client.wait_end()
    assert "Connection established using SSL" in client.log
    assert server.json("session", "list") == []


def test_disconnect_leaves_the_desktop_running(server, desk):
    client = desk.rdesktop("alice")
    pid = Terminal(server, client, "alice").shell_pid()
    leave(server, client, "alice")
    assert Terminal(server, desk.rdesktop("alice"), "alice").shell_pid() == pid


def test_from_freerdp_to_rdesktop_and_back(server, desk):
    client = desk.freerdp("alice", security="nla")
    terminal = Terminal(server, client, "alice")
    pid = terminal.shell_pid()
    terminal.paint(GREEN)
    leave(server, client, "alice")

    other = desk.rdesktop("alice")
    terminal = Terminal(server, other, "alice")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid
    leave(server, other, "alice")

    terminal = Terminal(server, desk.freerdp("alice", security="nla"), "alice")
    terminal.wait_painted(GREEN)
    assert terminal.shell_pid() == pid


def test_it_ends_when_its_network_fails(server, desk):
    """Given a cookie it would come back by itself without its password, be refused, and hang."""
    with Link(server.rdp) as link:
        client = desk.rdesktop("alice", address=link.address)
        client.desktop()
        server.wait_state("alice", "Active")
        link.cut()
        assert client.wait_end() != 0
    server.wait_state("alice", "Disconnected")
