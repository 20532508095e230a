"""Which collection a client asks for, and what it hears when it cannot have a desktop there."""

import pytest
from support.clients import route_to

NOT_ALLOWED = "ERRINFO_SERVER_INSUFFICIENT_PRIVILEGES"  # 0x09
NOT_FOUND = "ERRINFO_CB_DESTINATION_NOT_FOUND"  # 0x400
POOL_NOT_FREE = "ERRINFO_CB_DESTINATION_POOL_NOT_FREE"  # 0x408


@pytest.fixture(scope="module", autouse=True)
def more_collections(server):
    server.add_collection("private", 1, users=("bob",))
    server.add_collection("single", 1)


@pytest.mark.parametrize("security", ["tls", "nla"])
def test_an_unknown_collection_is_a_destination_not_found(server, desk, security):
    client = desk.freerdp("alice", security=security, route=route_to("nowhere"))
    code, reason = client.refused()
    assert code != 0 and reason == NOT_FOUND
    assert server.json("session", "list") == []


def test_a_collection_for_others_is_not_allowed(server, desk):
    code, reason = desk.freerdp("alice", route=route_to("private")).refused()
    assert code != 0 and reason == NOT_ALLOWED
    assert server.json("session", "list") == []


def test_a_collection_that_becomes_one_for_others_takes_no_more_of_its_users(server, desk):
    there = desk.freerdp("alice", route=route_to("single"))
    there.desktop()
    server.cli("collection", "change", "single", "--user", "bob")
    assert server.json("collection", "show", "single")["Users"] == ["OPENRDMS\\bob"]
    assert there.exit_code is None and server.session_of("alice")["State"] == "Active", "who is there stays"
    code, reason = desk.freerdp("alice", route=route_to("single")).refused()
    assert code != 0 and reason == NOT_ALLOWED
    assert server.json("audit", "--action", "OpenRDMS_Collection.Put", "--limit", "1")[0]["Target"] == "single"
    server.cli("session", "logoff", "--user", "alice", "--force")
    server.cli("collection", "change", "single", "--everybody")
    assert server.json("collection", "show", "single")["Users"] is None
    desk.freerdp("alice", route=route_to("single")).desktop()


def test_a_user_who_is_allowed_gets_the_collection_asked_for(server, desk):
    desk.freerdp("bob", route=route_to("private")).desktop()
    assert server.wait_state("bob", "Active")["CollectionAlias"] == "private"


def test_when_all_desktops_are_taken_the_pool_is_not_free(server, desk):
    first = desk.freerdp("alice", route=route_to("single"))
    first.desktop()
    code, reason = desk.freerdp("bob", route=route_to("single")).refused()
    assert code != 0 and reason == POOL_NOT_FREE
    assert first.exit_code is None, "the one who was there first is left alone"


def test_who_has_several_collections_has_to_name_one(server, desk):
    code, reason = desk.freerdp("alice").refused()
    assert code != 0 and reason == NOT_FOUND
