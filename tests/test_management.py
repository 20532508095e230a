"""The management door: who may enter, and what they see."""

import urllib.error
import urllib.request

import pytest
from pypsrp.exceptions import AuthenticationError
from support.management import ACTIVE, SESSION, SESSION_CIM, WBEM_E_NOT_FOUND, Management, WSManFaultError


def test_without_credentials_the_answer_is_401_and_says_how(server):
    request = urllib.request.Request(
        server.ready["wsman_http"], b"<x/>", {"Content-Type": "application/soap+xml;charset=UTF-8"}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with pytest.raises(urllib.error.HTTPError) as refused:
        opener.open(request, timeout=10)
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"].startswith("Basic")


@pytest.mark.parametrize("user", ["admin", "nobody"])
def test_a_wrong_password_is_refused(server, user):
    with Management(server.ready["wsman_http"], user, "wrong") as management:
        with pytest.raises(AuthenticationError):
            management.sessions()


@pytest.mark.parametrize("uri", [SESSION, SESSION_CIM], ids=["wmi", "cim-schema"])
@pytest.mark.parametrize("door", ["wsman_http", "wsman_https"])
def test_both_doors_and_both_families_of_uris_list_all_sessions(server, desk, door, uri):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    with server.management(door=door, uri=uri) as management:
        plain, optimised = management.sessions(), management.sessions(optimised=True)
        assert plain == optimised
        assert {s["UserName"] for s in plain} == {"alice", "bob"}
        for session in plain:
            assert int(session["ConnectState"]) == ACTIVE
            assert session["CollectionId"] == "pool"
            assert session["VMName"] and session["VMHostName"] and session["DomainName"]
            assert management.get(session) == session


def test_a_user_sees_only_their_own_sessions(server, desk):
    for user in ("alice", "bob"):
        desk.freerdp(user).desktop()
        server.wait_state(user, "Active")
    with server.management() as everything:
        of_bob = everything.session_of("bob")
    with server.management("alice") as management:
        assert [s["UserName"] for s in management.sessions()] == ["alice"]
        for attempt in (lambda: management.get(of_bob), lambda: management.invoke(of_bob, "Disconnect")):
            # Not found, not denied: an answer that tells nobody what there is.
            with pytest.raises(WSManFaultError) as fault:
                attempt()
            assert fault.value.code == WBEM_E_NOT_FOUND
    assert server.session_of("bob")["State"] == "Active"


def test_a_user_may_end_their_own_session(server, desk):
    client = desk.freerdp("alice")
    client.desktop()
    with server.management("alice") as management:
        assert management.invoke(management.session_of("alice"), "Disconnect") == 0
    client.wait_end()
    server.wait_state("alice", "Disconnected")
