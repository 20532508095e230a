"""Who gets in, and what those hear who do not."""

import pytest
from support.negotiate import FAILED, SSL_REQUIRED_BY_SERVER, connect, negotiate
from support.terminal import Terminal

FRESH_CREDENTIALS = "ERRINFO_SERVER_FRESH_CREDENTIALS_REQUIRED"  # 0x0A


@pytest.mark.parametrize("security", ["tls", "nla"])
def test_the_right_password_brings_a_desktop(server, desk, security):
    client = desk.freerdp("alice", security=security)
    terminal = Terminal(server, client, "alice")
    assert terminal.ask("id -un") == "alice"
    session = server.wait_state("alice", "Active")
    assert session["CollectionAlias"] and session["ClientAddress"].startswith("127.0.0.1")


def test_user_names_compare_without_case(server, desk):
    desk.freerdp("ALICE", server.passwords["alice"]).desktop()
    assert server.wait_state("alice", "Active")["UserName"].lower() == "alice"


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_over_tls_asks_for_fresh_credentials(server, desk, user):
    code, reason = desk.freerdp(user, "wrong", security="tls").refused()
    assert code != 0 and reason == FRESH_CREDENTIALS
    assert server.json("session", "list") == []


@pytest.mark.parametrize("user", ["alice", "nobody"])
def test_a_wrong_password_under_nla_is_a_logon_failure(server, desk, user):
    code, reason = desk.freerdp(user, "wrong", security="nla").refused()
    assert code == 134 and reason == "ERRCONNECT_LOGON_FAILURE"
    assert server.json("session", "list") == []


def test_a_client_without_tls_is_told_that_tls_is_required(server):
    with connect(server.rdp) as connection:
        assert negotiate(connection, 0) == (FAILED, SSL_REQUIRED_BY_SERVER)


def test_a_client_that_cannot_negotiate_ends_without_a_session(server, desk):
    assert desk.freerdp("alice", security="rdp").refused()[0] != 0
    assert server.json("session", "list") == []
