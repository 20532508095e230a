"""Before anybody is known: refusals are said, never shown by hanging up."""

import contextlib
import socket

import pytest
from support.negotiate import (
    CHOSEN,
    FAILED,
    HYBRID_REQUIRED_BY_SERVER,
    NLA,
    TLS,
    connect,
    negotiate,
)


@pytest.fixture(scope="module")
def server_settings():
    return {"OPENRDMS_RDP_SECURITY": "nla"}


@pytest.mark.parametrize(
    ("offered", "answer"),
    [
        (0, (FAILED, HYBRID_REQUIRED_BY_SERVER)),
        (TLS, (FAILED, HYBRID_REQUIRED_BY_SERVER)),
        (NLA, (CHOSEN, NLA)),
        (TLS | NLA, (CHOSEN, NLA)),
    ],
)
def test_where_nla_is_required(server, offered, answer):
    with connect(server.rdp) as connection:
        assert negotiate(connection, offered) == answer


def test_a_client_is_told_and_tells_its_user(server, desk):
    code, reason = desk.freerdp("alice", security="tls").refused()
    assert code != 0 and reason == "ERRCONNECT_SECURITY_NEGO_CONNECT_FAILED"
    desk.freerdp("alice", security="nla").desktop()


@pytest.mark.parametrize(
    "garbage", [b"GET / HTTP/1.1\r\n\r\n", b"\x03\x00\xff\xff", b"\x00" * 4096, b"\x16\x03\x01"]
)
def test_garbage_harms_nobody(server, garbage):
    with connect(server.rdp) as connection:
        with contextlib.suppress(OSError):  # it may have hung up on us already, and with a reset
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
    with connect(server.rdp) as connection:
        assert negotiate(connection, NLA) == (CHOSEN, NLA)
